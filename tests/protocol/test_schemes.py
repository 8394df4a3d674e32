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
    assert {n: info.default for n, info in ours.items()} == theirs
    assert list(ours) == list(theirs)


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
    ],
)
def test_reads(text, name, arguments):
    assert parse_scheme(text) == Scheme(name=name, arguments=arguments)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ones_", "kaiming_uniform_"),
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
