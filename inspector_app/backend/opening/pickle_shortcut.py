"""A run of thirty instructions carried out at once: the one that torch.save writes for a tensor.

In a checkpoint of tens of thousands of tensors it is nearly all there is, and one match of a
pattern takes a third of the time of thirty turns of the machine.  What comes out is the same; where
anything is unlike the usual, the machine goes on step by step.  What nobody asks for again (the id,
the empty dictionary, the tuple of arguments) is not kept, and the empty dictionary is None.
"""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from inspector_app.backend.opening.pickle_values import ELIDED, Global

if TYPE_CHECKING:
    from inspector_app.backend.opening.pickle_reader import Machine

# _rebuild_tensor_v2(id of the storage, offset, shape, strides, requires_grad, OrderedDict())
# with the id being ("storage", class, key, location, elements); v3 has a dtype behind it.
_PUT = rb"r(....)"
_GET = rb"(?:h.|j....)"
_NUMBER = rb"(?:K.|M..|J....)"
_NUMBERS = rb"(" + _NUMBER + rb"{1,3}[\x85-\x87])"
_TENSOR = re.compile(
    b"".join(
        (
            *(rb"(" + _GET, rb"\(\(", _GET, _GET, rb")X(.)\0\0\0([0-9]{1,9})", _PUT),
            *(rb"(", _GET, _NUMBER, rb")t", _PUT, rb"Q(", _NUMBER, rb")", _NUMBERS, _PUT),
            *(_NUMBERS, _PUT, rb"([\x88\x89])(", _GET, rb")\)R", _PUT, rb"(", _GET, rb")?t", _PUT),
            *(rb"R", _PUT),
        )
    ),
    re.DOTALL,
).match
_OPERANDS = re.compile(rb"[hK].|M..|[jJ]....", re.DOTALL).findall
_HEAD = re.compile(rb"(" + _GET + rb")\(\((" + _GET + rb")(" + _GET + rb")", re.DOTALL).fullmatch
_SEVEN = struct.Struct("<7I").unpack


def _operand(token: bytes) -> int:
    """Of one instruction; only BININT has a sign."""
    return int.from_bytes(token[1:], "little", signed=token.startswith(b"J"))


@lru_cache(4096)
def _operands(tokens: bytes) -> tuple[int, ...]:
    """Operands of GETs, and the numbers that BININT, BININT1 and BININT2 push."""
    return tuple(map(_operand, _OPERANDS(tokens)))


@lru_cache(4096)
def _head(tokens: bytes) -> tuple[int, ...]:
    """Operands of the three GETs that a run begins with."""
    found = _HEAD(tokens)
    assert found is not None  # the pattern that it is a part of was met
    return tuple(map(_operand, found.groups()))


@lru_cache(4096)
def _numbers(tokens: bytes) -> tuple[int, ...] | None:
    """The tuple that these instructions make; None where they take another number of values."""
    found = _operands(tokens[:-1])
    return found if len(found) == tokens[-1] - 0x84 else None


def _is_ordered_dict(value: Any) -> bool:
    return type(value) is Global and value.name == "OrderedDict" and value.module == "collections"


def tensor_at(machine: Machine, position: int) -> int:
    """Carry out such a run that begins at a position; where it ends, and 0 where there is none."""
    match = _TENSOR(machine.data, position)
    if match is None:
        return 0
    found = match.groups()
    head, length, key, put1, place, put2, offset, shape, put3, strides, put4 = found[:11]
    gradient, hooks, put5, dtype, put6, put7 = found[11:]
    memo = machine.memo
    first = len(memo)
    # Numbers of a row: so nothing is left out, and nothing kept before is replaced.
    in_turn = _SEVEN(put1 + put2 + put3 + put4 + put5 + put6 + put7)
    sizes, steps = _numbers(shape), _numbers(strides)
    if (
        in_turn != tuple(range(first, first + 7))
        or length[0] != len(key)
        or sizes is None
        or steps is None
        or machine.persistent is None
    ):
        return 0
    rebuild, word, kind = _head(head)
    location, elements = _operands(place)
    (made,) = _operands(hooks)
    # What has just been kept, the machine itself knows how to find.
    if max(rebuild, word, kind, location, made) >= first or not _is_ordered_dict(memo[made]):
        return 0
    name = key.decode()
    storage = machine.persistent((memo[word], memo[kind], name, memo[location], elements))
    arguments: tuple[Any, ...]
    arguments = (storage, _operands(offset)[0], sizes, steps, gradient == b"\x88", None)
    if dtype is not None:
        (number,) = _operands(dtype)
        if number >= first:
            return 0
        arguments = (*arguments, memo[number])
    tensor = machine.called(memo[rebuild], arguments)
    memo += (name, ELIDED, sizes, steps, ELIDED, ELIDED, tensor)
    machine.stack.append(tensor)
    return match.end()
