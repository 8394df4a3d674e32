"""What is special about a row, as short words: for terminals and for other programs."""

from __future__ import annotations

from torch import Tensor, nn

from inspector_app.backend.module_flags import in_train_mode, is_half_constructed
from inspector_app.backend.tensors import layout_of
from inspector_app.backend.tree import Tree
from inspector_app.protocol.sums import SubtreeSums
from inspector_app.protocol.table import Flag, Role

# Plain integers: an operation on members of an enumeration takes a microsecond.
_WORDS = tuple(
    (int(flag), word)
    for flag, word in (
        (Flag.INITIAL, "initial"),
        (Flag.LAZY, "lazy"),
        (Flag.HOOKED, "hooks"),
        (Flag.PARAMETRIZED, "parametrized"),
        (Flag.QUANTIZED, "quantized"),
        (Flag.OVERLAPS, "overlaps"),
    )
)
_ANY_WORD = sum(flag for flag, _ in _WORDS)
_REGISTERED = int(Flag.IN_PARAMETERS | Flag.MOVED | Flag.SAVED)
_TENSOR, _CAN_TRAIN = int(Flag.TENSOR), int(Flag.CAN_TRAIN)
_REQUIRES_GRAD, _TRAINING = int(Flag.REQUIRES_GRAD), int(Flag.TRAINING)
_PERSISTENT, _SAVED, _UNUSUAL = int(Flag.PERSISTENT), int(Flag.SAVED), int(Flag.UNUSUAL)
_PARAMETRIZED = int(Flag.PARAMETRIZED)
_REPEATED, _REFERENCE = int(Flag.REPEATED), int(Flag.REFERENCE)


class Marks:
    """The marks of all rows of a tree; every method takes a position."""

    def __init__(self, tree: Tree, sums: SubtreeSums) -> None:
        self._tree = tree
        self._sums = sums
        table = tree.table
        self._flags: list[int] = table.flags.tolist()
        self._ties: list[int] = table.tie.tolist()
        self._parents: list[int] = table.parent.tolist()

    def is_module(self, position: int) -> bool:
        """Whether a module stands in a row, registered or not."""
        return issubclass(type(self._tree.objects[position]), nn.Module)

    def of(self, position: int) -> list[str]:
        """All words that hold for one row, in a fixed order.

        "frozen", "partly frozen", "tied", "eval", "not initialised" (no ``super().__init__()``),
        "initial", "lazy", "hooks", "parametrized", "quantized", "overlaps", and the layout of a
        tensor that is not laid out in strides ("sparse csr", "nested").
        """
        flags = self._flags[position]
        if flags & _TENSOR:
            words = ["frozen"] if flags & _CAN_TRAIN and not flags & _REQUIRES_GRAD else []
            if self._ties[position] >= 0:
                words.append("tied")
        elif self.is_module(position):
            words = self._frozen(position)
            mode = self.in_train_mode(position)
            if mode is False:
                words.append("eval")
            if mode is None and is_half_constructed(self._tree.objects[position]):
                words.append("not initialised")
        else:
            return []
        if flags & _ANY_WORD:
            words += [word for flag, word in _WORDS if flags & flag]
        if flags & _UNUSUAL:
            words.append(self._layout(position))
        return words

    def _frozen(self, position: int) -> list[str]:
        try:
            state = self._sums.freeze_state(position)
        except LookupError:
            return []
        return [] if state is False else ["frozen" if state else "partly frozen"]

    def _layout(self, position: int) -> str:
        tensor = self._tree.objects[position]
        live = issubclass(type(tensor), Tensor)  # else an entry of a checkpoint
        return layout_of(tensor).replace("_", " ") if live else "not strided"

    def told(self, position: int) -> list[str]:
        """The same for a person's eye: without what goes without saying, with what explains it.

        "eval" stands where it begins, a tie names its first row, and what is computed from others,
        or not registered, saved or expanded, says so.
        """
        table = self._tree.table
        flags = self._flags[position]
        role = Role(int(table.role[position]))
        words = self.of(position)
        above = self._parents[position]
        inside = above >= 0 and self.is_module(above) and self.in_train_mode(above) is False
        if "eval" in words and inside:
            words.remove("eval")
        if flags & _TENSOR:
            if role == Role.TENSOR and not flags & _SAVED:
                words.append("beside the state dict")
            elif role != Role.TENSOR and not flags & _REGISTERED:
                if flags & _PARAMETRIZED:
                    words[words.index("parametrized")] = "computed"
                else:
                    words.append("not registered")
            elif role == Role.BUFFER and not flags & _PERSISTENT:
                words.append("not saved")
            tie = self._ties[position]
            if tie >= 0 and int(table.ids[position]) != tie:
                words[words.index("tied")] = f"tied to {table.path(table.position(tie))}"
        elif flags & _REFERENCE:
            words.append("stands above" if role == Role.MODULE else "shown above")
        elif flags & _REPEATED:
            words.append("shown before")
        return words

    def in_train_mode(self, position: int) -> bool | None:
        """Whether the module in a row is in train mode; None where it has no training flag."""
        return bool(self._flags[position] & _TRAINING) or in_train_mode(
            self._tree.objects[position]
        )
