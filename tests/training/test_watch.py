"""``inspector_app.watch`` around real loops: nothing changes for them, and peers see all."""

from __future__ import annotations

import copy
import gc
import json
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import inspector_app
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import RequestError
from inspector_app.sessions import running_sessions
from tests.training.test_gate import until


def small() -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
    return model, torch.optim.AdamW(model.parameters(), 0.01)


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    steps: int,
    between: Callable[[], object] = lambda: None,
    skipped: int = 0,
) -> list[float]:
    random = torch.Generator().manual_seed(1)
    for _ in range(skipped):
        torch.randn(16, 4, generator=random)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model(torch.randn(16, 4, generator=random)).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        between()
    return losses


def test_a_peer_is_told_that_the_optimizer_is_not_known(joined):
    model, optimizer = small()
    for known in (True, False):
        with (
            inspector_app.watch(model, optimizer if known else None, window=False) as session,
            joined(session) as peer,
        ):
            reason = peer.result(m.Attach()).disabled.get("update", "")
        assert ("without its optimizer" in reason) is not known


def test_losses_and_weights_are_bit_identical():
    model, optimizer = small()
    plain = train(model, optimizer, 20)
    weights = copy.deepcopy(model.state_dict())
    model, optimizer = small()
    with inspector_app.watch(model, optimizer, budget=None, window=False):
        watched = train(model, optimizer, 20)
    assert watched == plain
    for name, value in model.state_dict().items():
        assert torch.equal(value, weights[name])


def test_a_peer_sees_the_model_and_every_record(joined):
    model, optimizer = small()
    with (
        inspector_app.watch(model, optimizer, budget=None, window=False, title="tiny") as session,
        joined(session) as peer,
    ):
        train(model, optimizer, 5, lambda: session.log(loss=1.5))
        opened = peer.result(m.Attach())
        assert (opened.title, opened.training) == ("tiny", True)
        assert opened.totals.parameters == 74
        found = peer.result(m.GetRecords())
    assert set(found.step.tolist()) == {1, 2, 3, 4, 5}
    kinds = {series.kind for series in found.series}
    assert kinds == {"output", "gradient", "scalar"}
    leaves = {series.row for series in found.series if series.kind == "output"}
    assert len(leaves) == 4
    assert found.training.step == 6
    assert found.training.safe_point == "after each optimizer.step()"


def test_edits_are_carried_out_between_two_steps(joined):
    model, optimizer = small()
    with (
        inspector_app.watch(model, optimizer, window=False) as session,
        joined(session) as peer,
    ):
        answered: list[m.Edited] = []

        def ask() -> None:
            selection = m.Selection(patterns=["0"])
            answered.append(peer.result(m.Freeze(selection=selection)))

        thread = threading.Thread(target=ask)
        thread.start()
        while not answered:
            train(model, optimizer, 1)
        thread.join()
        assert answered[0].history[0].title == "Freeze 0"
        assert not model[0].weight.requires_grad
        frozen = model[0].weight.detach().clone()
        train(model, optimizer, 3)
        assert torch.equal(model[0].weight, frozen)


def test_edits_reach_what_the_loop_has_put_in_the_place_of_a_module(joined):
    model, optimizer = small()
    with (
        inspector_app.watch(model, optimizer, window=False) as session,
        joined(session) as peer,
    ):
        before = peer.result(m.Attach()).table
        model[0] = nn.Linear(4, 8)
        model.append(nn.Linear(2, 1))
        first = m.Selection(patterns=["0"])
        asked = [
            peer.ask(m.PlanFreeze(selection=first)),
            peer.ask(m.Freeze(selection=first)),
            peer.ask(m.Freeze(selection=m.Selection(patterns=["3"]))),
        ]
        until(lambda: len(session._executor._tasks) == len(asked))
        optimizer.step()  # a safe point
        planned, edited, again = (peer.answer(number).result for number in asked)
        assert planned.tensors == 2
        assert not model[0].weight.requires_grad
        assert len(edited.change.inserted.ids) == 3
        assert len(again.change.inserted.ids) == 0
        assert len(peer.result(m.Attach()).table.ids) == len(before.ids) + 3


