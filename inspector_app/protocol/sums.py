"""Sums over subtrees of a :class:`~inspector_app.protocol.table.RowTable`, in one pass.

Rows stand in preorder, so a subtree is a range and its sum is a difference of two running sums.
Memory that several rows share (ties) must count once per subtree: each further occurrence is
taken back at the lowest common ancestor of itself and the occurrence before it, which lies in
exactly the subtrees that hold both.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inspector_app.protocol.table import Flag, Int32, Int64, Role, RowTable

Bools = NDArray[np.bool_]


def common_ancestors(table: RowTable, first: Int32, second: Int32) -> Int32:
    """Positions of the lowest rows whose subtrees hold both positions of a pair, each (n,).

    ``first`` must be smaller than ``second`` in each pair.
    """
    ancestors = first.copy()
    climbing = np.arange(len(first))
    while len(climbing):
        climbing = climbing[table.end[ancestors[climbing]] <= second[climbing]]
        ancestors[climbing] = table.parent[ancestors[climbing]]
    return ancestors


def _numbers(chosen: Bools) -> Int64:
    """Running number of what is chosen, with a leading 0."""
    numbers = np.zeros(len(chosen) + 1, np.int64)
    np.cumsum(chosen, out=numbers[1:])
    return numbers


class SubtreeSums:
    """What module rows show of all below them; every method takes a position."""

    def __init__(self, table: RowTable) -> None:
        self._table = table
        flags = table.flags
        self._trains = (flags & Flag.REQUIRES_GRAD) != 0
        held = np.isin(table.role, (Role.PARAMETER, Role.BUFFER, Role.TENSOR))
        self._stored = held & ((flags & Flag.TENSOR) != 0)
        self._parameters = self._stored & (table.role == Role.PARAMETER)
        # The root speaks of the model as an optimizer and state_dict see it; a module held in a
        # plain list is not part of that, but its own row still says what it holds.
        registered = (flags & (Flag.IN_PARAMETERS | Flag.MOVED)) != 0
        self._registered = registered | (table.role == Role.TENSOR)

    @cached_property
    def _tied(self) -> Int32:
        """Positions of rows that share memory, those that share the same behind one another."""
        tied = np.flatnonzero(self._table.tie >= 0).astype(np.int32)
        return tied[np.argsort(self._table.tie[tied], kind="stable")]

    def _running(self, values: Int64, chosen: Bools) -> Int64:
        """Running sum of ``values`` where ``chosen``, with a leading 0 and ties taken back."""
        weights = np.where(chosen, values, 0)
        tied = self._tied[chosen[self._tied]]
        again = np.flatnonzero(self._table.tie[tied[1:]] == self._table.tie[tied[:-1]])
        before, after = tied[again], tied[again + 1]
        np.subtract.at(weights, common_ancestors(self._table, before, after), values[after])
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
            sums["parameters", registered] = self._running(table.count, parameters)
            sums["trainable", registered] = self._running(table.count, parameters & self._trains)
            sums["bytes", registered] = self._running(table.bytes, self._stored & among)
        return sums

    @cached_property
    def _registered_before(self) -> Int64:
        """Running number of registered tensors, with a leading 0."""
        return _numbers(self._registered & self._stored)

    def _is_inside(self, position: int) -> bool:
        """Whether a row speaks of registered tensors only.

        Where nothing registered stands at or below it, a module outside of the model speaks for
        itself; the root never does.
        """
        start, stop = position, int(self._table.end[position])
        return position == 0 or bool(self._registered_before[stop] > self._registered_before[start])

    def _sum(self, what: str, position: int) -> int:
        running = self._sums[what, self._is_inside(position)]
        return int(running[int(self._table.end[position])] - running[position])

    @cached_property
    def _inside(self) -> Bools:
        """For every row what :meth:`_is_inside` says of it."""
        before = self._registered_before
        inside: Bools = before[self._table.end] > before[:-1]
        inside[:1] = True
        return inside

    def _every(self, registered: Int64, others: Int64) -> Int64:
        """For every row its sum, from running sums over what is registered and over the others."""
        end = self._table.end
        return np.where(self._inside, registered[end] - registered[:-1], others[end] - others[:-1])

    def every(self, what: Literal["parameters", "trainable", "bytes"]) -> Int64:
        """For every row, (n,), what the method of that name says of one."""
        return self._every(self._sums[what, True], self._sums[what, False])

    def every_plain(self, values: Int64) -> Int64:
        """For every row the sum of ``values`` (n,) over registered tensors, tied ones each time."""
        running = []
        for among in (self._registered, ~self._registered):
            numbers = np.zeros(len(values) + 1, np.int64)
            np.cumsum(np.where(self._stored & among, values, 0), out=numbers[1:])
            running.append(numbers)
        return self._every(*running)

    def every_set(
        self, codes: NDArray[np.int16], names: list[str]
    ) -> tuple[Int64, list[list[str]]]:
        """For every row which of ``names`` the registered tensors at or below it have.

        Returns indexes (n,) into the list of different sets, each in the order of ``names``.
        """
        sets: list[list[str]] = [[]]
        chosen = np.zeros(len(codes), np.int64)
        for code, name in enumerate(names):
            has = self._stored & (codes == code)
            present = self._every(
                _numbers(has & self._registered), _numbers(has & ~self._registered)
            )
            used, chosen = np.unique(2 * chosen + (present > 0), return_inverse=True)
            sets = [sets[was // 2] + [name] * (was % 2) for was in used.tolist()]
        return chosen, sets

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
        return _numbers(able), _numbers(able & self._trains)

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
        among = self._registered[below] == self._is_inside(position)
        used = np.unique(codes[below][self._stored[below] & among])
        return [names[code] for code in used.tolist() if code >= 0]

    def dtypes(self, position: int) -> list[str]:
        """Data types of the registered tensors at or below a row."""
        return self._set(self._table.dtype_index, self._table.dtypes, position)

    def devices(self, position: int) -> list[str]:
        """Devices of the registered tensors at or below a row."""
        return self._set(self._table.device_index, self._table.devices, position)
