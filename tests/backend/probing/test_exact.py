"""Statistics of all elements against independent computations in float64, by every way to them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import nn

from inspector_app.backend.histograms import as_real, extremes
from inspector_app.backend.probing import exact, loops
from inspector_app.backend.probing.batch import SAMPLE
from inspector_app.backend.probing.probe_set import ProbeSet
from inspector_app.backend.session import Session
from inspector_app.protocol.errors import RequestError
from inspector_app.protocol.messages import BINS

WAYS = {"numpy": None, "compiled": loops}


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    monkeypatch.setattr(exact, "loops", lambda: WAYS[request.param])
    return request.param


def measured(tensor: torch.Tensor, **options) -> exact.Whole:
    values = as_real(tensor.reshape(-1))
    found, whole = exact.measure(values, **options)
    with np.errstate(all="ignore"):
        assert np.array_equal(found, extremes(values), equal_nan=True)
    return whole


def check(tensor: torch.Tensor) -> None:
    """Counts exactly, moments within 1e-5 of the largest magnitude."""
    found = measured(tensor)
    every = tensor.double().numpy().ravel()
    values = every[np.isfinite(every)]
    assert found.counts.sum() == len(values)
    assert found.zeros == (values == 0).sum()
    if not len(values):
        assert math.isnan(found.mean)
        return
    first = math.floor(math.ldexp(found.low, -found.exponent))
    scaled = np.ldexp(values, -found.exponent)
    # The compiled loop divides in float32, where what vanishes beside the width is zero.
    ways = (
        np.bincount((np.floor(s) - first).astype(int), minlength=BINS)
        for s in (scaled, scaled.astype(np.float32))
    )
    assert found.counts.tolist() in [counts.tolist() for counts in ways]
    largest = float(np.abs(values).max())
    unit = largest or 1.0
    scaled = values / unit if largest >= 1e-300 else values * 0
    if scaled.any() or not largest:
        assert found.mean / unit == pytest.approx(scaled.mean(), abs=1e-5)
        assert found.deviation / unit == pytest.approx(scaled.std(), rel=1e-4, abs=1e-5)
        norm = math.sqrt(float(np.square(scaled).sum()))
        assert found.norm == pytest.approx(norm * unit, rel=1e-4)  # perhaps infinite


def not_at_the_end(value: float) -> bool:
    """Whether bins and norm stay within float64: beyond it their ends are clipped."""
    return not math.isfinite(value) or abs(value) <= 1e300


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=60,
)
@given(data=st.data())
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_counts_are_exact_and_moments_close(way, dtype, data):
    kind = getattr(torch, dtype)
    width = 64 if dtype == "float64" else 32
    array = data.draw(
        hnp.arrays(
            np.float64 if width == 64 else np.float32,
            st.integers(1, 60),
            elements=st.floats(width=width).filter(not_at_the_end),
        )
    )
    with np.errstate(all="ignore"):
        check(torch.from_numpy(array).to(kind))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("count", [1, 2, 1_023, 1_024, 1_025, 20_011, 1 << 16 | 1])
def test_blocks_and_their_ends(way, dtype, count):
    kind = getattr(torch, dtype)
    values = np.random.default_rng(count).normal(size=count) * (np.arange(count) % 3 > 0)
    check(torch.from_numpy(values).to(kind))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("count", [1, 2, 3, 5_000, 5_001])
def test_memory_that_begins_within_a_word(way, dtype, count):
    whole = torch.from_numpy(np.random.default_rng(count).normal(size=count + 1))
    values = whole.to(getattr(torch, dtype))
    values[values.abs() < 0.1] = -0.0
    check(values[1:])
    check(values[:count])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_as_many_zeros_as_there_can_be(way, dtype):
    values = torch.zeros(100_003, dtype=getattr(torch, dtype))
    values[-1] = 1
    check(values)
    check(-values)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_every_code_of_16_bits(way, dtype):
    codes = torch.arange(-(1 << 15), 1 << 15, dtype=torch.int32).to(torch.int16)
    every = codes.view(getattr(torch, dtype))
    check(every)
    check(every[every.isfinite()])
    check(every[every.abs() < 1e-6])
    check(every[every < 0])


def test_numbers_far_from_zero_beside_their_spread(way):
    check(torch.arange(2.0**23, 2.0**23 + 3_000))


def test_what_changes_meanwhile_breaks_nothing(way):
    """Another thread may train the same model: values outside of the extremes found before."""
    values = torch.rand(5_001)
    sums = exact._Sums(0.0, -6)
    exact.loops() and sums.add_compiled(values * 1e6, exact.loops())
    assert sums.counts.sum() in (0, 5_001)


def test_one_far_value_does_not_drown_the_others(way):
    values = torch.full((30_000,), 1.0)
    values[::2] = 1.001
    values[-1] = 1e5
    found = measured(values)
    exact_values = values.double()
    assert found.deviation == pytest.approx(exact_values.std(correction=0).item(), rel=1e-4)
    assert found.mean == pytest.approx(exact_values.mean().item(), rel=1e-4)


def test_octaves_and_saturation(way):
    found = measured(
        torch.tensor([-0.999, 0.0, 0.3, 0.99, math.inf]), octaves=True, limits=(-0.98, 0.98)
    )
    assert (found.low, found.exponent) == (0.0, 0)
    assert found.counts.sum() == 4
    assert found.counts[-1] == 1
    assert found.saturated == 0.5


@pytest.mark.parametrize("dtype", ["int64", "bool", "uint8", "complex64", "float8_e5m2"])
def test_other_dtypes(way, dtype):
    found = measured(torch.tensor([0.0, 1.0, 1.0, 1.0]).to(getattr(torch, dtype)))
    assert (found.mean, found.zeros) == (0.75, 1)


def test_a_view_with_holes(way):
    values = torch.arange(12.0).reshape(3, 4)[:, ::2]
    _, found = exact.measure(values)
    assert found.mean == values.mean().item()


def test_an_exact_row_tells_of_all_elements_until_it_is_watched_otherwise():
    torch.manual_seed(0)
    model = nn.ReLU()
    inputs = torch.randn(10, SAMPLE)
    with Session() as session:
        session.adopt(model, "model")
        for wanted in (False, True, False):
            session.watch([0], exact=wanted)
            model(inputs)
        model(torch.zeros(0))
        found = session.get_records()
    assert found.sampled.tolist() == [SAMPLE, 10 * SAMPLE, SAMPLE, 0]
    assert found.zeros[1] == (inputs <= 0).sum()
    assert found.mean[1] == pytest.approx(inputs.relu().double().mean().item(), rel=1e-6)
    assert found.failures == []


def test_a_row_stays_exact_while_it_is_watched_otherwise_or_not():
    model = nn.ReLU()
    inputs = torch.randn(2, SAMPLE)
    with Session() as session:
        session.adopt(model, "model")
        assert session.watch([0]).exact == []
        assert session.set_exact([0]).exact == [0]
        assert session.watch([0], ("output", "input")).exact == [0]
        session.unwatch([0])
        assert session.watch([0]).exact == [0]
        model(inputs)
        assert session.set_exact([0], False).exact == []
        model(inputs)
        with pytest.raises(RequestError, match="Row 7 is not in the tree"):
            session.set_exact([7])
        assert session.get_records().sampled.tolist() == [2 * SAMPLE, SAMPLE]


def test_how_far_an_update_goes_is_measured_of_all_elements_too():
    parameter = nn.Parameter(torch.ones(3 * SAMPLE))
    with ProbeSet() as probes:
        probes.watch_parameter(0, parameter, "p", ("update",))
        for exact_now in (True, False):
            probes.set_exact(0, exact_now)
            probes.before_update()
            with torch.no_grad():
                parameter[::2] += 1
            probes.after_update()
        found = probes.records()
    assert found.sampled.tolist() == [3 * SAMPLE, SAMPLE]
    assert found.count.tolist() == [3 * SAMPLE] * 2
    assert found.mean[0] == 0.5
