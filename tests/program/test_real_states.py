"""Checkpoints laid on and pickles trusted, with a real worker that is killed meanwhile."""

from __future__ import annotations

import os
import signal

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from inspector_app.gui.panels.trust_dialog import TrustDialog
from inspector_app.protocol.messages import Edited, Export, Freeze, LoadState, Selection, Verify
from inspector_app.protocol.table import Flag
from tests.program.working import answer, kill, lost, opened, restarted, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def weights(tmp_path):
    """A checkpoint under another prefix that has one key of four in another shape."""
    values = {f"module.{k}": torch.full((4, 4), 0.5) for k in ("0.weight", "1.weight")}
    values |= {"module.0.bias": torch.full((4,), 0.25), "module.1.bias": torch.zeros(7)}
    path = tmp_path / "weights.safetensors"
    save_file(values, str(path))
    return path


def initial(window) -> list[str]:
    table = window.tree_model.table
    marked = ((table.flags & Flag.INITIAL) != 0).nonzero()[0]
    return [table.path(int(position)) for position in marked]


def loaded(qtbot, window, place, weights) -> Edited:
    """What fits is in the model, and one row is not."""
    opened(qtbot, window, place)
    edited = answer(qtbot, window, LoadState(path=str(weights), fit=True))
    assert isinstance(edited, Edited)
    assert initial(window) == ["1.bias"]
    return edited


def test_killed_while_a_state_is_loaded(qtbot, window, place, weights):
    opened(qtbot, window, place)
    os.kill(window.session.process_id, signal.SIGSTOP)  # so that it certainly has no answer
    errors: list = []
    window.session.request(LoadState(path=str(weights), fit=True), errors.append, errors.append)
    qtbot.wait(100)
    assert not errors
    kill(window)
    lost(qtbot, window)
    assert errors[0].kind == "lost"
    assert window.session.journal == []
    restarted(qtbot, window)
    assert initial(window) == []
    assert isinstance(answer(qtbot, window, LoadState(path=str(weights), fit=True)), Edited)
    assert initial(window) == ["1.bias"]


def test_a_loaded_state_is_replayed(qtbot, window, place, weights, tmp_path):
    loaded(qtbot, window, place, weights)
    before = answer(qtbot, window, Export(path=str(tmp_path / "before.safetensors")))
    kill(window)
    lost(qtbot, window)
    restarted(qtbot, window)
    assert [entry.kind for entry in window.session.journal] == ["load"]
    assert initial(window) == ["1.bias"]
    verified = answer(qtbot, window, Verify(path=before.path, against="."))
    assert verified.ok, verified.differences


def test_a_state_that_is_gone_at_the_restart_costs_no_edit(qtbot, window, place, weights):
    loaded(qtbot, window, place, weights)
    answer(qtbot, window, Freeze(selection=Selection(patterns=["0"])))
    kill(window)
    lost(qtbot, window)
    hidden = weights.with_name("hidden")
    weights.rename(hidden)
    window.registry.action("model.restart").trigger()
    until(qtbot, lambda: "could not be carried out again" in window.notices.text)
    assert window.session.state == "lost"
    assert len(window.session.journal) == len(window.history_model.entries) == 2
    hidden.rename(weights)
    restarted(qtbot, window)
    until(qtbot, lambda: "2 edits were carried out again" in window.notices.text)
    assert initial(window) == ["1.bias"]


def test_a_state_comes_with_its_target(qtbot, window, place, weights):
    fitting = {
        key: torch.zeros(4, 4) if key.endswith("weight") else torch.zeros(4)
        for key in ("0.weight", "0.bias", "1.weight", "1.bias")
    }
    save_file(fitting, str(weights))
    window.opening.open(place.target, state=str(weights))
    until(qtbot, lambda: len(window.session.journal) == 1)
    assert "4 tensors loaded from weights.safetensors" in window.notices.text
    assert window.opening.recent.targets[0].state == str(weights)


def test_a_pickled_model_is_run_only_on_a_persons_word(qtbot, window, tmp_path):
    path = tmp_path / "whole.pt"
    torch.save(nn.Sequential(nn.Linear(4, 2), nn.ReLU()), path)
    window.opening.open(str(path))
    until(qtbot, lambda: window.session.state == "ready")
    assert window.session.target.kind == "checkpoint"
    assert not window.registry.action("edit.freeze").isEnabled()
    window.registry.action("file.trust").trigger()
    dialog = window.findChild(TrustDialog)
    assert "torch.nn.modules.linear.Linear" in [i.name for i in dialog._trust.imports]
    dialog.trusted.click()
    dialog.load_button.click()
    until(qtbot, lambda: window.session.target.kind == "model")
    answer(qtbot, window, Freeze(selection=Selection(patterns=["0"])))
    kill(window)
    lost(qtbot, window)
    restarted(qtbot, window)
    assert window.session.target.trusted
    assert [entry.title for entry in window.session.journal] == ["Freeze 0"]
