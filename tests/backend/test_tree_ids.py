"""Ids of rows from one tree of a model to the next, and the difference of the two."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from torch import nn

from inspector_app.backend.tree import Tree, build_tree
from inspector_app.protocol.changes import apply, difference
from inspector_app.protocol.table import RowTable
from tests.backend.tree_models import Registrations, models, rows


def ids_by_path(tree: Tree) -> dict[str, int]:
    return {path: int(tree.table.ids[p]) for path, p in rows(tree).items()}


def test_ids_survive_and_are_never_used_again() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    first = build_tree(model)
    del model[1]
    model.insert(0, nn.ReLU())
    second = build_tree(model, first)
    model.append(nn.Linear(1, 1))
    third = build_tree(model, second)
    before, after = ids_by_path(first), ids_by_path(third)
    assert after["0"] == before["0"]  # the row is its name: another module stands there now
    assert after["1.weight"] == before["1.weight"]
    assert ids_by_path(second)["1.weight"] == before["1.weight"]
    assert len(set(after.values())) == len(after)
    fresh = {after[path] for path in after if path not in before}
    assert not fresh & (set(before.values()) | set(ids_by_path(second).values()))


def test_the_same_model_keeps_its_ids_and_values() -> None:
    model = Registrations()
    first = build_tree(model)
    model.registered.weight.requires_grad_(False)
    second = build_tree(model, first)
    assert np.array_equal(first.table.ids, second.table.ids)
    change = difference(first.table, second.table)
    assert not change.structural
    changed = {second.table.path(p) for p in second.table.positions(change.changed.ids)}
    assert changed == {"registered.weight", "alias"}


@given(models(), models())
def test_any_change_is_told_completely(first: nn.Module, second: nn.Module) -> None:
    before = build_tree(first)
    after = build_tree(second, before)
    table: RowTable = apply(before.table, difference(before.table, after.table))
    assert table.paths == after.table.paths
    for column in ("ids", "parent", "end", "role", "flags", "count", "bytes", "tie"):
        assert np.array_equal(getattr(table, column), getattr(after.table, column)), column
