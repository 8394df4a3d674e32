"""A load that fails or is cancelled anywhere leaves the model as it was, bit by bit."""

from __future__ import annotations

import contextlib
import os

import pytest
import torch
from torch import nn

from inspector_app.backend.checkpoint import Checkpoint
from inspector_app.backend.session import Session
from inspector_app.backend.snapshots import Snapshot, SnapshotStore
from inspector_app.protocol.errors import Cancelled, ModelError, RefusedError, TargetError
from tests.backend import load_models
from tests.backend.edit_models import state
from tests.backend.load_models import randomised
from tests.backend.test_loading import opened, saved, values_of


@pytest.fixture
def session():
    with Session() as session:
        yield session


class CancelAt:
    """A job that is cancelled at one of its checks."""

    def __init__(self, check: int) -> None:
        self.left = check
        self.said: list[tuple[int, int, str]] = []

    def check(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Cancelled()

    def progress(self, done: int, total: int, label: str) -> None:
        self.said.append((done, total, label))

    def waiting(self) -> bool:
        return False

    def safe_point(self) -> None:
        pass


def looks(model: nn.Module) -> object:
    """All of a model, its lazy tensors by what they are."""
    tensors = [*model.named_parameters(), *model.named_buffers()]
    lazy = {name: type(tensor) for name, tensor in tensors if nn.parameter.is_lazy(tensor)}
    plain = nn.Module()
    for name, tensor in tensors:
        if name not in lazy:
            plain.register_buffer(name.replace(".", "_"), tensor)
    return lazy, state(plain)


@pytest.mark.parametrize("name", ["recurrent", "strided", "lazy", "sharing"])
def test_a_cancel_at_any_moment_changes_nothing(session, tmp_path, name):
    model = opened(session, name)
    if name == "sharing":
        del model._buffers["expanded"]
        session._rebuilt()
    source = load_models.not_lazy() if name == "lazy" else model
    path = saved(tmp_path / "weights.pt", randomised(source), torch_format=True)
    fit = name == "sharing"  # where the values of the parts do not agree
    before = looks(model)
    table = session.tree.table
    for moment in range(10_000):
        job = CancelAt(moment)
        try:
            session.load_state(path, fit=fit, job=job)
        except Cancelled:
            assert looks(model) == before
            assert session.tree.table is table
            continue
        break
    assert moment > 2 * len(list(model.parameters()))
    assert looks(model) != before
    done = [(done, total) for done, total, label in job.said if label == "Loading"]
    assert done[-1][0] == done[-1][1] > 0


class Failing:
    """Reads of a checkpoint, of which one fails."""

    def __init__(self, at: int, error: Exception) -> None:
        self.left, self.error = at, error
        self.read = Checkpoint.blocks

    def blocks(self, checkpoint, name):
        for block in self.read(checkpoint, name):
            half = len(block) // 2
            yield block[:half]
            self.left -= 1
            if self.left < 0:
                raise self.error
            yield block[half:]


def test_a_read_that_fails_anywhere_changes_nothing(session, tmp_path, monkeypatch):
    model = opened(session, "resnet")
    path = saved(tmp_path / "weights.safetensors", randomised(model))
    before = state(model)
    for at in range(len(before)):
        failing = Failing(at, TargetError("The disk is gone."))
        monkeypatch.setattr(Checkpoint, "blocks", lambda c, name, f=failing: f.blocks(c, name))
        with pytest.raises(TargetError, match="The disk is gone"):
            session.load_state(path)
        assert state(model) == before
    assert session._snapshots._live() == []
    with pytest.raises(RefusedError, match="nothing to undo"):
        session.undo()


def test_a_file_that_is_cut_while_it_is_read_changes_nothing(session, tmp_path, monkeypatch):
    model = opened(session, "transformer")
    path = saved(tmp_path / "weights.safetensors", randomised(model))
    before = state(model)
    read = Checkpoint.blocks

    def cutting(checkpoint, name):
        os.truncate(path, os.path.getsize(path) - 40)
        return read(checkpoint, name)

    monkeypatch.setattr(Checkpoint, "blocks", cutting)
    with pytest.raises(TargetError, match="cut off while it was open"):
        session.load_state(path)
    assert state(model) == before


def test_too_few_bytes_are_noticed(session, tmp_path, monkeypatch):
    model = opened(session, "linear")
    path = saved(tmp_path / "weights.safetensors", randomised(model))
    before = state(model)
    read = Checkpoint.blocks
    for short in (
        lambda block: block[:-4],
        lambda block: torch.zeros(100, dtype=torch.uint8).numpy(),
    ):
        monkeypatch.setattr(
            Checkpoint, "blocks", lambda c, name, s=short: (s(block) for block in read(c, name))
        )
        with pytest.raises(TargetError, match=r"does not hold all of “weight”"):
            session.load_state(path)
        assert state(model) == before


def test_old_values_that_cannot_be_kept_stop_it_before_it_begins(session, tmp_path, monkeypatch):
    model = opened(session, "resnet")
    path = saved(tmp_path / "weights.safetensors", randomised(model))
    before = state(model)
    put, kept = Snapshot.put, []

    def full(self, tensor, *, own=False):
        if len(kept) == 7:
            raise OSError(28, "No space left on device")
        kept.append(tensor)
        put(self, tensor, own=own)

    monkeypatch.setattr(Snapshot, "put", full)
    with pytest.raises(RefusedError, match="could not be kept, so nothing was changed"):
        session.load_state(path)
    assert state(model) == before


def forgetful(session, name):
    model = opened(session, name)
    session._snapshots = SnapshotStore(memory_budget=0, disk_budget=0)
    return model


def test_what_is_too_large_to_be_kept_is_rehearsed_and_cannot_be_undone(
    session, tmp_path, monkeypatch
):
    model = forgetful(session, "resnet")
    new = randomised(model)
    path = saved(tmp_path / "weights.safetensors", new)
    before = state(model)
    plan = session.plan_state(path)
    assert not plan.undoable
    assert plan.notes[-1].startswith("cannot be undone: the old values take")
    failing = Failing(len(new) - 1, TargetError("The disk is gone."))
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "blocks", lambda c, name: failing.blocks(c, name))
        with pytest.raises(TargetError, match="The disk is gone"):
            session.load_state(path)
    assert state(model) == before
    for moment in (len(new) + 1, 2 * len(new)):
        with pytest.raises(Cancelled):
            session.load_state(path, job=CancelAt(moment))
        assert state(model) == before
    edited = session.load_state(path)
    theirs = load_models.resnet()
    theirs.load_state_dict(new)
    assert values_of(model) == values_of(theirs)
    assert not edited.history[0].undoable
    with pytest.raises(RefusedError, match="cannot be undone"):
        session.undo()


