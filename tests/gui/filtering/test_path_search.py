from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.gui.filtering import path_search
from inspector_app.gui.filtering.expressions import literal, regular
from inspector_app.gui.filtering.path_search import PathSearch
from inspector_app.gui.models.layout import with_subtrees
from inspector_app.gui.models.names import Names
from inspector_app.protocol.table import Flag
from tests.protocol.trees import table_of, trees


def search(table) -> PathSearch:
    return PathSearch(table, Names(table))


@given(
    tree=trees(),
    text=st.text("ab0.[\n", min_size=1, max_size=3),
    few=st.sampled_from([0, 24]),
)
def test_a_text_is_found_in_all_paths_that_hold_it(tree, text, few):
    table = table_of(tree)
    path_search._FEW, before = few, path_search._FEW
    try:
        found = search(table).find(literal(text))
    finally:
        path_search._FEW = before
    paths = [table.path(position).lower() for position in range(len(table))]
    # A row below one that was found has it in its path too.
    assert with_subtrees(table, found).tolist() == [text in path for path in paths]
    for position in np.flatnonzero(found):  # ... but what is found ends in its own name
        above = table.path(int(table.parent[position])) if position else ""
        path = paths[position]
        ends = [at + len(text) for at in range(len(path)) if path.startswith(text, at)]
        assert any(end > len(above) for end in ends)


@given(tree=trees(), text=st.text("ab0\n", min_size=1, max_size=2))
def test_names_that_hold_a_text(tree, text):
    table = table_of(tree)
    expected = [at > 0 and text in table.name(at).lower() for at in range(len(table))]
    assert search(table).names_with(text).tolist() == expected


def test_the_end_of_a_path_is_the_end_of_its_row(table):
    found = search(table).find(regular(r"(^|\.)body$"))
    assert [table.path(int(p)) for p in np.flatnonzero(found)] == ["body"]
    found = search(table).find(regular(r"^embed\b"))
    assert [table.path(int(p)) for p in np.flatnonzero(found)] == ["embed"]


def test_items_are_joined_without_a_dot():
    from tests.protocol.trees import Node

    item = Node(2, "[0]", flags=int(Flag.ITEM))
    table = table_of(Node(0, "", below=[Node(1, "cache", below=[item])]))
    assert search(table).find(literal("cache[0]")).tolist() == [False, False, True]
    assert not search(table).find(literal("cache.[0]")).any()
