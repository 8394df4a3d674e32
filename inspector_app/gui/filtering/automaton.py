"""Finding expressions in texts that are read piece by piece, in time that grows with their length.

The program of an expression is carried out on all of its threads at once (Thompson, *Regular
expression search algorithm*, CACM 11 (1968) 419), and what comes of a set of threads and a
character is kept (a lazy deterministic automaton).  So no expression can run away, as they can in
:mod:`re`, and a tree of names is searched by looking at each distinct name a few times.
"""

from __future__ import annotations

from typing import NamedTuple

from inspector_app.gui.filtering.expressions import (
    MOST_INSTRUCTIONS,
    Chars,
    Either,
    ExpressionError,
    Node,
    Place,
    Repeat,
    Seq,
)

MOST_WORK = 1_500_000  # characters of sets looked at: about a third of a second
START = 0  # of the states: nothing was read yet

_END, _WORD, _OTHER = 0, 1, 2  # what stands before or after a place; _END also for a beginning


class _Instruction(NamedTuple):
    """Take a character of ``chars``, or hold at ``place``, or only go on at all of ``next``."""

    chars: Chars | None
    place: str
    next: tuple[int, ...]


_Threads = frozenset[int]
_DONE = 0  # the first instruction: the expression was found


class Automaton:
    """One expression, ready to read texts in lower case.

    A state is a number; :meth:`step` and :meth:`ends` are all that is known of it.  ``anywhere``:
    the expression may begin at every place, not only at the first.
    """

    def __init__(self, node: Node, *, anywhere: bool = True) -> None:
        """Raises ExpressionError where the expression is too long."""
        self._program = [_Instruction(None, "", ())]
        self._first = self._write(node, _DONE)
        self._anywhere = anywhere
        self._work = 0
        self._numbers: dict[tuple[_Threads, int], int] = {}
        self._states: list[tuple[_Threads, int]] = []
        self._steps: dict[tuple[int, str], tuple[int, bool]] = {}
        self._reached: dict[tuple[_Threads, int, int], tuple[list[int], bool]] = {}
        self._state(frozenset((self._first,)), _END)

    # -- reading -----------------------------------------------------------------------------------

    def step(self, state: int, char: str) -> tuple[int, bool]:
        """The state after a character, and whether the expression was found up to before it."""
        done = self._steps.get((state, char))
        if done is None:
            done = self._steps[state, char] = self._make_step(state, char)
        return done

    def ends(self, state: int) -> bool:
        """Whether the expression is found where the text ends here."""
        threads, before = self._states[state]
        return self._reach(threads, before, _END)[1]

    def read(self, state: int, text: str) -> tuple[int, bool]:
        """The state after a text, and whether the expression was found up to before its end.

        Found at the very beginning of ``text`` does not count: that belongs to what came before.
        """
        found = False
        steps = self._steps
        for at, char in enumerate(text):
            done = steps.get((state, char)) or self.step(state, char)
            state = done[0]
            found = found or (done[1] and at > 0)
        return state, found

    def after(self, char: str) -> int:
        """The state of a text that goes on after ``char``, of which nothing else is remembered."""
        return self._state(frozenset((self._first,)), _kind(char) if char else _END)

    def is_dead(self, state: int) -> bool:
        """Whether nothing can be found any more."""
        return not self._states[state][0]

    def _make_step(self, state: int, char: str) -> tuple[int, bool]:
        threads, before = self._states[state]
        kind = _kind(char)
        waiting, found = self._reach(threads, before, kind)
        self._count(len(waiting))
        after = {
            instruction.next[0]
            for instruction in (self._program[at] for at in waiting)
            if instruction.chars is not None and instruction.chars.holds(char)
        }
        if self._anywhere:
            after.add(self._first)
        return self._state(frozenset(after), kind), found

    def _state(self, threads: _Threads, before: int) -> int:
        number = self._numbers.setdefault((threads, before), len(self._states))
        if number == len(self._states):
            self._states.append((threads, before))
        return number

    def _reach(self, threads: _Threads, before: int, after: int) -> tuple[list[int], bool]:
        """Instructions that wait for a character at a place, and whether all was found there."""
        known = self._reached.get((threads, before, after))
        if known is not None:
            return known
        seen: set[int] = set()
        waiting: list[int] = []
        todo = list(threads)
        while todo:
            at = todo.pop()
            if at in seen:
                continue
            seen.add(at)
            instruction = self._program[at]
            if instruction.chars is not None:
                waiting.append(at)
            elif not instruction.place or _holds(instruction.place, before, after):
                todo += instruction.next
        self._count(len(seen))
        done = self._reached[threads, before, after] = (waiting, _DONE in seen)
        return done

    def _count(self, work: int) -> None:
        self._work += work
        if self._work > MOST_WORK:
            raise ExpressionError("This expression takes too long on so many rows: simplify it.")

    # -- the program -------------------------------------------------------------------------------

    def _add(self, instruction: _Instruction) -> int:
        if len(self._program) >= MOST_INSTRUCTIONS:
            raise ExpressionError("This expression is too long: repeat less in it.")
        self._program.append(instruction)
        return len(self._program) - 1

    def _write(self, node: Node, then: int) -> int:
        """Write what finds ``node`` and goes on at ``then``; where it begins."""
        if isinstance(node, Chars):
            return self._add(_Instruction(node, "", (then,)))
        if isinstance(node, Place):
            return self._add(_Instruction(None, node.kind, (then,)))
        if isinstance(node, Seq):
            for part in reversed(node.parts):
                then = self._write(part, then)
            return then
        if isinstance(node, Either):
            return self._add(
                _Instruction(None, "", tuple(self._write(part, then) for part in node.parts))
            )
        return self._write_repeat(node, then)

    def _write_repeat(self, node: Repeat, then: int) -> int:
        if node.high is None:
            loop = self._add(_Instruction(None, "", ()))
            self._program[loop] = _Instruction(None, "", (self._write(node.part, loop), then))
            begin = loop
        else:
            begin = then
            for _ in range(node.high - node.low):
                begin = self._add(_Instruction(None, "", (self._write(node.part, begin), then)))
        for _ in range(node.low):
            begin = self._write(node.part, begin)
        return begin


def _kind(char: str) -> int:
    return _WORD if char.isalnum() or char == "_" else _OTHER


def _holds(place: str, before: int, after: int) -> bool:
    if place == "^":
        return before == _END
    if place == "$":
        return after == _END
    is_boundary = (before == _WORD) != (after == _WORD)
    return is_boundary == (place == "b")


class Finder:
    """Where in a text an expression is found: the first place, and the longest piece from there."""

    def __init__(self, node: Node) -> None:
        self._automaton = Automaton(node, anywhere=False)

    def span(self, text: str, after: int = 0) -> tuple[int, int] | None:
        """(start, stop) of the first piece of ``text`` (lower-case) that ends behind ``after``."""
        for start in range(len(text)):
            stop = self._longest(text, start)
            if stop > max(after, start):
                return start, stop
        return None

    def _longest(self, text: str, start: int) -> int:
        """Where the longest piece from ``start`` ends; -1 where there is none."""
        automaton = self._automaton
        state = automaton.after(text[start - 1]) if start else START
        stop = -1
        for at in range(start, len(text)):
            state, found = automaton.step(state, text[at])
            if found:
                stop = at
            if automaton.is_dead(state):
                return stop
        return len(text) if automaton.ends(state) else stop
