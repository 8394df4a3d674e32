"""Ready selections, held statistics and every scheme through the façade."""

from __future__ import annotations

import pytest

from inspector_app.backend.session import Session
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import RefusedError, RequestError
from inspector_app.protocol.schemes import SCHEMES
from tests.backend.edit_models import state


@pytest.fixture
def session():
    with Session() as session:
        yield session


def everything(pattern: str = "") -> m.Selection:
    return m.Selection(patterns=[pattern])


def model_of(session):
    return session._opened.model


def training(session):
    return [name for name, module in model_of(session).named_modules() if module.training]


def test_all_but_the_head_is_frozen_by_one_word(session):
    session.open("sample:resnet")
    planned = session.plan_freeze(everything("preset:body"))
    edited = session.freeze(everything("preset:body"))
    assert planned.title == edited.history[0].title == "Freeze all but the last module"
    assert edited.history[0].patterns == ["preset:body"]
    assert edited.totals.trainable == 650
    assert any("hold them" in note for note in edited.notes)
    assert session.undo().totals.trainable == edited.totals.parameters


def test_statistics_are_held_and_let_go(session):
    session.open("sample:resnet")
    before = training(session)
    planned = session.plan_hold_statistics(everything("preset:norms"))
    assert planned.title == "Hold the statistics of normalisation layers"
    edited = session.hold_statistics(everything("preset:norms"))
    assert edited.history[0].kind == "hold"
    assert edited.history[0].touched == planned.tensors == len(before) - len(training(session))
    session.undo()
    assert training(session) == before
    session.redo()
    session.hold_statistics(everything(), held=False)
    assert training(session) == before
    with pytest.raises(RefusedError, match="no statistics to hold"):
        session.hold_statistics(everything("head"))


def test_a_run_in_train_mode_leaves_them_held(session):
    session.open("sample:batchnorm_lite")
    session.hold_statistics(everything("norm"))
    before = state(model_of(session))
    session.run(mode="train")
    session.run(mode="eval")
    assert state(model_of(session)) == before
    assert not model_of(session).norm.training


@pytest.mark.parametrize("sample", ["recurrent", "attention_temperature", "batchnorm_lite"])
def test_every_edit_is_replayed_and_undone(session, sample):
    session.open(f"sample:{sample}")
    first = state(model_of(session))
    for seed, name in enumerate(SCHEMES):
        if name != "dirac_":  # none of them has convolutions
            session.initialize(everything(), m.Scheme(name=name), seed=seed)
    session.freeze(everything("preset:biases"))
    if sample == "batchnorm_lite":
        session.hold_statistics(everything("class:BatchNormLite"))
    history = session._journal.history
    values = {name: value[1:3] for name, value in state(model_of(session)).items()}
    with Session() as again:
        again.open(f"sample:{sample}")
        edited = again.replay(history)
        assert edited.notes == []
        assert {n: v[1:3] for n, v in state(model_of(again)).items()} == values
        assert training(again) == training(session)
    for _ in history:
        session.undo()
    assert state(model_of(session)) == first


def test_lazy_layers_are_refused_until_they_have_shapes(session):
    session.open("sample:lazy")
    with pytest.raises(RefusedError, match="lazy: its shape is not known"):
        session.initialize(everything("head"), m.Scheme(name="orthogonal_"))
    session.run()
    assert session.initialize(everything("head"), m.Scheme(name="zeros_")).history[0].touched == 2


def test_meta_has_nothing_to_write_to(session):
    session.open("sample:recurrent", device="meta")
    with pytest.raises(RefusedError, match="nothing to write to"):
        session.initialize(everything(), m.Scheme(name="normal_"))


def test_an_unknown_ready_selection_names_those_there_are(session):
    session.open("sample:mlp")
    with pytest.raises(RequestError, match="There are: preset:body"):
        session.freeze(everything("preset:head"))
