"""All ranks in one window: what is merged, who is joined, who is left; against plain data."""

from __future__ import annotations

import os

import msgspec
import numpy as np
import pytest

from inspector_app import sessions
from inspector_app.gui.client import rank_merger, ranks
from inspector_app.gui.client.choice import Choice
from inspector_app.gui.client.rank_merger import MOST_HELD
from inspector_app.gui.client.ranks import standing_text
from inspector_app.gui.client.records import MOST
from inspector_app.gui.panels.training_bar import ALL_RANKS
from inspector_app.protocol.messages import Alarm, GetRecords, SetBins, TrainingState
from inspector_app.protocol.phases import EVALUATION
from inspector_app.sessions import SessionEntry
from tests.gui.fake_backend import FakeBackend
from tests.gui.fake_rank import FakeRank
from tests.gui.loops import loop_in
from tests.gui.tables import small_table
from tests.gui.windows import TOKEN, asked

STEM, NORM = 1, 3  # rows that are watched


def loop(rank: int, step: int = 7) -> TrainingState:
    return loop_in(step, rank=rank, ranks=2)


def shifted(by: int):
    """The small table, with other ids."""
    table = small_table()
    tie = np.where(table.tie >= 0, table.tie + by, -1).astype(np.int32)
    return msgspec.structs.replace(table, ids=table.ids + by, tie=tie)


class Group:
    """Sessions of two ranks, as they are announced on this machine."""

    def __init__(self, folder) -> None:
        self.addresses = [f"tcp:127.0.0.1:{rank + 1}" for rank in range(2)]
        self.folders = [folder / f"session{rank}" for rank in range(2)]

    def announce(self, rank: int) -> None:
        self.folders[rank].mkdir()
        entry = SessionEntry(
            address=self.addresses[rank],
            title="small",
            process=os.getpid(),
            started=float(rank),
            rank=rank,
            ranks=2,
            folder=str(self.folders[rank]),
            group=5,
        )
        sessions.announce(self.folders[rank], entry, f"{rank:02}" * 32)


@pytest.fixture
def group(tmp_path, monkeypatch) -> Group:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(ranks, "RankSession", FakeRank)
    group = Group(sessions.sessions_folder())
    other = FakeBackend(shifted(100))
    other.watched = [100 + NORM, 100 + STEM]
    other.loop = loop(1)
    monkeypatch.setattr(FakeRank, "backends", {group.addresses[1]: other})
    monkeypatch.setattr(FakeRank, "made", [])
    for rank in range(2):
        group.announce(rank)
    return group


@pytest.fixture
def joined(qtbot, group, window):
    """A window that is attached to rank 0."""
    backend = window.session.backend
    backend.watched, backend.loop, backend.steps = [STEM, NORM], loop(0), 4
    window.session.attach(group.addresses[0], TOKEN)
    qtbot.waitUntil(lambda: window.live_panel.training.rank.count() == 3)
    qtbot.waitUntil(lambda: store(window).size == 16)
    return window


@pytest.fixture
def merged(qtbot, joined):
    """... and shows all ranks: three steps of both, since the fourth goes on in rank 1."""
    other().steps = 4
    run_to(joined, 4)
    choose(joined, "All ranks")
    qtbot.waitUntil(lambda: steps(joined) == [0, 1, 2])
    return joined


def choose(window, text: str) -> None:
    box = window.live_panel.training.rank
    box.setCurrentIndex(box.findText(text))
    box.activated.emit(box.currentIndex())


def other() -> FakeBackend:
    (backend,) = FakeRank.backends.values()
    return backend


def run_to(window, count: int) -> None:
    """Both ranks have begun step ``count`` - 1, of which some records are there."""
    for backend in (window.session.backend, other()):
        backend.steps = count
        backend.loop = msgspec.structs.replace(backend.loop, step=count - 1)


def store(window):
    return window.live_panel.views.store


def steps(window) -> list[int]:
    found = {step for part in store(window).answers for step in part.step.tolist()}
    return sorted(found)


def line(window) -> str:
    return window.live_panel.training.line.text()


def test_how_many_ranks_a_picture_stands_for():
    assert standing_text(2, 2, 2) == "all 2 ranks"
    assert standing_text(1, 1, 2) == "1 of 2 ranks"
    assert standing_text(1, 3, 3) == "1 to 3 of 3 ranks"


def test_all_ranks_are_offered_where_there_are_several(qtbot, joined):
    box = joined.live_panel.training.rank
    assert [box.itemText(index) for index in range(3)] == ["rank 0", "rank 1", "All ranks"]
    assert (box.isVisible(), box.currentText(), box.itemData(2)) == (True, "rank 0", ALL_RANKS)
    assert "now rank 0" in box.toolTip()
    assert FakeRank.made == []


def test_records_of_both_are_merged_by_path(qtbot, merged):
    (rank,) = FakeRank.made
    assert rank.token == "01" * 32
    assert store(merged).size == 3 * 4
    newest, place = store(merged).newest(0)
    assert newest.count[place] == 2 * merged.session.backend.get_records(GetRecords()).count[0]
    keys = {one.key: (one.row, one.kind) for one in store(merged).series.values()}
    assert keys == {
        0: (STEM, "output"),
        1: (NORM, "output"),
        2: (STEM, "gradient"),
        3: (NORM, "gradient"),
    }
    qtbot.waitUntil(lambda: line(merged).startswith("all 2 ranks · step 3"))
    box = merged.live_panel.training.rank
    assert box.currentText() == "All ranks"
    merged.training._show_ranks()
    assert box.currentText() == "All ranks"
    assert merged.session.remote.address.endswith(":1")  # tree and values are still its own


