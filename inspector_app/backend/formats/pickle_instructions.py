"""The less common instructions of pickles; see :mod:`.pickle_reader`.

A handler takes the machine and the position behind the instruction's own byte, and returns the
position of the next instruction.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from inspector_app.backend.formats.pickle_values import (
    GLOBAL_LENGTH,
    Broken,
    Foreign,
    Global,
    Items,
    Members,
)

if TYPE_CHECKING:
    from inspector_app.backend.formats.pickle_reader import Machine

_INTEGER_LENGTH = 255  # bytes
_U32 = struct.Struct("<I").unpack_from
_U64 = struct.Struct("<Q").unpack_from
_F64 = struct.Struct(">d").unpack_from

Handler = Callable[["Machine", int], int]


def _constant(value: Any) -> Handler:
    def handler(machine: Machine, position: int) -> int:
        machine.stack.append(value)
        return position

    return handler


def _new(make: Callable[[], Any]) -> Handler:
    """An empty container."""

    def handler(machine: Machine, position: int) -> int:
        machine.counted()
        machine.stack.append(make())
        return position

    return handler


def _sized(
    width: int, length: Callable[[bytes, int], tuple[Any, ...]], make: Callable[[bytes], Any]
) -> Handler:
    """A value whose bytes stand behind their number."""

    def handler(machine: Machine, position: int) -> int:
        size = length(machine.data, position)[0]
        machine.stack.append(make(machine.piece(position + width, size)))
        return position + width + int(size)

    return handler


def _u8(data: bytes, position: int) -> tuple[int]:
    return (data[position],)


def _text_of_python_2(data: bytes) -> str | bytes:
    """Text where it is text."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data


def _text(data: bytes) -> str:
    return str(data, "utf-8", "surrogatepass")


def _integer(data: bytes) -> int:
    if len(data) > _INTEGER_LENGTH:
        raise Broken(f"it has an integer of {len(data):,} bytes")
    return int.from_bytes(data, "little", signed=True)


def _float(machine: Machine, position: int) -> int:
    machine.stack.append(_F64(machine.data, position)[0])
    return position + 8


def _tuple_of_three(machine: Machine, position: int) -> int:
    stack = machine.stack
    third, second, first = stack.pop(), stack.pop(), stack.pop()
    stack.append((first, second, third))
    return position


def _protocol(machine: Machine, position: int) -> int:
    if not 2 <= machine.data[position] <= 5:
        raise Broken(f"it is of protocol {machine.data[position]}; 2 to 5 are read")
    return position + 1


def _frame(machine: Machine, position: int) -> int:
    return position + 8  # says only how many bytes to fetch at once


def _pop(machine: Machine, position: int) -> int:
    machine.stack.pop()
    return position


def _pop_mark(machine: Machine, position: int) -> int:
    machine.popped()
    return position


def _duplicate(machine: Machine, position: int) -> int:
    machine.stack.append(machine.stack[-1])
    return position


def _global(machine: Machine, position: int) -> int:
    """GLOBAL: two lines of text."""
    words: list[str] = []
    for _ in range(2):
        end = machine.data.find(b"\n", position, position + 4 * GLOBAL_LENGTH)
        if end < 0:
            raise Broken("it imports something with an endless name")
        words.append(machine.data[position:end].decode("utf-8"))
        position = end + 1
    machine.stack.append(machine.named(*words))
    return position


def _stack_global(machine: Machine, position: int) -> int:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(machine.named(module, name))
    return position


def _new_object(machine: Machine, position: int) -> int:
    arguments = machine.stack.pop()
    machine.stack[-1] = machine.called(machine.stack[-1], arguments)
    return position


def _new_object_with_keywords(machine: Machine, position: int) -> int:
    keywords, arguments, made = (machine.stack.pop() for _ in range(3))
    if type(made) is not Global or type(arguments) is not tuple or type(keywords) is not Items:
        raise Broken("it makes an object of no class")
    machine.counted()
    machine.stack.append(Foreign(made.module, made.name, (arguments, keywords)))
    return position


def _build(machine: Machine, position: int) -> int:
    state, value = machine.stack.pop(), machine.stack[-1]
    if type(value) is not Foreign and type(value) is not Items:
        raise Broken(f"it gives attributes to a value of class {type(value).__name__}")
    value.state = state
    return position


def _extend(machine: Machine, values: list[Any]) -> None:
    """APPEND, APPENDS and ADDITEMS."""
    target = machine.stack[-1]
    if type(target) is Foreign:
        if target.items is None:
            machine.counted()
            target.items = []
        target = target.items
    elif type(target) is Members and type(target.values) is list:
        target = target.values
    if type(target) is not list:
        raise Broken(f"it appends to a value of class {type(target).__name__}")
    target.extend(values)


def _append(machine: Machine, position: int) -> int:
    value = machine.stack.pop()
    _extend(machine, [value])
    return position


def _appends(machine: Machine, position: int) -> int:
    _extend(machine, machine.popped())
    return position


def _set_items(machine: Machine, position: int) -> int:
    values = machine.popped()
    target = machine.stack[-1]
    if type(target) is Foreign:
        if target.pairs is None:
            machine.counted()
            target.pairs = Items()
        target = target.pairs
    if type(target) is not Items or len(values) % 2:
        raise Broken(f"it sets keys of a value of class {type(target).__name__}")
    target.extend(values)
    return position


def _set_item(machine: Machine, position: int) -> int:
    machine.marks.append(len(machine.stack) - 2)
    return _set_items(machine, position)


def _frozen_set(machine: Machine, position: int) -> int:
    machine.counted()
    machine.stack.append(Members(tuple(machine.popped()), "frozenset"))
    return position


HANDLERS: dict[int, Handler] = {
    ord(code): handler
    for code, handler in {
        b"\x80": _protocol,
        b"\x95": _frame,
        b"N": _constant(None),
        b"}": _new(Items),
        b"]": _new(list),
        b"\x8f": _new(lambda: Members([])),
        b"G": _float,
        b"\x87": _tuple_of_three,
        b"\x8a": _sized(1, _u8, _integer),
        b"\x8b": _sized(4, _U32, _integer),
        b"U": _sized(1, _u8, _text_of_python_2),
        b"T": _sized(4, _U32, _text_of_python_2),
        b"C": _sized(1, _u8, bytes),
        b"B": _sized(4, _U32, bytes),
        b"\x8e": _sized(8, _U64, bytes),
        b"\x96": _sized(8, _U64, bytes),
        b"\x8d": _sized(8, _U64, _text),
        b"c": _global,
        b"\x93": _stack_global,
        b"\x81": _new_object,
        b"\x92": _new_object_with_keywords,
        b"b": _build,
        b"a": _append,
        b"e": _appends,
        b"\x90": _appends,
        b"s": _set_item,
        b"u": _set_items,
        b"\x91": _frozen_set,
        b"0": _pop,
        b"1": _pop_mark,
        b"2": _duplicate,
    }.items()
}
