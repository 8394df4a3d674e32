import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.backend.journal import Journal
from inspector_app.protocol.errors import RefusedError
from inspector_app.protocol.messages import JournalEntry


class FakeEdit:
    """Writes down what is asked of it."""

    rows = np.empty(0, np.int32)

    def __init__(self, log, name):
        self.log, self.name, self.undoable, self.fails = log, name, True, False

    def _do(self, what):
        if self.fails:
            raise RefusedError("no")
        self.log.append((what, self.name))

    def undo(self):
        self._do("undo")

    def redo(self):
        self._do("redo")

    def forget(self):
        self.log.append(("forget", self.name))


def entry(number):
    return JournalEntry(
        number=number, kind="freeze", title=f"edit {number}", touched=1, patterns=[]
    )


@pytest.fixture
def log():
    return []


@pytest.fixture
def journal(log):
    journal = Journal()
    for _ in range(3):
        number = journal.next_number
        journal.append(FakeEdit(log, number), entry(number))
    return journal


def done(journal):
    return [(e.number, e.done) for e in journal.history]


def test_undo_goes_back_and_redo_forth(journal, log):
    assert journal.undo().name == 3
    assert journal.undo().name == 2
    assert done(journal) == [(1, True), (2, False), (3, False)]
    assert journal.redo().name == 2
    assert log == [("undo", 3), ("undo", 2), ("redo", 2)]


def test_a_new_edit_drops_what_was_undone(journal, log):
    journal.undo()
    journal.undo()
    assert journal.next_number == 2
    journal.append(FakeEdit(log, "new"), entry(2))
    assert done(journal) == [(1, True), (2, True)]
    assert log[-2:] == [("forget", 2), ("forget", 3)]
    with pytest.raises(RefusedError, match="nothing to redo"):
        journal.redo()


def test_nothing_to_undo():
    with pytest.raises(RefusedError, match="nothing to undo"):
        Journal().undo()


def test_an_edit_no_longer_kept_bars_the_way(journal):
    journal._edits[1][0].undoable = False
    assert [e.undoable for e in journal.history] == [False, False, True]
    journal.undo()
    with pytest.raises(RefusedError, match="edit 2"):
        journal.undo()
    assert done(journal) == [(1, True), (2, True), (3, False)]


def test_an_undone_edit_no_longer_kept_cannot_be_redone(journal):
    journal.undo()
    journal.undo()
    journal._edits[1][0].undoable = False
    assert [e.undoable for e in journal.history] == [True, False, False]
    with pytest.raises(RefusedError, match="edit 2"):
        journal.redo()


def test_a_failing_undo_leaves_the_journal_as_it_was(journal):
    journal._edits[2][0].fails = True
    with pytest.raises(RefusedError):
        journal.undo()
    assert done(journal) == [(1, True), (2, True), (3, True)]


def test_clear_forgets_everything(journal, log):
    journal.clear()
    assert sorted(log) == [("forget", 1), ("forget", 2), ("forget", 3)]
    assert journal.history == []


@given(st.lists(st.sampled_from(["new", "undo", "redo"]), max_size=30))
def test_agrees_with_two_stacks(steps):
    journal, stands, undone, number = Journal(), [], [], 0
    for step in steps:
        if step == "new":
            number += 1
            journal.append(FakeEdit([], number), entry(number))
            stands.append(number)
            undone = []
        else:
            source, target = (stands, undone) if step == "undo" else (undone, stands)
            if source:
                assert getattr(journal, step)().name == source[-1]
                target.append(source.pop())
            else:
                with pytest.raises(RefusedError):
                    getattr(journal, step)()
        assert done(journal) == [(n, True) for n in stands] + [(n, False) for n in undone[::-1]]
