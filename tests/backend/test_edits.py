import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector_app.backend import filling
from inspector_app.backend.freezing import freeze
from inspector_app.backend.initialization import initialize
from inspector_app.backend.journal import Journal
from inspector_app.backend.norms import hold
from inspector_app.backend.snapshots import SnapshotStore
from inspector_app.protocol.errors import Cancelled, RefusedError
from inspector_app.protocol.messages import JournalEntry
from inspector_app.protocol.schemes import SCHEMES as REGISTERED
from inspector_app.protocol.schemes import parse_scheme
from tests.backend.edit_models import (
    Computed,
    Mixed,
    at,
    everything,
    init_plan,
    initialized,
    state,
    tree_of,
)

# Every scheme there is, with its defaults and with arguments.
SCHEMES = [name for name in REGISTERED if name != "reset_parameters"] + [
    "kaiming_uniform_(mode=fan_out)",
    "trunc_normal_(1, 0.1, 0.9)",
    "constant_(-1.5)",
]


@pytest.fixture
def model():
    return Mixed()


class TestUndo:
    @pytest.mark.parametrize("budgets", [(10**9, 0), (0, 10**9)], ids=["memory", "disk"])
    def test_there_and_back_bit_by_bit(self, model, budgets):
        store = SnapshotStore(*budgets)
        before = state(model)
        edit = initialized(model, [], "normal_", store)
        after = state(model)
        for _ in range(2):
            edit.undo()
            assert state(model) == before
            edit.redo()
            assert state(model) == after
        store.close()
        assert not edit.undoable
        with pytest.raises(RefusedError):
            edit.undo()

    @pytest.mark.parametrize("text", ["normal_", "zeros_"])
    def test_too_large_to_keep_is_said_before_and_done_all_the_same(self, model, text):
        store = SnapshotStore(100, 0)
        told = init_plan(model, [], text, store)
        assert not told.undoable
        assert any("cannot be undone" in note for note in told.notes)
        edit = initialized(model, [], text, store, seed=5)
        assert not edit.undoable
        twin = Mixed()
        with torch.no_grad():
            twin.embed.weight[1] = model.embed.weight[1]
        initialized(twin, [], text, SnapshotStore(), seed=5)
        assert {n: v[2] for n, v in state(twin).items() if n in ("wave", "float16", "odd")} == {
            n: v[2] for n, v in state(model).items() if n in ("wave", "float16", "odd")
        }

    def test_without_room_a_failure_still_changes_nothing(self, model):
        before = state(model)
        with pytest.raises(RefusedError):
            initialized(model, [], "normal_(std=100000)", SnapshotStore(0, 0))
        assert state(model) == before

    def test_a_full_disk_changes_nothing(self, model, monkeypatch):
        def full(self, tensor, own=False):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("inspector_app.backend.snapshots.Snapshot.put", full)
        before = state(model)
        with pytest.raises(RefusedError, match="No space left"):
            initialized(model, [], "normal_", SnapshotStore())
        assert state(model) == before

    def test_a_cancel_changes_nothing(self, model, store):
        class Impatient:
            checks = 0

            def check(self):
                self.checks += 1
                if self.checks == 4:
                    raise Cancelled()

            def progress(self, done, total, label):
                assert done < total

        before = state(model)
        tree = tree_of(model)
        for text in ("normal_", "reset_parameters"):
            with pytest.raises(Cancelled):
                initialize(tree, everything(tree), parse_scheme(text), 0, store, Impatient())
            assert state(model) == before

    def test_a_failure_of_torch_names_the_tensor(self, model, store, monkeypatch):
        original = filling.fill

        def failing(scheme, tensor, layout, generator):
            if tensor.dtype is torch.bfloat16 and tensor.shape == (3, 4):
                raise RuntimeError("out of luck")
            original(scheme, tensor, layout, generator)

        monkeypatch.setattr(filling, "fill", failing)
        before = state(model)
        with pytest.raises(RefusedError, match=r"brain16.*out of luck"):
            initialized(model, [], "normal_", store)
        assert state(model) == before


