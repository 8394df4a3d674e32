"""Sums over subtrees of a :class:`~inspector_app.protocol.table.RowTable`, in one pass.

Rows stand in preorder, so a subtree is a range and its sum is a difference of two running sums.
Memory that several rows share (ties) must count once per subtree: each further occurrence is
taken back at the lowest common ancestor of itself and the occurrence before it, which lies in
exactly the subtrees that hold both.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from inspector_app.protocol.table import Flag, Int32, Int64, Role, RowTable


def common_ancestor(table: RowTable, first: int, second: int) -> int:
    """Position of the lowest row whose subtree holds both positions (``first`` < ``second``)."""
    ancestor = first
    while int(table.end[ancestor]) <= second:
        ancestor = int(table.parent[ancestor])
    return ancestor


class SubtreeSums:
    """What module rows show of all below them; every method takes a position."""

    def __init__(self, table: RowTable) -> None:
        self._table = table
        flags = table.flags
        self._trains = (flags & Flag.REQUIRES_GRAD) != 0
        self._parameters = table.role == Role.PARAMETER
        tensors = (table.role == Role.BUFFER) | (table.role == Role.TENSOR) | self._parameters
        self._stored = tensors & ((flags & Flag.TENSOR) != 0)
        # The root speaks of the model as an optimizer and state_dict see it; a module held in a
        # plain list is not part of that, but its own row still says what it holds.
        registered = (flags & (Flag.IN_PARAMETERS | Flag.MOVED)) != 0
        self._registered = registered | (table.role == Role.TENSOR)

    @cached_property
    def _ties(self) -> tuple[Int32, Int32]:
        """Of each repeated occurrence: its position and the common ancestor with the previous."""
        table = self._table
        tied = np.flatnonzero(table.tie >= 0)
        order = tied[np.argsort(table.tie[tied], kind="stable")]
        groups = table.tie[order]
        again: list[int] = []
        ancestors: list[int] = []
        previous: dict[bool, int] = {}
        for index, position in enumerate(order.tolist()):
            if index == 0 or groups[index] != groups[index - 1]:
                previous = {}
            if not self._stored[position]:
                continue
            registered = bool(self._registered[position])
            if registered in previous:
                again.append(position)
                ancestors.append(common_ancestor(table, previous[registered], position))
            previous[registered] = position
        return np.asarray(again, np.int32), np.asarray(ancestors, np.int32)

    def _running(self, values: Int64, chosen: NDArray[np.bool_]) -> Int64:
        """Running sum with a leading 0 and ties taken back."""
        weights = np.where(chosen, values, 0)
        again, ancestors = self._ties
        counted = chosen[again]
        np.subtract.at(weights, ancestors[counted], values[again[counted]])
        running = np.zeros(len(weights) + 1, np.int64)
        np.cumsum(weights, out=running[1:])
        return running

    @cached_property
    def _sums(self) -> dict[tuple[str, bool], Int64]:
        table = self._table
        sums: dict[tuple[str, bool], Int64] = {}
        for registered in (True, False):
            among = self._registered if registered else ~self._registered
            parameters = self._parameters & among
            # Ties of a frozen and a trained name cannot differ: they are one tensor.
            sums["parameters", registered] = self._running(table.count, parameters)
            sums["trainable", registered] = self._running(table.count, parameters & self._trains)
            sums["bytes", registered] = self._running(table.bytes, self._stored & among)
        return sums

    @cached_property
    def _registered_before(self) -> Int64:
        """Running number of registered tensors, with a leading 0."""
        return np.concatenate(([0], np.cumsum(self._registered & self._stored)))

    def _sum(self, what: str, position: int) -> int:
        start, stop = position, int(self._table.end[position])
        # Nothing registered at or below it: a module outside of the model speaks for itself.
        inside = position == 0 or self._registered_before[stop] > self._registered_before[start]
        running = self._sums[what, bool(inside)]
        return int(running[stop] - running[start])

    def parameters(self, position: int) -> int:
        """Elements of all parameters at or below a row, each tied one once."""
        return self._sum("parameters", position)

    def trainable(self, position: int) -> int:
        """Elements of those parameters that require a gradient."""
        return self._sum("trainable", position)

    def bytes(self, position: int) -> int:
        """Bytes stored by registered tensors at or below a row, each tied one once."""
        return self._sum("bytes", position)

    @cached_property
    def _can_train(self) -> tuple[Int64, Int64]:
        """Running numbers of parameter rows that can train, and of those that do."""
        able = (self._table.flags & Flag.CAN_TRAIN) != 0
        return tuple(
            np.concatenate(([0], np.cumsum(chosen)))  # type: ignore[return-value]
            for chosen in (able, able & self._trains)
        )

    def freeze_state(self, position: int) -> bool | None:
        """True: all parameters at or below are frozen; False: none is; None: some are.

        Raises LookupError where there is no parameter that could be frozen.
        """
        start, stop = position, int(self._table.end[position])
        able = int(self._can_train[0][stop] - self._can_train[0][start])
        if not able:
            raise LookupError("no parameters")
        train = int(self._can_train[1][stop] - self._can_train[1][start])
        return True if train == 0 else False if train == able else None

    def _set(self, codes: NDArray[np.int16], names: list[str], position: int) -> list[str]:
        below = slice(position, int(self._table.end[position]))
        used = np.unique(codes[below][self._stored[below]])
        return [names[code] for code in used if code >= 0]

    def dtypes(self, position: int) -> list[str]:
        """Data types of the registered tensors at or below a row."""
        return self._set(self._table.dtype_index, self._table.dtypes, position)

    def devices(self, position: int) -> list[str]:
        """Devices of the registered tensors at or below a row."""
        return self._set(self._table.device_index, self._table.devices, position)
