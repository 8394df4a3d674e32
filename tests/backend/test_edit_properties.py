"""Random sequences of edits: undone, replayed, and run as the copied script.

``EDIT_EXAMPLES`` is the number of sequences tried on each model; a long run takes 2,000.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import hypothesis
import hypothesis.strategies as st
import pytest
import torch
from torch import nn

from inspector_app.backend.opening.factory import seed_everything
from inspector_app.backend.session import Session
from inspector_app.backend.snapshots import bits
from inspector_app.backend.tree import Tree, build_tree
from inspector_app.backend.walking import instance_dict
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import ModelError, RefusedError, RequestError, TargetError
from inspector_app.protocol.presets import PRESETS
from inspector_app.protocol.schemes import SCHEMES, check_scheme
from inspector_app.protocol.table import Flag
from tests.backend import property_models

EXAMPLES = int(os.environ.get("EDIT_EXAMPLES", "10"))
TARGETS = (
    *(f"tests.backend.property_models:{make.__name__}" for make in property_models.FACTORIES),
    *property_models.SAMPLES,
)
_CALM = (RequestError, RefusedError, ModelError, TargetError)


# -- what a model is -------------------------------------------------------------------------------


def _bytes(tensor: torch.Tensor) -> bytes:
    whole = bits(tensor).contiguous().reshape(-1).view(torch.uint8)
    return whole.numpy().tobytes()


def state(tree: Tree) -> dict[str, Any]:
    """All that an edit may change, exactly: values, requires_grad, gradients, training flags."""
    with torch._C.DisableTorchFunctionSubclass():
        return _state(tree)


def _state(tree: Tree) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path, thing, flags in zip(
        tree.table.paths, tree.objects, tree.table.flags.tolist(), strict=True
    ):
        if flags & Flag.TENSOR:
            if not flags & (Flag.LAZY | Flag.META):
                gradient = thing.grad if thing.is_leaf else None
                told = None if gradient is None else _bytes(gradient)
                found[path] = (thing.dtype, _bytes(thing), thing.requires_grad, told)
        elif isinstance(thing, nn.Module):
            found[path] = instance_dict(thing).get("training")
        else:
            found[path] = type(thing)
    return found


def state_of(session: Session) -> dict[str, Any]:
    return state(build_tree(session._opened.model))


# -- edits -----------------------------------------------------------------------------------------

_SCHEMES = st.sampled_from(
    [
        *(m.Scheme(name=name) for name in SCHEMES),
        m.Scheme(name="reset_parameters"),
        m.Scheme(name="trunc_normal_", arguments={"std": 0.02}),
        m.Scheme(name="trunc_normal_", arguments={"mean": 3.0, "a": 2.9, "b": 1e9}),
        m.Scheme(name="kaiming_normal_", arguments={"mode": "fan_out", "nonlinearity": "relu"}),
        m.Scheme(name="orthogonal_", arguments={"gain": 0.5}),
        m.Scheme(name="sparse_", arguments={"sparsity": 0.5, "std": 1.0}),
        m.Scheme(name="constant_", arguments={"val": -2.0}),
        m.Scheme(name="dirac_", arguments={"groups": 2}),
    ]
)
_PATTERNS = st.sampled_from(
    ["", "*", "*weight*", "*bias", "*[0-9]*", "*norm*", *PRESETS, "class:Linear", "class:*Norm*"]
)
_ROWS = st.lists(st.integers(0, 10_000), min_size=1, max_size=3)
_SELECTIONS = st.one_of(_PATTERNS, _ROWS)
_EDITS = st.one_of(
    st.tuples(st.just("freeze"), _SELECTIONS, st.booleans()),
    st.tuples(st.just("hold"), _SELECTIONS, st.booleans()),
    st.tuples(st.just("init"), _SELECTIONS, _SCHEMES, st.integers(0, 2**40)),
    st.tuples(st.just("init"), _SELECTIONS, _SCHEMES, st.just(0)),
    st.tuples(st.just("load"), st.sampled_from(["all.pt", "part.pt"]), st.booleans()),
    st.tuples(st.just("load"), st.just("noted.safetensors"), st.booleans()),
    st.tuples(st.just("requires_grad"), st.just("noted.safetensors")),
    st.just(("undo",)),
    st.just(("redo",)),
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder for each target with checkpoints of it: wrapped, in part, with requires_grad."""
    made: dict[str, Path] = {}

    def folder(target: str) -> Path:
        if target not in made:
            made[target] = tmp_path_factory.mktemp("checkpoints")
            _write_checkpoints(target, made[target])
        return made[target]

    return folder


