import typing
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from inspector_app.protocol import framing
from inspector_app.protocol.errors import ProtocolError
from inspector_app.protocol.framing import FrameReader, decode, encode
from inspector_app.protocol.messages import (
    Answer,
    Ask,
    Done,
    Failure,
    FromClient,
    FromServer,
    Opened,
    Planned,
    Progress,
    Totals,
    Undo,
)
from inspector_app.protocol.table import Int32
from tests.protocol.trees import Node, table_of


class Parcel(msgspec.Struct):
    """A message with arrays of any kind among other things."""

    first: NDArray[Any]
    words: list[str]
    numbers: dict[str, Any]
    second: NDArray[Any]


DTYPES = sorted(framing._DTYPES)
any_array = st.sampled_from(DTYPES).flatmap(
    lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, max_dims=4, min_side=0))
)


def body_of(message: Any) -> bytes:
    """The frame without its length."""
    return b"".join(encode(message))[4:]


def equal(sent: np.ndarray, read: np.ndarray) -> bool:
    return (sent.dtype, sent.shape, sent.tobytes()) == (read.dtype, read.shape, read.tobytes())


@given(any_array, any_array, st.lists(st.text()))
def test_arrays_and_values_come_back_as_they_were_sent(first, second, words):
    read = decode(body_of(Parcel(first, words, {"third": first}, second)), Parcel)
    assert equal(first, read.first)
    assert equal(second, read.second)
    assert equal(first, read.numbers["third"])
    assert read.words == words


@given(any_array)
def test_any_layout_of_memory_is_sent_by_value(array):
    for view in (array.T, array[::-1] if array.ndim else array, np.asfortranarray(array)):
        assert equal(view, decode(body_of(Parcel(view, [], {}, view)), Parcel).second)


def test_arrays_are_read_only_views_at_aligned_places():
    body = body_of(Parcel(np.arange(3, dtype=np.uint8), ["x"], {}, np.arange(4.0)))
    read = decode(body, Parcel)
    assert not read.second.flags.writeable
    assert read.second.base is not None
    assert np.shares_memory(read.second, np.frombuffer(body, np.uint8))
    assert read.second.flags.aligned


def test_big_endian_arrays_are_sent_as_little_endian():
    read = decode(body_of(Parcel(np.arange(5, dtype=">i4"), [], {}, np.zeros(0))), Parcel)
    assert read.first.dtype.str == "<i4"
    assert read.first.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "value", [np.array(["text"]), np.array([None]), np.zeros(2, complex), {1j}]
)
def test_what_has_no_place_on_the_wire_is_a_type_error(value):
    with pytest.raises(TypeError, match="cross the wire"):
        encode(Parcel(np.zeros(1), [], {"value": value} if isinstance(value, set) else {}, value))


class Narrow(msgspec.Struct):
    values: Int32


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d != "<i4"])
def test_an_array_field_takes_its_own_dtype_only(dtype):
    sent = body_of(Parcel(np.zeros(2, dtype), [], {}, np.zeros(0)))
    message = msgspec.structs.asdict(decode(sent, Parcel))
    narrow = body_of(Narrow(message["first"]))
    with pytest.raises(ProtocolError, match="int32"):
        decode(narrow, Narrow)


def test_an_array_field_takes_no_list():
    with pytest.raises(ProtocolError, match="array"):
        decode(body_of(msgspec.defstruct("Other", [("values", list)])([1, 2])), Narrow)


MESSAGES: list[tuple[Any, Any]] = [
    (Ask("s", 1, Undo()), FromClient),
    (Failure("s", 1, 2, "target", "A sentence."), FromServer),
    (Progress("s", 1, 2, 3, "copying"), FromServer),
    (Answer("s", 1, 2, Done()), FromServer),
    (
        Answer(
            session="s",
            id=1,
            revision=2,
            result=Planned(
                title="Freeze",
                changes=np.arange(7, dtype=np.int32),
                tensors=1,
                elements=2,
                refused=[],
                notes=[],
                undoable=True,
            ),
        ),
        FromServer,
    ),
    (
        Answer(
            session="s",
            id=1,
            revision=2,
            result=Opened(
                kind="model",
                target="sample:mlp",
                title="mlp",
                path="",
                arguments={"hidden": 8, "deep": [{"a": None}]},
                device="cpu",
                seed=0,
                totals=Totals(modules=1, parameters=2, trainable=3, buffers=4, bytes=5),
                table=table_of(Node(0, below=[Node(1, "weight", shape=(2, 3), dtype="int8")])),
                disabled={},
                fingerprint="f",
                seconds=0.5,
            ),
        ),
        FromServer,
    ),
]


def read_or_refuse(body: bytes, kind: Any) -> None:
    """The only two ways out: a message of the kind, or ProtocolError."""
    try:
        message = decode(body, kind)
    except ProtocolError:
        return
    assert isinstance(message, typing.get_args(kind))


@given(st.sampled_from(MESSAGES), st.data())
def test_damaged_messages_are_refused_or_valid(case, data):
    message, kind = case
    body = bytearray(body_of(message))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(body) - 1))
        damage = data.draw(st.sampled_from(["set", "cut", "insert", "repeat"]))
        if damage == "set":
            body[place] = data.draw(st.integers(0, 255))
        elif damage == "cut":
            del body[place : place + data.draw(st.integers(1, 8))]
        elif damage == "insert":
            body[place:place] = data.draw(st.binary(min_size=1, max_size=8))
        else:
            body[place:place] = body[place : place + 16]
        if not body:
            break
    read_or_refuse(bytes(body), kind)


