"""Rows of the tree as columns.

A :class:`RowTable` holds one open model in preorder: one numpy array per fact, so that a hundred
thousand rows cross the wire in milliseconds and the window reads a cell without building objects.

Positions (0..n-1) are where a row stands now; ids are what a row *is* and survive insertions and
removals.  Every message speaks of ids.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]

PLAIN = ("role", "flags", "count", "bytes", "tie")  # columns that say all by themselves
INTERNED = (  # columns of codes, and the list that each points into
    ("class_index", "classes"),
    ("shape_index", "shapes"),
    ("dtype_index", "dtypes"),
    ("device_index", "devices"),
)
COLUMNS = ("ids", "parent", "end", *PLAIN, *(codes for codes, _ in INTERNED))


class Role(IntEnum):
    """How the owner of a row holds it."""

    MODULE = 0
    PARAMETER = 1
    BUFFER = 2
    ATTRIBUTE = 3
    TENSOR = 4  # an entry of a checkpoint
    GROUP = 5  # a common prefix of a checkpoint's keys, for the eye only

    @property
    def word(self) -> str:
        """The role as users and JSON read it."""
        return self.name.lower()


class Flag(IntFlag):
    """What is true of a row.  The last three of registration are the facts users look for."""

    TENSOR = 1  # has shape, dtype, device
    REQUIRES_GRAD = 2
    PERSISTENT = 4  # buffers only
    IN_PARAMETERS = 8  # model.parameters() yields it: an optimizer can see it
    MOVED = 16  # model.to() moves it
    SAVED = 32  # model.state_dict() holds it
    LAZY = 64  # shape not known before the first forward
    META = 128  # has no data
    ITEM = 256  # name is an index such as [0] or ["k"]: joined to the parent without a dot
    REPEATED = 512  # the same object stands earlier in the tree as well
    REFERENCE = 1024  # stands inside itself (a cycle), so it is not expanded again
    CAN_TRAIN = 2048  # floating point or complex parameter: requires_grad can be set
    CONTAINER = 4096  # plain list, tuple, dict or set
    IN_MODEL = 8192  # modules only: model.modules() yields it
    INITIAL = 16384  # not among what a checkpoint loaded: still at its initial value
    TRAINING = 32768  # modules only: in train mode
    HOOKED = 65536  # modules only: has hooks that are not probes of ours
    PARAMETRIZED = 131072  # modules that compute tensors, and what they compute, and from what
    QUANTIZED = 262144  # quantized values, or a module that holds some
    OVERLAPS = 524288  # shares some of its bytes with a row that is not the same tensor
    UNUSUAL = 1048576  # layout that is not strided: sparse, nested, MKL-DNN


class RowTable(msgspec.Struct, frozen=True, dict=True):
    """Rows in preorder.

    All arrays but ``name_offsets`` (n + 1) and ``name_bytes`` have shape (n,).  Raises ValueError
    where they do not fit together, so that a damaged message is refused before it is shown.
    """

    ids: Int32
    parent: Int32  # position of the parent, -1 for the root
    end: Int32  # position after the last row of the subtree
    role: NDArray[np.uint8]
    flags: NDArray[np.uint32]
    class_index: Int32  # into classes
    shape_index: Int32  # into shapes; -1 where there is none
    dtype_index: NDArray[np.int16]  # into dtypes; -1 where there is none
    device_index: NDArray[np.int16]  # into devices; -1 where there is none
    count: Int64  # elements of a tensor, 0 elsewhere
    bytes: Int64  # bytes really stored for a tensor (4 for torch.zeros(1).expand(1000)), else 0
    tie: Int32  # id of the first row that holds the same memory, -1 where nothing else does
    name_bytes: NDArray[np.uint8]  # UTF-8 (surrogatepass) of all names, one after the other
    name_offsets: Int32
    classes: list[str]
    shapes: list[tuple[int, ...]]
    dtypes: list[str]  # "float32"
    devices: list[str]  # "cpu", "cuda:0", "meta"

    def __post_init__(self) -> None:
        count = len(self.ids)
        for column in COLUMNS:
            if getattr(self, column).shape != (count,):
                raise ValueError(f"the column {column} does not have one value for each row")
        for codes, values in INTERNED:
            known = len(getattr(self, values))
            column_codes = getattr(self, codes)
            if count and not -1 <= column_codes.min() <= column_codes.max() < known:
                raise ValueError(f"the column {codes} points beyond {values}")
        offsets = self.name_offsets
        if offsets.shape != (count + 1,) or self.name_bytes.ndim != 1:
            raise ValueError("names and rows do not have the same number")
        if offsets[0] != 0 or offsets[-1] != len(self.name_bytes) or (np.diff(offsets) < 0).any():
            raise ValueError("the names of rows do not fill their buffer")

    def __len__(self) -> int:
        return len(self.ids)

    # -- cells ---------------------------------------------------------------------------------

    @cached_property
    def _names(self) -> memoryview:
        return np.ascontiguousarray(self.name_bytes).data

    def name(self, position: int) -> str:
        """Name of one row as its owner knows it; the root's is empty."""
        start, stop = self.name_offsets[position], self.name_offsets[position + 1]
        return bytes(self._names[start:stop]).decode("utf-8", "surrogatepass")

    def path(self, position: int) -> str:
        """Dotted path of one row; items of plain containers stand in brackets."""
        parts: list[str] = []
        while position > 0:
            above = int(self.parent[position])
            joined = above == 0 or self.flags[position] & Flag.ITEM
            parts.append(self.name(position) if joined else "." + self.name(position))
            position = above
        return "".join(reversed(parts))

    @cached_property
    def paths(self) -> list[str]:
        """Paths of all rows, in order (about 0.5 microseconds a row)."""
        blob = bytes(self._names)
        offsets = self.name_offsets.tolist()
        items = (self.flags & Flag.ITEM).astype(bool).tolist()
        paths: list[str] = []
        for position, parent in enumerate(self.parent.tolist()):
            name = blob[offsets[position] : offsets[position + 1]].decode("utf-8", "surrogatepass")
            if parent > 0:
                above = paths[parent]
                paths.append(above + name if items[position] else f"{above}.{name}")
            else:
                paths.append(name)
        return paths

    def class_name(self, position: int) -> str:
        """Class of the object in a row."""
        return self.classes[int(self.class_index[position])]

    def shape(self, position: int) -> tuple[int, ...] | None:
        """Logical shape of a tensor; None where there is none or it is not known yet."""
        index = self.shape_index[position]
        return None if index < 0 else tuple(self.shapes[index])

    def dtype(self, position: int) -> str | None:
        """Data type of a tensor ("float32")."""
        index = self.dtype_index[position]
        return None if index < 0 else self.dtypes[int(index)]

    def device(self, position: int) -> str | None:
        """Device of a tensor ("cpu")."""
        index = self.device_index[position]
        return None if index < 0 else self.devices[index]

    def has(self, position: int, flag: Flag) -> bool:
        """Whether ``flag`` holds for a row."""
        return bool(self.flags[position] & flag)

    @cached_property
    def _position_by_id(self) -> Int32:
        positions = np.full(int(self.ids.max(initial=-1)) + 1, -1, np.int32)
        positions[self.ids] = np.arange(len(self), dtype=np.int32)
        return positions

    def position(self, row_id: int) -> int:
        """Where the row with this id stands; raises KeyError where it is gone."""
        known = self._position_by_id
        if not 0 <= row_id < len(known) or known[row_id] < 0:
            raise KeyError(row_id)
        return int(known[row_id])

    def positions(self, row_ids: Int32) -> Int32:
        """Positions of many ids; raises KeyError where one is gone."""
        known = self._position_by_id
        unknown = (row_ids < 0) | (row_ids >= len(known))
        found: Int32 = np.full(len(row_ids), -1, np.int32)
        found[~unknown] = known[row_ids[~unknown]]
        if len(found) and found.min() < 0:
            raise KeyError(int(row_ids[int(found.argmin())]))
        return found

    @cached_property
    def depth(self) -> Int32:
        """Levels below the root."""
        left = np.bincount(self.end, minlength=len(self) + 1)[:-1]  # subtrees that ended before
        return (np.arange(len(self)) - np.cumsum(left)).astype(np.int32)

    def tied_to(self, position: int) -> Int32:
        """Positions of all other rows that hold the same memory."""
        tie = self.tie[position]
        if tie < 0:
            return np.empty(0, np.int32)
        same = np.flatnonzero(self.tie == tie).astype(np.int32)
        others: Int32 = same[same != position]
        return others


