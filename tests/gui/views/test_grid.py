"""Cells of the grid that are out of sight, and what is held."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from inspector_app.gui.views.names import NamedSeries
from inspector_app.protocol.messages import Series
from tests.gui.fake_backend import make_records
from tests.gui.views.conftest import ROWS, cells

MANY = [Series(key=key, row=ROWS[0], leaf="") for key in range(400)]


@pytest.fixture
def many(views):
    """Far more series than there is room for, twice fired."""
    views.store.clear()
    for step in range(2):
        places = np.arange(400, dtype=np.int64)
        records = make_records(MANY, 400 * step + places)
        views.store.add(msgspec.structs.replace(records, step=np.full(400, step + 1)))
    views.set_series([NamedSeries(key, ROWS[0], 0, "output", f"stem[{key}]") for key in range(400)])
    return views


def steps_in_sight(views, first: int = 0) -> tuple[int, set[int | None]]:
    """How many cells are in sight, and the steps in those from a key on."""
    keys = views.grid.grid.keys_in_sight()
    records = [views.grid.grid.record(key) for key in keys if key >= first]
    return len(keys), {record and record.step for record in records}


def test_cells_are_filled_as_they_come_into_sight(many):
    grid = many.grid.grid
    seen, steps = steps_in_sight(many)
    assert seen < 50
    assert steps == {2}
    many.go_to(1)
    assert steps_in_sight(many) == (seen, {1})
    for change in (
        lambda: grid.verticalScrollBar().setValue(900),
        lambda: grid._go_to(399),
        lambda: many.resize(1500, 900),
    ):
        change()
        assert steps_in_sight(many)[1] == {1}
        assert many.grid.grid.keys_in_sight()[0] > 0
    many.hold.setChecked(False)
    assert steps_in_sight(many)[1] == {2}
    grid.verticalScrollBar().setValue(0)
    assert steps_in_sight(many)[1] == {2}


def test_a_step_held_leaves_cells_out_of_sight_alone(many, monkeypatch):
    filled = []
    monkeypatch.setattr(many.grid.grid, "update_records", lambda keys, _: filled.extend(keys))
    many.go_to(1)
    assert sorted(filled) == many.grid.grid.keys_in_sight()


def test_what_has_no_record_at_the_step_held_says_so_as_it_comes_into_sight(many):
    for _ in range(7):
        many.records_arrived()
    assert cells(many)[399].step == 2
    many.grid.step = 0  # before the first
    many.grid.draw()
    assert steps_in_sight(many)[1] == {None}
    many.grid.grid._go_to(399)
    assert steps_in_sight(many, 300)[1] == {None}


def test_what_nobody_has_seen_is_remembered_when_the_mirror_lets_go_of_it(many):
    for _ in range(7):
        many.records_arrived()
    many.store._newest.clear()
    many.grid.grid._go_to(399)
    assert steps_in_sight(many)[1] == {2}


def test_a_grid_without_cells_says_what_would_fill_it(views, series):
    grid = views.grid
    assert not grid.empty.isVisible()
    views.set_series([one for one in series if one.kind == "scalar"])
    assert grid.empty.isVisible()
    assert not grid.grid.isVisible()
    assert "Watch modules" in grid.empty.sentence
    assert grid.empty.button.isVisible()
    views.set_series([one for one in series if one.kind in ("gradient", "scalar")])
    assert not grid.empty.isVisible()
    assert grid.grid.isVisible()
    grid.kinds.setCurrentText("Activations")
    grid.kinds.activated.emit(grid.kinds.currentIndex())
    assert grid.empty.isVisible()
    assert "choose others" in grid.empty.sentence
    assert not grid.empty.button.isVisible()


def test_over_time_says_nothing_of_how_many_are_shown_while_nothing_is(views):
    views.set_series([])
    views.show_view(views.over_time)
    assert not views.over_time.which.isVisible()
