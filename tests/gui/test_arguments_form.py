from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.factories import Argument, Factory
from inspector_app.gui.panels.arguments_form import ArgumentsForm, parse_arguments
from inspector_app.protocol.errors import RequestError

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
NET = Factory(
    name="Net",
    kind="class",
    arguments=(
        Argument(name="hidden", annotation="int"),
        Argument(name="norm", annotation="str | None", default="None", required=False),
    ),
)


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}x", fullmatch=True), plain, max_size=4))
def test_arguments_are_read_as_python_writes_them(arguments):
    text = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    assert parse_arguments(text) == arguments


@pytest.mark.parametrize(
    "text",
    [
        *("5", "hidden", "hidden=f()", "**{}", "a=1)(b=2", "a=b'x'", "a={1: 2}", "a=1 b=2"),
        *("a={[]}", "a=" + "9" * 40, "a=" + "(" * 300),
    ],
)
def test_arguments_that_are_none_are_told(text):
    with pytest.raises(RequestError, match=r"[.]$"):
        parse_arguments(text)


@pytest.fixture
def form(qtbot) -> ArgumentsForm:
    form = ArgumentsForm()
    qtbot.addWidget(form)
    form.show()
    return form


def test_typed_values_become_literals_and_empty_ones_are_not_passed(form):
    form.show_factory(NET)
    with pytest.raises(RequestError, match="hidden is required"):
        _ = form.arguments
    form.fields["hidden"].setText("32")
    assert form.arguments == {"hidden": 32}
    form.fields["norm"].setText("batch")
    assert form.arguments == {"hidden": 32, "norm": "batch"}
    form.fields["norm"].setText("None")
    assert form.arguments == {"hidden": 32, "norm": None}
    form.fields["norm"].setText("b'x'")
    with pytest.raises(RequestError, match="norm cannot be sent"):
        _ = form.arguments


def test_what_is_asked_for_can_be_seen(form):
    form.show_factory(NET)
    assert form.fields["hidden"].placeholderText() == "required"
    assert form.fields["norm"].placeholderText() == "None"
    assert "str | None" in form.fields["norm"].toolTip()
    assert not form.others.isVisible()


def test_arguments_beside_the_signature(form):
    form.show_factory(Factory(name="make", kind="function", more=True, arguments=NET.arguments))
    form.fields["hidden"].setText("1")
    form.others.setText("depth=3")
    assert form.arguments == {"hidden": 1, "depth": 3}
    form.others.setText("hidden=3")
    with pytest.raises(RequestError, match="twice"):
        _ = form.arguments


def test_another_factory_keeps_what_it_takes_as_well(qtbot, form):
    form.show_factory(NET)
    form.fields["hidden"].setText("7")
    with qtbot.waitSignal(form.changed):
        form.show_factory(Factory(name="tiny", kind="function", arguments=NET.arguments[:1]))
    assert form.arguments == {"hidden": 7}
    form.show_factory(Factory(name="none", kind="function"))
    assert form.arguments == {}
