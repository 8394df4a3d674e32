from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.gui.models.columns import Column
from inspector_app.gui.models.layout import (
    Layout,
    topmost,
    with_ancestors,
    with_subtrees,
)
from inspector_app.gui.models.names import Names
from inspector_app.gui.models.row_values import RowValues
from inspector_app.gui.models.sorting import Sorting, sorted_order
from tests.protocol.trees import table_of, trees


@st.composite
def layouts(draw):
    """A table, some of its rows with those above them, and their layout in some order."""
    table = table_of(draw(trees()))
    chosen = np.array([draw(st.booleans()) for _ in range(len(table))], bool)
    chosen[0] = True
    shown = with_ancestors(table, chosen)
    order = None
    if draw(st.booleans()):
        sorting = Sorting(Column.NAME, draw(st.booleans()))
        order = sorted_order(RowValues(table), Names(table), sorting)
    return table, shown, Layout(table, shown, order)


def walked(layout: Layout) -> list[int]:
    """Positions from the top to the bottom."""
    found, waiting = [], [0]
    while waiting:
        position = waiting.pop()
        found.append(position)
        rows = range(layout.count(position))
        waiting += [layout.child(position, row) for row in reversed(rows)]
    return found


@given(layouts())
def test_every_row_that_is_shown_stands_once_below_its_parent(made):
    table, shown, layout = made
    found = walked(layout)
    assert sorted(found) == np.flatnonzero(shown).tolist()
    for position in found[1:]:
        parent = int(table.parent[position])
        assert layout.child(parent, layout.rank(position)) == position
        assert layout.child(parent, layout.count(parent)) == -1
        assert layout.child(parent, -1) == -1


@given(layouts())
def test_the_place_on_display_counts_from_the_top(made):
    _, _, layout = made
    assert [int(layout.display[p]) for p in walked(layout)] == list(range(len(walked(layout))))


@given(layouts(), st.data())
def test_groups_are_neighbours(made, data):
    table, shown, layout = made
    chosen = np.array([data.draw(st.booleans()) for _ in range(len(table))], bool)
    groups = layout.groups(chosen, 1000)
    assert groups is not None
    found = [position for group in groups for position in layout.children(group).tolist()]
    assert sorted(found) == [p for p in np.flatnonzero(chosen & shown).tolist() if p]
    for group in groups:
        assert {int(table.parent[p]) for p in layout.children(group)} == {group.parent}
        after = layout.child(group.parent, group.last + 1)
        assert after < 0 or not chosen[after]
    if groups:
        assert layout.groups(chosen, 0) is None


@given(trees(), st.data())
def test_masks_spread_up_and_down(tree, data):
    table = table_of(tree)
    chosen = np.array([data.draw(st.booleans()) for _ in range(len(table))], bool)

    def above(position: int) -> list[int]:
        found = []
        while position >= 0:
            found.append(position)
            position = int(table.parent[position])
        return found

    for position in range(len(table)):
        ups = above(position)
        assert with_subtrees(table, chosen)[position] == any(chosen[p] for p in ups)
        assert topmost(table, chosen)[position] == (
            chosen[position] and (position == 0 or not chosen[table.parent[position]])
        )
        assert with_ancestors(table, chosen)[position] == any(
            chosen[p] for p in range(len(table)) if position in above(p)
        )
