"""Edits of a session that was lost, files among them, carried out again."""

from __future__ import annotations

import msgspec
import pytest

from inspector_app.backend.session import Session
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import TargetError
from tests.backend import load_models
from tests.backend.edit_models import state
from tests.backend.load_models import randomised
from tests.backend.test_loading import opened, saved, values_of


@pytest.fixture
def session():
    with Session() as session:
        yield session


def everything(model) -> object:
    gradients = {name: tensor.requires_grad for name, tensor in model.named_parameters()}
    return values_of(model), gradients


def edited(session: Session, tmp_path) -> tuple[object, list[m.JournalEntry]]:
    """A model after edits of every kind, one of them undone, and its journal."""
    opened(session, "resnet")
    session.freeze(m.Selection(patterns=["layer1"]))
    ours = str(tmp_path / "ours.safetensors")
    session.export(ours)
    model = opened(session, "resnet")
    other = {"model." + k: v for k, v in randomised(load_models.resnet(classes=7)).items()}
    session.load_state(saved(tmp_path / "other.safetensors", other), fit=True)
    session.initialize(m.Selection(patterns=["preset:initial"]), m.Scheme(name="normal_"), seed=7)
    session.apply_requires_grad(ours)
    session.hold_statistics(m.Selection(patterns=["bn1"]))
    session.load_state(ours)
    session.load_state(str(tmp_path / "other.safetensors"), fit=True)
    history = session.undo().history
    assert [entry.kind for entry in history if entry.done] == [
        *("load", "initialize", "requires_grad", "hold", "load")
    ]
    return everything(model), history


def test_the_same_model_comes_out(session, tmp_path):
    wanted, history = edited(session, tmp_path)
    sent = msgspec.msgpack.decode(msgspec.msgpack.encode(history), type=list[m.JournalEntry])
    model = opened(session, "resnet")
    before = state(model)
    replayed = session.replay(sent)
    assert everything(model) == wanted
    assert replayed.notes == []
    assert [entry.prefix for entry in replayed.history if entry.kind == "load"] == [None, None]
    for _ in replayed.history:
        session.undo()
    assert state(model) == before


def test_a_file_that_changed_since_is_told(session, tmp_path):
    wanted, history = edited(session, tmp_path)
    other = {"model." + k: v for k, v in randomised(load_models.resnet(classes=7), 9).items()}
    saved(tmp_path / "other.safetensors", other)
    model = opened(session, "resnet")
    replayed = session.replay(history[:1])
    assert replayed.notes == [
        "“Load what fits of other.safetensors”: other.safetensors has changed since, so the values "
        "differ"
    ]
    assert everything(model) != wanted


def test_a_file_that_is_gone_is_told(session, tmp_path):
    _, history = edited(session, tmp_path)
    (tmp_path / "other.safetensors").unlink()
    opened(session, "resnet")
    with pytest.raises(TargetError, match=r"other\.safetensors"):
        session.replay(history)
