"""Which rows a selection means."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inspector_app.backend.presets import preset_rows
from inspector_app.backend.tree import Tree
from inspector_app.protocol.errors import RequestError
from inspector_app.protocol.messages import Selection
from inspector_app.protocol.table import Int32, RowTable

_GLOB = re.compile(r"[*?\[]")


def _matches_one(paths: Sequence[str], pattern: str) -> NDArray[np.bool_]:
    """Paths that are ``pattern`` exactly, else those that match it as a glob."""
    exact = np.fromiter((path == pattern for path in paths), np.bool_, len(paths))
    if exact.any() or not _GLOB.search(pattern):
        return exact
    match = re.compile(fnmatch.translate(pattern)).match
    return np.fromiter((match(path) is not None for path in paths), np.bool_, len(paths))


def matches(paths: Sequence[str], patterns: Sequence[str]) -> NDArray[np.bool_]:
    """Which of ``paths`` match any of ``patterns``, shape (n,).

    A pattern that is a path means that path only (``layers[0]``); any other is a glob,
    case-sensitive, whose ``*`` crosses dots.
    """
    found = np.zeros(len(paths), np.bool_)
    for pattern in patterns:
        found |= _matches_one(paths, pattern)
    return found


def _nothing(pattern: str, paths: Sequence[str]) -> RequestError:
    """A sentence for a pattern without a match, with the nearest part that exists."""
    known = set(paths)
    head = pattern
    while "." in head and head not in known:
        head = head.rpartition(".")[0]
    hint = f" '{head}' does exist." if head in known and head != pattern else ""
    return RequestError(
        f"The pattern '{pattern}' matches no row.{hint} Patterns are paths or globs over dotted "
        "paths, such as 'layers.0', 'layers.*.bias' or '*norm*'."
    )


def with_subtrees(table: RowTable, chosen: NDArray[np.bool_]) -> Int32:
    """Positions of the rows ``chosen`` and of all below them, sorted."""
    starts = np.flatnonzero(chosen)
    change = np.zeros(len(table) + 1, np.int32)
    change[starts] = 1
    np.subtract.at(change, table.end[starts], 1)
    return np.flatnonzero(np.cumsum(change[:-1]) > 0).astype(np.int32)


def resolve(tree: Tree, selection: Selection) -> Int32:
    """Positions of all rows selected and of all below them, sorted and distinct.

    A pattern that matches no path may name a ready selection (``preset:norms``, ``class:Conv2d``).
    Raises RequestError naming a pattern that matches nothing or a row that is gone.
    """
    table = tree.table
    chosen = np.zeros(len(table), np.bool_)
    try:
        chosen[table.positions(np.asarray(selection.rows, np.int64))] = True
    except KeyError as gone:
        raise RequestError(
            f"Row {gone.args[0]} is not in the tree any more: select it again."
        ) from None
    for pattern in selection.patterns:
        found = _matches_one(table.paths, pattern)
        if not found.any():
            ready = preset_rows(tree, pattern)
            if ready is None:
                raise _nothing(pattern, table.paths)
            found = ready
        chosen |= found
    return with_subtrees(table, chosen)