def test_a_paused_loop_goes_on_when_the_last_window_is_gone(joined):
    model, optimizer = small()
    with inspector_app.watch(model, optimizer, window=False) as session:
        peer = joined(session)
        peer.result(m.Pause())
        thread = threading.Thread(target=_train_until_told, args=(model, optimizer))
        _STOP.clear()
        thread.start()
        until(lambda: session.state.held)
        step = session.state.step
        peer.result(m.StepOnce())
        until(lambda: session.state.step == step + 1 and session.state.held)
        peer.close()
        until(lambda: not session.state.held and session.state.step > step + 2)
        _STOP.set()
        thread.join(10)
        assert not thread.is_alive()


@contextmanager
def mostly_left_out(joined) -> Iterator[tuple[nn.Module, torch.optim.Optimizer, Any, Any]]:
    """A loop of whose steps hardly one is measured, and a peer that has joined it."""
    model, optimizer = small()
    with (
        inspector_app.watch(model, optimizer, budget=1e-6, window=False) as session,
        joined(session) as peer,
    ):
        train(model, optimizer, 40)
        assert session.state.every > 1_000
        yield model, optimizer, session, peer


def test_a_step_that_was_asked_for_is_measured_however_much_is_left_out(joined):
    with mostly_left_out(joined) as (model, optimizer, session, peer):
        peer.result(m.Pause())
        thread = threading.Thread(target=train, args=(model, optimizer, 4))
        thread.start()
        for _ in range(3):
            until(lambda: session.state.held)
            step = session.state.step
            peer.result(m.StepOnce())
            until(lambda step=step: session.state.step == step + 1 and session.state.held)
            assert step + 1 in session._session.get_records().step.tolist()
        peer.result(m.Resume())
        thread.join(60)


def test_a_step_of_which_a_tensor_is_captured_is_measured(joined):
    with mostly_left_out(joined) as (model, optimizer, session, peer):
        step = session.state.step + 3
        peer.result(m.Capture(row=1, kind="gradient", step=step))
        train(model, optimizer, 2)
        (waiting,) = peer.result(m.GetRecords()).captures
        assert waiting.state == "waiting"
        train(model, optimizer, 4)
        records = session._session.get_records()
        assert [(one.state, one.step) for one in records.captures] == [("kept", step)]
        assert records.step[-1] == step  # and no other one


@pytest.mark.parametrize("last_words", [b"", b"\xff\0\0\0half a fr"])
def test_an_alarm_stops_no_loop_whose_window_is_gone(joined, last_words):
    model, optimizer = small()
    with inspector_app.watch(model, optimizer, budget=None, window=False) as session:
        with joined(session) as peer:
            peer.result(m.SetAlarmRules(rules=m.AlarmRules(pause=("nan",))))
            peer.socket.sendall(last_words)
        until(lambda: not session._published.server._connections)
        with torch.no_grad():
            model[0].weight[0] = torch.nan
        thread = threading.Thread(target=train, args=(model, optimizer, 20), daemon=True)
        thread.start()
        thread.join(60)
        assert session.state.step == 21
        assert not any(alarm.paused for alarm in session._session.get_records().alarms)


_STOP = threading.Event()


