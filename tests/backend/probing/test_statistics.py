"""Every way to statistics of a tensor, for every dtype, against one computation in float64."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inspector_app.backend.probing import exact, loops
from inspector_app.backend.probing.batch import SAMPLE, Batch
from inspector_app.protocol.messages import BINS
from inspector_app.protocol.sampling import sample_error

pytestmark = pytest.mark.filterwarnings("ignore:ComplexHalf support:UserWarning")

WAYS = ("sampled", "exact", "exact, compiled")
WHERE = (3, 1, 7, 2, 1)  # step, micro, key, call, phase


def names_of(kind: str) -> list[str]:
    """Names of the dtypes that torch has here, each once."""
    known = (
        "float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu "
        "float16 bfloat16 float32 float64 complex32 complex64 complex128 "
        "bool uint8 int8 int16 int32 int64 uint16 uint32 uint64"
    )
    return [n for n in known.split() if hasattr(torch, n) and (kind == "all" or n in kind.split())]


@dataclass
class Truth:
    """What a tensor holds, computed one way and in float64 only."""

    values: np.ndarray  # magnitudes of complex numbers
    rounded: float = 0.0  # by which these may differ, of themselves: two ways to a square root

    @classmethod
    def of(cls, tensor: torch.Tensor) -> Truth:
        plain = tensor.detach().resolve_conj().resolve_neg()
        if plain.is_complex():
            parts = torch.view_as_real(plain).double().numpy()
            with np.errstate(all="ignore"):
                return cls(np.hypot(parts[..., 0], parts[..., 1]).ravel(), 2.0**-51)
        if plain.dtype in (torch.uint16, torch.uint32, torch.uint64):
            return cls(plain.numpy().astype(np.float64).ravel())
        if plain.is_floating_point() and plain.dtype.itemsize == 1:
            plain = plain.to(torch.float32)
        return cls(plain.double().numpy().ravel())

    @property
    def finite(self) -> np.ndarray:
        return self.values[np.isfinite(self.values)]


def record(way: str, tensor: torch.Tensor, monkeypatch: pytest.MonkeyPatch):
    """What a batch says of a tensor."""
    monkeypatch.setattr(exact, "loops", lambda: loops if way == "exact, compiled" else None)
    batch = Batch()
    if way != "sampled":
        batch.exact.add(WHERE[2])
    batch.take(tensor, WHERE)
    (found,) = batch.flush()
    return found


def bins_of(values: np.ndarray, low: float, exponent: int, dtype: type) -> list[int]:
    """Counts of linear bins; what vanishes beside the width in ``dtype`` is zero."""
    first = math.floor(math.ldexp(low, -exponent))
    with np.errstate(under="ignore"):
        scaled = np.ldexp(values, -exponent).astype(dtype)
    places = np.floor(scaled.astype(np.float64)) - first
    return np.bincount(places.astype(int), minlength=BINS).tolist()


def check_counts(found, truth: Truth) -> None:
    """What is exact whichever way, and however large the tensor."""
    finite = truth.finite
    assert found["count"] == truth.values.size
    assert found["nan"] == np.isnan(truth.values).sum()
    assert found["positive_infinity"] == np.isposinf(truth.values).sum()
    assert found["negative_infinity"] == np.isneginf(truth.values).sum()
    if finite.size:
        for name, value in (("minimum", finite.min()), ("maximum", finite.max())):
            assert abs(found[name] - value) <= truth.rounded * abs(value)
    else:
        assert math.isnan(found["minimum"])
        assert math.isnan(found["maximum"])


def check_whole(found, truth: Truth) -> None:
    """What is told of all elements; the tolerances are those that exact.py states."""
    finite = truth.finite
    assert found["sampled"] == truth.values.size
    assert found["zeros"] == (finite == 0).sum()
    assert found["counts"].sum() == finite.size
    if not finite.size:
        assert all(math.isnan(found[name]) for name in ("mean", "deviation", "norm"))
        return
    low, exponent = float(found["low"]), int(found["exponent"])
    both = [bins_of(finite, low, exponent, dtype) for dtype in (np.float64, np.float32)]
    assert found["counts"].tolist() in both
    unit = float(np.abs(finite).max())
    if not unit:
        assert [float(found[name]) for name in ("mean", "deviation", "norm")] == [0, 0, 0]
        return
    scaled = finite / unit  # neither overflows nor vanishes
    smallest = 2.0**-1074  # which float64 rounds to, if nothing else does
    assert abs(found["mean"] - scaled.mean() * unit) <= 1e-5 * unit + smallest
    spread = scaled.std() * unit
    assert abs(found["deviation"] - spread) <= max(1e-4 * spread, 1e-5 * unit) + smallest
    norm = math.sqrt(float(np.square(scaled).sum()))
    told = float(found["norm"])
    assert told == pytest.approx(norm * unit, rel=1e-4, abs=smallest)


SPECIAL = (0.0, -0.0, math.nan, math.inf, -math.inf, 1.0, -1.0)


def floats(dtype: torch.dtype) -> st.SearchStrategy[float]:
    """Values of a floating-point dtype, its ends and the smallest ones among them."""
    facts = torch.finfo(dtype)
    tiny, huge = float(facts.smallest_normal), float(facts.max)
    # Above 1e300 the ends of float64's bins are clipped.
    huge = min(huge, 1e300)
    extreme = (huge, -huge, tiny, -tiny, tiny / 4, tiny * 3)
    return st.one_of(
        st.sampled_from(SPECIAL + extreme),
        st.floats(-4, 4),
        st.floats(-huge, huge, allow_nan=False),
    )


def elements(dtype: torch.dtype) -> st.SearchStrategy[list]:
    """Up to 50 numbers that become a tensor of this dtype."""
    if dtype is torch.bool:
        one: st.SearchStrategy = st.booleans()
    elif dtype.is_complex:
        half = {torch.complex32: torch.float16, torch.complex64: torch.float32}
        parts = floats(half.get(dtype, torch.float64))
        one = st.builds(complex, parts, parts)
    elif dtype.is_floating_point:
        one = floats(dtype)
    else:
        facts = torch.iinfo(dtype)
        # Beyond 2**53 float64 rounds, and so does what is stated.
        low, high = max(facts.min, -(2**53)), min(facts.max, 2**53)
        one = st.one_of(st.sampled_from([low, high, 0, 1]), st.integers(low, high))
    return st.lists(one, max_size=50)


def made(values: list, dtype: torch.dtype) -> torch.Tensor:
    """A flat tensor of a dtype, some of which cannot be made of numbers directly."""
    if dtype.is_floating_point and dtype.itemsize < 4:
        return torch.tensor(values, dtype=torch.float64).to(torch.float32).to(dtype)
    if dtype is torch.complex32:
        return torch.tensor(values, dtype=torch.complex128).to(dtype)
    if dtype in (torch.uint16, torch.uint32, torch.uint64):
        return torch.from_numpy(np.array(values, str(dtype)[6:]))
    return torch.tensor(values, dtype=dtype)


LAYOUTS = ("flat", "square", "transposed", "holes", "expanded", "offset", "conjugate")


def laid_out(tensor: torch.Tensor, layout: str) -> torch.Tensor:
    """The same numbers, or some of them, at other places of the memory."""
    side = math.isqrt(tensor.numel())
    square = tensor[: side * side].view(side, side)
    return {
        "flat": tensor,
        "square": square,
        "transposed": square.t(),
        "holes": square[:, ::2],
        "expanded": tensor[:1].expand(3, tensor[:1].numel()),
        "offset": tensor[1:],
        "conjugate": tensor.conj() if tensor.is_complex() else tensor,
    }[layout]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=25,
)
@given(data=st.data())
@pytest.mark.parametrize("name", names_of("all"))
@pytest.mark.parametrize("way", WAYS)
def test_small_tensors_are_told_wholly(way, name, data, monkeypatch):
    dtype = getattr(torch, name)
    values = data.draw(elements(dtype))
    layout = data.draw(st.sampled_from(LAYOUTS))
    with np.errstate(all="ignore"):
        tensor = laid_out(made(values, dtype), layout)
        truth = Truth.of(tensor)
        found = record(way, tensor, monkeypatch)
        check_counts(found, truth)
        check_whole(found, truth)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=5,
)
@given(data=st.data())
@pytest.mark.parametrize("name", names_of("all"))
@pytest.mark.parametrize("way", WAYS)
def test_large_tensors_miss_nothing(way, name, data, monkeypatch):
    """Drawn numbers repeated, in an order without period: more of them than a sample holds."""
    dtype = getattr(torch, name)
    values = data.draw(elements(dtype).filter(len))
    layout = data.draw(st.sampled_from([name for name in LAYOUTS if name != "expanded"]))
    count = data.draw(st.integers(3 * SAMPLE, 12 * SAMPLE))
    order = np.random.default_rng(count).integers(len(values), size=count)
    with np.errstate(all="ignore"):
        tensor = laid_out(made([values[place] for place in order.tolist()], dtype), layout)
        truth = Truth.of(tensor)
        found = record(way, tensor, monkeypatch)
        check_counts(found, truth)
        if way == "sampled":
            assert found["sampled"] == SAMPLE
            assert found["counts"].sum() <= min(SAMPLE, truth.finite.size)
        else:
            check_whole(found, truth)


def drawn(random: np.random.Generator, kind: int, count: int) -> np.ndarray:
    """Tensors as they come in training: their neighbours resemble each other, or do not."""
    normal = random.normal(size=count)
    return {
        0: lambda: normal,
        1: lambda: np.maximum(normal, 0),
        2: lambda: np.cumsum(normal),
        3: lambda: np.sin(np.arange(count) * random.random()),
        4: lambda: random.exponential(size=count) ** 3,
        5: lambda: np.sort(normal),
        6: lambda: normal * np.resize(np.linspace(0.01, 2, 256), count),  # columns of a weight
        7: lambda: np.where(random.random(count) < 0.01, 40 * normal, normal),
    }[kind]()


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float64", "int32", "complex64"])
def test_95_of_100_samples_are_as_good_as_is_stated(name):
    """Largest error of the cumulative shares at all edges of bins, in 200 tensors."""
    random = np.random.default_rng(5)
    dtype = getattr(torch, name)
    batch, tensors = Batch(), 200
    worse = 0
    for trial in range(tensors):
        count = int(random.integers(2 * SAMPLE, 16 * SAMPLE))
        values = 100 * drawn(random, trial % 8, count)
        tensor = torch.from_numpy(values).to(dtype)
        batch.take(tensor, WHERE)
        (found,) = batch.flush()
        edges = found["low"] + np.ldexp(np.arange(1, BINS), int(found["exponent"]))
        truth = np.searchsorted(np.sort(Truth.of(tensor).values), edges) / count
        shares = np.cumsum(found["counts"])[: BINS - 1] / SAMPLE
        worse += np.abs(shares - truth).max() > sample_error(SAMPLE)
    assert worse <= 0.05 * tensors


REFUSED = {
    "meta": (lambda: torch.empty(3, device="meta"), "meta"),
    "sparse": (lambda: torch.eye(3).to_sparse(), "layout"),
    "quantized": (lambda: torch.quantize_per_tensor(torch.ones(3), 1, 0, torch.qint8), "quantized"),
    "packed": (lambda: torch.zeros(2, dtype=torch.uint8).view(torch.float4_e2m1fn_x2), "packs"),
    "int4": (lambda: torch.empty(2, dtype=torch.int4), "int4"),
    "bits": (lambda: torch.zeros(2, dtype=torch.uint8).view(torch.bits8), "bits8"),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("way", ["sampled", "exact"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_measured_says_why(way, name, monkeypatch):
    make, word = REFUSED[name]
    try:
        tensor = make()
    except AttributeError as error:
        pytest.skip(f"not in this torch: {error}")
    with pytest.raises(ValueError, match=word):
        record(way, tensor, monkeypatch)