@pytest.mark.parametrize(("message", "kind"), MESSAGES)
def test_every_changed_byte_and_every_cut_is_refused_or_valid(message, kind):
    body = body_of(message)
    for place in range(len(body)):
        for value in (0, body[place] ^ 1, body[place] ^ 0x80, 0xC1, 0xFF):
            read_or_refuse(body[:place] + bytes([value]) + body[place + 1 :], kind)
        with pytest.raises(ProtocolError):
            decode(body[:place], kind)
    with pytest.raises(ProtocolError, match="behind"):
        decode(body + b"\0", kind)


@given(st.binary(max_size=200))
@example(b"")
@example(b"\xdd\xff\xff\xff\xff" * 2)
def test_noise_is_refused(noise):
    for kind in (FromClient, FromServer):
        read_or_refuse(noise, kind)
        read_or_refuse(len(noise).to_bytes(4, "little") + noise, kind)


def framed(header: bytes, behind: bytes = b"") -> bytes:
    return len(header).to_bytes(4, "little") + header + behind


def parcel_with(extension: msgspec.msgpack.Ext, behind: bytes = b"") -> bytes:
    empty = msgspec.msgpack.Ext(1, msgspec.msgpack.encode(["|u1", [0], 0]))
    header = {"first": extension, "words": [], "numbers": {}, "second": empty}
    return framed(msgspec.msgpack.encode(header), behind)


@pytest.mark.parametrize(
    "head",
    [
        ["<f4", [1 << 40], 1 << 42],  # larger than the frame
        ["<f4", [1 << 62, 1 << 62], 0],  # a product that overflows 64 bits
        ["<f4", [-2, -2], 16],
        ["<f4", [4], 4],  # size and shape disagree
        ["<f4", [0, 1 << 63], 0],  # empty, with an extent numpy cannot hold
        ["<f4", [1] * 40, 4],  # more dimensions than numpy has
        ["|O", [1], 8],
        ["|V8", [1], 8],
        ["<M8[s]", [1], 8],
        ["nonsense", [1], 8],
        ["<f4", "x", 4],
        "text",
    ],
)
def test_impossible_arrays_are_refused(head):
    extension = msgspec.msgpack.Ext(1, msgspec.msgpack.encode(head))
    with pytest.raises(ProtocolError):
        decode(parcel_with(extension, bytes(64)), Parcel)


def test_unknown_extensions_are_refused():
    with pytest.raises(ProtocolError, match="extension 7"):
        decode(parcel_with(msgspec.msgpack.Ext(7, b"")), Parcel)


def test_great_depth_is_refused():
    """Nested lists in a field of any type must not exhaust the stack."""
    deep = b"\x81\xa7numbers\x81\xa1a" + b"\x91" * 200_000 + b"\xc0"
    with pytest.raises(ProtocolError):
        decode(framed(deep), Parcel)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=5), st.data())
def test_frames_are_cut_out_of_any_pieces(sizes, data):
    bodies = [bytes([65 + i]) * size for i, size in enumerate(sizes)]
    stream = b"".join(len(body).to_bytes(4, "little") + body for body in bodies)
    cuts = data.draw(st.lists(st.integers(0, len(stream))).map(sorted))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    reader = FrameReader()
    assert [body for piece in pieces for body in reader.feed(piece)] == bodies


@pytest.mark.parametrize(("message", "kind"), MESSAGES)
def test_a_frame_split_at_every_place_is_read(message, kind):
    stream = b"".join(encode(message)) * 2
    for cut in range(len(stream) + 1):
        reader = FrameReader()
        bodies = [*reader.feed(stream[:cut]), *reader.feed(memoryview(stream)[cut:])]
        assert [type(decode(body, kind)) for body in bodies] == [type(message)] * 2


def test_a_frame_over_the_limit_is_refused_before_it_is_held():
    reader = FrameReader(limit=100)
    assert list(reader.feed((100).to_bytes(4, "little") + bytes(100))) == [bytes(100)]
    with pytest.raises(ProtocolError, match="101"):
        list(reader.feed((101).to_bytes(4, "little")))


def test_frames_before_one_over_the_limit_are_still_read():
    reader = FrameReader(limit=8)
    bodies = reader.feed((1).to_bytes(4, "little") + b"x" + (9).to_bytes(4, "little"))
    assert next(bodies) == b"x"
    with pytest.raises(ProtocolError):
        next(bodies)


def test_a_message_too_large_is_refused_by_its_sender(monkeypatch):
    monkeypatch.setattr(framing, "MAX_FRAME", 1000)
    encode(Parcel(np.zeros(100, np.uint8), [], {}, np.zeros(0)))
    with pytest.raises(ProtocolError, match="larger"):
        encode(Parcel(np.zeros(1000, np.uint8), [], {}, np.zeros(0)))


def test_half_a_surrogate_pair_is_escaped():
    array = np.arange(3)
    message = Parcel(array, ["a\ud800", "b"], {"\udfff": 1}, np.zeros(0))
    told = decode(b"".join(encode(message))[4:], Parcel)
    assert told.words == ["a\\ud800", "b"]
    assert told.numbers == {"\\udfff": 1}
    assert np.array_equal(told.first, array)
