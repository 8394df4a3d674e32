"""Quick statistics against independent numpy computations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inspector_app.backend.histograms import (
    SAMPLE,
    WHOLE,
    QuickStatistics,
    quick_statistics,
    why_unreadable,
)
from inspector_app.protocol.messages import BINS


def counted(values: np.ndarray) -> list[int]:
    """Bins of finite values, one at a time, in float64."""
    low, high = float(values.min()), float(values.max())
    counts = [0] * BINS
    for value in values.astype(np.float64).tolist():
        counts[min(BINS - 1, int((value - low) / ((high - low) / BINS)))] += 1
    return counts


@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(max_dims=3, max_side=20),
        elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
    )
)
def test_counts_equal_an_independent_computation(array):
    found = quick_statistics(torch.from_numpy(array))
    finite = array[np.isfinite(array)]
    assert found.elements == found.sampled == array.size
    assert found.nan == np.isnan(array).sum()
    assert found.positive_infinity == np.isposinf(array).sum()
    assert found.negative_infinity == np.isneginf(array).sum()
    assert found.counts.dtype == np.int64
    assert found.counts.sum() == finite.size
    if not finite.size:
        assert math.isnan(found.minimum)
        assert math.isnan(found.mean)
        return
    assert (found.minimum, found.maximum) == (finite.min(), finite.max())
    exact = finite.astype(np.float64)
    scale = max(abs(found.minimum), abs(found.maximum))
    assert found.mean == pytest.approx(exact.mean(), rel=1e-9, abs=1e-12 * scale)
    assert found.deviation == pytest.approx(exact.std(), rel=1e-6, abs=1e-9 * scale)
    if found.minimum < found.maximum:
        assert found.counts.tolist() == counted(finite)


@given(st.integers(-500, 500), st.integers(1, 500), st.randoms(use_true_random=False))
def test_whole_numbers_fall_where_numpy_puts_them(low, extent, random):
    values = [low, low + extent] + [random.randint(low, low + extent) for _ in range(200)]
    found = quick_statistics(torch.tensor(values))
    # In whole numbers: no rounding at all.
    exact = [min(BINS - 1, (value - low) * BINS // extent) for value in values]
    assert found.counts.tolist() == np.bincount(exact, minlength=BINS).tolist()


def test_agrees_with_numpy_histogram_on_normal_values():
    values = torch.from_numpy(np.random.default_rng(1).normal(3, 2, WHOLE))
    found = quick_statistics(values)
    counts, _ = np.histogram(values.numpy(), BINS)
    assert np.abs(found.counts - counts).sum() <= 2  # at most one value on an edge
    assert found.sampled == WHOLE


DTYPES = (
    "bool uint8 int8 int16 int32 int64 uint16 uint32 uint64 "
    "float8_e4m3fn float8_e5m2 float16 bfloat16 float32 float64 complex64 complex128"
)


@pytest.mark.parametrize("dtype", DTYPES.split())
def test_every_dtype_is_counted(dtype):
    exact = torch.tensor([0.0, 1.0, 1.0, 1.0, 0.0])
    found = quick_statistics(exact.to(getattr(torch, dtype)))
    assert (found.minimum, found.maximum, found.mean) == (0.0, 1.0, pytest.approx(0.6))
    assert found.counts[0] == 2
    assert found.counts[-1] == 3


def test_complex_numbers_count_by_magnitude():
    values = torch.tensor([3 + 4j, 0j, complex(math.nan, 0), complex(math.inf, 1)])
    found = quick_statistics(values)
    assert (found.minimum, found.maximum, found.nan, found.positive_infinity) == (0.0, 5.0, 1, 1)
    assert quick_statistics(values[:2].conj().imag).minimum == -4.0  # a view with the neg bit


@pytest.mark.parametrize("value", [0.0, -0.0, 3.0, -2.5e-30, 5e-324, 1.7e308, -1.7e308])
def test_constant_tensors_fill_one_bin(value):
    found = quick_statistics(torch.full((7,), value, dtype=torch.float64))
    assert found.minimum == found.maximum == found.mean == value
    assert found.deviation == 0.0
    assert sorted(found.counts.tolist())[-2:] == [0, 7]


@pytest.mark.parametrize("scale", [1e-320, 1e-300, 1e-30, 1.0, 1e30, 1e300, 8.9e307])
def test_no_range_overflows_or_vanishes(scale):
    found = quick_statistics(torch.tensor([-1.0, 0.0, 0.0, 1.0], dtype=torch.float64) * scale)
    assert found.counts[[0, 32, 63]].tolist() == [1, 2, 1]
    assert found.deviation == pytest.approx(scale * math.sqrt(0.5), rel=1e-3)
    assert found.mean == 0.0


def test_half_precision_counts_do_not_saturate():
    found = quick_statistics(torch.zeros(10_000, dtype=torch.bfloat16))
    assert found.counts.max() == 10_000  # histc stops at 256


@pytest.mark.parametrize("shape", [(0,), (3, 0, 2)])
def test_empty_tensors(shape):
    found = quick_statistics(torch.empty(shape))
    assert found.elements == 0
    assert found.counts.sum() == 0
    assert math.isnan(found.maximum)


def test_scalars():
    assert quick_statistics(torch.tensor(-7, dtype=torch.int16)).minimum == -7.0


def test_only_non_finite():
    found = quick_statistics(torch.tensor([math.nan, math.inf, -math.inf, math.nan]))
    assert found[2:5] == (2, 1, 1)
    assert math.isnan(found.minimum)
    assert found.counts.sum() == 0


def views(values: torch.Tensor) -> dict[str, torch.Tensor]:
    return {
        "transposed": values.T,
        "holes": values[:, ::3],
        "reversed axes": values.view(64, -1, 512).permute(2, 0, 1),
        "expanded": values[0].expand(400, -1),
    }


@pytest.mark.parametrize("name", ["transposed", "holes", "reversed axes", "expanded"])
def test_views_are_measured_as_what_they_show(name):
    values = torch.from_numpy(np.random.default_rng(0).normal(size=(512, 512)).astype(np.float32))
    values[5, 6] = 100.0
    view = views(values)[name]
    found = quick_statistics(view)
    assert found.elements == view.numel()
    assert found.sampled == SAMPLE == found.counts.sum()
    assert (found.minimum, found.maximum) == (view.min().item(), view.max().item())
    assert found.mean == pytest.approx(view.double().mean().item(), abs=0.1)


def test_a_sample_does_not_alias_with_columns():
    # Columns of very different scale: a strided sample would see a few of them only.
    columns = torch.linspace(0.01, 2, 1024)
    weight = torch.from_numpy(np.random.default_rng(2).normal(size=(4096, 1024))).float() * columns
    found = quick_statistics(weight)
    assert found.deviation == pytest.approx(weight.std().item(), rel=0.05)


def test_a_sample_misses_no_extreme():
    values = torch.zeros(WHOLE * 10)
    values[12_345] = math.nan
    values[54_321] = -9.0
    found = quick_statistics(values)
    assert (found.nan, found.minimum, found.maximum) == (1, -9.0, 0.0)
    assert found.sampled == SAMPLE


def test_unreadable_tensors_are_refused_with_a_reason():
    nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged)
    for tensor, word in [
        (torch.empty(3, device="meta"), "meta"),
        (torch.eye(3).to_sparse(), "sparse"),
        (nested, "nested"),
    ]:
        assert word in why_unreadable(tensor)
        with pytest.raises(ValueError, match=word):
            quick_statistics(tensor)
    assert not why_unreadable(torch.ones(1))


def same(first: QuickStatistics, second: QuickStatistics) -> bool:
    return first[:-1] == second[:-1] and np.array_equal(first.counts, second.counts)


def test_the_callers_context_changes_nothing():
    values = torch.from_numpy(np.random.default_rng(3).normal(size=WHOLE * 2)).float()
    plain = quick_statistics(values)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert same(plain, quick_statistics(values))
    with torch.device("meta"):
        assert same(plain, quick_statistics(values))
    with torch.inference_mode():
        assert same(plain, quick_statistics(values.clone()))
    with torch.inference_mode():
        inference = values.clone()
    assert same(plain, quick_statistics(inference))


def test_leaves_graph_random_state_and_values_alone():
    values = torch.randn(WHOLE + 1, requires_grad=True)
    output = values * 2
    before = output.detach().clone()
    states = torch.get_rng_state(), np.random.get_state()[1].tolist()
    version = output._version
    quick_statistics(output)
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1] == np.random.get_state()[1].tolist()
    assert torch.equal(before, output)
    assert output._version == version
    assert output.grad_fn is not None


def test_float64_memory_is_not_written():
    values = torch.linspace(-1, 1, 100, dtype=torch.float64)
    before = values.clone()
    quick_statistics(values)
    assert torch.equal(values, before)


@settings(max_examples=20)
@given(st.integers(WHOLE + 1, 10_000_000))
def test_blocks_stay_inside_and_apart(count):
    from inspector_app.backend.histograms import BLOCK, _block_starts

    starts = _block_starts(count).numpy()
    assert starts.min() >= 0
    assert starts.max() + BLOCK <= count
    assert np.diff(starts).min() >= BLOCK - 1