def test_a_failure_after_the_rehearsal_says_that_the_model_holds_both(
    session, tmp_path, monkeypatch
):
    model = forgetful(session, "resnet")
    new = randomised(model)
    path = saved(tmp_path / "weights.safetensors", new)
    failing = Failing(len(new) + 3, TargetError("The disk is gone."))
    monkeypatch.setattr(Checkpoint, "blocks", lambda c, name: failing.blocks(c, name))
    with pytest.raises(ModelError, match="holds values of both: open the target again"):
        session.load_state(path)


def test_old_values_on_disk_come_back_as_well(session, tmp_path):
    model = opened(session, "transformer")
    session._snapshots = SnapshotStore(memory_budget=0, folder=str(tmp_path))
    path = saved(tmp_path / "weights.safetensors", randomised(model))
    before = state(model)
    session.load_state(path)
    after = state(model)
    assert session._snapshots._live()[0].on_disk
    for _ in range(2):
        session.undo()
        assert state(model) == before
        session.redo()
        assert state(model) == after


def test_the_file_is_closed_whatever_happens(session, tmp_path):
    opened(session, "linear")
    path = saved(tmp_path / "weights.safetensors", {"other": torch.zeros(1)})

    def open_files():
        folder = "/proc/self/fd"
        found = []
        for number in os.listdir(folder):
            with contextlib.suppress(OSError):
                found.append(os.readlink(f"{folder}/{number}"))
        return [name for name in found if name == path]

    session.plan_state(path)
    with pytest.raises(RefusedError):
        session.load_state(path)
    with pytest.raises(RefusedError):
        session.apply_requires_grad(path)
    assert open_files() == []
