"""The reader of pickles: what it describes, what it refuses, and that it runs nothing."""

import collections
import contextlib
import pickle
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector_app.backend.collecting import without_collection
from inspector_app.backend.formats import pickle_reader
from inspector_app.backend.formats.pickle_reader import (
    OPCODES_LIMIT,
    PickleError,
    opcodes_limit,
    read_pickle,
)
from inspector_app.backend.formats.pickle_values import Foreign, Global, Items, Members
from inspector_app.protocol.errors import TargetError
from tests.backend.torch_files import Canary


def plain(value):
    """A described value as the plain one it stands for."""
    if type(value) is Items:
        return {plain(key): plain(held) for key, held in value.pairs()}
    if type(value) is Members:
        made = {plain(held) for held in value.values}
        return frozenset(made) if value.kind == "frozenset" else made
    if type(value) in (list, tuple):
        return type(value)(map(plain, value))
    return value


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3) | st.integers(-9, 9), inner, max_size=4)
        | st.frozensets(st.integers(0, 9), max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(PLAIN, st.sampled_from([3, 4, 5]))
def test_plain_values_are_what_pickle_makes_of_them(value, protocol):
    builders = {("builtins", "frozenset"): lambda given: Members(given[0], "frozenset")}
    data = pickle.dumps(value, protocol)
    found, end, _ = read_pickle(data, "x", builders=builders)
    assert plain(found) == value
    assert end == len(data)


def test_nothing_is_imported_or_called(tmp_path):
    proof = tmp_path / "proof"
    for protocol in (2, 3, 4, 5):
        found, _, names = read_pickle(pickle.dumps([Canary(proof)], protocol), "x")
        assert type(found[0]) is Foreign
        assert found[0].name == "mkdir"
        assert found[0].arguments == (str(proof),)
        assert [name.full_name for name in names] == [found[0].full_name]
    assert not proof.exists()
    pickle.loads(pickle.dumps(Canary(proof)))
    assert proof.exists()  # so the canary does sing


def test_objects_are_described():
    found, _, _ = read_pickle(pickle.dumps(collections.Counter("aab"), 2), "x")
    assert (found.full_name, plain(found.arguments[0])) == ("collections.Counter", {"a": 2, "b": 1})
    thing = torch.nn.Identity()
    found, _, names = read_pickle(pickle.dumps(thing, 4), "x")
    assert found.full_name == "torch.nn.modules.linear.Identity"
    assert found.state.get("training") is True
    assert any(name.name == "Identity" for name in names)
    found, _, _ = read_pickle(pickle.dumps(len, 4), "x")
    assert type(found) is Global


BROKEN = {
    "empty": b"",
    "no end": b"\x80\x02]",
    "nothing to return": b"\x80\x02.",
    "protocol 0": b"(lp0\n.",
    "protocol 9": b"\x80\x09N.",
    "unknown instruction": b"\x80\x02\xff.",
    "extension": b"\x80\x02\x82\x01.",
    "text beyond the end": b"\x80\x02X\xff\xff\xff\x7fa.",
    "bytes beyond the end": b"\x80\x04\x8e" + b"\xff" * 8 + b"a.",
    "no such number": b"\x80\x02h\x05.",
    "far number": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "left out number": b"\x80\x02Nq\x05h\x03.",
    "no mark": b"\x80\x02t.",
    "not text": b"\x80\x02X\x01\0\0\0\xff.",
    "called with no tuple": b"\x80\x02cos\nsystem\nNR.",
    "calls a number": b"\x80\x02K\x01)R.",
    "appends to a number": b"\x80\x02K\x01Na.",
    "sets keys of a list": b"\x80\x02]NNs.",
    "odd keys": b"\x80\x02}(Nu.",
    "attributes of a number": b"\x80\x02K\x01}b.",
    "name without an end": b"\x80\x02c" + b"a" * 9000,
    "name that is no text": b"\x80\x04NN\x93.",
    "outside": b"\x80\x02NQ.",
    "huge integer": b"\x80\x02\x8b\0\1\0\0" + b"\1" * 300 + b".",
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_breaks_a_rule_is_told(case):
    with pytest.raises(PickleError) as raised:
        read_pickle(BROKEN[case], "the/file.pt")
    assert isinstance(raised.value, TargetError)
    assert raised.value.sentence.startswith("the/file.pt is damaged or no checkpoint: ")
    assert raised.value.sentence.endswith("Nothing of it was run.")


COSTLY = {
    "lists": b"]" * 7_000_000,
    "dictionaries": b"}" * 7_000_000,
    "marks": b"(" * 7_000_000,
    "nested tuples": b")" + b"\x85" * 5_000_000 + b".",
    "nested lists": b"]" + b"]a" * 700_000 + b".",
    "numbers": b"K\1" * 7_000_000,
    "kept": b"N" + b"\x94" * 7_000_000,
    "doubled": b"N" + b"2\x86q\0" * 1_400_000 + b".",
    "imports": b"".join(b"ca%d\nb\n" % number for number in range(50_000)),
    "objects": b"cos\nsystem\nq\0" + b"h\0)R" * 1_900_000,
    "collisions": b"}(" + b"".join(
        b"\x8a\x0a" + (number * (2**61 - 1)).to_bytes(10, "little") + b"N"
        for number in range(200_000)
    ) + b"u.",
}  # fmt: skip


@pytest.mark.parametrize("case", COSTLY)
def test_no_pickle_takes_long(case):
    start = time.process_time()
    with without_collection(), contextlib.suppress(PickleError):  # as an archive is opened
        read_pickle(b"\x80\x02" + COSTLY[case], "x")
    # It is to take under 2 s on a machine of its own; this is a bound against hanging.
    assert time.process_time() - start < 20


def test_no_pickle_is_too_large(monkeypatch):
    monkeypatch.setattr(pickle_reader, "SIZE_LIMIT", 10)
    with pytest.raises(PickleError, match="read at most"):
        read_pickle(b"\x80\x02" + b"N" * 20 + b".", "x")


def test_large_files_may_have_more_instructions():
    assert opcodes_limit(1_000) == OPCODES_LIMIT
    assert opcodes_limit(10 * OPCODES_LIMIT) == 5 * OPCODES_LIMIT
    assert opcodes_limit(1 << 50) < 1 << 25
    data = b"\x80\x02" + b"N0" * 50 + b"N."
    assert read_pickle(data, "x", limit=200)[0] is None
    with pytest.raises(PickleError, match="more than 100 instructions, which is as many"):
        read_pickle(data, "x", limit=100)
