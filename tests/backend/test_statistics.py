"""Exact statistics against numpy over the whole tensor."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inspector_app.backend import statistics
from inspector_app.backend.jobs import Task
from inspector_app.backend.statistics import chunks, measure, measure_both
from inspector_app.protocol.errors import Cancelled, RefusedError


@pytest.fixture
def small_chunks(monkeypatch):
    """Several chunks even of small tensors."""
    monkeypatch.setattr(statistics, "CHUNK", 7)


@pytest.mark.usefixtures("small_chunks")
def test_equals_numpy():
    @given(
        hnp.arrays(
            np.float64,
            hnp.array_shapes(max_dims=3, max_side=9),
            elements=st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0]),
        )
    )
    def check(array):
        found = measure(torch.from_numpy(array), row=3)
        finite = array[np.isfinite(array)]
        assert (found.row, found.count) == (3, array.size)
        assert found.nan == np.isnan(array).sum()
        assert found.positive_infinity == np.isposinf(array).sum()
        assert found.negative_infinity == np.isneginf(array).sum()
        assert found.zeros == (array == 0).sum()
        assert found.counts.sum() == finite.size
        if not finite.size:
            assert found.minimum is found.mean is found.norm is None
            return
        assert (found.minimum, found.maximum) == (finite.min(), finite.max())
        scale = np.abs(finite).max()
        assert found.mean == pytest.approx(finite.mean(), rel=1e-9, abs=1e-10 * scale)
        assert found.deviation == pytest.approx(finite.std(), rel=1e-6, abs=1e-7 * scale)
        assert found.norm == pytest.approx(np.linalg.norm(finite), rel=1e-9)
        if found.minimum == found.maximum:
            assert found.low < found.minimum < found.high
        else:
            assert (found.low, found.high) == (found.minimum, found.maximum)

    check()


@pytest.mark.usefixtures("small_chunks")
def test_bins_equal_numpy_histogram():
    values = np.random.default_rng(0).normal(size=5_000)
    counts, _ = np.histogram(values, 64)
    assert np.abs(measure(torch.from_numpy(values)).counts - counts).sum() <= 2


def test_counts_beyond_what_float32_can_count():
    found = measure(torch.ones(1, dtype=torch.float16).expand(2**24 + 3))
    assert found.counts.max() == found.count == 2**24 + 3
    assert found.mean == 1.0


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 6), max_size=4),
    st.permutations(range(4)),
    st.integers(1, 50),
)
def test_chunks_hold_each_element_once(shape, order, size):
    values = torch.arange(math.prod(shape)).reshape(shape)
    if len(shape) == 4:
        values = values.permute(order)
    parts = list(chunks(values, size))
    assert all(0 < part.numel() <= size for part in parts)
    together = sorted(number for part in parts for number in part.reshape(-1).tolist())
    assert together == list(range(values.numel()))


def test_chunks_are_views():
    values = torch.zeros(10, 10).T
    for part in chunks(values, 30):
        part += 1
    assert values.sum() == 100


@pytest.mark.parametrize("dtype", [torch.int8, torch.bool, torch.float8_e5m2, torch.complex64])
def test_other_dtypes(dtype):
    found = measure(torch.tensor([0, 1, 1, 0, 1]).to(dtype))
    assert (found.minimum, found.maximum, found.zeros) == (0.0, 1.0, 2)


def test_read_only_memory_is_not_written():
    array = np.arange(10.0)
    values = torch.from_numpy(array)
    array.flags.writeable = False  # a write through torch would not be stopped, so compare
    measure(values)
    assert array.tolist() == list(range(10))


def test_progress_and_cancel(monkeypatch):
    monkeypatch.setattr(statistics, "CHUNK", 10)
    told: list[tuple[int, int]] = []

    class Watching:
        def progress(self, done, total, label):
            told.append((done, total))
            if len(told) == 13:
                task.cancel()

        def check(self):
            task.check()

        def waiting(self):
            return False

        def safe_point(self):
            raise AssertionError

    task = Task(lambda job: None, on_done=lambda result, error: None)
    with pytest.raises(Cancelled):
        measure(torch.zeros(100), Watching())
    assert told[0] == (10, 200)
    assert told[-1] == (130, 200)


def test_unreadable_tensors_are_refused():
    with pytest.raises(RefusedError, match="meta"):
        measure(torch.empty(2, device="meta"))


class TestBoth:
    def test_bins_have_the_same_edges_around_all_values(self):
        before, after = torch.tensor([0.0, 1.0, 2.0]), torch.tensor([[-1.0, 1.5], [1.0, 1.0]])
        first, second = measure_both(before, after, row=4)
        assert (first.row, second.row) == (4, 4)
        for found, values in ((first, before), (second, after)):
            assert (found.low, found.high) == (-1.0, 2.0)
            counts, _ = np.histogram(values.numpy(), 64, (-1.0, 2.0))
            assert found.counts.tolist() == counts.tolist()
            alone = measure(values)
            assert (found.mean, found.deviation, found.norm) == (
                (alone.mean, alone.deviation, alone.norm)
            )
            assert (found.minimum, found.maximum) == (alone.minimum, alone.maximum)

    def test_equal_constants_are_seen_in_the_middle(self):
        first, second = measure_both(torch.full((1000,), 0.1), torch.full((3,), 0.1))
        assert (first.low, first.high) == (second.low, second.high)
        assert first.low < first.minimum == first.mean == first.maximum < first.high
        assert first.counts.max() == 1000

    def test_without_finite_values_each_stands_alone(self):
        first, second = measure_both(torch.tensor([math.nan]), torch.tensor([2.0, 6.0]))
        assert first.minimum is None
        assert (second.low, second.high) == (2.0, 6.0)

    def test_as_far_apart_as_float64_reaches(self):
        largest = torch.finfo(torch.float64).max
        first, second = measure_both(
            torch.tensor([-largest, largest], dtype=torch.float64), torch.tensor([1e-300, 1.0])
        )
        assert first.counts.sum() == second.counts.sum() == 2
        assert second.mean == pytest.approx(0.5)

    def test_unreadable_tensors_are_refused(self):
        with pytest.raises(RefusedError, match="meta"):
            measure_both(torch.zeros(2), torch.empty(2, device="meta"))
