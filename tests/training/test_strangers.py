"""Peers without the token, with garbage, or too slow: a training loop never notices."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import inspector_app
from inspector_app.backend.server import REQUEST_LIMIT
from inspector_app.protocol import framing
from inspector_app.protocol import messages as m
from inspector_app.sessions import token_of
from tests.backend.wire import Peer
from tests.training.test_gate import until

Setup = Callable[[], tuple[nn.Module, torch.optim.Optimizer]]


def built() -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    return model, torch.optim.AdamW(model.parameters(), 0.01)


def train(model: nn.Module, optimizer: Any, random: torch.Generator) -> None:
    optimizer.zero_grad()
    model(torch.randn(16, 4, generator=random)).square().mean().backward()
    optimizer.step()


@contextmanager
def unharmed(caplog: pytest.LogCaptureFixture) -> Iterator[tuple[str, bytes, Any]]:
    """Address, token and session of a training loop, whose weights end as those of a bare one do.

    Nothing may have been logged either: asyncio logs what a server did not expect.
    """
    model, optimizer = built()
    stop, steps = threading.Event(), [0]
    with inspector_app.watch(model, optimizer, window=False) as session:
        random = torch.Generator().manual_seed(1)

        def loop() -> None:
            while not stop.is_set():
                train(model, optimizer, random)
                steps[0] += 1

        thread = threading.Thread(target=loop)
        thread.start()
        try:
            address = session.address
            token = bytes.fromhex(token_of(address))
            yield address, token, session
            with Peer(address, token) as peer:  # who holds the token is served all the same
                peer.result(m.Attach())
            before = steps[0]
            until(lambda: steps[0] > before + 2, 60)
        finally:
            stop.set()
            session._gate.resume()
            thread.join()
    bare, optimizer = built()
    random = torch.Generator().manual_seed(1)
    for _ in range(steps[0]):
        train(bare, optimizer, random)
    for name, value in bare.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])
    assert [record.getMessage() for record in caplog.records] == []


def said_until_the_end(peer: Peer) -> bytes:
    """All that the server still says once nothing more can come from this side."""
    said = bytearray()
    try:
        peer.socket.shutdown(socket.SHUT_WR)
        while piece := peer.socket.recv(4096):
            said += piece
    except (ConnectionError, OSError):
        pass  # cut off in the middle
    return bytes(said)


def frame(message: Any) -> bytes:
    return b"".join(framing.encode(message))


noise = st.binary(max_size=300)
hellos = st.builds(
    m.Hello, st.integers(0, 1000), st.binary(max_size=64), st.binary(max_size=64)
).map(frame)
early = st.sampled_from([m.Attach(), m.GetRecords(), m.Pause(), m.Open(target="sample:mlp")]).map(
    lambda request: frame(m.Ask("", 1, request))
)
sizes = st.integers(0, 2**32 - 1).map(lambda size: size.to_bytes(4, "little"))
chunks = st.lists(st.one_of(noise, hellos, early, sizes), max_size=4)


def test_without_the_token_nothing_is_learned_and_nothing_harmed(caplog):
    with unharmed(caplog) as (address, token, _):

        @given(chunks, st.booleans())
        def stranger(sent: list[bytes], half: bool) -> None:
            with Peer(address, token, greet=False) as peer:
                assert isinstance(peer.receive(), m.Challenge)
                data = b"".join(sent)
                try:
                    peer.send_bytes(data[: len(data) // 2] if half else data)
                except (BrokenPipeError, ConnectionResetError):
                    return  # cut off before all was said
                assert said_until_the_end(peer) == b""

        stranger()


numbers = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-3, 20))
rows = st.lists(numbers, max_size=5)
sane = st.one_of(  # nothing here changes what is computed
    st.builds(m.GetRecords, since=numbers, limit=numbers),
    st.builds(m.SetBudget, share=st.one_of(st.none(), st.floats())),
    st.builds(m.Watch, rows=rows, kinds=st.sampled_from([("output",), ("gradient", "value"), ()])),
    st.builds(m.Unwatch, rows=st.one_of(st.none(), rows)),
    st.builds(m.SetBins, octaves=st.booleans()),
    st.builds(m.DescribeRow, row=numbers),
    st.builds(m.CancelJob, request=numbers),
    st.builds(m.Open, target=st.text(max_size=20)),
    st.builds(m.PlanFreeze, selection=st.builds(m.Selection, rows=rows)),
    st.builds(m.Run, repeat=numbers),
    st.sampled_from([m.Attach(), m.Pause(), m.Resume(), m.StepOnce(), m.GetProbeStates()]),
)


def test_nonsense_of_who_holds_the_token_does_no_harm(caplog):
    with unharmed(caplog) as (address, token, _):

        @given(st.lists(sane, max_size=8))
        def peer_gone_mad(requests: list[Any]) -> None:
            with Peer(address, token) as peer:
                waiting = {peer.ask(request) for request in requests}
                while waiting:
                    answer = peer.receive()
                    if isinstance(answer, m.Answer | m.Failure):
                        waiting.remove(answer.id)
                    if isinstance(answer, m.Failure):
                        assert answer.kind != "internal", answer.detail
                        assert answer.sentence.endswith(".")

        peer_gone_mad()


def test_spoiled_messages_of_who_holds_the_token_do_no_harm(caplog):
    bases = [m.GetRecords(since=5, limit=7), m.Attach(), m.CancelJob(request=3)]

    with unharmed(caplog) as (address, token, _):

        @given(
            st.sampled_from(bases),
            st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), max_size=4),
            st.integers(0, 200),
            noise,
        )
        def spoiler(request: Any, changes: list[tuple[int, int]], cut: int, tail: bytes) -> None:
            with Peer(address, token) as peer:
                data = bytearray(frame(m.Ask(peer.session, 1, request)))
                for place, value in changes:
                    data[place % len(data)] = value
                try:
                    peer.send_bytes(bytes(data[: max(cut, 1)]) + tail)
                except (BrokenPipeError, ConnectionResetError):
                    return
                said_until_the_end(peer)

        spoiler()


@pytest.mark.parametrize("size", [REQUEST_LIMIT + 1, 2**32 - 1])
def test_a_message_over_the_limit_is_not_waited_for(caplog, size):
    with unharmed(caplog) as (address, token, _), Peer(address, token) as peer:
        peer.send_bytes(size.to_bytes(4, "little") + b"x")
        assert peer.closed()


def test_a_message_byte_by_byte_is_understood(caplog):
    with unharmed(caplog) as (address, token, _), Peer(address, token) as peer:
        data = frame(m.Ask(peer.session, 1, m.Attach()))
        for place in range(len(data)):
            peer.send_bytes(data[place : place + 1])
        assert isinstance(peer.answer(1), m.Answer)


def test_half_a_message_holds_nobody_up(caplog):
    with unharmed(caplog) as (address, token, _), Peer(address, token) as slow:
        data = frame(m.Ask(slow.session, 1, m.Attach()))
        slow.send_bytes(data[:7])
        with Peer(address, token) as peer:
            peer.result(m.GetRecords())
        slow.send_bytes(data[7:])
        assert isinstance(slow.answer(1), m.Answer)


def test_who_never_reads_holds_nobody_up_not_even_the_end(caplog):
    """The answers that one peer leaves lying are bounded, and closing does not wait for it."""
    with unharmed(caplog) as (address, token, session):
        lazy = Peer(address, token)
        until(lambda: len(session._session.get_records().sequence) > 200, 60)
        lazy.socket.settimeout(0.2)
        with suppress(TimeoutError):  # as soon as the server takes no more of it
            while True:
                lazy.ask(m.GetRecords())
        with Peer(address, token) as peer:
            peer.result(m.GetRecords())
    lazy.close()


def test_strangers_that_stay_silent_do_not_lock_out(caplog, monkeypatch):
    monkeypatch.setattr("inspector_app.backend.server.HANDSHAKE_SECONDS", 0.2)
    with unharmed(caplog) as (address, token, _):
        strangers = [Peer(address, token, greet=False) for _ in range(20)]
        for stranger in strangers:  # each is cut off in the end
            with stranger:
                while stranger.socket.recv(4096):
                    pass


def test_a_token_that_is_nearly_right(caplog):
    with unharmed(caplog) as (address, token, _):
        for wrong in (token[:-1], token + b"x", bytes(32), secrets.token_bytes(32)):
            with (
                Peer(address, wrong, greet=False) as peer,
                pytest.raises(ConnectionError),
            ):
                peer.greet()
