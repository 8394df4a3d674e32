import contextlib
import inspect
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.protocol.errors import RequestError
from inspector_app.protocol.messages import Scheme
from inspector_app.protocol.schemes import (
    SCHEMES,
    all_arguments,
    check_scheme,
    parse_scheme,
    scheme_text,
)


@pytest.mark.parametrize("name", [name for name in SCHEMES if name != "reset_parameters"])
def test_arguments_and_defaults_are_those_of_torch(name):
    parameters = inspect.signature(getattr(torch.nn.init, name)).parameters
    ours = SCHEMES[name].arguments
    theirs = {n: p.default for n, p in parameters.items() if n not in ("tensor", "generator")}
    assert list(ours) == list(theirs)
    ask = {n for n, default in theirs.items() if default is inspect.Parameter.empty}
    derived = {n for n, info in ours.items() if info.default is None}
    assert ask <= {"val", "sparsity"}
    assert derived == ({"a", "b"} if name == "trunc_normal_" else set())
    same = {n: info.default for n, info in ours.items() if n not in ask | derived}
    assert same == {n: theirs[n] for n in same}


def test_all_that_torch_can_do_is_offered():
    theirs = {
        name
        for name, function in vars(torch.nn.init).items()
        if name.endswith("_") and not name.startswith("_") and inspect.isfunction(function)
    }
    assert theirs == SCHEMES.keys() - {"reset_parameters"}


def test_a_truncated_normal_is_truncated_whatever_its_spread():
    values = all_arguments(parse_scheme("trunc_normal_(mean=1, std=0.02)"))
    assert (values["a"], values["b"]) == pytest.approx((0.96, 1.04))
    values = all_arguments(parse_scheme("trunc_normal_(std=0.02, b=7)"))
    assert (values["a"], values["b"]) == (-0.04, 7.0)


@pytest.mark.parametrize("name", SCHEMES)
def test_the_defaults_go_together(name):
    assert check_scheme(Scheme(name=name)).name == name
    assert all_arguments(Scheme(name=name)).keys() == SCHEMES[name].arguments.keys()


def test_every_nonlinearity_offered_has_a_gain():
    for choice in SCHEMES["kaiming_uniform_"].arguments["nonlinearity"].choices:
        assert torch.nn.init.calculate_gain(choice) > 0


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ("zeros", "zeros_", {}),
        ("zeros_()", "zeros_", {}),
        (" normal_(std=0.02) ", "normal_", {"std": 0.02}),
        ("normal(-1, 2)", "normal_", {"mean": -1.0, "std": 2.0}),
        ("kaiming_uniform(mode=fan_out)", "kaiming_uniform_", {"mode": "fan_out"}),
        ("kaiming_uniform_(nonlinearity='relu')", "kaiming_uniform_", {"nonlinearity": "relu"}),
        ("reset_parameters", "reset_parameters", {}),
        ("dirac(groups=2)", "dirac_", {"groups": 2.0}),
        ("trunc_normal(0, 1, -3)", "trunc_normal_", {"mean": 0.0, "std": 1.0, "a": -3.0}),
    ],
)
def test_reads(text, name, arguments):
    assert parse_scheme(text) == Scheme(name=name, arguments=arguments)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("twos_", "kaiming_uniform_"),
        ("uniform_(1, 0)", "a must not be above b"),
        ("trunc_normal_(std=0)", "std must be above 0"),
        ("trunc_normal_(a=1, b=1)", "a must be below b"),
        ("trunc_normal_(a=5, b=6)", "more than 2 std outside"),
        ("sparse_(1.5)", "at most 1"),
        ("dirac_(1.5)", "whole number"),
        ("dirac_(0)", "at least 1"),
        ("normal_(sigma=1)", "mean, std"),
        ("normal_(1, 2, 3)", "mean, std"),
        ("normal_(1, mean=1)", "twice"),
        ("normal_(std=-1)", "at least 0"),
        ("normal_(std=1e999)", "finite"),
        ("normal_(std=10**99)", "plain number"),
        ("normal_(std=True)", "number"),
        ("normal_(std=wide)", "number"),
        ("normal_(**{})", "not an init scheme"),
        ("kaiming_uniform_(nonlinearity=gelu)", "leaky_relu"),
        ("zeros_(1)", "0 arguments"),
        ("__import__('os').getcwd()", "not an init scheme"),
        ("", "not an init scheme"),
        ("normal_(", "not an init scheme"),
        ("(" * 900, "not an init scheme"),
        ("a" * 5000, "not an init scheme"),
        ("zeros_\0", "not an init scheme"),
    ],
)
def test_says_what_would_be_accepted(text, told):
    with pytest.raises(RequestError) as error:
        parse_scheme(text)
    assert told in error.value.sentence


@given(st.text(max_size=40))
def test_any_text_is_a_scheme_or_a_request_error(text):
    with contextlib.suppress(RequestError):
        assert parse_scheme(text).name in SCHEMES


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(min_value=0, allow_nan=False, allow_infinity=False),
)
def test_text_is_read_back(mean, std):
    scheme = Scheme(name="normal_", arguments={"mean": mean, "std": std})
    assert parse_scheme(scheme_text(scheme)) == scheme


def test_a_scheme_off_the_wire_is_checked_too():
    checked = check_scheme(Scheme(name="normal", arguments={"std": 2}))
    assert checked == Scheme(name="normal_", arguments={"std": 2.0})
    assert all_arguments(checked) == {"mean": 0.0, "std": 2.0}
    with pytest.raises(RequestError):
        check_scheme(Scheme(name="normal_", arguments={"std": math.nan}))
    with pytest.raises(RequestError):
        check_scheme(Scheme(name="kaiming_uniform_", arguments={"mode": "fan_avg"}))
