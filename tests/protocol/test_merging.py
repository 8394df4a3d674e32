"""Records of ranks, merged, are those of the ranks' tensors put together."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.backend.probing.batch import Batch
from inspector_app.backend.probing.records import RecordRing
from inspector_app.protocol.merging import RankRecords, merge_ranks
from inspector_app.protocol.messages import BINS, Records, Series

EXACT = ("count", "sampled", "nan", "positive_infinity", "negative_infinity", "zeros", "minimum")
BINNING = ("maximum", "low", "exponent", "octaves", "counts")

sizes = st.floats(-126, 127).map(lambda power: 2.0**power)


def told_from_zero(number: float) -> bool:
    """Whether a number does not vanish beside the others: it may then count as a little less."""
    return number == 0 or abs(number) >= 2.0**-60


numbers = st.one_of(
    st.floats(-(2.0**60), 2.0**60, width=32).filter(told_from_zero),
    st.floats(-4, 4, width=32).filter(told_from_zero),
    st.sampled_from([0.0, -0.0, 1.0, 2.0, -1e-9, 1e18, float("nan"), float("inf"), -float("inf")]),
)
tensors = st.lists(numbers, max_size=40)


def measured(*values: list[float], octaves: bool = False, wide: bool = False) -> Records:
    """Records of tensors, one a step, in the series 0."""
    batch = Batch()
    batch.measuring.octaves = octaves
    for step, content in enumerate(values):
        tensor = torch.tensor(content, dtype=torch.float64 if wide else torch.float32)
        batch.take(tensor, (step, 0, 0, 0, 1))
    ring = RecordRing(1 << 20)
    ring.extend(batch.flush())
    return named(ring.since(0), Series(key=0, row=7, leaf=""))


def named(records: Records, *series: Series, **columns: Any) -> Records:
    return msgspec.structs.replace(records, series=list(series), **columns)


def together(*ranks: Records) -> Any:
    return merge_ranks([RankRecords(records, {7: "encoder"}) for records in ranks])


@given(st.lists(tensors, min_size=1, max_size=4), st.booleans(), st.booleans())
def test_as_of_the_tensors_put_together(pieces, octaves, wide):
    if wide:
        pieces = [[number * 1e200 for number in piece] for piece in pieces]
    found, ranks = together(*[measured(piece, octaves=octaves, wide=wide) for piece in pieces])
    whole = measured([number for piece in pieces for number in piece], octaves=octaves, wide=wide)
    assert ranks.tolist() == [len(pieces)]
    for name in (*EXACT, *BINNING):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name), name)
    scale = np.nanmax(np.abs([whole.minimum, whole.maximum, [0.0]]))
    for name in ("mean", "deviation"):
        actual, expected = getattr(found, name), getattr(whole, name)
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=scale * 1e-5 + 1e-44)


@given(
    st.lists(
        st.lists(st.floats(-4, 4, width=32).filter(told_from_zero), min_size=1, max_size=40),
        min_size=1,
    )
)
def test_the_norm_is_that_of_all(pieces):
    found, _ = together(*map(measured, pieces))
    whole = np.linalg.norm(np.concatenate(pieces))
    np.testing.assert_allclose(found.norm, [whole], rtol=1e-5, atol=1e-30)


def test_unequal_samples_weigh_by_what_they_stand_for():
    """A rank with a thousand times the elements counts a thousand times, whatever was sampled."""
    large, small = measured([1.0] * 20_000), measured([0.0] * 20)
    found, _ = together(large, small)
    assert found.mean[0] == pytest.approx(20_000 / 20_020)
    assert (found.count[0], found.sampled[0]) == (20_020, large.sampled[0] + 20)


def test_steps_calls_and_phases_stay_apart():
    first, second = measured([1.0], [2.0], [3.0]), measured([5.0], [6.0])
    second = named(second, *second.series, step=np.array([1, 2]), call=np.array([0, 1], np.int32))
    found, ranks = together(first, second)
    assert list(zip(found.step.tolist(), found.call.tolist(), ranks.tolist(), strict=True)) == [
        (0, 0, 1),
        (1, 0, 2),
        (2, 0, 1),
        (2, 1, 1),
    ]
    assert found.maximum.tolist() == [1.0, 5.0, 3.0, 6.0]
    assert found.sequence.tolist() == [0, 1, 2, 3]


def test_kinds_of_bins_stay_apart():
    found, ranks = together(measured([1.0]), measured([1.0], octaves=True))
    assert ranks.tolist() == [1, 1]
    assert found.octaves.tolist() == [False, True]


def test_rows_and_keys_of_ranks_may_differ():
    first = named(
        measured([1.0], [2.0]),
        Series(key=0, row=3, leaf=""),
        Series(key=1, row=4, leaf="", kind="gradient"),
        key=np.array([0, 1], np.int32),
        step=np.array([1, 1]),
    )
    second = named(
        measured([5.0], [6.0], [9.0], [8.0]),
        Series(key=0, row=8, leaf="", kind="gradient"),
        Series(key=2, row=-1, leaf="loss", kind="scalar"),
        Series(key=1, row=9, leaf=""),
        Series(key=3, row=12, leaf=""),
        key=np.array([0, 1, 3, 2], np.int32),
        step=np.array([1, 1, 1, 1]),
    )
    paths = [{3: "a", 4: "b"}, {8: "b", 9: "a", 12: "only here"}]
    given_ = [RankRecords(*pair) for pair in zip((first, second), paths, strict=True)]
    found, ranks = merge_ranks(given_)
    by_key = {series.key: (series.row, series.kind, series.leaf) for series in found.series}
    told = {by_key[key]: top for key, top in zip(found.key.tolist(), found.maximum, strict=True)}
    assert told == {
        (3, "output", ""): 6.0,
        (4, "gradient", ""): 5.0,
        (-1, "scalar", "loss"): 8.0,
    }
    assert sorted(ranks.tolist()) == [1, 2, 2]


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ([0.5, 0.0], 0.0),
        ([1.0, 0.25], 0.25),
        ([1.0, 1.0], 1.0),
        ([0.5, 0.5], None),  # the same half, or the other one
        ([float("nan"), 0.5], None),
        ([float("nan"), 0.0], 0.0),
    ],
)
def test_units_are_dead_only_where_they_are_so_everywhere(shares, expected):
    ranks = [named(measured([1.0]), dead=np.array([share])) for share in shares]
    ranks = [named(rank, Series(key=0, row=7, leaf=""), dead=rank.dead) for rank in ranks]
    found, _ = together(*ranks)
    np.testing.assert_array_equal(found.dead, [np.nan if expected is None else expected])


def test_saturated_values_are_weighed_by_their_number():
    one, other = measured([1.0] * 30), measured([0.5] * 10)
    one = named(one, *one.series, saturated=np.array([1.0]))
    other = named(other, *other.series, saturated=np.array([0.2]))
    assert together(one, other).records.saturated.tolist() == [pytest.approx(0.8)]


def test_what_cannot_be_does_no_harm():
    """Columns that do not fit each other, as a peer gone wrong may send them."""
    rank = measured([1.0, 2.0])
    odd = named(
        rank,
        *rank.series,
        minimum=np.array([1e308]),
        maximum=np.array([-1e308]),
        low=np.array([-np.inf]),
        exponent=np.array([2**31 - 1], np.int32),
        counts=np.full((1, BINS), 2**40),
    )
    found, _ = together(rank, odd)
    assert found.counts.sum() == 2 + BINS * 2**40


def test_nothing_to_merge():
    with pytest.raises(ValueError, match="no rank"):
        merge_ranks([])
    empty = RecordRing(1 << 16).since(0)
    assert len(together(empty, empty).records.sequence) == 0
