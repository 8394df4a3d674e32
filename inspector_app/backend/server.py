"""The backend's end of the wire: a daemon thread that listens, proves, dispatches and answers.

It listens on a Unix socket in a private directory, or on loopback TCP; never on another address.
Whoever connects must first prove that it holds the session's token (HMAC-SHA256 over a fresh
nonce, both ways); a peer without it is cut off and learns nothing.  Requests go to the executor;
what must be answered while the model runs (records, cancel) is answered here.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
import secrets
import threading
import traceback
import weakref
from collections.abc import Callable
from concurrent.futures import wait
from typing import TYPE_CHECKING, Any

import msgspec

from inspector_app.backend.jobs import Executor, Job, Task
from inspector_app.protocol import framing
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import InspectorError, InternalError, ModelError, ProtocolError

if TYPE_CHECKING:
    from inspector_app.backend.session import Session

HANDSHAKE_LIMIT = 4096  # bytes a peer may send before it proved itself
HANDSHAKE_SECONDS = 5.0
REQUEST_LIMIT = 1 << 26  # bytes of one request
MAX_STRANGERS = 16  # connections that have not proved themselves yet
MAX_PENDING = 1024  # requests of one connection
PROGRESS_BACKLOG = 1 << 20  # bytes unread by a slow peer above which progress is dropped
_TURNS_TO_WELCOME = 5  # of the event loop, from a connection to its task
_PATIENCE = 5.0  # seconds that the thread may take to end
SAFE_POINT_PATIENCE = 2.0  # seconds before a person is told that a request still waits

# Answered in the server's thread, whatever the model's thread is doing.
_NO_INTERRUPTION = (m.Open, m.Run)  # never begin in the middle of another request


def proof(token: bytes, who: bytes, nonce: bytes) -> bytes:
    """What shows that ``who`` ("client" or "server") holds the token."""
    return hmac.new(token, who + nonce, "sha256").digest()


class Server:
    """Serves one session to any number of peers that hold the token."""

    def __init__(self, session: Session, executor: Executor, token: bytes) -> None:
        self._session = session
        self._executor = executor
        self._token = token
        self._loop = asyncio.new_event_loop()
        self._strangers = 0
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: weakref.WeakSet[asyncio.StreamWriter] = weakref.WeakSet()  # not yet closed
        self._thread: threading.Thread | None = None
        #: Called in the server's thread with whether anybody is connected, as that changes.
        self.on_attended: Callable[[bool], None] = lambda attended: None

    def start(self, socket_path: str = "") -> str:
        """Listen at a Unix socket, or on loopback TCP with ""; return the address to connect to."""
        # All in the thread: that of the caller may run a loop already, as in a notebook.
        thread = threading.Thread(
            target=self._loop.run_forever, name="inspector-server", daemon=True
        )
        thread.start()
        try:
            self._listener = asyncio.run_coroutine_threadsafe(
                self._listen(socket_path), self._loop
            ).result()
        except BaseException:
            self._end(thread)
            raise
        self._thread = thread
        if not socket_path:
            return f"tcp:127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"
        os.chmod(socket_path, 0o600)
        return f"unix:{socket_path}"

    async def _listen(self, socket_path: str) -> asyncio.Server:
        if socket_path:
            return await asyncio.start_unix_server(self._welcome, socket_path)
        return await asyncio.start_server(self._welcome, "127.0.0.1", 0)

    def stop(self) -> None:
        """Close the listener and every connection, end the thread.  May be called twice."""
        thread, self._thread = self._thread, None
        if thread is not None:
            wait([asyncio.run_coroutine_threadsafe(self._shut_down(), self._loop)], _PATIENCE)
            self._end(thread)

    def _end(self, thread: threading.Thread) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        thread.join(_PATIENCE)
        if not thread.is_alive():  # else it is stuck, and ends with the process
            self._loop.close()

    def let_go_in_child(self) -> None:
        """Close what a fork has copied: peers must see the end of the parent, not of its children.

        The sockets themselves stay with the event loop, whose thread does not run in the child.
        """
        nothing = os.open(os.devnull, os.O_RDWR)
        for one in (*self._listener.sockets, *(w.get_extra_info("socket") for w in self._writers)):
            if one.fileno() >= 0:
                os.dup2(nothing, one.fileno(), inheritable=False)
        os.close(nothing)

    async def _shut_down(self) -> None:
        # Who was accepted just now is welcomed first: a listener that is closed meanwhile leaves
        # that connection open for ever.
        with contextlib.suppress(NotImplementedError):  # of Windows' event loop
            for listening in self._listener.sockets:
                self._loop.remove_reader(listening.fileno())
        for _ in range(_TURNS_TO_WELCOME):
            await asyncio.sleep(0)
        self._listener.close()
        for connection in list(self._connections):
            connection.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in list(self._writers):  # of peers that are too slow to have read all
            writer.transport.abort()

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            if self._strangers >= MAX_STRANGERS:
                return
            self._strangers += 1
            try:
                proved = await asyncio.wait_for(self._prove(reader, writer), HANDSHAKE_SECONDS)
            finally:
                self._strangers -= 1
            if proved:
                connection = _Connection(self._session, self._executor, reader, writer)
                self._connections.add(connection)
                self.on_attended(True)
                try:
                    await connection.serve()
                finally:
                    self._connections.discard(connection)
                    connection.close()
                    if not self._connections:
                        self.on_attended(False)
        except (ProtocolError, OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            pass  # the peer broke off or talks nonsense: it is cut off below
        except asyncio.CancelledError:
            pass  # the server stops
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _prove(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        nonce = secrets.token_bytes(32)
        writer.writelines(framing.encode(m.Challenge(nonce)))
        hello = framing.decode(await _frame(reader, HANDSHAKE_LIMIT), m.Hello)
        if not hmac.compare_digest(hello.proof, proof(self._token, b"client", nonce)):
            return False
        error = ""
        if hello.version != m.PROTOCOL_VERSION:
            error = (
                f"The window speaks protocol {hello.version}, the model's process speaks "
                f"{m.PROTOCOL_VERSION}: install the same version of inspector-app for both."
            )
        own = proof(self._token, b"server", hello.nonce)
        welcome = m.Welcome(m.PROTOCOL_VERSION, own, self._session.id, os.getpid(), error)
        writer.writelines(framing.encode(welcome))
        await writer.drain()
        return not error


async def _frame(reader: asyncio.StreamReader, limit: int) -> bytes:
    size = int.from_bytes(await reader.readexactly(4), "little")
    if size > limit:
        raise ProtocolError(f"A frame of {size:,} bytes is over the limit.")
    return await reader.readexactly(size)


class _Connection:
    """One peer that proved itself."""

    def __init__(
        self,
        session: Session,
        executor: Executor,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._session = session
        self._executor = executor
        self._reader = reader
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._pending: dict[int, Task] = {}

    async def serve(self) -> None:
        """Take requests until the peer goes."""
        while True:
            ask = framing.decode(await _frame(self._reader, REQUEST_LIMIT), m.Ask)
            if ask.session != self._session.id:
                self._fail(ask.id, ProtocolError("This request belongs to another session."))
            elif ask.id in self._pending or len(self._pending) >= MAX_PENDING:
                self._fail(ask.id, ProtocolError("Too many requests wait, or an id came twice."))
            elif isinstance(ask.request, m.CancelJob):
                if (task := self._pending.get(ask.request.request)) is not None:
                    task.cancel()
                self._send(m.Answer(self._session.id, ask.id, self._session.revision, m.Done()))
            elif isinstance(ask.request, m.AT_ONCE):
                self._send_outcome(ask.id, *self._attempt(ask.request))
            else:
                self._submit(ask.id, ask.request)
            await self._writer.drain()

    def close(self) -> None:
        """Cut the peer off and ask its requests to stop: nobody waits for them."""
        for task in self._pending.values():
            task.cancel()
        self._writer.close()

    def _attempt(self, request: m.AnyRequest) -> tuple[Any, BaseException | None]:
        try:
            return self._session.handle(request), None
        except Exception as error:  # noqa: BLE001 - every error is answered
            return None, error

    def _submit(self, number: int, request: m.AnyRequest) -> None:
        def work(job: Job) -> Any:
            return self._session.handle(request, job)

        def done(result: Any, error: BaseException | None) -> None:
            # Encoded here, in the executor's thread: the server stays free for other peers.
            parts = self._outcome(number, result, error)
            self._soon(self._finish, number, parts)

        def progress(finished: int, total: int, label: str) -> None:
            message = m.Progress(self._session.id, number, finished, total, label)
            self._soon(self._send_unless_slow, message)

        task = Task(
            work,
            on_done=done,
            on_progress=progress,
            may_interrupt=not isinstance(request, _NO_INTERRUPTION),
        )
        self._pending[number] = task
        self._loop.call_later(SAFE_POINT_PATIENCE, self._look_after, number)
        self._executor.submit(task)

    def _look_after(self, number: int, told: bool = False) -> None:
        """Tell that a request still waits, or that it would wait for ever."""
        self._executor.refuse_if_ended()
        task = self._pending.get(number)
        if task is None or task.started or self._writer.is_closing():
            return
        if not told:
            label = "Waiting until the model can be changed"
            self._send(m.Progress(self._session.id, number, 0, 0, label))
        self._loop.call_later(SAFE_POINT_PATIENCE, self._look_after, number, True)

    def _soon(self, function: Any, *arguments: Any) -> None:
        # RuntimeError: the loop is closed, the server was stopped while this request ran.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)

    def _finish(self, number: int, parts: list[bytes | memoryview]) -> None:
        self._pending.pop(number, None)
        if not self._writer.is_closing():
            self._writer.writelines(parts)

    def _outcome(
        self, number: int, result: Any, error: BaseException | None
    ) -> list[bytes | memoryview]:
        session, revision = self._session.id, self._session.revision
        if error is None:
            try:
                return framing.encode(m.Answer(session, number, revision, result))
            except (TypeError, ProtocolError, msgspec.MsgspecError) as raised:
                error = raised
        told = _for_a_person(error)
        return framing.encode(
            m.Failure(session, number, revision, told.kind, told.sentence, told.detail)
        )

    def _send_outcome(self, number: int, result: Any, error: BaseException | None) -> None:
        self._writer.writelines(self._outcome(number, result, error))

    def _fail(self, number: int, error: InspectorError) -> None:
        self._send_outcome(number, None, error)

    def _send(self, message: msgspec.Struct) -> None:
        if not self._writer.is_closing():
            self._writer.writelines(framing.encode(message))

    def _send_unless_slow(self, message: msgspec.Struct) -> None:
        if self._writer.transport.get_write_buffer_size() < PROGRESS_BACKLOG:
            self._send(message)


def _for_a_person(error: BaseException) -> InspectorError:
    """The error as a sentence; ours already are one."""
    if isinstance(error, InspectorError):
        return error
    detail = "".join(traceback.format_exception(error))
    if isinstance(error, MemoryError):
        return ModelError("The machine ran out of memory; nothing was changed.", detail)
    if isinstance(error, SystemExit):
        return ModelError("The model's code called sys.exit().", detail)
    return InternalError(f"An error in Model Inspector itself: {error!r}", detail)
