"""Hashes beside other work."""

import hashlib
import threading
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.backend.hashing import AHEAD, HashLane, PayloadHash, word_sum


def test_a_lane_is_sha256_and_passes_errors_on():
    with HashLane(b"a") as lane:
        for block in (b"b", memoryview(b"c"), b"", np.frombuffer(b"de", np.uint8)):
            lane.update(block)
        assert lane.hexdigest() == hashlib.sha256(b"abcde").hexdigest()
        lane.update(b"f")
        assert lane.hexdigest() == hashlib.sha256(b"abcdef").hexdigest()
        lane.update("text")
        with pytest.raises(TypeError):
            lane.hexdigest()


def test_a_lane_takes_anything_that_takes_bytes():
    check = [0]

    def update(block):
        check[0] = zlib.crc32(block, check[0])

    with HashLane(into=update) as lane:
        lane.update(b"ab")
        lane.update(b"c")
        lane.wait()
    assert check[0] == zlib.crc32(b"abc")


def test_a_lane_is_never_further_behind_than_it_says():
    """Whoever reuses a buffer after AHEAD more updates must not disturb the hash."""
    go, done = threading.Event(), []

    def slow(block):
        go.wait(10)
        done.append(block)

    with HashLane(into=slow) as lane:
        for number in range(AHEAD):
            lane.update(bytes([number]))
        assert done == []
        threading.Timer(0.05, go.set).start()
        lane.update(b"next")  # waits for the first
        assert done[0] == b"\0"
        lane.wait()
    assert len(done) == AHEAD + 1


@given(st.lists(st.binary(max_size=20)), st.binary(max_size=5))
def test_the_hash_of_a_payload_is_that_of_its_pieces(pieces, beginning):
    with PayloadHash(beginning) as payload:
        for piece in pieces:
            payload.update(np.frombuffer(piece, np.uint8))
        sums = [word_sum(np.frombuffer(piece, np.uint8)) for piece in pieces]
        checks = [
            zlib.crc32(piece).to_bytes(4, "little") + total.to_bytes(8, "little")
            for piece, total in zip(pieces, sums, strict=True)
        ]
        whole = hashlib.sha256(beginning + b"".join(checks))
        assert payload.hexdigest() == whole.hexdigest()
    assert payload.sums == sums


@given(st.binary(min_size=1, max_size=40), st.data())
def test_a_sum_tells_every_byte_that_changed(content, data):
    before = np.frombuffer(content, np.uint8)
    after = before.copy()
    place = data.draw(st.integers(0, len(content) - 1))
    after[place] ^= data.draw(st.integers(1, 255))
    assert word_sum(before) != word_sum(after)
