"""``inspector_app.inspect`` from a notebook or a debugger: answers at once, leaves nothing."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

import inspector_app
from inspector_app.protocol import messages as m
from inspector_app.sessions import running_sessions
from tests.training.test_gate import until


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


def all_rows(opened: m.Opened) -> list[int]:
    """Rows of the leaf modules."""
    table = opened.table
    paths = {table.path(position): int(table.ids[position]) for position in range(len(table))}
    return [paths[name] for name in ("0", "1", "2")]


def test_edits_are_carried_out_while_the_program_stands(model, joined):
    before = model[2].weight.detach().clone()
    with inspector_app.inspect(model, window=False, title="mine") as session:
        with joined(session) as peer:
            opened = peer.result(m.Attach())
            assert (opened.title, opened.training) == ("mine", False)
            selection = m.Selection(patterns=["2"])
            edited = peer.result(m.Freeze(selection=selection))
            assert edited.history[0].title == "Freeze 2"
            assert not model[2].weight.requires_grad
            answer = peer.answer(peer.ask(m.Pause()))
            assert answer.sentence == "There is no training loop here."
            peer.result(m.Undo())
            assert model[2].weight.requires_grad
        assert torch.equal(model[2].weight, before)


def test_a_forward_of_the_person_is_seen_at_once(model, joined):
    with inspector_app.inspect(model, window=False) as session, joined(session) as peer:
        rows = all_rows(peer.result(m.Attach()))
        peer.result(m.Watch(rows=rows, kinds=("output", "gradient")))
        model(torch.randn(5, 4)).sum().backward()
        found = peer.result(m.GetRecords())
        assert sorted(series.kind for series in found.series) == ["gradient"] * 3 + ["output"] * 3
        assert len(found.sequence) == 6
        assert found.training is None


def test_each_forward_of_the_person_is_a_step(model, joined):
    with inspector_app.inspect(model, window=False) as session, joined(session) as peer:
        rows = all_rows(peer.result(m.Attach()))
        peer.result(m.Watch(rows=rows[:1], kinds=("output", "gradient")))
        model(torch.randn(5, 4)).sum().backward()
        field = m.InputField(name="input", shape=(3, 4))
        assert peer.result(m.Run(fields=[field], repeat=2)).forwards == 2
        peer.result(m.Capture(row=rows[0], kind="output"))
        for _ in range(2):
            model(torch.randn(5, 4)).sum().backward()
        found = peer.result(m.GetRecords())
        (captured,) = found.captures
        assert (captured.state, captured.step) == ("kept", 4)
        assert found.step.tolist() == [1, 1, 2, 3, 4, 4, 5, 5]
        assert found.call.tolist() == [0] * 8


def test_closing_removes_every_hook(model, joined, hook_guard):
    hook_guard(model)
    session = inspector_app.inspect(model, window=False)
    with joined(session) as peer:
        peer.result(m.Watch(rows=all_rows(peer.result(m.Attach()))))
        assert any(module._forward_hooks for module in model.modules())
        session.close()
        assert peer.closed()
    session.close()
    assert not model._forward_pre_hooks
    assert running_sessions() == []
    assert not [thread for thread in threading.enumerate() if "inspector" in thread.name]


def test_closing_stops_what_runs_for_a_window(model, joined):
    session = inspector_app.inspect(model, window=False)
    with joined(session) as peer:
        rows = all_rows(peer.result(m.Attach()))
        peer.result(m.Watch(rows=rows))
        field = m.InputField(name="input", shape=(3, 4))
        peer.ask(m.Run(fields=[field], repeat=0))
        until(lambda: len(peer.result(m.GetRecords()).sequence) > 10, 60)
        session.close()
    assert not any(module._forward_hooks for module in model.modules())
    assert not [thread for thread in threading.enumerate() if "inspector" in thread.name]


def test_twice_on_the_same_model(model, joined):
    with inspector_app.inspect(model, window=False) as first, joined(first) as here:
        rows = all_rows(here.result(m.Attach()))
        here.result(m.Watch(rows=rows))
        with inspector_app.inspect(model, window=False) as second, joined(second) as there:
            assert first.address != second.address
            assert len(running_sessions()) == 2
            there.result(m.Watch(rows=all_rows(there.result(m.Attach()))))
            model(torch.randn(5, 4))
            assert len(there.result(m.GetRecords()).sequence) == 3
        assert len(running_sessions()) == 1
        model(torch.randn(5, 4))
        assert len(here.result(m.GetRecords()).sequence) == 6
    assert not any(module._forward_hooks for module in model.modules())


def test_another_target_is_not_opened_in_it(model, joined):
    with inspector_app.inspect(model, window=False) as session, joined(session) as peer:
        answer = peer.answer(peer.ask(m.Open(target="sample:mlp")))
        assert (answer.kind, "live model" in answer.sentence) == ("refused", True)
        assert peer.result(m.Attach()).totals.parameters == 58


def test_what_is_no_module_is_refused():
    with pytest.raises(TypeError, match=r"takes a torch\.nn\.Module, not list"):
        inspector_app.inspect([])
