"""Records of ranks on their way into the mirror: in order, merged, and never held up for ever."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.gui.client.rank_merger import (
    _AT_ONCE,
    _LARGEST_STEP,
    _NOT_OWN,
    MOST_HELD,
    PATIENCE,
    RankMerger,
    ranks_of_newest_step,
)
from inspector_app.protocol.merging import Merged
from inspector_app.protocol.messages import Records, Series
from tests.gui.fake_backend import make_records
from tests.gui.loops import loop_in

A, B = Series(key=0, row=4, leaf=""), Series(key=1, row=6, leaf="", kind="gradient")
LOSS = Series(key=2, row=-1, leaf="loss", kind="scalar")
USUAL = [A, B, LOSS]
PATHS = {4: "stem", 6: "head"}


def sent(*steps: int, series: list[Series] | None = None, running: int = 0) -> Records:
    """One record of each series in each of these steps; an answer lists all that there are."""
    series = [A, B] if series is None else series
    usual = all(one in USUAL for one in series)
    records = make_records(series, np.arange(len(steps) * len(series)))
    return msgspec.structs.replace(
        records,
        step=np.repeat(np.asarray(steps, np.int64), len(series)),
        series=USUAL if usual else list(series),
        training=loop_in(running) if running else None,
    )


class Merging:
    """A merger and a clock; ``given`` lists (step, key, ranks)."""

    def __init__(self, *ranks: int) -> None:
        self.merger = RankMerger(ranks[0])
        for rank in ranks:
            self.merger.expect(rank)
        self.now = 100.0
        self.last: Merged | None = None
        self.given: list[tuple[int, int, int]] = []
        self.sequence: list[int] = []

    def add(self, rank: int, records: Records, whole: bool = False, paths=PATHS) -> None:
        self.merger.add(rank, records, paths, self.now, whole)

    def take(self) -> list[tuple[int, int, int]]:
        """All that is due now."""
        new: list[tuple[int, int, int]] = []
        while (merged := self.merger.take(self.now)) is not None:
            self.last, records = merged, merged.records
            columns = (records.step, records.key, merged.ranks)
            new += zip(*(column.tolist() for column in columns), strict=True)
            assert records.first == len(self.sequence)
            self.sequence += records.sequence.tolist()
            assert records.next == len(self.sequence)
        self.given += new
        assert self.sequence == list(range(len(self.sequence)))
        return new


def steps_of(given: list[tuple[int, int, int]]) -> dict[int, int]:
    """Ranks that the records of each step stand for."""
    return {step: ranks for step, _, ranks in given}


def test_a_step_is_given_once_all_ranks_have_sent_all_of_it():
    merging = Merging(0, 1)
    merging.add(0, sent(1, 2, 3))
    assert merging.take() == []  # nothing is known of the other yet
    merging.add(1, sent(1, 2))
    assert merging.take() == [(1, 0, 2), (1, 1, 2)]  # more of step 2 may come
    merging.add(1, sent(2, 3, 4, series=[LOSS]))
    assert {key: ranks for step, key, ranks in merging.take() if step == 2} == {0: 2, 1: 2, 2: 1}
    assert steps_of(merging.given).keys() == {1, 2}


def test_what_the_loop_tells_spares_waiting_for_the_next_record():
    merging = Merging(0, 1)
    merging.add(0, sent(1, 2, running=3), whole=True)
    merging.add(1, sent(1, 2, running=3), whole=True)
    assert steps_of(merging.take()) == {1: 2}  # records are read before the step is
    merging.add(0, sent(running=3), whole=True)
    merging.add(1, sent(running=3), whole=False)
    assert merging.take() == []  # the second did not send all that it had
    merging.add(1, sent(running=3), whole=True)
    assert steps_of(merging.take()) == {2: 2}


def test_a_rank_that_thins_out_otherwise_holds_nothing_up():
    merging = Merging(0, 1)
    for step in range(1, 9):
        for _ in range(2):  # the second answer says that nothing is missing
            merging.add(0, sent(step, running=step + 1) if _ == 0 else sent(running=step + 1), True)
            thinned = step % 4 == 0 and _ == 0
            merging.add(1, sent(*[step] * thinned, running=step + 1), True)
        merging.take()
    assert steps_of(merging.given) == {step: 2 - bool(step % 4) for step in range(1, 9)}


def test_a_silent_rank_is_waited_for_only_so_long():
    merging = Merging(0, 1)
    merging.add(1, sent(1))
    merging.add(0, sent(1, 2, 3))
    assert merging.take() == []
    merging.now += 0.9 * PATIENCE
    merging.add(0, sent(4, 5))
    assert merging.take() == []
    merging.now += 0.2 * PATIENCE
    assert steps_of(merging.take()) == {1: 2, 2: 1}  # step 3 may go on
    merging.now += PATIENCE
    assert steps_of(merging.take()) == {3: 1, 4: 1}
    merging.add(1, sent(2, 3, 4, 5, 6))
    merging.add(0, sent(6))
    assert merging.merger.late == 6
    assert steps_of(merging.take()) == {5: 2}


def test_patience_begins_when_the_last_rank_has_joined():
    merging = Merging(0, 1)
    merging.add(0, sent(1, 2, 3))
    merging.now += 3 * PATIENCE
    assert merging.take() == []
    merging.add(1, sent(1))
    assert merging.take() == []
    merging.add(1, sent(2, 3))
    assert steps_of(merging.take()) == {1: 2, 2: 2}


def test_ranks_that_go_leave_what_they_sent():
    merging = Merging(0, 1, 2)
    merging.add(0, sent(1, 2, 3))
    merging.add(1, sent(1, 2))
    assert merging.take() == []
    merging.merger.gone(2)  # it never said anything
    assert steps_of(merging.take()) == {1: 2}
    merging.merger.gone(1)
    assert steps_of(merging.take()) == {2: 2}
    merging.merger.end()
    assert steps_of(merging.take()) == {3: 1}
    assert merging.take() == []


def test_merging_goes_by_path_and_keys_stay_those_of_the_own_rank():
    own = [msgspec.structs.replace(A, key=5), msgspec.structs.replace(B, key=9)]
    there = [
        Series(key=0, row=8, leaf="", kind="gradient"),
        Series(key=1, row=2, leaf=""),
        Series(key=2, row=2, leaf="[1]"),
        Series(key=3, row=11, leaf=""),
    ]
    paths = {8: "head", 2: "stem", 11: "only here"}
    merging, other = Merging(3, 0), _NOT_OWN + 2
    merging.add(0, sent(1, 2, series=there), paths=paths)
    merging.add(3, sent(1, 2, series=own))
    assert merging.take() == [(1, 5, 2), (1, 9, 2), (1, other, 1)]
    own.insert(0, Series(key=12, row=4, leaf="[2]"))
    merging.add(3, sent(3, series=own))
    merging.add(0, sent(3, series=there), paths=paths)
    assert merging.take() == [(2, 5, 2), (2, 9, 2), (2, other, 1)]
    assert merging.last is not None
    told = {one.key: (one.row, one.leaf) for one in merging.last.records.series}
    assert told == {5: (4, ""), 9: (6, ""), 12: (4, "[2]"), other: (4, "[1]")}


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 5)), min_size=2, max_size=20))
def test_however_answers_are_cut_each_record_is_merged_once(turns):
    merging = Merging(0, 1)
    next_step = [1, 1]
    for rank, count in [(0, 1), (1, 1), *turns]:
        first = next_step[rank]
        next_step[rank] += count
        for step in range(first, first + count):
            for one in (A, B):
                merging.add(rank, sent(step, series=[one]))
        merging.take()
    merging.merger.end()
    merging.take()
    expected = [
        (step, key, 1 + (step < min(next_step)))
        for step in range(1, max(next_step))
        for key in (0, 1)
    ]
    assert merging.given == expected


def test_no_more_is_wanted_of_a_rank_that_is_far_ahead():
    merging = Merging(0, 1)
    step = 0
    while not merging.merger.ahead(0):
        step += 1
        merging.add(0, sent(step))
        assert step < MOST_HELD
    assert step == MOST_HELD // 2 + 1
    assert not merging.merger.ahead(1)
    merging.add(1, sent(*range(1, step + 1)))
    merging.take()
    assert not merging.merger.ahead(0)


def test_a_long_way_is_made_in_pieces():
    merging = Merging(0, 1)
    for rank in (0, 1):
        merging.add(rank, sent(*range(1, 1001)))
    sizes = []
    while (merged := merging.merger.take(merging.now)) is not None:
        sizes.append(len(merged.ranks))
    assert sum(sizes) == 2 * 999
    assert max(sizes) <= _AT_ONCE // 2


def test_a_step_without_end_is_given_in_parts():
    merging = Merging(0, 1)
    series = [Series(key=key, row=4, leaf=f"[{key}]") for key in range(64)]
    merging.add(1, sent(1, series=series))
    for call in range(1 + _LARGEST_STEP // len(series)):
        records = sent(1, series=series)
        merging.add(0, msgspec.structs.replace(records, call=records.call + call))
        assert not merging.merger.ahead(0)  # else its step would never end
    given_ = merging.take()
    assert len(given_) == _LARGEST_STEP + len(series)
    merging.add(0, sent(1, 2, series=series))
    merging.add(1, sent(2, series=series))
    assert len(merging.take()) == len(series)
    assert merging.merger.late == 0


@pytest.mark.parametrize(
    ("ranks", "expected"),
    [([2, 2, 1], (2, 2)), ([1, 2, 2], (1, 2)), ([1, 1, 1], (1, 1))],
)
def test_numbers_that_one_rank_logs_do_not_count(ranks, expected):
    merged = Merged(sent(1, 2, series=[A, B, LOSS]), np.asarray([2, 2, 2, *ranks], np.int32))
    assert ranks_of_newest_step(merged) == expected
    alone = Merged(sent(1, series=[LOSS]), np.asarray([1], np.int32))
    assert ranks_of_newest_step(alone) is None
