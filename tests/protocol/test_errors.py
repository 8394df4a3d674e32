import pytest

from inspector_app.protocol import errors
from inspector_app.protocol.errors import Cancelled, InspectorError, InternalError, error_of_kind

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, InspectorError) and kind is not InspectorError
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_comes_back_from_its_kind(kind):
    error = error_of_kind(kind.kind, "The sentence.", "the detail")
    assert type(error) is kind
    assert (str(error), error.sentence, error.detail) == (
        "The sentence.",
        "The sentence.",
        "the detail",
    )


def test_kinds_are_distinct():
    assert len({kind.kind for kind in KINDS}) == len(KINDS) > 5


def test_an_unknown_kind_is_a_mistake_of_ours():
    assert type(error_of_kind("from the future", "The sentence.")) is InternalError


def test_cancelled_needs_no_words():
    assert str(Cancelled()) == "Cancelled."
