"""Runs of some thirty instructions carried out at once: those that torch.save writes for a tensor.

In a checkpoint of tens of thousands of tensors they are nearly all there is, one after the other
with a key before each, and most differ in nothing but that key and the number of the record.  What
else they say is taken apart and checked once for all that say the same: their *form*.  What comes
out is the same as by the machine's own steps; where anything is unlike the usual, the machine goes
on step by step.  What nobody asks for again (the id, the empty dictionary, the tuple of arguments)
is not kept, and the empty dictionary is None.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Any

from inspector_app.backend.formats.pickle_values import ELIDED, Global, Make, one_by_one

if TYPE_CHECKING:
    from inspector_app.backend.formats.pickle_reader import Machine

# _rebuild_tensor_v2(id of the storage, offset, shape, strides, requires_grad, OrderedDict())
# with the id being ("storage", class, key, location, elements), in older files with None behind it;
# v3 has a dtype behind all.
_PUT = rb"r...."
_GET = rb"(?:h.|j....)"
_NUMBER = rb"(?:K.|M..|J....)"
_NUMBERS = rb"(" + _NUMBER + rb"{1,3}[\x85-\x87])"
_TENSOR = re.compile(
    b"".join(
        (
            *(rb"(" + _GET, rb"\(\(", _GET, _GET, rb")X.\0\0\0[0-9]{1,20}", _PUT),
            *(rb"(", _GET, _NUMBER, rb")(N)?t", _PUT, rb"Q(", _NUMBER, rb")", _NUMBERS, _PUT),
            *(_NUMBERS, _PUT, rb"([\x88\x89]", _GET, rb")\)R", _PUT, rb"(", _GET, rb")?t", _PUT),
            *(rb"R", _PUT),
        )
    ),
    re.DOTALL,
).match
_INSTRUCTIONS = re.compile(rb"[hK].|M..|[jJ]....", re.DOTALL).findall
_FORMS_LIMIT = 4_096
_KEY_LIMIT = 20  # digits
_TENSORS = 10_000  # at once; then the machine looks at its limits
_LENGTH = struct.Struct("<I").unpack_from
_BINUNICODE, _BINGET = b"Xh"


class Form:
    """What runs have in common that differ in nothing but a key and the numbers of the memo.

    ``make`` makes what they make of the key of a record; ``following`` is the form that came
    behind this one last, and so likely will again.
    """

    __slots__ = ("_layouts", "_texts", "following", "key_at", "make", "shape", "strides")

    def __init__(
        self,
        tokens: tuple[bytes, ...],
        make: Make,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
    ) -> None:
        head, place, none, offset, sizes, steps, tail, dtype = (token or b"" for token in tokens)
        self.make = make
        self.shape = shape
        self.strides = strides
        self.following: Form | None = None
        self.key_at = len(head) + 5  # behind the instruction that puts text there, and its length
        # As _TENSOR has them, with a put behind each.
        behind = (place + none + b"tr", b"Q" + offset + sizes + b"r", steps + b"r", tail + b")Rr")
        self._texts = (head + b"X", *behind, dtype + b"tr")
        self._layouts: dict[int, struct.Struct] = {}

    def key(self, data: bytes, position: int, first: int) -> bytes:
        """The key of the record where such a run begins there; b"" for another run, or for none.

        ``first`` is the next number of the memo.
        """
        at = position + self.key_at
        size = data[at - 4] if at - 4 < len(data) else 0
        layout = self._layouts.get(size)
        if layout is None:
            if not 0 < size <= _KEY_LIMIT:
                return b""
            texts = "".join(f"{len(text)}sI" for text in self._texts[1:])
            layout = struct.Struct(f"<{len(self._texts[0])}sI{size}ssI{texts}2sI")
            self._layouts[size] = layout
        key = data[at : at + size]
        head, place, sizes, steps, tail, dtype = self._texts
        made = layout.pack(
            *(head, size, key, b"r", first, place, first + 1, sizes, first + 2),
            *(steps, first + 3, tail, first + 4, dtype, first + 5, b"Rr", first + 6),
        )
        same = made == data[position : position + layout.size]
        return key if same and key.isdigit() else b""

    def end(self, position: int, key: bytes) -> int:
        """Where a run ends that begins there."""
        return position + self._layouts[len(key)].size


def _operands(tokens: bytes | None) -> list[int]:
    """What GETs, BININT, BININT1 and BININT2 say; only BININT has a sign."""
    return [
        int.from_bytes(token[1:], "little", signed=token.startswith(b"J"))
        for token in _INSTRUCTIONS(tokens or b"")
    ]


def _numbers(tokens: bytes) -> tuple[int, ...] | None:
    """The tuple that these instructions make; None where they take another number of values."""
    found = _operands(tokens)
    return tuple(found) if len(found) == tokens[-1] - 0x84 else None


def _is_ordered_dict(value: Any) -> bool:
    return type(value) is Global and value.name == "OrderedDict" and value.module == "collections"


def _form(machine: Machine, tokens: tuple[bytes, ...]) -> Form | None:
    """The form with these instructions; None where they mean something else than a tensor."""
    head, place, none, offset, shape, strides, tail, dtype = tokens
    rebuild, word, kind = _operands(head)
    location, elements = _operands(place)
    (made,), (start,) = _operands(tail), _operands(offset)
    sizes, steps, last = _numbers(shape), _numbers(strides), _operands(dtype)
    memo = machine.memo
    # What such a run keeps itself, the machine alone knows how to find.
    if (
        sizes is None
        or steps is None
        or max(rebuild, word, kind, location, made, *last) >= len(memo)
    ):
        return None
    function = memo[rebuild]
    if type(function) is not Global or not _is_ordered_dict(memo[made]):
        return None
    identity = (memo[word], memo[kind], "", memo[location], elements, *([None] if none else []))
    gradient = tail.startswith(b"\x88")
    rest = (start, sizes, steps, gradient, None, *(memo[number] for number in last))
    assert machine.persistent is not None  # or there would be no shortcut
    if machine.prepare is None:
        make = one_by_one(machine.persistent, function, identity, rest)
    else:
        make = machine.prepare(function, identity, rest)
    return Form(tokens, make, sizes, steps)


def _found(machine: Machine, position: int) -> Form | None:
    """The form of the run that begins at a position; None for no usual run."""
    match = _TENSOR(machine.data, position)
    if match is None:
        return None
    tokens = match.groups()
    form = machine.forms.get(tokens)
    if form is None:
        form = _form(machine, tokens)
        if form is not None and len(machine.forms) < _FORMS_LIMIT:
            machine.forms[tokens] = form
    return form


def tensors_at(machine: Machine, position: int) -> int:
    """Carry out the runs that begin at a position; where they end, and 0 where there is none.

    Between two of them stands a key, as in the pickle of a dictionary.
    """
    data, memo, stack = machine.data, machine.memo, machine.stack
    done = 0
    before: Form | None = None
    for _ in range(_TENSORS):
        first = len(memo)
        form = before.following if before is not None else None
        digits = form.key(data, position, first) if form is not None else b""
        if form is None or not digits:
            form = _found(machine, position)
            # Its numbers must be those of a row: nothing is left out, nothing kept is replaced.
            digits = form.key(data, position, first) if form is not None else b""
            if form is None or not digits:
                break
            if before is not None:
                before.following = form
        before = form
        key = digits.decode()
        tensor = form.make(key)
        memo += (key, ELIDED, form.shape, form.strides, ELIDED, ELIDED, tensor)
        stack.append(tensor)
        machine.containers += 1
        position = done = form.end(position, digits)
        # A key that is kept, and the beginning of another tensor.
        if data[position] != _BINUNICODE:
            break
        end = position + 5 + _LENGTH(data, position + 1)[0]
        if data[end : end + 1] != b"r" or data[end + 5] != _BINGET:
            break
        if _LENGTH(data, end + 1)[0] != first + 7:
            break
        name = str(data[position + 5 : end], "utf-8", "surrogatepass")
        stack.append(name)
        memo.append(name)
        position = done = end + 5
    return done