def _train_until_told(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    while not _STOP.is_set():
        train(model, optimizer, 1)


def test_after_closing_nothing_is_left(hook_guard):
    model, optimizer = small()
    before = [dict(module._forward_hooks) for module in model.modules()]
    session = inspector_app.watch(model, optimizer, window=False)
    assert [entry.address for entry in running_sessions()] == [session.address]
    train(model, optimizer, 2)
    session.close()
    session.close()
    assert running_sessions() == []
    assert [dict(module._forward_hooks) for module in model.modules()] == before
    assert not any(module._forward_pre_hooks for module in model.modules())
    train(model, optimizer, 1)
    session.step()  # does no harm any more
    session.log(loss=1.0)


@pytest.mark.parametrize("closed", [inspector_app.watch, inspector_app.inspect])
def test_a_closed_session_keeps_no_model(closed):
    """In a notebook its name stays behind."""
    model, optimizer = small()
    arguments = (model, optimizer) if closed is inspector_app.watch else (model,)
    with closed(*arguments, window=False) as session:
        train(model, optimizer, 1)
    gone = weakref.ref(model[0].weight)
    del model, optimizer, arguments
    gc.collect()
    assert gone() is None
    session.close()


def test_what_is_no_module_is_refused():
    with pytest.raises(TypeError, match=r"takes a torch\.nn\.Module, not int"):
        inspector_app.watch(5)
    assert running_sessions() == []


class Unhookable(torch.optim.SGD):
    def register_step_post_hook(self, hook):
        raise RuntimeError("no hooks")


class Wrapper(torch.optim.Optimizer):
    """As accelerate's: an Optimizer that never called ``__init__`` of its base."""

    def __init__(self, *inside):
        self.__dict__.update(enumerate(inside))

    def step(self, closure=None):
        self.__dict__[0].step(closure)


def test_an_optimizer_inside_of_a_wrapper_tells():
    model, optimizer = small()
    wrapper = Wrapper(Wrapper(optimizer))
    with inspector_app.watch(model, wrapper, window=False) as session:
        for _ in range(3):
            wrapper.step()
        assert session.state.step == 4
    assert not optimizer._optimizer_step_post_hooks


def adam() -> torch.optim.Optimizer:
    return torch.optim.Adam([nn.Parameter(torch.ones(1))])


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"optimizer": "adam"}, TypeError, r"takes a torch\.optim\.Optimizer .*, not str\.$"),
        ({"optimizer": [adam()]}, TypeError, r"of several the one that steps last\), not list\.$"),
        ({"optimizer": Wrapper()}, TypeError, r"^Wrapper takes no hooks, .* inside of it, or none"),
        ({"optimizer": Wrapper(adam(), adam())}, TypeError, r"^Wrapper takes no hooks, "),
        ({"loss_scaler": 1024.0}, TypeError, r"takes a GradScaler .*, not float\.$"),
        ({"budget": "5%"}, TypeError, r"^The budget is a share .*, not '5%'\.$"),
        ({"budget": 5}, ValueError, r"^The budget 5 is not between 0 and 1\.$"),
        ({"probes": ["leafs"]}, RequestError, "matches no row"),
        ({"optimizer": Unhookable([nn.Parameter(torch.ones(1))])}, RuntimeError, "no hooks"),
    ],
)
def test_arguments_that_make_no_sense_leave_no_hook(arguments, error, sentence):
    model, _ = small()
    with pytest.raises(error, match=sentence):
        inspector_app.watch(model, window=False, **arguments)
    assert not any(module._forward_hooks for module in model.modules())
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert running_sessions() == []
    optimizer = arguments.get("optimizer")
    assert not getattr(optimizer, "_optimizer_step_pre_hooks", None)


def test_patterns_choose_what_is_watched(joined):
    model, optimizer = small()
    with inspector_app.watch(model, optimizer, probes=["0", "3"], window=False) as session:
        train(model, optimizer, 2)
        with joined(session) as peer:
            found = peer.result(m.GetRecords())
            rows = {series.row for series in found.series}
            opened = peer.result(m.Attach())
    assert {opened.table.path(opened.table.position(row)) for row in rows} == {"0", "3"}
    with pytest.raises(RequestError, match="matches no row"):
        inspector_app.watch(model, optimizer, probes=["encoder.*"], window=False)
    assert not model._forward_pre_hooks


