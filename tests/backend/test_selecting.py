from __future__ import annotations

import fnmatch

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from inspector_app.backend.selecting import matches, resolve
from inspector_app.backend.tree import Tree, build_tree
from inspector_app.protocol.errors import RequestError
from inspector_app.protocol.messages import Selection


@pytest.fixture
def tree() -> Tree:
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)))
    model.listed = [torch.ones(1), torch.ones(2)]
    return build_tree(model)


def chosen(tree: Tree, *patterns: str, rows: list[int] | None = None) -> list[str]:
    found = resolve(tree, Selection(rows=rows or [], patterns=list(patterns)))
    assert found.dtype == np.int32
    assert found.tolist() == sorted(set(found.tolist()))
    return [tree.table.path(position) for position in found.tolist()]


def test_module_means_its_subtree(tree: Tree) -> None:
    assert chosen(tree, "1.0") == ["1.0", "1.0.weight", "1.0.bias"]


def test_empty_pattern_is_the_root(tree: Tree) -> None:
    assert chosen(tree, "") == tree.table.paths


def test_glob_crosses_dots(tree: Tree) -> None:
    assert chosen(tree, "*.bias") == ["0.bias", "1.0.bias", "1.1.bias"]


def test_exact_path_wins_over_glob(tree: Tree) -> None:
    assert chosen(tree, "listed[0]") == ["listed[0]"]


def test_glob_classes_still_work(tree: Tree) -> None:
    assert chosen(tree, "[0]") == ["0", "0.weight", "0.bias"]


def test_case_matters(tree: Tree) -> None:
    with pytest.raises(RequestError, match=r"'\*\.BIAS' matches no row"):
        chosen(tree, "*.BIAS")


def test_rows_and_patterns_together(tree: Tree) -> None:
    row = int(tree.table.ids[tree.table.paths.index("0.bias")])
    assert chosen(tree, "1.1", "1.1.bias", rows=[row]) == [
        "0.bias",
        "1.1",
        "1.1.weight",
        "1.1.bias",
    ]


def test_nothing_selected(tree: Tree) -> None:
    assert chosen(tree) == []


def test_pattern_without_match_says_what_is_there(tree: Tree) -> None:
    with pytest.raises(RequestError, match=r"'1\.7\.weight' matches no row\. '1' does exist"):
        chosen(tree, "0", "1.7.weight")


@pytest.mark.parametrize("row", [-1, 10_000, 2**40])
def test_row_that_is_gone(tree: Tree, row: int) -> None:
    with pytest.raises(RequestError, match=f"Row {row} "):
        chosen(tree, rows=[0, row])


@given(
    st.lists(st.text("ab.[]*", max_size=6), max_size=20, unique=True),
    st.lists(st.text("ab.[]*?!", max_size=5), max_size=3),
)
def test_matches_is_fnmatch_where_no_path_is_meant(paths: list[str], patterns: list[str]) -> None:
    expected = [
        any(
            path == pattern or (pattern not in paths and fnmatch.fnmatchcase(path, pattern))
            for pattern in patterns
        )
        for path in paths
    ]
    assert matches(paths, patterns).tolist() == expected
