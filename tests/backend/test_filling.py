import math

import pytest
import torch
from torch import nn

from inspector_app.backend import filling
from inspector_app.backend.layouts import ONE
from inspector_app.protocol.messages import Scheme
from inspector_app.protocol.schemes import SCHEMES, parse_scheme

EXCEPT_RESET = [name for name in SCHEMES if name != "reset_parameters"]


def filled(text, *shape, dtype=torch.float32, seed=0):
    tensor = torch.full(shape, 7.0).to(dtype)
    scheme = parse_scheme(text)
    assert filling.problem(scheme, tensor) is None
    filling.fill(scheme, tensor, ONE, torch.Generator().manual_seed(seed))
    return tensor


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("shape", [(8, 4, 3), (8, 8, 3, 3), (4, 6, 1, 2, 3)])
def test_dirac_is_that_of_torch(groups, shape):
    expected = nn.init.dirac_(torch.empty(shape), groups)
    assert torch.equal(filled(f"dirac_({groups})", *shape), expected)


@pytest.mark.parametrize("name", EXCEPT_RESET)
def test_never_touches_the_global_generator(name):
    before = torch.get_rng_state()
    filled(name, *((4, 4, 3) if name == "dirac_" else (8, 4)))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("shape", [(6, 6), (3, 8), (8, 3), (4, 2, 3)])
@pytest.mark.parametrize(
    ("dtype", "close"),
    [
        (torch.complex64, 1e-5),
        (torch.complex128, 1e-10),
        (torch.float16, 5e-3),
        (torch.bfloat16, 5e-2),
    ],
    ids=str,
)
def test_orthogonal_where_torch_fails(shape, dtype, close):
    matrix = filled("orthogonal_(2)", *shape, dtype=dtype).flatten(1)
    matrix = matrix.to(torch.complex128 if dtype.is_complex else torch.float64) / 2
    if matrix.shape[0] > matrix.shape[1]:
        matrix = matrix.mH
    product = matrix @ matrix.mH
    assert torch.allclose(product, torch.eye(len(matrix), dtype=product.dtype), atol=close)


class TestTruncated:
    @pytest.mark.parametrize("std", [1.0, 0.02, 1e-4])
    def test_by_two_deviations_unless_told_otherwise(self, std):
        values = filled(f"trunc_normal_(std={std})", 20_000)
        assert values.abs().max().item() <= 2 * std * (1 + 1e-6)
        assert values.abs().max().item() > 1.98 * std
        # The standard deviation of a normal cut at two is 0.8796 of the whole one's.
        assert values.std().item() == pytest.approx(0.8796 * std, rel=0.02)

    @pytest.mark.timeout(10)
    @pytest.mark.parametrize("text", ["(0, 1, 1.9, 1e30)", "(0, 1e-30, -1, 1)", "(0, 1, -1e9, -2)"])
    def test_ends_however_far_the_bounds_lie(self, text):
        scheme = parse_scheme(f"trunc_normal_{text}")
        values = filled(f"trunc_normal_{text}", 1000)
        low, high = (float(scheme.arguments[name]) for name in ("a", "b"))
        assert low - 1e-6 <= values.min().item() <= values.max().item() <= high + 1e-6

    def test_bounds_are_told_and_whether_they_cut(self):
        (note,) = filling.truncation_note(parse_scheme("trunc_normal_(std=0.02)"))
        assert note.startswith("truncated to -0.04 and 0.04, which is -2 and +2")
        (note,) = filling.truncation_note(parse_scheme("trunc_normal_(0, 0.02, -2, 2)"))
        assert "-100 and +100" in note
        assert "practically nothing" in note
        assert filling.truncation_note(parse_scheme("normal_")) == []


def test_sparse_leaves_its_share_of_each_column():
    matrix = filled("sparse_(0.75, 3)", 40, 500)
    assert ((matrix == 0).sum(0) == 30).all()
    assert matrix[matrix != 0].std().item() == pytest.approx(3, rel=0.05)
    # Rows are chosen anew for each column.
    assert (matrix == 0).float().mean(1).std() > 0


@pytest.mark.parametrize(
    ("value", "dtype", "held"),
    [
        (0.1, torch.float16, True),
        (1e-10, torch.float16, False),
        (1e5, torch.float16, False),
        (0.0, torch.float8_e4m3fn, True),
        (1.0, torch.float8_e5m2, True),
        (0.0, torch.float8_e8m0fnu, False),
        (1.0, torch.float8_e8m0fnu, True),
        (2.0, torch.int8, True),
        (2.5, torch.int8, False),
        (300.0, torch.int8, False),
        (-1.0, torch.uint8, False),
        (1.0, torch.bool, True),
        (2.0, torch.bool, False),
        (-2.0, torch.complex64, True),
    ],
)
def test_constants_that_a_dtype_can_hold(value, dtype, held):
    problem = filling.problem(parse_scheme(f"constant_({value})"), torch.empty(3, dtype=dtype))
    assert (problem is None) == held


@pytest.mark.parametrize("name", EXCEPT_RESET)
@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.bool, torch.float8_e4m3fn])
def test_random_values_are_refused_to_dtypes_without_them(name, dtype):
    shape = (4, 4, 3) if name == "dirac_" else (4, 4)
    problem = filling.problem(Scheme(name=name), torch.empty(shape, dtype=dtype))
    if name in ("zeros_", "ones_", "constant_", "eye_", "dirac_"):
        assert problem is None
        filled(name, *shape, dtype=dtype)
    else:
        assert problem.endswith(f"{name} is not defined for it")


@pytest.mark.parametrize("name", EXCEPT_RESET)
@pytest.mark.parametrize("shape", [(), (3,), (3, 4), (2, 3, 4), (2, 3, 4, 1, 1), (1,) * 6, (0, 3)])
def test_what_is_not_refused_goes_through(name, shape):
    tensor = torch.full(shape, math.nan)
    scheme = Scheme(name=name)
    problem = filling.problem(scheme, tensor)
    if problem is None:
        filling.fill(scheme, tensor, ONE, torch.Generator())
        assert tensor.isfinite().all()
    else:
        assert "dimensional" in problem or "no elements" in problem


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2, torch.float16])
def test_a_constant_that_would_be_cut_down_is_refused(dtype):
    assert "cannot hold 1e+30" in str(filling._constant_problem(1e30, dtype))
    assert filling._constant_problem(0.3, dtype) is None