def test_two_sessions_on_one_model(joined):
    model, optimizer = small()
    plain = train(model, optimizer, 6)
    model, optimizer = small()
    with inspector_app.watch(model, optimizer, budget=None, window=False) as first:
        losses = train(model, optimizer, 2)
        with inspector_app.watch(model, optimizer, budget=None, window=False) as second:
            losses += train(model, optimizer, 2, skipped=2)
            with joined(second) as peer:
                assert set(peer.result(m.GetRecords()).step.tolist()) == {1, 2}
        losses += train(model, optimizer, 2, skipped=4)
        with joined(first) as peer:
            assert set(peer.result(m.GetRecords()).step.tolist()) == {1, 2, 3, 4, 5, 6}
    assert losses == plain
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.skipif(sys.platform == "win32", reason="has no such sockets")
def test_a_path_too_long_for_a_socket(own_folder, monkeypatch, joined):
    folder = own_folder / ("long" * 25)
    folder.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    model, optimizer = small()
    with inspector_app.watch(model, optimizer, window=False) as session, joined(session) as peer:
        assert session.address.startswith("tcp:127.0.0.1:")
        assert peer.result(m.Attach()).totals.parameters == 74


@pytest.mark.skipif(sys.platform == "win32", reason="has no such sockets")
def test_a_session_of_another_container_is_kept(own_folder):
    """Its process has no id that could be asked here, but it listens."""
    model, optimizer = small()
    with inspector_app.watch(model, optimizer, window=False) as session:
        (about,) = own_folder.glob("*/*/about.json")
        told = json.loads(about.read_text())
        about.write_text(json.dumps({**told, "process": 999_999_999}))
        assert [one.address for one in running_sessions()] == [session.address]
    assert running_sessions() == []


def test_the_training_process_never_imports_qt(own_folder):
    program = (
        "import sys\n"
        "sys.modules['PySide6'] = None\n"
        "import torch, inspector_app\n"
        "model = torch.nn.Linear(2, 2)\n"
        "with inspector_app.watch(model, window=False) as session:\n"
        "    model(torch.ones(1, 2)); session.step()\n"
        "print('done')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout == "done\n"
    assert done.stderr == ""


def test_a_dead_process_leaves_no_session(own_folder):
    program = (
        "import os, torch, inspector_app\n"
        "inspector_app.watch(torch.nn.Linear(2, 2), window=False)\n"
        "os._exit(1)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=False, cwd=Path(__file__).parents[2])
    folder = own_folder / "model-inspector"
    assert len(list(folder.iterdir())) == 1
    assert running_sessions() == []
    assert list(folder.iterdir()) == []


def test_a_short_budget_is_kept_in_its_order_and_told(joined):
    model, optimizer = small()
    with (
        inspector_app.watch(model, optimizer, budget=0.001, window=False) as session,
        joined(session) as peer,
    ):
        train(model, optimizer, 40)
        state = peer.result(m.GetRecords()).training
        assert (state.rate, state.sample) == (3, 512)
        assert state.every > 1
        assert state.thinned.startswith(f"Checked every {state.every}")
        assert session._session.probes.batch.sample == 512
        peer.result(m.SetBudget(share=None))
        train(model, optimizer, 2)
        state = peer.result(m.GetRecords()).training
        assert (state.rate, state.sample, state.every, state.thinned) == (30, 2_048, 1, "")
        assert session._session.probes.batch.sample == 2_048


def test_all_elements_are_measured_on_request(joined):
    model, _ = small()
    model[3] = nn.Linear(8, 1_000)
    with (
        inspector_app.watch(model, None, budget=None, exact=True, window=False) as session,
        joined(session) as peer,
    ):
        states = peer.result(m.GetProbeStates()).states
        assert states
        assert all(state.exact for state in states)
        model(torch.randn(16, 4))
        session.step()
        rows = [states[-1].row]
        assert peer.result(m.SetExact(rows=rows, exact=False)).exact == [
            state.row for state in states[:-1]
        ]
        model(torch.randn(16, 4))
        session.step()
        found = peer.result(m.GetRecords())
        large = found.count == 16_000
        assert found.sampled[large].tolist() == [16_000, 2_048]
        shares = [state.share for state in peer.result(m.GetProbeStates()).states]
        assert all(share > 0 for share in shares)
