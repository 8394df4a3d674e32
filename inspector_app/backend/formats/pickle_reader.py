"""Pickles read as descriptions: nothing is imported, nothing of theirs is called.

A pickle is a program for a stack machine (``pickletools`` in Python's library documents it), and
whoever runs one with ``pickle.load`` runs whatever its author wrote.  This machine of our own knows
no way to import.  A name that the pickle refers to becomes a :class:`Global`; what the pickle would
call or make becomes a :class:`Foreign`, except for a few names that the caller gives a *builder*
of its own for.

Work and memory are bounded by limits that no honest checkpoint comes near.  Dictionaries and sets
become flat lists: hashing keys that somebody chose for their hashes could take for ever, and
hashing nested tuples could end the process.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from inspector_app.backend.formats.pickle_instructions import HANDLERS
from inspector_app.backend.formats.pickle_shortcut import Form, tensors_at
from inspector_app.backend.formats.pickle_values import (
    ELIDED,
    GLOBAL_LENGTH,
    Broken,
    Builder,
    Elided,
    Foreign,
    Global,
    Prepare,
)
from inspector_app.backend.formats.values import Check, unchecked
from inspector_app.protocol.errors import TargetError

SIZE_LIMIT = 64 << 20  # bytes of one pickle
OPCODES_LIMIT = 2_000_000  # a tensor takes 4 in the usual way, 30 in others, a module about 100
_OPCODES_LARGE = 20_000_000  # of a file that is large enough
_BYTES_AN_OPCODE = 2  # of a file that has more; honest pickles alone take 3 or 4
_CONTAINERS = 0.3  # an instruction
_TURNS = 100_000  # before it is asked again whether to go on
_GLOBALS_LIMIT = 20_000
_MARKS_LIMIT = 20_000
_MEMO_GAP = 1_024  # numbers that a writer may leave out; Python 2 began to count at 1


class PickleError(TargetError):
    """A pickle breaks a rule, goes beyond a limit, or uses what is not read here."""


_U16 = struct.Struct("<H").unpack_from
_I32 = struct.Struct("<i").unpack_from
_U32 = struct.Struct("<I").unpack_from
_GONE = object()  # a number of the memo that was left out

# The opcodes of which most checkpoints consist; the loop knows them, a table the others.
_BINPUT, _LONG_BINPUT, _MEMOIZE = b"qr\x94"
_BINGET, _LONG_BINGET = b"hj"
_MARK, _TUPLE, _TUPLE1, _TUPLE2, _EMPTY_TUPLE = b"(t\x85\x86)"
_BININT, _BININT1, _BININT2 = b"JKM"
_BINUNICODE, _SHORT_BINUNICODE = b"X\x8c"
_PUTS = frozenset((_BINPUT, _LONG_BINPUT, _MEMOIZE))
_TEXTS = frozenset((_BINUNICODE, _SHORT_BINUNICODE))
_REDUCE, _BINPERSID, _NEWTRUE, _NEWFALSE, _STOP = b"RQ\x88\x89."


class Machine:
    """The state of one reading; handlers of opcodes take and return the position in ``data``."""

    def __init__(
        self,
        data: bytes,
        builders: Mapping[tuple[str, str], Builder],
        persistent: Callable[[Any], Any] | None,
        prepare: Prepare | None,
        limit: int,
    ) -> None:
        self.data = data
        self.builders = builders
        self.persistent = persistent
        self.prepare = prepare
        self.limit = limit  # of instructions
        self.forms: dict[tuple[bytes, ...], Form] = {}
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: list[Any] = []
        self.globals: dict[tuple[str, str], Global] = {}
        self.containers = 0

    # -- the loop ------------------------------------------------------------------------------

    def run(self, position: int, *, shortcut: bool, check: Check) -> tuple[Any, int]:
        """The value, and where the pickle ends; raises Elided where ``shortcut`` took too much."""
        left, running = self.limit, True
        while running:
            if not left:
                raise Broken(
                    f"it has more than {self.limit:,} instructions, which is as many as are "
                    "followed in a file of this size"
                )
            check()
            turns = min(left, _TURNS)
            position, running = self._followed(position, turns, shortcut and bool(self.persistent))
            left -= turns
        return self.stack.pop(), position

    def _followed(self, position: int, turns: int, shortcut: bool) -> tuple[int, bool]:
        """Where it is after so many instructions, and whether there are more."""
        data, stack, marks, memo = self.data, self.stack, self.marks, self.memo
        push, pop = stack.append, stack.pop
        for _ in range(turns):
            code = data[position]
            position += 1
            if code in _PUTS:
                if code == _LONG_BINPUT:
                    number = _U32(data, position)[0]
                    position += 4
                elif code == _BINPUT:
                    number = data[position]
                    position += 1
                else:
                    number = len(memo)
                if number == len(memo):
                    memo.append(stack[-1])
                else:
                    self.put(number)
            elif code == _BINGET:
                if shortcut and data[position + 1] == _MARK == data[position + 2]:
                    after = tensors_at(self, position - 1)
                    if after:
                        self.counted()
                        position = after
                        continue
                value = memo[data[position]]
                if value is ELIDED:
                    raise Elided
                push(value)
                position += 1
            elif code == _BININT1:
                push(data[position])
                position += 1
            elif code == _TUPLE1:
                stack[-1] = (stack[-1],)
            elif code == _MARK:
                if len(marks) > _MARKS_LIMIT:
                    raise Broken(f"it nests deeper than {_MARKS_LIMIT:,} levels")
                marks.append(len(stack))
            elif code == _TUPLE:
                push(tuple(self.popped()))
            elif code == _REDUCE:
                arguments = pop()
                stack[-1] = self.called(stack[-1], arguments)
            elif code in _TEXTS:
                if code == _BINUNICODE:
                    start = position + 4
                    position = start + _U32(data, position)[0]
                else:
                    start = position + 1
                    position = start + data[position]
                if position > len(data):
                    raise IndexError
                push(str(data[start:position], "utf-8", "surrogatepass"))
            elif code == _BININT2:
                push(_U16(data, position)[0])
                position += 2
            elif code == _BININT:
                push(_I32(data, position)[0])
                position += 4
            elif code == _BINPERSID:
                if self.persistent is None:
                    raise Broken("it refers to values outside itself")
                stack[-1] = self.persistent(stack[-1])
            elif code == _NEWFALSE:
                push(False)
            elif code == _NEWTRUE:
                push(True)
            elif code == _EMPTY_TUPLE:
                push(())
            elif code == _TUPLE2:
                second = pop()
                stack[-1] = (stack[-1], second)
            elif code == _LONG_BINGET:
                value = memo[_U32(data, position)[0]]
                if value is ELIDED:
                    raise Elided
                push(value)
                position += 4
            elif code == _STOP:
                return position, False
            else:
                handler = HANDLERS.get(code)
                if handler is None:
                    raise Broken(f"byte {position - 1:,} ({code:#04x}) is no instruction known")
                position = handler(self, position)
        return position, True

    # -- the stack and the memo ----------------------------------------------------------------

    def popped(self) -> list[Any]:
        """All above the last mark, taken off with it."""
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def put(self, number: int) -> None:
        """Keep the top of the stack under a number that is not the next one."""
        memo = self.memo
        gap = number - len(memo)
        if gap > _MEMO_GAP:
            raise Broken(f"it keeps a value under the number {number:,}, out of turn")
        memo.extend([_GONE] * (gap + 1))
        memo[number] = self.stack[-1]
        self.forms.clear()  # they hold what was kept under this number

    def counted(self) -> None:
        """Count one more container."""
        self.containers += 1
        if self.containers > _CONTAINERS * self.limit:
            raise Broken(
                f"it has more than {int(_CONTAINERS * self.limit):,} containers, which is as many "
                "as are made for a file of this size"
            )

    def piece(self, position: int, size: int) -> bytes:
        """``size`` bytes at a position."""
        if size > len(self.data) - position:
            raise IndexError
        return self.data[position : position + size]

    # -- names and what is made by them ----------------------------------------------------------

    def named(self, module: Any, name: Any) -> Global:
        """The one Global of a name."""
        if type(module) is not str or type(name) is not str:
            raise Broken("it imports something whose name is no text")
        found = self.globals.get((module, name))
        if found is None:
            if max(len(module), len(name)) > GLOBAL_LENGTH:
                raise Broken("it imports something with an endless name")
            if len(self.globals) >= _GLOBALS_LIMIT:
                raise Broken(f"it imports more than {_GLOBALS_LIMIT:,} names")
            found = Global(module, name, self.builders.get((module, name)))
            self.globals[module, name] = found
        return found

    def called(self, function: Any, arguments: Any) -> Any:
        """What a call stands for."""
        if type(arguments) is not tuple:
            raise Broken("it calls with arguments that are no tuple")
        self.counted()
        if type(function) is Global:
            if function.build is not None:
                return function.build(arguments)
            return Foreign(function.module, function.name, arguments)
        if type(function) is not Foreign:
            raise Broken(f"it calls a value of class {type(function).__name__}")
        return Foreign("", "result of a call", (function, arguments))


def opcodes_limit(file_size: int) -> int:
    """How many instructions are followed in a file of that many bytes.

    A module that was pickled whole may need more than any honest state dict, and then it is large
    itself; a small file cannot claim time and memory that it is not worth.
    """
    return min(max(OPCODES_LIMIT, file_size // _BYTES_AN_OPCODE), _OPCODES_LARGE)


def read_pickle(
    data: bytes,
    where: str,
    *,
    start: int = 0,
    builders: Mapping[tuple[str, str], Builder] | None = None,
    persistent: Callable[[Any], Any] | None = None,
    prepare: Prepare | None = None,
    limit: int = OPCODES_LIMIT,
    check: Check = unchecked,
    shortcut: bool = True,
) -> tuple[Any, int, list[Global]]:
    """What a pickle describes, the position behind it, and all names it refers to.

    ``builders`` are called with a tuple of arguments in place of the names they stand for,
    ``persistent`` with each id of a value that is kept elsewhere; both raise ValueError where they
    are given nonsense.  ``prepare`` makes what makes the tensors of one form.  ``where`` is the
    file's name, ``limit`` the number of instructions that are followed; ``check`` is called now and
    then, and may raise to end the work.  ``shortcut`` is for tests, which compare the two ways.
    Raises PickleError.
    """
    machine = Machine(data, builders or {}, persistent, prepare, limit)
    try:
        if len(data) > SIZE_LIMIT:
            raise Broken(f"it has {len(data):,} bytes; {SIZE_LIMIT:,} are read at most")
        try:
            value, end = machine.run(start, shortcut=shortcut, check=check)
        except Elided:
            machine = Machine(data, builders or {}, persistent, prepare, limit)
            value, end = machine.run(start, shortcut=False, check=check)
        if value is _GONE:
            raise Broken("it asks for a value that it did not keep")
        return value, end, list(machine.globals.values())
    except (IndexError, struct.error):
        what = "it ends early, or takes what it did not put there"
    except (Broken, ValueError) as error:
        what = str(error)
    raise PickleError(
        f"{where} is damaged or no checkpoint: its description (a pickle) cannot be read, {what}. "
        "Nothing of it was run."
    )
