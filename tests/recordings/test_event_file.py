"""Event files, read back by TensorBoard itself."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.protocol.messages import BINS, Phase, Records, Series
from inspector_app.recordings.event_file import bin_edges, crc32c, write_events
from tests.gui.fake_backend import make_records

SERIES = [
    Series(key=0, row=1, leaf=""),
    Series(key=1, row=1, leaf="", kind="gradient"),
    Series(key=2, row=-1, leaf="loss", kind="scalar"),
]
TITLES = {0: "stem", 1: "stem  gradient", 2: "loss"}
# In a process of its own: TensorBoard's imports warn, and warnings are errors here.
READER = """
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={"histograms": 0, "scalars": 0})
events.Reload()
tags = events.Tags()
print(json.dumps({
    "scalars": {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags["scalars"]},
    "histograms": {
        tag: [
            (e.step, list(map(float, e.histogram_value.bucket_limit)),
             list(map(float, e.histogram_value.bucket)), e.histogram_value.min,
             e.histogram_value.max, e.histogram_value.num)
            for e in events.Histograms(tag)
        ]
        for tag in tags["histograms"]
    },
}))
"""


def recorded(steps: int) -> Records:
    return make_records(SERIES, np.arange(steps * len(SERIES), dtype=np.int64))


def read_back(folder: Path) -> dict:
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", READER, str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(result.stdout)


def test_tensorboard_reads_every_record(tmp_path):
    answer = recorded(5)
    path = write_events(tmp_path, [answer], TITLES)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    told = read_back(tmp_path)
    assert set(told["histograms"]) == {"stem", "stem  gradient"}
    assert told["scalars"]["loss"] == [[step, 0.0] for step in range(5)]
    assert told["scalars"]["stem/norm"] == [[step, 12.0] for step in range(5)]
    step, limits, counts, least, largest, number = told["histograms"]["stem"][-1]
    assert (step, least, largest) == (4, -3.0, 3.0)
    assert number == sum(counts) == answer.counts[0].sum()
    # TensorBoard leaves out buckets that are empty at the ends.
    kept = dict(zip(limits, counts, strict=True))
    exact = dict(zip(bin_edges(answer, 0)[1:].tolist(), answer.counts[0].tolist(), strict=True))
    assert {limit: count for limit, count in kept.items() if count} == {
        limit: count for limit, count in exact.items() if count
    }


def test_phases_and_calls_have_tags_of_their_own(tmp_path):
    answer = recorded(4)
    phase = np.full(len(answer.key), Phase.TRAIN, np.uint8)
    call = np.zeros(len(answer.key), np.int32)
    stem, gradient = np.flatnonzero(answer.key == 0), np.flatnonzero(answer.key == 1)
    call[stem[1]] = 1
    phase[stem[2]] = Phase.EVALUATION
    phase[stem[3]], call[stem[3]] = Phase.TRAIN | Phase.RECOMPUTE, 1
    phase[gradient] = Phase.TRAIN | Phase.RECOMPUTE | Phase.BACKWARD
    write_events(tmp_path, [msgspec.structs.replace(answer, phase=phase, call=call)], TITLES)
    told = read_back(tmp_path)["histograms"]
    assert {tag: [event[0] for event in events] for tag, events in told.items()} == {
        "stem": [0],
        "stem  call 2": [1],
        "stem  eval": [2],
        "stem  recompute  call 2": [3],
        "stem  gradient": [0, 1, 2, 3],
    }


def test_values_beyond_float32_and_histograms_of_nothing(tmp_path):
    answer = recorded(2)
    answer = msgspec.structs.replace(
        answer, norm=np.full(len(answer.key), 1e300), counts=np.zeros_like(answer.counts)
    )
    write_events(tmp_path, [answer], TITLES)
    told = read_back(tmp_path)
    assert told["histograms"] == {}
    assert told["scalars"]["stem/norm"] == [[0, float("inf")], [1, float("inf")]]


def test_series_without_a_title_are_left_out(tmp_path):
    write_events(tmp_path, [recorded(3)], {2: "loss"})
    assert set(read_back(tmp_path)["scalars"]) == {"loss"}


def test_octaves_end_at_powers_of_two():
    answer = msgspec.structs.replace(
        recorded(1), octaves=np.ones(len(SERIES), bool), exponent=np.full(len(SERIES), 3, np.int32)
    )
    edges = bin_edges(answer, 0)
    assert len(edges) == BINS + 1
    assert (edges[0], edges[BINS // 2], edges[-2], edges[-1]) == (-8.0, 0.0, 4.0, 8.0)
    assert (np.diff(edges) > 0).all()


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        write_events(tmp_path / "missing", [recorded(1)], TITLES)
    assert list(tmp_path.iterdir()) == []


# -- the checksum ----------------------------------------------------------------------------------


def test_the_checksum_is_that_of_the_standard():
    # RFC 3720, appendix B.4
    known = {bytes(32): 0x8A9136AA, b"\xff" * 32: 0x62A8AB43, bytes(range(32)): 0x46DD794E}
    assert crc32c(list(known)).tolist() == list(known.values())
    assert crc32c([b"", b"123456789"]).tolist() == [0, 0xE3069283]
    assert crc32c([]).tolist() == []


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_blocks_together_are_as_blocks_alone(blocks):
    assert crc32c(blocks).tolist() == [int(crc32c([block])[0]) for block in blocks]
    # Unlike zlib's, whose polynomial is another one.
    assert all(int(crc32c([b"x" + block])[0]) != zlib.crc32(b"x" + block) for block in blocks)
