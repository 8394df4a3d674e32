import inspect
import re
import typing

import msgspec
import pytest

from inspector_app.protocol import messages
from inspector_app.protocol.messages import AnyRequest, AnyResult, Request, Result

REQUESTS = typing.get_args(AnyRequest)
RESULTS = typing.get_args(AnyResult)


def test_the_unions_hold_every_request_and_result():
    kinds = [kind for kind in vars(messages).values() if isinstance(kind, type)]
    for base, union in ((Request, REQUESTS), (Result, RESULTS)):
        assert {k for k in kinds if issubclass(k, base) and k is not base} == set(union)


def result_named(request: type[Request]) -> type[Result]:
    """The result that the docstring of a request promises."""
    (name,) = re.findall(r"-> (\w+)", inspect.getdoc(request))
    return getattr(messages, name)


@pytest.mark.parametrize("request_type", REQUESTS)
def test_every_request_names_its_result(request_type):
    assert result_named(request_type) in RESULTS


def test_the_method_of_a_request_is_its_name_in_small_letters():
    assert messages.PlanFreeze(selection=messages.Selection()).method == "plan_freeze"
    assert messages.GetRecords().method == "get_records"
    assert messages.Undo().method == "undo"


@pytest.mark.parametrize("kind", [*REQUESTS, *RESULTS])
def test_all_fields_are_typed_so_that_the_wire_checks_them(kind):
    hints = typing.get_type_hints(kind)
    assert set(hints) >= set(kind.__struct_fields__)
    msgspec.msgpack.Decoder(kind, dec_hook=lambda _, value: value)  # raises for what it cannot read


def test_requests_survive_the_wire_with_their_type():
    asked = messages.Ask(
        session="s",
        id=3,
        request=messages.Initialize(
            selection=messages.Selection(rows=[1], patterns=["a.*"]),
            scheme=messages.Scheme(name="normal_", arguments={"std": 0.5}),
        ),
    )
    sent = msgspec.msgpack.encode(asked)
    assert msgspec.msgpack.decode(sent, type=messages.FromClient) == asked