PATHS = ["embed", "body", "head", "twin", "part", "wave", "float16", "brain16", "columns", "odd"]
EDITS = st.one_of(
    st.tuples(st.just("freeze"), st.lists(st.sampled_from(PATHS), min_size=1, max_size=3)),
    st.tuples(st.just("unfreeze"), st.lists(st.sampled_from(PATHS), min_size=1, max_size=3)),
    st.tuples(
        st.sampled_from([*SCHEMES, "reset_parameters"]),
        st.lists(st.sampled_from(PATHS), min_size=1, max_size=3),
    ),
    st.tuples(st.sampled_from(["undo", "redo", "gradient"]), st.just([])),
)


def exact(model):
    """All that edits may change, training flags included."""
    return state(model), {name: module.training for name, module in model.named_modules()}


PARTS = ["", "normed", "square", "spectral", "lstm", "up", "padded", "statistics", "own"]
KINDS = ["freeze", "unfreeze", "hold", "release", "undo", "redo", *REGISTERED]


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(PARTS)), max_size=12))
def test_every_edit_of_computed_weights_is_undone_bit_by_bit(steps):
    model = Computed()
    tree, store, journal = tree_of(model), SnapshotStore(), Journal()
    states = [exact(model)]
    for seed, (kind, where) in enumerate(steps):
        rows = at(tree, where)
        try:
            if kind in ("undo", "redo"):
                getattr(journal, kind)()
            else:
                if kind in ("freeze", "unfreeze"):
                    edit = freeze(tree, rows, kind == "freeze")
                elif kind in ("hold", "release"):
                    edit = hold(tree, rows, kind == "hold")
                else:
                    edit = initialize(tree, rows, parse_scheme(kind), seed, store)
                stands = sum(entry.done for entry in journal.history)
                entry = JournalEntry(
                    number=journal.next_number, kind="freeze", title="", touched=0, patterns=[]
                )
                journal.append(edit, entry)
                states[stands + 1 :] = [exact(model)]
        except RefusedError:
            pass
        done = sum(entry.done for entry in journal.history)
        assert exact(model) == states[done]
    for index in reversed(range(sum(entry.done for entry in journal.history))):
        journal.undo()
        assert exact(model) == states[index]
    store.close()


@settings(deadline=None, max_examples=40)
@given(st.lists(EDITS, max_size=12), st.booleans())
def test_any_sequence_of_edits_can_be_walked_back_and_forth(steps, on_disk):
    model = Mixed()
    tree = tree_of(model)
    store = SnapshotStore(*((0, 10**8) if on_disk else (10**8, 0)))
    journal = Journal()
    states = [state(model)]
    for seed, (kind, where) in enumerate(steps):
        if kind == "gradient":
            if len(states) == 1:  # training between edits is no edit, and cannot be undone
                model.float16.grad = torch.ones_like(model.float16)
                states = [state(model)]
                journal.clear()
            continue
        try:
            if kind in ("undo", "redo"):
                getattr(journal, kind)()
            else:
                rows = at(tree, *where)
                if kind in ("freeze", "unfreeze"):
                    edit = freeze(tree, rows, kind == "freeze")
                else:
                    edit = initialize(tree, rows, parse_scheme(kind), seed, store)
                stands = sum(entry.done for entry in journal.history)
                entry = JournalEntry(
                    number=journal.next_number, kind="freeze", title="", touched=0, patterns=[]
                )
                journal.append(edit, entry)
                states[stands + 1 :] = [state(model)]
        except RefusedError:
            pass
        assert state(model) == states[sum(entry.done for entry in journal.history)]
    stands = sum(entry.done for entry in journal.history)
    for index in reversed(range(stands)):
        journal.undo()
        assert state(model) == states[index]
    for index in range(1, len(states)):
        journal.redo()
        assert state(model) == states[index]
    store.close()
