"""A worker without torch, run as ``python -m tests.gui.fake_worker``; it answers from plain data.

The target it is asked to open says how it behaves: "fail" is refused, "die" ends the process,
"abort" crashes it, "hang" never answers, "garbage" breaks the protocol, "loud" prints, "changed"
is another model each time; all others open.  A run in "train" mode cannot be cancelled.  The
environment may ask for more: FAKE_WORKER=silent (no address), liar (wrong proof), newer (another
version of the protocol), stubborn (does not end with its parent), forgetful (cannot replay).
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import signal
import socket
import sys
import threading
import time
from typing import Any

from inspector_app.protocol import framing
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import InspectorError, TargetError
from tests.gui.fake_backend import FakeBackend

MANNER = os.environ.get("FAKE_WORKER", "")


class Worker:
    def __init__(self, peer: socket.socket, token: bytes) -> None:
        self.peer = peer
        self.token = token
        self.session = "fake"
        self.backend = FakeBackend()
        self.cancelled: set[int] = set()
        self.sending = threading.Lock()
        self.asked_again = False

    def send(self, message: Any) -> None:
        with self.sending:
            self.peer.sendall(b"".join(framing.encode(message)))

    def frames(self):
        reader = framing.FrameReader()
        while data := self.peer.recv(65536):
            yield from reader.feed(data)

    def serve(self) -> None:
        nonce = secrets.token_bytes(16)
        self.send(m.Challenge(nonce))
        frames = self.frames()
        hello = framing.decode(next(frames), m.Hello)
        right = hmac.digest(self.token, b"client" + nonce, "sha256")
        if not hmac.compare_digest(hello.proof, right):
            return
        key = b"another token" if MANNER == "liar" else self.token
        mine = hmac.digest(key, b"server" + hello.nonce, "sha256")
        newer = MANNER == "newer"
        sentence = "This backend is newer than the window." if newer else ""
        self.send(m.Welcome(m.PROTOCOL_VERSION + newer, mine, self.session, os.getpid(), sentence))
        for body in frames:
            ask = framing.decode(body, m.Ask)
            if isinstance(ask.request, m.CancelJob):
                self.cancelled.add(ask.request.request)
                self.send(m.Answer(self.session, ask.id, self.backend.revision, m.Done()))
            elif isinstance(ask.request, m.Run):
                threading.Thread(target=self.run, args=(ask,), daemon=True).start()
            else:
                self.answer(ask)

    def answer(self, ask: m.Ask) -> None:
        try:
            if isinstance(ask.request, m.Open):
                self.behave(ask.request.target)
            if isinstance(ask.request, m.Open) and ask.request.target == "hang":
                return
            if isinstance(ask.request, m.Replay) and MANNER == "forgetful":
                raise TargetError("There is no file weights.pt.")
            result = self.backend.answer(ask.request)
        except InspectorError as error:
            self.fail(ask, error.kind, error.sentence, error.detail)
            return
        revision = self.backend.revision
        if isinstance(ask.request, m.DescribeRow) and revision and not self.asked_again:
            self.asked_again = True  # as if the row had been read before the edit
            revision -= 1
        self.send(m.Answer(self.session, ask.id, revision, result))

    def fail(self, ask: m.Ask, kind: str, sentence: str, detail: str = "") -> None:
        self.send(m.Failure(self.session, ask.id, self.backend.revision, kind, sentence, detail))

    def behave(self, target: str) -> None:
        if target == "fail":
            raise TargetError("There is no such file.", "traceback")
        if target == "die":
            print("last words", file=sys.stderr, flush=True)
            os._exit(3)
        if target == "abort":
            print("abort follows", file=sys.stderr, flush=True)
            os.abort()
        if target == "garbage":
            self.peer.sendall(b"\xff\xff\xff\xff no frame")
        if target == "loud":
            print("printed by the model", flush=True)
            self.send(m.Log(self.session, "A word of the backend."))
        if target == "changed":
            self.backend.fingerprint = secrets.token_hex(4)

    def run(self, ask: m.Ask) -> None:
        done = 0
        while ask.request.repeat == 0 or done < ask.request.repeat:
            if ask.id in self.cancelled and ask.request.mode == "eval":
                self.fail(ask, "cancelled", "Cancelled.")
                return
            done += 1
            self.backend.steps += 1
            total = ask.request.repeat
            self.send(m.Progress(self.session, ask.id, done, total, f"forward {done}"))
            time.sleep(0.005)
        self.backend.steps -= done  # the answer counts them
        self.answer(ask)


def leave_with_the_parent() -> None:
    while sys.stdin.readline():
        pass
    if MANNER != "stubborn":
        os._exit(0)


def main() -> None:
    start = json.loads(sys.stdin.readline())
    assert start["token"] not in " ".join(sys.argv)
    threading.Thread(target=leave_with_the_parent, daemon=True).start()
    if MANNER == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if MANNER == "silent":
        time.sleep(60)
    if start["socket"] and MANNER != "tcp":
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(start["socket"])
        address = f"unix:{start['socket']}"
    else:
        listener = socket.create_server(("127.0.0.1", 0))
        address = f"tcp:127.0.0.1:{listener.getsockname()[1]}"
    listener.listen()
    print("a word before", flush=True)
    print(json.dumps({"address": address, "version": "0"}), flush=True)
    while True:
        peer, _ = listener.accept()
        Worker(peer, bytes.fromhex(start["token"])).serve()
        peer.close()


if __name__ == "__main__":
    main()
