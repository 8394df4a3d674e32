"""The ring of records: order, bounds, gaps and threads."""

from __future__ import annotations

import math
import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.backend.probing.records import ROW, RecordRing, Rows
from inspector_app.protocol.framing import decode, encode
from inspector_app.protocol.messages import BINS, Records


def row(number: int, step: int = 0, key: int = 0, call: int = 0) -> Rows:
    """One record that tells its number in several columns."""
    rows = np.zeros(1, ROW)
    rows["step"], rows["key"], rows["call"] = step, key, call
    rows["count"] = rows["sampled"] = number
    rows["nan"], rows["positive_infinity"], rows["negative_infinity"] = 1, 2, 3
    rows["minimum"], rows["maximum"], rows["mean"], rows["deviation"] = -1, number, 0.5, math.nan
    rows["counts"] = number
    return rows


def ring_of(capacity: int) -> RecordRing:
    ring = RecordRing(capacity * ROW.itemsize)
    assert ring.capacity == capacity
    return ring


def test_what_goes_in_comes_out():
    ring = ring_of(8)
    ring.extend(row(10, 4, 7, 2))
    found = ring.since(0)
    assert (found.first, found.next) == (0, 1)
    assert found.sequence.tolist() == [0]
    assert (found.step[0], found.key[0], found.call[0]) == (4, 7, 2)
    assert (found.count[0], found.sampled[0]) == (10, 10)
    assert (found.nan[0], found.positive_infinity[0], found.negative_infinity[0]) == (1, 2, 3)
    assert (found.minimum[0], found.maximum[0], found.mean[0]) == (-1.0, 10.0, 0.5)
    assert math.isnan(found.deviation[0])
    assert found.counts.tolist() == [[10] * BINS]


def test_nothing_yet():
    found = ring_of(3).since(0)
    assert (found.first, found.next, len(found.sequence)) == (0, 0, 0)
    assert found.counts.shape == (0, BINS)


@given(
    st.integers(1, 9), st.integers(0, 40), st.integers(-3, 60), st.integers(0, 20), st.booleans()
)
def test_behaves_like_a_list_of_the_newest(capacity, appended, since, limit, cleared):
    ring = ring_of(capacity)
    for number in range(appended):
        ring.extend(row(number, number))
    first = max(0, appended - capacity)
    if cleared:
        ring.clear()
        first = appended
    expected = [number for number in range(first, appended) if number >= since][:limit]
    found = ring.since(since, limit)
    assert found.sequence.tolist() == expected
    assert found.step.tolist() == expected
    assert found.counts[:, 0].tolist() == expected
    assert found.first == ring.first == first
    assert ring.next == appended
    assert found.next == (expected[-1] + 1 if expected else min(max(since, first), appended))


def test_reading_in_pieces_misses_nothing():
    ring = ring_of(100)
    for number in range(57):
        ring.extend(row(number, number))
    seen: list[int] = []
    position = 0
    while position < ring.next:
        found = ring.since(position, 10)
        seen += found.sequence.tolist()
        position = found.next
    assert seen == list(range(57))


def test_crosses_the_wire():
    ring = ring_of(5)
    for number in range(9):
        ring.extend(row(number, number, number))
    parts = b"".join(bytes(part) for part in encode(ring.since(0)))
    found = decode(parts[4:], Records)
    assert found.sequence.tolist() == [4, 5, 6, 7, 8]
    assert found.key.dtype == np.int32


def test_a_reader_in_another_thread_never_sees_a_torn_record():
    ring = ring_of(16)
    finished = threading.Event()

    def write() -> None:
        for number in range(20_000):
            ring.extend(row(number, number, number))
        finished.set()

    writer = threading.Thread(target=write)
    writer.start()
    position = seen = 0
    while not finished.is_set() or position < ring.next:
        found = ring.since(position)
        assert (found.sequence == found.step).all()
        assert (found.counts == found.sequence[:, None]).all()
        assert (found.sequence >= position).all()
        seen += len(found.sequence)
        position = found.next
    writer.join()
    assert seen > 0


@given(st.lists(st.integers(0, 25), max_size=6), st.integers(1, 9))
def test_many_at_once_are_as_one_by_one(sizes, capacity):
    ring, plain = ring_of(capacity), ring_of(capacity)
    number = 0
    for size in sizes:
        rows = [row(number + index, number + index) for index in range(size)]
        number += size
        ring.extend(np.concatenate([np.zeros(0, ROW), *rows]))
        for one in rows:
            plain.extend(one)
    assert (ring.first, ring.next) == (plain.first, plain.next)
    assert ring.since(0).step.tolist() == plain.since(0).step.tolist()