def test_the_other_rank_is_only_read(qtbot, merged):
    (rank,) = FakeRank.made
    assert {type(request).__name__ for request in rank.requests} == {"Attach", "GetRecords"}


def test_one_rank_s_own_records_come_back(qtbot, merged):
    (rank,) = FakeRank.made
    choose(merged, "rank 0")
    assert rank.left
    qtbot.waitUntil(lambda: store(merged).size == 16)
    assert steps(merged) == [0, 1, 2, 3]
    qtbot.waitUntil(lambda: line(merged).startswith("step 3"))
    choose(merged, "All ranks")
    qtbot.waitUntil(lambda: steps(merged) == [0, 1, 2])
    assert len(FakeRank.made) == 2


def test_another_rank_s_records_are_chosen_in_the_same_way(merged):
    wanted = Choice(phase=EVALUATION)
    store(merged).choose(wanted)
    choose(merged, "rank 0")
    assert store(merged).choice == wanted


def test_another_rank_is_joined_by_leaving_all(qtbot, group, merged):
    merged.session.backend.loop = loop(1)
    choose(merged, "rank 1")
    qtbot.waitUntil(lambda: merged.session.remote.address == group.addresses[1])
    qtbot.waitUntil(lambda: FakeRank.made[0].left)
    assert not merged.live.ranks.merging
    qtbot.waitUntil(lambda: store(merged).size == 16)


def test_opening_a_file_leaves_the_ranks(qtbot, merged):
    merged.session.open_target("fake.py:make")
    qtbot.waitUntil(lambda: FakeRank.made[0].left)
    assert not merged.live.ranks.merging


def test_closing_the_window_leaves_the_ranks(qtbot, merged):
    merged.close_now()
    assert FakeRank.made[0].left


def test_a_rank_that_dies_is_told_and_the_others_go_on(qtbot, merged):
    FakeRank.made[0].die("The training process has ended, or has closed its session.")
    assert merged.notices.text == (
        "Rank 1 is merged no more. The training process has ended, or has closed its session."
    )
    run_to(merged, 7)
    qtbot.waitUntil(lambda: steps(merged) == [0, 1, 2, 3, 4, 5])
    qtbot.waitUntil(lambda: line(merged).startswith("1 of 2 ranks"))
    merged.training._show_ranks()
    assert len(FakeRank.made) == 1  # a dead one is not joined again and again


def test_a_rank_that_cannot_be_reached_holds_nothing_up(qtbot, joined, monkeypatch):
    monkeypatch.setattr(FakeRank, "start", lambda self: self.die("There is no connection."))
    choose(joined, "All ranks")
    assert "There is no connection." in joined.notices.text
    qtbot.waitUntil(lambda: 2 in steps(joined))


def test_the_own_rank_s_end_gives_what_waits_and_leaves_the_others(qtbot, merged):
    merged.session.lose("The training process has ended.", "")
    assert steps(merged) == [0, 1, 2, 3]
    assert FakeRank.made[0].left
    assert "what was drawn stays" in line(merged)


def test_a_rank_that_comes_later_is_joined(qtbot, group, joined):
    sessions.withdraw(group.folders[1])
    choose(joined, "All ranks")
    qtbot.waitUntil(lambda: 2 in steps(joined))
    joined.training._show_ranks()
    assert joined.live_panel.training.rank.isVisible()  # the way back
    assert FakeRank.made == []
    group.announce(1)
    joined.training._show_ranks()
    assert [rank.address for rank in FakeRank.made] == [group.addresses[1]]


def test_the_other_rank_counts_into_the_same_bins(qtbot, merged):
    merged.session.backend.octaves = True
    for count in (5, 6, 7, 8):  # what comes next tells how they count
        run_to(merged, count)
        qtbot.waitUntil(lambda count=count: count - 2 in steps(merged))
    assert other().octaves
    found = [one for one in FakeRank.made[0].requests if isinstance(one, SetBins)]
    assert found == [SetBins(octaves=True)]
    newest, place = store(merged).newest(0)
    assert newest.octaves[place]


def test_alarms_are_those_of_the_own_rank(qtbot, merged):
    for backend, path in ((other(), "norm"), (merged.session.backend, "stem")):
        backend.alarms = [
            Alarm(
                key=0,
                kind="nan",
                row=1,
                path=path,
                first_step=3,
                last_step=3,
                count=1,
                worst=2,
                origin=0,
                sentence=f"{path} has NaN.",
                paused=False,
            )
        ]
    run_to(merged, 6)
    qtbot.waitUntil(lambda: 4 in steps(merged))
    shown = merged.live_panel.views.alarms.alarms
    assert [alarm.path for alarm in shown.values()] == ["stem"]


def test_what_waits_for_a_slow_rank_is_bounded(qtbot, merged, monkeypatch):
    monkeypatch.setattr(rank_merger, "PATIENCE", 1e9)
    own = merged.session.backend
    own.steps = 4000  # of four records each
    qtbot.waitUntil(lambda: asked(merged, GetRecords)[-1].limit == 0)
    fetched = asked(merged, GetRecords)[-1].since
    assert fetched <= MOST_HELD + 2 * MOST
    asked_before = len(asked(merged, GetRecords))
    qtbot.waitUntil(lambda: len(asked(merged, GetRecords)) > asked_before + 3)
    assert asked(merged, GetRecords)[-1].since == fetched  # it still hears how the loop stands
    run_to(merged, 4000)
    qtbot.waitUntil(lambda: len(steps(merged)) == 3999)
