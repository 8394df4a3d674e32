"""Records as a table."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from inspector_app.recordings.table import HEADER, write_table
from tests.recordings.test_event_file import SERIES, TITLES, recorded


def test_one_line_for_each_record(tmp_path):
    path = tmp_path / "records.csv"
    answer = recorded(4)
    write_table(path, [answer, answer], TITLES)
    lines = list(csv.DictReader(path.read_text().splitlines()))
    assert tuple(lines[0]) == HEADER
    assert len(lines) == 2 * 4 * len(SERIES)
    assert [line["series"] for line in lines[:3]] == ["stem", "stem  gradient", "loss"]
    assert [line["kind"] for line in lines[:3]] == ["output", "gradient", "scalar"]
    assert np.allclose([float(line["norm"]) for line in lines], 12.0)


def test_a_file_that_is_there_stays_when_the_new_one_fails(tmp_path):
    path = tmp_path / "records.csv"
    path.write_text("old")

    def broken():
        yield recorded(1)
        raise ValueError("the mirror broke")

    with pytest.raises(ValueError, match="mirror broke"):
        write_table(path, broken(), TITLES)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["records.csv"]