def subtree_ends(parent: Int32) -> Int32:
    """Position after the last row of each subtree, from the parents of rows in preorder."""
    count = len(parent)
    # From each row to its last child, or to itself: following that leads to the subtree's last row.
    last = np.arange(count, dtype=np.int32)
    last[parent[1:]] = last[1:]  # of several children the last one is written last
    while True:
        further = last[last]
        if np.array_equal(further, last):
            return last + np.int32(1)
        last = further


def pack_names(names: list[str]) -> tuple[NDArray[np.uint8], Int32]:
    """Names as one buffer and n + 1 offsets; raises TypeError where one is no text."""
    offsets = np.zeros(len(names) + 1, np.int32)
    # With a mark between them: numpy finds a hundred thousand marks before Python asks one length.
    marked = np.frombuffer("\0".join([*names, ""]).encode("utf-8", "surrogatepass"), np.uint8)
    marks = np.flatnonzero(marked == 0)
    if len(marks) == len(names):
        offsets[1:] = marks - np.arange(len(marks))
        return marked[marked != 0], offsets
    encoded = [str.encode(name, "utf-8", "surrogatepass") for name in names]
    np.cumsum([len(name) for name in encoded], out=offsets[1:])
    return np.frombuffer(b"".join(encoded), np.uint8), offsets


def take_names(
    name_bytes: NDArray[np.uint8], name_offsets: Int32, positions: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.uint8], Int32]:
    """The names at ``positions``, in that order, as :func:`pack_names` would pack them."""
    lengths = np.diff(name_offsets)[positions]
    offsets = np.zeros(len(positions) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    # Where each byte comes from: its place in the result, moved by how far its name moves.
    sources = np.arange(offsets[-1]) + np.repeat(name_offsets[positions] - offsets[:-1], lengths)
    taken: NDArray[np.uint8] = name_bytes[sources]
    return taken, offsets
