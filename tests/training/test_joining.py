"""A window that joins late sees the model and the loop as they are, not as they were."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

import inspector_app
from inspector_app.backend import server
from inspector_app.gui.client.session import ClientSession
from inspector_app.protocol import messages as m
from inspector_app.protocol.changes import apply
from inspector_app.protocol.table import Flag, RowTable
from inspector_app.sessions import token_of
from tests.training.test_gate import until


def small() -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    return model, torch.optim.SGD(model.parameters(), 0.01)


def change(model: nn.Module) -> None:
    """What the program itself does before a window joins."""
    model[0].requires_grad_(False)
    model[1] = nn.Sequential(nn.Tanh())
    model[2].register_parameter("bias", None)
    model.append(nn.Linear(2, 1))


def check(table: RowTable) -> None:
    """This is what :func:`change` made of it."""
    assert [path for path in table.paths if path] == [
        "0",
        "0.weight",
        "0.bias",
        "1",
        "1.0",
        "2",
        "2.weight",
        "3",
        "3.weight",
        "3.bias",
    ]
    needs = {
        path: table.has(position, Flag.REQUIRES_GRAD)
        for position, path in enumerate(table.paths)
        if path.endswith(("weight", "bias"))
    }
    assert [path for path, need in needs.items() if not need] == ["0.weight", "0.bias"]


def test_what_the_loop_changed_before_is_told_at_the_next_safe_point(joined):
    model, optimizer = small()
    with inspector_app.watch(model, optimizer, window=False) as session, joined(session) as peer:
        change(model)
        opened = peer.result(m.Attach())  # though the loop stands still
        assert "1.0" not in opened.table.paths
        asked = peer.ask(m.LookAgain())
        until(lambda: session._executor.waiting())
        optimizer.step()  # a safe point
        edited = peer.answer(asked).result
        check(apply(opened.table, edited.change))
        assert edited.totals.parameters == 32 + 8 + 16 + 3
        assert edited.history == []
        asked = peer.ask(m.LookAgain())
        until(lambda: session._executor.waiting())
        optimizer.step()
        assert peer.answer(asked).result.change.empty
        check(peer.result(m.Attach()).table)


def test_what_a_notebook_changed_is_told_at_once(joined):
    model, _ = small()
    with inspector_app.inspect(model, window=False) as session, joined(session) as peer:
        change(model)
        opened = peer.result(m.Attach())
        check(apply(opened.table, peer.result(m.LookAgain()).change))


@pytest.fixture
def client(qtbot):
    client = ClientSession()
    yield client
    client.shutdown()
    client.deleteLater()


def test_a_window_asks_as_it_joins(qtbot, client):
    model, optimizer = small()
    told: list[m.Edited] = []
    client.changed.connect(told.append)
    with inspector_app.watch(model, optimizer, window=False) as session:
        change(model)
        with qtbot.waitSignal(client.opened) as opened:  # though the loop stands still
            client.attach(session.address, token_of(session.address))
        qtbot.waitUntil(lambda: session._executor.waiting())
        optimizer.step()
        qtbot.waitUntil(lambda: bool(told))
        check(apply(opened.args[0].table, told[0].change))


def test_requests_end_with_the_thread_of_the_loop(joined, monkeypatch):
    """It failed, as where a training thread raises; the process lives on."""
    monkeypatch.setattr(server, "SAFE_POINT_PATIENCE", 0.05)
    model, optimizer = small()
    fail = threading.Event()

    def loop() -> None:
        optimizer.step()
        fail.wait(30)

    with inspector_app.watch(model, optimizer, window=False) as session, joined(session) as peer:
        thread = threading.Thread(target=loop)
        thread.start()
        until(lambda: session.state.step == 2)
        asked = peer.ask(m.Freeze(selection=m.Selection(patterns=["0"])))
        waits = peer.receive()
        assert isinstance(waits, m.Progress)
        fail.set()
        answer = peer.answer(asked)
        assert isinstance(answer, m.Failure)
        assert (answer.kind, "has ended" in answer.sentence) == ("refused", True)
        assert peer.messages == []  # it was told once that it waits
        assert model[0].weight.requires_grad
        assert len(peer.result(m.Attach()).table) == 8
        thread.join()
