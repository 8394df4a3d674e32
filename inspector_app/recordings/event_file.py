"""Records as an event file of TensorBoard: a scalar or a histogram for each.

The format is that of ``tensorflow/core/util/event.proto`` and ``summary.proto`` (protocol buffers)
within ``tensorflow/core/lib/io/record_writer.h``: each event stands between its length and a masked
CRC-32C.  The two are simple enough to be written here; TensorBoard itself, which would bring a web
server along, reads them back in the tests.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inspector_app.protocol.messages import BINS, Phase, Records
from inspector_app.recordings.whole_file import write_whole

_POLYNOMIAL = 0x82F63B78  # of Castagnoli, reflected (RFC 3720, appendix B.4)
_AT_ONCE = 1024  # events whose checksums are computed together
_SHOWN = ("norm", "mean", "deviation", "minimum", "maximum")  # scalars of each series


def write_events(folder: Path, answers: Iterable[Records], titles: Mapping[int, str]) -> Path:
    """Write all records of the series that ``titles`` names, and return the file's path.

    What was evaluated or recomputed, and each later call of a module, has a tag of its own; of
    several micro-steps each is an event of the same step.  Raises OSError.  Wall times are those of
    the writing: records know their step only.
    """
    path = folder / f"events.out.tfevents.{int(time.time())}.model-inspector"
    events = _events(answers, titles, time.time())
    write_whole(path, _framed(events))
    return path


def _events(
    answers: Iterable[Records], titles: Mapping[int, str], wall_time: float
) -> Iterator[bytes]:
    yield _double(1, wall_time) + _text(3, "brain.Event:2")
    for answer in answers:
        kinds = {series.key: series.kind for series in answer.series}
        for place, key in enumerate(answer.key.tolist()):
            title = titles.get(key)
            if title is None:
                continue
            head = _double(1, wall_time) + _number(2, int(answer.step[place]))
            if kinds.get(key) == "scalar":
                value = _scalar(title, float(answer.mean[place]))
            else:
                title += _apart(Phase(int(answer.phase[place])), int(answer.call[place]))
                value = _histogram(answer, place, title) + _scalars(answer, place, title)
            yield head + _message(5, value)


def _apart(phase: Phase, call: int) -> str:
    """What a tag has beside the title: "  eval  call 2"."""
    words = []
    if Phase.RECOMPUTE in phase and Phase.BACKWARD not in phase:
        words.append("  recompute")
    elif Phase.EVALUATION in phase:
        words.append("  eval")
    if call:
        words.append(f"  call {call + 1}")
    return "".join(words)


def _scalars(answer: Records, place: int, title: str) -> bytes:
    """Numbers of one record, each with a tag of its own."""
    bad = answer.nan[place] + answer.positive_infinity[place] + answer.negative_infinity[place]
    parts = [_scalar(f"{title}/{name}", float(getattr(answer, name)[place])) for name in _SHOWN]
    parts.append(_scalar(f"{title}/nan and inf", float(bad)))
    return b"".join(parts)


def _scalar(tag: str, value: float) -> bytes:
    return _message(1, _text(1, tag) + struct.pack("<Bf", 2 << 3 | 5, _as_float(value)))


def _as_float(value: float) -> float:
    """A value that float32 holds: beyond its range the infinity of the same sign."""
    with np.errstate(over="ignore"):
        return float(np.float32(value))


def _histogram(answer: Records, place: int, title: str) -> bytes:
    """The sample's histogram with the exact extremes; nothing where no value was finite."""
    counts = answer.counts[place].astype(np.float64)
    limits = bin_edges(answer, place)[1:]
    total = float(counts.sum())
    if not total:
        return b""
    mean, deviation = float(answer.mean[place]), float(answer.deviation[place])
    body = (
        _double(1, float(answer.minimum[place]))
        + _double(2, float(answer.maximum[place]))
        + _double(3, total)
        + _double(4, mean * total)
        + _double(5, (deviation**2 + mean**2) * total)
        + _bytes(6, limits.astype("<f8").tobytes())
        + _bytes(7, counts.astype("<f8").tobytes())
    )
    return _message(1, _text(1, title) + _message(5, body))


def bin_edges(answer: Records, place: int) -> NDArray[np.float64]:
    """(BINS + 1,) edges of one record's bins, see :class:`Records`."""
    exponent = int(answer.exponent[place])
    largest = np.finfo(np.float64).max
    with np.errstate(over="ignore"):
        if answer.octaves[place]:
            sizes = np.ldexp(1.0, exponent - np.arange(BINS // 2))
            edges = np.concatenate([-sizes, [0.0], sizes[::-1]])
        else:
            edges = answer.low[place] + np.arange(BINS + 1) * np.ldexp(1.0, exponent)
    return np.asarray(np.clip(edges, -largest, largest))


# -- protocol buffers ------------------------------------------------------------------------------


def _varint(value: int) -> bytes:
    value &= 2**64 - 1  # a negative number is written as its complement
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _double(field: int, value: float) -> bytes:
    return struct.pack("<Bd", field << 3 | 1, value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


_message = _bytes


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode("utf-8", "replace"))


# -- frames ----------------------------------------------------------------------------------------


def _framed(events: Iterable[bytes]) -> Iterator[bytes]:
    """Events between their lengths and checksums, some at once."""
    waiting: list[bytes] = []
    for event in events:
        waiting.append(event)
        if len(waiting) == _AT_ONCE:
            yield _frames(waiting)
            waiting = []
    yield _frames(waiting)


def _frames(events: list[bytes]) -> bytes:
    lengths = [struct.pack("<Q", len(event)) for event in events]
    heads, bodies = _masked(crc32c(lengths)), _masked(crc32c(events))
    parts: list[bytes] = []
    for place, event in enumerate(events):
        parts += [lengths[place], heads[place], event, bodies[place]]
    return b"".join(parts)


def _masked(checksums: NDArray[np.uint32]) -> list[bytes]:
    """As the format keeps them: a checksum of data that holds checksums would be weak."""
    rotated = (checksums >> np.uint32(15)) | (checksums << np.uint32(17))
    masked = rotated + np.uint32(0xA282EAD8)  # wraps
    return [struct.pack("<I", value) for value in masked.tolist()]


def _table() -> NDArray[np.uint32]:
    values = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        odd = (values & 1).astype(bool)
        values = (values >> np.uint32(1)) ^ np.where(odd, np.uint32(_POLYNOMIAL), np.uint32(0))
    return values


_TABLE = _table()


def crc32c(blocks: list[bytes]) -> NDArray[np.uint32]:
    """(n,) CRC-32C of each block: all are worked through together, byte by byte."""
    if not blocks:
        return np.empty(0, np.uint32)
    sizes = np.array([len(block) for block in blocks])
    order = np.argsort(-sizes, kind="stable")  # those that are longer stand first
    table = np.zeros((int(sizes.max()), len(blocks)), np.uint8)
    for column, place in enumerate(order.tolist()):
        table[: sizes[place], column] = np.frombuffer(blocks[place], np.uint8)
    alive = np.searchsorted(-sizes[order], -np.arange(len(table)), side="left")
    state = np.full(len(blocks), 0xFFFFFFFF, np.uint32)
    for row, count in zip(table, alive.tolist(), strict=True):
        head = state[:count]
        head[:] = _TABLE[(head ^ row[:count]) & np.uint32(0xFF)] ^ (head >> np.uint32(8))
    result = np.empty(len(blocks), np.uint32)
    result[order] = ~state
    return result
