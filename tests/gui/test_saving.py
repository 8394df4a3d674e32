"""Live views as files."""

from __future__ import annotations

import csv
from threading import Event

import numpy as np
import pytest

from inspector_app.gui.client.records_store import KEPT
from inspector_app.gui.saving import Saving
from inspector_app.gui.settings import Settings
from inspector_app.gui.views.live_views import LiveViews
from inspector_app.gui.views.names import named_series
from tests.gui.fake_backend import make_records
from tests.gui.views.conftest import ROWS, SERIES, fill


@pytest.fixture
def saving(qtbot, table, tmp_path):
    views = LiveViews()
    qtbot.addWidget(views)
    fill(views.store, 3)
    views.set_series(named_series(table, SERIES, ROWS))
    views.resize(900, 300)
    views.show()
    return Saving(views, Settings(tmp_path / "settings.ini"), views)


@pytest.mark.parametrize(
    ("kind", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("csv", b"step,forward")]
)
def test_files_of_each_kind(qtbot, saving, tmp_path, kind, begins):
    path = tmp_path / f"live.{kind}"
    told = []
    saving.told.connect(lambda text, tone, detail: told.append((text, tone)))
    saving.write(kind, path)
    qtbot.waitUntil(lambda: (f"{path} was written.", "good") in told)
    assert path.read_bytes().startswith(begins)
    if kind == "csv":
        rows = list(csv.DictReader(path.read_text().splitlines()))
        assert len(rows) == 15
        assert {row["series"] for row in rows} >= {"loss"}


@pytest.mark.parametrize("kind", ["csv", "events"])
def test_what_is_saved_is_what_was_there_when_it_was_asked_for(
    qtbot, saving, tmp_path, monkeypatch, kind
):
    writing, came = Event(), Event()
    wrote: list[int] = []

    def write(path, answers, titles):
        writing.set()
        assert came.wait(10)
        wrote.extend(number for answer in answers for number in answer.sequence.tolist())

    for name in ("write_table", "write_events"):
        monkeypatch.setattr(f"inspector_app.gui.saving.{name}", write)
    store = saving._views.store
    with qtbot.waitSignal(saving.told, check_params_cb=lambda text, tone, _: tone == "good"):
        saving.write(kind, tmp_path / "records")
        assert writing.wait(10)
        for first in range(store.next, 2 * KEPT, 4096):
            store.add(make_records(SERIES, np.arange(first, first + 4096, dtype=np.int64)))
        came.set()
    assert wrote == list(range(15))


def test_a_recording_for_tensorboard(qtbot, saving, tmp_path):
    folder = tmp_path / "runs"
    folder.mkdir()
    with qtbot.waitSignal(saving.told, check_params_cb=lambda text, tone, _: tone == "good"):
        saving.write("events", folder)
    assert ["tfevents" in path.name for path in folder.iterdir()] == [True]


@pytest.mark.parametrize("kind", ["png", "csv", "events"])
def test_what_cannot_be_written_is_said(qtbot, saving, tmp_path, kind):
    def said(text, tone, _) -> bool:
        return tone == "danger" and text.count("was not written (") == text.count("deeper") == 1

    (tmp_path / "missing").touch()
    with qtbot.waitSignal(saving.told, check_params_cb=said):
        saving.write(kind, tmp_path / "missing" / "deeper")


def test_nothing_recorded_is_said(qtbot, saving, tmp_path):
    saving._views.store.clear()
    with qtbot.waitSignal(saving.told) as told:
        saving.write("csv", tmp_path / "x.csv")
    assert told.args[0] == "Nothing has been recorded yet."
    assert not (tmp_path / "x.csv").exists()
