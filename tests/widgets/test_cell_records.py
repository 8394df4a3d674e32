from dataclasses import replace

import numpy as np
import pytest

from widgets.cell_records import CellRecords, RecordColumns
from widgets.histogram_cells import Record, bar_heights, mean_places


def record(step, bins=64, **more):
    counts = np.random.default_rng(step).integers(0, 99, bins)
    told = {"mean": 0.5, "deviation": 2.0, "nan": 0, "infinite": 0, "octaves": False}
    given = told | {"notes": (f"note {step}",), "detail": f"detail {step}"} | more
    return Record(-1.0 - step, 1.0 + step, counts, step=step, **given)


def put(records, place, one):
    records.put(np.array([place]), RecordColumns.of(one))


def same(one, other):
    return np.array_equal(one.counts, other.counts) and replace(one, counts=None) == replace(
        other, counts=None
    )


@pytest.fixture
def records():
    return CellRecords(8)


def test_a_record_comes_back_as_it_was_given(records):
    given = {
        2: record(2),
        3: record(3, bins=5, octaves=True),
        5: record(5, bins=200, nan=3),
        7: record(7, bins=0, infinite=9),
    }
    for place, one in given.items():
        put(records, place, one)
    for place in range(8):
        found = records.record(place)
        assert same(found, given[place]) if place in given else found is None
    assert records.drawn(np.arange(8)).tolist() == [place in (2, 3, 5) for place in range(8)]


def test_what_was_given_out_or_given_stays_as_it_is(records):
    one = record(1)
    counts = one.counts.copy()
    put(records, 1, one)
    one.counts[:] = 0
    found = records.record(1)
    assert np.array_equal(found.counts, counts)
    put(records, 1, record(9))
    assert np.array_equal(found.counts, counts)


def test_several_are_put_at_once(records):
    several = [RecordColumns.of(record(step)) for step in (4, 6)]
    columns = [
        [*values[0], *values[1]] if isinstance(values[0], list) else np.concatenate(values)
        for values in zip(*several, strict=True)
    ]
    records.put(np.array([6, 0]), RecordColumns(*columns))
    assert same(records.record(6), record(4))
    assert same(records.record(0), record(6))


def test_plots_come_in_parts_with_as_many_bins(records):
    for place, bins in enumerate((64, 5, 64, 0)):
        put(records, place, record(place, bins))
    parts = list(records.plots(np.array([2, 6, 1, 0, 3]), True))
    assert [part.places.tolist() for part in parts] == [[1], [2, 0]]
    for part in parts:
        for place, heights, mean in zip(part.places, part.heights, part.means, strict=True):
            one = records.record(place)
            assert np.array_equal(heights, bar_heights(one.counts[None], True)[0])
            columns = RecordColumns.of(one)
            assert mean == mean_places(*columns[:2], columns.mean, columns.octaves, 64)[0]


def test_what_is_taken_is_gone(records):
    put(records, 1, record(1, nan=1))
    records.take(1)
    assert records.record(1) is None
    assert list(records.plots(np.array([1]), False)) == []
    put(records, 1, record(2))
    assert same(records.record(1), record(2))


def test_another_takes_over_some(records):
    for place, one in ((2, record(2)), (5, record(5, bins=200))):
        put(records, place, one)
    other = CellRecords(3)
    other.keep(records, np.array([1, 0, 2]), np.array([5, 2, 4]))
    assert same(other.record(1), record(5, bins=200))
    assert same(other.record(0), record(2))
    assert other.record(2) is None


def test_states_differ_only_where_other_words_are_said(records):
    places = np.arange(5)
    for place, one in enumerate(
        (record(0), record(1, bins=5, octaves=True), record(2, nan=1), record(3, bins=0, nan=1))
    ):
        put(records, place, one)
    usual, other, broken, nothing_finite, nothing = records.states(places).tolist()
    assert usual == other
    assert len({usual, broken, nothing_finite, nothing}) == 4
    put(records, 2, record(2))
    records.take(3)
    assert records.states(places).tolist() == [usual, usual, usual, nothing, nothing]
