"""Series in the order of the model."""

from __future__ import annotations

from inspector_app.gui.views.names import NamedSeries, named_series
from inspector_app.protocol.messages import Series


def test_series_stand_in_the_order_of_the_model_and_kinds_in_theirs(table):
    known = [
        Series(key=0, row=3, leaf="", kind="gradient"),
        Series(key=1, row=3, leaf="[0]"),
        Series(key=2, row=1, leaf=""),
        Series(key=3, row=-1, leaf="loss", kind="scalar"),
        Series(key=4, row=3, leaf=""),
    ]
    named = named_series(table, known, [])
    assert [one.key for one in named] == [3, 2, 4, 0, 1]
    path = table.path(table.position(3))
    assert [one.title for one in named][-3:] == [path, f"{path}  gradient", f"{path}[0]"]
    assert named[0].title == "loss"


def test_a_watched_row_that_has_not_fired_has_a_place_too(table):
    named = named_series(table, [Series(key=0, row=1, leaf="")], [1, 3])
    assert [(one.row, one.measured) for one in named] == [(1, True), (3, False)]
    assert named[1].key < 0


def test_rows_that_are_gone_are_left_out(table):
    assert named_series(table, [Series(key=0, row=10_000, leaf="")], [10_001]) == []


def test_a_variant_is_told_in_full_and_where_there_is_little_room():
    series = NamedSeries(7, 1, 1, "gradient", "stem", variant="eval, call 2")
    assert series.title == "stem  gradient  eval, call 2"
    assert series.short_title == "stem eval 2"