def _write_checkpoints(target: str, folder: Path) -> None:
    with Session() as session:
        session.open(target, seed=7)
        with contextlib.suppress(*_CALM):
            session.freeze(m.Selection(patterns=["*weight*"]))
        with contextlib.suppress(*_CALM):  # where a name cannot be written, there is no such file
            session.export(str(folder / "noted.safetensors"))
        state = session._opened.model.state_dict()
    wrapped = {f"module.{key}": value for key, value in state.items()}
    torch.save({"state_dict": wrapped, "epoch": 3}, folder / "all.pt")
    part = {key: value for number, (key, value) in enumerate(state.items()) if number % 3}
    part["surplus"] = torch.zeros(2)
    for key in list(part)[::4]:
        part[key] = torch.zeros(1, 2, 3)
    torch.save(part, folder / "part.pt")


def _selection(session: Session, wanted: str | list[int]) -> m.Selection:
    if isinstance(wanted, str):
        return m.Selection(patterns=[wanted])
    ids = session.tree.table.ids
    return m.Selection(rows=[int(ids[number % len(ids)]) for number in wanted])


def carry_out(session: Session, edit: tuple[Any, ...], folder: Path) -> None:
    """Carry out one edit, or none of it."""
    kind, *given = edit
    if kind == "load":
        session.load_state(str(folder / given[0]), fit=given[1])
    elif kind == "requires_grad":
        session.apply_requires_grad(str(folder / given[0]))
    elif kind in ("undo", "redo"):
        getattr(session, kind)()
    elif kind == "freeze":
        session.freeze(_selection(session, given[0]), given[1])
    elif kind == "hold":
        session.hold_statistics(_selection(session, given[0]), given[1])
    else:
        session.initialize(_selection(session, given[0]), check_scheme(given[1]), seed=given[2])


def edited(session: Session, edits: list[tuple[Any, ...]], folder: Path) -> None:
    """Carry out a sequence; what is refused changes nothing."""
    for edit in edits:
        before = state_of(session)
        try:
            carry_out(session, edit, folder)
        except _CALM:
            assert state_of(session) == before, edit


def history(session: Session) -> list[m.JournalEntry]:
    return session._journal.history


def fresh(target: str) -> nn.Module:
    """The model of a target, built once more."""
    with Session() as session:
        session.open(target)
        model: nn.Module = session._opened.model
    return model


sequences = st.lists(_EDITS, min_size=1, max_size=6)
several = hypothesis.settings(
    max_examples=EXAMPLES,
    # A sequence is short as it is, and shrinking one builds the model a thousand times.
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)


@pytest.mark.parametrize("target", TARGETS)
@hypothesis.given(edits=sequences)
@several
def test_sequences_are_undone_replayed_and_scripted(target, edits, folders):
    with Session() as session:
        session.open(target)
        first = state_of(session)
        edited(session, edits, folders(target))
        last = state_of(session)
        entries = history(session)
        script = session.get_script()
        standing = sum(entry.done for entry in entries)

        # As a script, on a model built anew.
        model = fresh(target)
        namespace: dict[str, Any] = {"__name__": "copied"}
        exec(compile(script.text, "copied.py", "exec"), namespace)
        if not any("left out" in note for note in script.notes):
            namespace["apply_edits"](model)
            assert state(build_tree(model)) == last, script.text

        # In a session of its own, as after the worker was killed.
        with Session() as other:
            other.open(target)
            edited_again = other.replay(entries)
            assert not edited_again.notes
            assert state_of(other) == last

        # Undone in full, and done again.
        for _ in range(standing):
            session.undo()
        assert state_of(session) == first
        for _ in range(standing):
            session.redo()
        assert state_of(session) == last


def test_nothing_global_is_touched():
    """Neither the edits nor the script draw from the generators that a person uses."""
    seed_everything(3)
    before = torch.get_rng_state()
    with Session() as session:
        session.open("tests.backend.property_models:resets")
        torch.set_rng_state(before)
        session.initialize(m.Selection(patterns=[""]), m.Scheme(name="reset_parameters"), seed=4)
        session.initialize(m.Selection(patterns=[""]), m.Scheme(name="normal_"), seed=5)
        script = session.get_script().text
    model = fresh("tests.backend.property_models:resets")
    torch.set_rng_state(before)
    namespace: dict[str, Any] = {"__name__": "copied"}
    exec(compile(script, "copied.py", "exec"), namespace)
    namespace["apply_edits"](model)
    assert torch.equal(torch.get_rng_state(), before)
