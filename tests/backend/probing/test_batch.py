"""What a batch says of tensors, against independent computations in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inspector_app.backend.probing.batch import SAMPLE, Batch, sample_places
from inspector_app.backend.probing.records import ROW, Rows
from inspector_app.protocol.sampling import sample_error
from tests.backend.strange_tensors import distributed_tensor, two_ranks

NAMES = ROW.names or ()
FLOATS = {name for name in NAMES if np.issubdtype(ROW[name].base, np.floating)}
WHERE = (3, 1, 7, 2, 1)  # step, micro, key, call, phase


@pytest.fixture(scope="module")
def batch():
    return Batch()


def seen(batch: Batch, *tensors: torch.Tensor) -> Rows:
    for tensor in tensors:
        batch.take(tensor, WHERE)
    return batch.flush()


def counted(values: np.ndarray, low: float, exponent: int) -> list[int]:
    """Linear bins of finite values, one at a time."""
    width = math.ldexp(1.0, exponent)
    counts = [0] * 64
    for value in values.astype(np.float64).ravel().tolist():
        # What vanishes beside the width counts as zero.
        counts[math.floor(np.float32(value / width)) - math.floor(low / width)] += 1
    return counts


@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(max_dims=3, max_side=12),
        elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
    )
)
def test_small_tensors_are_told_exactly(batch, array):
    (found,) = seen(batch, torch.from_numpy(array))
    finite = array[np.isfinite(array)]
    assert found["count"] == found["sampled"] == array.size
    assert found["nan"] == np.isnan(array).sum()
    assert found["positive_infinity"] == np.isposinf(array).sum()
    assert found["negative_infinity"] == np.isneginf(array).sum()
    assert found["counts"].sum() == finite.size
    assert (found["step"], found["micro"], found["key"], found["call"]) == (3, 1, 7, 2)
    if not finite.size:
        assert math.isnan(found["minimum"])
        assert math.isnan(found["mean"])
        return
    assert (found["minimum"], found["maximum"]) == (finite.min(), finite.max())
    assert found["counts"].tolist() == counted(finite, found["low"], int(found["exponent"]))
    exact = finite.astype(np.float64)
    spread = float(np.abs(exact).max())
    assert found["zeros"] == (finite == 0).sum()
    assert found["mean"] == pytest.approx(exact.mean(), abs=1e-5 * spread)
    assert found["deviation"] == pytest.approx(exact.std(), rel=1e-3, abs=1e-5 * spread)
    norm = float(np.linalg.norm(exact / spread)) * spread if spread else 0.0
    assert found["norm"] == pytest.approx(norm, rel=1e-3)


DTYPES = (
    "bool uint8 int8 int16 int32 int64 uint16 uint32 uint64 "
    "float8_e4m3fn float8_e5m2 float16 bfloat16 float32 float64 complex64 complex128"
)


@pytest.mark.parametrize("count", [5, 5 * SAMPLE])
@pytest.mark.parametrize("dtype", DTYPES.split())
def test_every_dtype_is_measured(batch, dtype, count):
    exact = torch.tensor([0.0, 1.0, 1.0, 1.0, 0.0]).repeat(count // 5)
    (found,) = seen(batch, exact.to(getattr(torch, dtype)))
    assert (found["minimum"], found["maximum"]) == (0.0, 1.0)
    assert found["counts"].sum() == found["sampled"] == min(count, SAMPLE)
    assert found["zeros"] / found["sampled"] == pytest.approx(0.4, abs=sample_error(SAMPLE))
    assert found["mean"] == pytest.approx(0.6, abs=sample_error(SAMPLE))


def test_complex_numbers_count_by_magnitude(batch):
    values = torch.tensor([3 + 4j, 0j, complex(math.nan, 0), complex(math.inf, 1)])
    found, negative = seen(batch, values, values[:2].conj().imag)  # a view with the neg bit
    assert (found["minimum"], found["maximum"]) == (0.0, 5.0)
    assert (found["nan"], found["positive_infinity"]) == (1, 1)
    assert negative["minimum"] == -4.0


@pytest.mark.parametrize("scale", [1e-320, 1e-300, 1e-30, 1.0, 1e30, 1e300, 8.9e307])
def test_no_range_overflows_or_vanishes(batch, scale):
    (found,) = seen(batch, torch.tensor([-1.0, 0.0, 0.0, 1.0], dtype=torch.float64) * scale)
    assert found["counts"].sum() == 4
    assert found["deviation"] == pytest.approx(scale * math.sqrt(0.5), rel=1e-3)
    assert found["mean"] == 0.0


@pytest.mark.parametrize("shape", [(0,), (3, 0, 2)])
def test_empty_tensors(batch, shape):
    (found,) = seen(batch, torch.empty(shape))
    assert (found["count"], found["counts"].sum()) == (0, 0)
    assert math.isnan(found["maximum"])


def test_only_non_finite(batch):
    (found,) = seen(batch, torch.tensor([math.nan, math.inf, -math.inf, math.nan]))
    assert (found["nan"], found["positive_infinity"], found["negative_infinity"]) == (2, 1, 1)
    assert math.isnan(found["minimum"])
    assert found["counts"].sum() == 0


def views(values: torch.Tensor) -> dict[str, torch.Tensor]:
    return {
        "transposed": values.T,
        "holes": values[:, ::3],
        "reversed axes": values.view(64, -1, 512).permute(2, 0, 1),
        "expanded": values[0].expand(400, -1),
        "channels last": values.view(16, 32, 32, 16).to(memory_format=torch.channels_last),
    }


@pytest.mark.parametrize("name", views(torch.zeros(512, 512)))
def test_views_are_measured_as_what_they_show(batch, name):
    values = torch.from_numpy(np.random.default_rng(0).normal(size=(512, 512)).astype(np.float32))
    values[5, 6] = 100.0
    view = views(values)[name]
    (found,) = seen(batch, view)
    assert found["count"] == view.numel()
    assert found["sampled"] == SAMPLE == found["counts"].sum()
    assert (found["minimum"], found["maximum"]) == (view.min().item(), view.max().item())
    assert found["mean"] == pytest.approx(view.double().mean().item(), abs=0.15)


def test_a_sample_does_not_alias_with_columns(batch):
    # Columns of very different scale: a strided sample would see a few of them only.
    columns = torch.linspace(0.01, 2, 1024)
    weight = torch.from_numpy(np.random.default_rng(2).normal(size=(4096, 1024))).float() * columns
    (found,) = seen(batch, weight)
    assert found["deviation"] == pytest.approx(weight.std().item(), rel=0.1)


def test_a_sample_misses_no_extreme(batch):
    values = torch.zeros(SAMPLE * 10)
    values[12_345] = math.nan
    values[5_432] = -9.0
    (found,) = seen(batch, values)
    assert (found["nan"], found["minimum"], found["maximum"]) == (1, -9.0, 0.0)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16", "int32"])
def test_the_error_of_a_sample_keeps_to_what_is_stated(batch, dtype):
    """Of cumulative shares, over tensors of many shapes: at most 5 % may be worse."""
    random = np.random.default_rng(5)
    worse = 0
    for trial in range(60):
        count = int(random.integers(2 * SAMPLE, 60 * SAMPLE))
        values = {
            0: lambda n: random.normal(size=n),
            1: lambda n: np.cumsum(random.normal(size=n)),  # neighbours resemble each other
            2: lambda n: random.exponential(size=n) * (random.random(n) < 0.3),
            3: lambda n: np.sin(np.arange(n) * random.random()),
        }[trial % 4](count)
        tensor = torch.from_numpy(100 * values).to(getattr(torch, dtype))
        values = tensor.double().numpy()
        (found,) = seen(batch, tensor)
        edges = found["low"] + np.ldexp(np.arange(1, 64), int(found["exponent"]))
        true = np.searchsorted(np.sort(values), edges, side="left") / count
        shares = np.cumsum(found["counts"])[:63] / SAMPLE
        worse += np.abs(shares - true).max() > sample_error(SAMPLE)
    assert worse <= 0.05 * 60


def test_records_come_in_the_order_of_the_tensors(batch):
    tensors = [torch.full((n,), float(n)) for n in (3, SAMPLE, 1, 9 * SAMPLE, 0, SAMPLE)]
    tensors[2] = torch.tensor([math.nan])
    found = seen(batch, *tensors)
    assert found["count"].tolist() == [3, SAMPLE, 1, 9 * SAMPLE, 0, SAMPLE]
    assert found["maximum"][[0, 1, 3, 5]].tolist() == [3.0, SAMPLE, 9 * SAMPLE, SAMPLE]
    assert len(batch) == 0


@given(
    st.lists(
        st.tuples(
            st.sampled_from([1, 5, 64, 2048, 2049, 5000]),
            st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.int64]),
            st.sampled_from([0.0, math.nan, math.inf, 7.0]),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_together_they_are_told_as_each_alone(batch, several):
    tensors = []
    for place, (count, dtype, first) in enumerate(several):
        tensor = torch.randn(count, generator=torch.Generator().manual_seed(place)) * 100
        tensor[0] = first
        tensors.append((tensor if dtype.is_floating_point else tensor.nan_to_num()).to(dtype))
    together = seen(batch, *tensors)
    for record, tensor in zip(together, tensors, strict=True):
        (alone,) = seen(batch, tensor)
        for name in NAMES:
            assert np.array_equal(record[name], alone[name], equal_nan=name in FLOATS), name


@pytest.mark.parametrize("count", [100, 5000])
def test_values_that_change_behind_the_back_of_autograd_are_seen(batch, count):
    tensor = torch.zeros(count)
    for value in (1.0, 2.0):
        tensor.data.fill_(value)  # as fused optimizers and unscaling do, no version is counted
        batch.take(tensor, WHERE)
    assert batch.flush()["maximum"].tolist() == [1.0, 2.0]


def test_what_is_taken_is_a_copy(batch):
    values = torch.ones(10)
    batch.take(values, WHERE)
    values.fill_(5)
    (found,) = batch.flush()
    assert found["mean"] == 1.0


def test_octaves():
    batch = Batch(sample=64)
    batch.measuring.octaves = True
    (found,) = seen(batch, torch.tensor([1e-6, -1e-3, 0.5, 0.6, 0.0]))
    assert found["octaves"]
    assert found["exponent"] == 0  # the largest lies between 1/2 and 1
    assert found["counts"][-1] == 2
    assert found["counts"].sum() == 5
    assert found["mean"] == pytest.approx(0.2198, rel=1e-3)


def test_unreadable_tensors_are_refused_with_a_reason(batch):
    nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged)
    for tensor, word in [
        (torch.empty(3, device="meta"), "meta"),
        (torch.eye(3).to_sparse(), "sparse"),
        (nested, "nested"),
    ]:
        with pytest.raises(ValueError, match=word):
            batch.take(tensor, WHERE)
    assert len(batch) == 0


def test_a_tensor_of_several_ranks_is_not_read(batch):
    """To find its extremes, each rank would wait for all others to do the same."""
    with two_ranks(), pytest.raises(ValueError, match="several ranks"):
        batch.take(distributed_tensor(), WHERE)


def test_the_callers_context_changes_nothing(batch):
    values = torch.from_numpy(np.random.default_rng(3).normal(size=SAMPLE * 4)).float()
    plain = seen(batch, values).tobytes()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert seen(batch, values).tobytes() == plain
    with torch.device("meta"):
        assert seen(batch, values).tobytes() == plain
    with torch.inference_mode():
        inference = values.clone()
        assert seen(batch, inference).tobytes() == plain
    assert seen(batch, inference).tobytes() == plain


def test_leaves_graph_random_state_and_values_alone(batch):
    values = torch.randn(SAMPLE + 1, requires_grad=True)
    output = values * 2
    before = output.detach().clone()
    states = torch.get_rng_state(), np.random.get_state()[1].tolist()
    version = output._version
    seen(batch, output)
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1] == np.random.get_state()[1].tolist()
    assert torch.equal(before, output)
    assert output._version == version
    assert output.grad_fn is not None


@settings(max_examples=30)
@given(st.integers(SAMPLE + 1, 10_000_000))
def test_places_are_one_in_each_stretch(count):
    places = sample_places(count).numpy()
    edges = np.linspace(0, count, SAMPLE + 1)
    assert (np.floor(edges[:-1]) <= places).all()
    assert (places < np.ceil(edges[1:])).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_samples_of_another_size(dtype):
    torch.manual_seed(0)
    values = torch.randn(3 * SAMPLE, dtype=dtype)
    tensors = [values, values[:100], values[: SAMPLE // 4], values[: SAMPLE // 2]]
    batch = Batch()
    before = seen(batch, *tensors)
    batch.set_sample(SAMPLE // 4)
    small = seen(batch, *tensors)
    assert small["sampled"].tolist() == [512, 100, 512, 512]
    assert small["counts"].sum(1).tolist() == [512, 100, 512, 512]
    apart = np.abs(np.cumsum(small["counts"][0]) / 512 - np.cumsum(before["counts"][0]) / SAMPLE)
    assert apart.max() <= sample_error(512) + sample_error(SAMPLE)
    assert seen(Batch(sample=512), *tensors).tobytes() == small.tobytes()
    batch.set_sample(SAMPLE)
    assert seen(batch, *tensors).tobytes() == before.tobytes()
