"""Messages as bytes: length-prefixed frames, a MessagePack header, raw array buffers behind it.

A frame is::

    u32 size of all that follows | u32 size of the header | header | buffer | buffer | ...

Arrays stand in the header as MessagePack extension 1 (dtype, shape, size of the buffer); their
memory follows raw, in order, each at a multiple of 8 bytes of the body, and is not copied when
it is read.  Nothing is ever unpickled.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from inspector_app.protocol.errors import ProtocolError

T = TypeVar("T")

MAX_FRAME = 1 << 30  # of a peer that proved itself
MAX_HEADER = 1 << 26
_PREFIX = struct.Struct("<II")
_ARRAY = 1
_DTYPES = frozenset(
    ["|b1", "|u1", "|i1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8"]
)


class _ArrayHead(msgspec.Struct, array_like=True):
    dtype: str
    shape: tuple[int, ...]
    size: int


def _told_in_text(value: Any) -> Any:
    """A message in which what cannot be text is escaped."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, (list, tuple)):
        return type(value)(map(_told_in_text, value))
    if isinstance(value, dict):
        return {_told_in_text(key): _told_in_text(held) for key, held in value.items()}
    if isinstance(value, msgspec.Struct):
        fields = {name: getattr(value, name) for name in value.__struct_fields__}
        told = {name: _told_in_text(held) for name, held in fields.items()}
        return msgspec.structs.replace(value, **told)
    return value


def encode(message: msgspec.Struct) -> list[bytes | memoryview]:
    """The frame of ``message`` as parts to be written one after the other."""
    buffers: list[bytes | memoryview] = []

    def head_of(value: Any) -> msgspec.msgpack.Ext:
        if not isinstance(value, np.ndarray):
            raise TypeError(f"{type(value).__name__} cannot cross the wire")
        array = np.ascontiguousarray(value)
        if array.dtype.byteorder == ">":
            array = array.astype(array.dtype.newbyteorder("<"))
        if array.dtype.str not in _DTYPES:
            raise TypeError(f"arrays of {array.dtype} cannot cross the wire")
        buffers.append(array.reshape(-1).data.cast("B") if array.size else b"")
        head = _ArrayHead(array.dtype.str, tuple(value.shape), array.nbytes)
        return msgspec.msgpack.Ext(_ARRAY, msgspec.msgpack.encode(head))

    try:
        header = msgspec.msgpack.encode(message, enc_hook=head_of)
    except UnicodeEncodeError:  # half a surrogate pair in somebody's name is no text
        buffers.clear()
        header = msgspec.msgpack.encode(_told_in_text(message), enc_hook=head_of)
    parts: list[bytes | memoryview] = [b"", header]
    size = 4 + len(header)
    for buffer in buffers:
        padding = -size % 8
        if padding:
            parts.append(bytes(padding))
        parts.append(buffer)
        size += padding + len(buffer)
    if len(header) > MAX_HEADER or size > MAX_FRAME:
        raise ProtocolError(f"A message of {size:,} bytes is larger than a frame may be.")
    parts[0] = _PREFIX.pack(size, len(header))
    return parts


def decode(body: bytes | bytearray | memoryview, as_type: Any) -> Any:
    """The message in a frame's body (all behind the first length); arrays are read-only views.

    Raises ProtocolError for anything that is not exactly one message of ``as_type``.
    """
    view = memoryview(body)
    if len(view) < 4:
        raise ProtocolError("A frame was too short to hold a message.")
    header_size = int.from_bytes(view[:4], "little")
    if header_size > min(len(view) - 4, MAX_HEADER):
        raise ProtocolError("A frame's header was longer than the frame.")
    cursor = 4 + header_size

    def array_of(code: int, data: memoryview) -> NDArray[Any]:
        nonlocal cursor
        if code != _ARRAY:
            raise ProtocolError(f"Unknown extension {code} in a message.")
        head = msgspec.msgpack.decode(data, type=_ArrayHead)
        if head.dtype not in _DTYPES or len(head.shape) > 16 or min(head.shape, default=0) < 0:
            raise ProtocolError("An array in a message has an impossible form.")
        dtype = np.dtype(head.dtype)
        count = 1
        for extent in head.shape:
            count *= extent
        cursor += -cursor % 8
        if count * dtype.itemsize != head.size or head.size > len(view) - cursor:
            raise ProtocolError("An array in a message is larger than its frame.")
        array = np.frombuffer(view, dtype, count, cursor) if count else np.empty(0, dtype)
        cursor += head.size
        array = array.reshape(head.shape)
        array.flags.writeable = False
        return array

    try:
        message = msgspec.msgpack.decode(
            view[4 : 4 + header_size], type=as_type, ext_hook=array_of, dec_hook=_typed_array
        )
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
        raise ProtocolError(f"A peer sent an invalid message: {error}") from error
    if cursor != len(view):
        raise ProtocolError("A frame had bytes behind its message.")
    return message


def _typed_array(wanted: Any, value: Any) -> Any:
    """Check of an array field: ``NDArray[np.int32]`` takes int32 and nothing else."""
    if not isinstance(value, np.ndarray):
        raise ValueError("expected an array")
    arguments = getattr(wanted, "__args__", (None,))
    scalar = getattr(arguments[-1], "__args__", (None,))[0]
    # NDArray[Any] takes all; Any is a class of its own in newer Pythons.
    exact = isinstance(scalar, type) and issubclass(scalar, np.generic)
    if exact and value.dtype != np.dtype(scalar):
        raise ValueError(f"expected an array of {np.dtype(scalar)}, got {value.dtype}")
    return value


class FrameReader:
    """Cuts a stream of bytes into frame bodies; holds at most one unfinished frame."""

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self.limit = limit
        self._pending = bytearray()

    def feed(self, data: bytes | memoryview) -> Iterator[bytes]:
        """Bodies completed by ``data``; raises ProtocolError for a frame over the limit."""
        self._pending += data
        start = 0
        try:
            while len(self._pending) - start >= 4:
                size = int.from_bytes(self._pending[start : start + 4], "little")
                if size > self.limit:
                    raise ProtocolError(f"A frame of {size:,} bytes is over the limit.")
                if len(self._pending) - start - 4 < size:
                    break
                body = bytes(memoryview(self._pending)[start + 4 : start + 4 + size])
                start += 4 + size
                yield body
        finally:
            if start:
                del self._pending[:start]
