"""Fixtures for tests of the live views."""

from __future__ import annotations

import numpy as np
import pytest

from inspector_app.gui.client.records_store import RecordsStore
from inspector_app.gui.views.live_views import LiveViews
from inspector_app.gui.views.names import NamedSeries, named_series
from inspector_app.protocol.messages import Series
from tests.gui.fake_backend import make_records
from widgets.histogram_cells import Record

ROWS = (1, 3)
SERIES = [
    Series(key=0, row=ROWS[0], leaf=""),
    Series(key=1, row=ROWS[0], leaf="", kind="gradient"),
    Series(key=2, row=ROWS[1], leaf=""),
    Series(key=3, row=ROWS[1], leaf="", kind="gradient"),
    Series(key=4, row=-1, leaf="loss", kind="scalar"),
]


def fill(store: RecordsStore, steps: int) -> None:
    """Mirror that many steps more, one answer for each."""
    for _ in range(steps):
        first = store.next
        store.add(make_records(SERIES, np.arange(first, first + len(SERIES), dtype=np.int64)))


@pytest.fixture
def store() -> RecordsStore:
    """Twelve steps of five series."""
    store = RecordsStore()
    fill(store, 12)
    return store


@pytest.fixture
def series(table) -> list[NamedSeries]:
    """The series by their names."""
    return named_series(table, SERIES, ROWS)


@pytest.fixture
def views(qtbot, store, series) -> LiveViews:
    """The tabs, which mirror those twelve steps."""
    views = LiveViews()
    qtbot.addWidget(views)
    views.store.add(store.answers[0])
    for answer in list(store.answers)[1:]:
        views.store.add(answer)
    views.resize(1200, 320)
    views.set_series(series)
    views.show()
    return views


def cells(views: LiveViews) -> dict[int, Record | None]:
    """What the cell of each series holds."""
    return {key: views.grid.grid.record(key) for key, _ in views.grid._titles}
