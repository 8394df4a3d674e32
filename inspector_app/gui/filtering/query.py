"""The filter of the tree: words that all have to hold, as :mod:`guide` tells a person.

:func:`parse` reads a text; the :class:`Query` it gives finds rows of a table and says which pieces
of a name it found.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import cached_property
from typing import NamedTuple

import numpy as np

from inspector_app.gui.filtering import conditions
from inspector_app.gui.filtering.automaton import Finder
from inspector_app.gui.filtering.conditions import Condition
from inspector_app.gui.filtering.expressions import ExpressionError, Node, regular
from inspector_app.gui.filtering.facts import Facts
from inspector_app.gui.filtering.keys import KEYS
from inspector_app.gui.filtering.measures import ALIASES, MEASURES, measured
from inspector_app.gui.filtering.numbers import comparison
from inspector_app.gui.filtering.problems import QueryError, ValueProblem
from inspector_app.gui.filtering.words import RawWord, quoted, words
from inspector_app.gui.models.layout import topmost
from inspector_app.gui.models.row_values import Mask

MOST_WORDS = 50
MOST_MARKED = 400  # characters of a path in which pieces are marked: no cell shows more

_KEY = re.compile(r"([A-Za-z_]+):")


class Matches(NamedTuple):
    """Rows of a table, each (n,).

    ``hits`` are what was asked for; ``kept`` are those and all below them that was not left out.
    """

    hits: Mask
    kept: Mask


class Word(NamedTuple):
    """One condition; ``node`` is what it looks for in paths, where it does."""

    start: int
    stop: int
    negated: bool
    condition: Condition
    node: Node | None = None


class Query:
    """Words that all have to hold."""

    def __init__(self, text: str, parts: tuple[Word, ...]) -> None:
        self.text = text
        self.words = parts

    def __bool__(self) -> bool:
        return bool(self.words)

    def find(self, facts: Facts) -> Matches:
        """Rows of a table; raises QueryError for a word that takes too long."""
        kept = np.ones(len(facts.table), bool)
        direct = np.zeros(len(facts.table), bool)
        for word in self.words:
            try:
                found = word.condition(facts)
            except ExpressionError as error:
                raise QueryError(str(error), word.start, word.stop) from None
            kept &= ~found.inside if word.negated else found.inside
            if not word.negated:
                direct |= found.direct
        if all(word.negated for word in self.words):
            return Matches(kept, kept)  # all that was not left out
        # Of rows that hold only since the row above does, nobody asked.
        return Matches(kept & (direct | topmost(facts.table, kept)), kept)

    @cached_property
    def _finders(self) -> list[Finder]:
        return [Finder(word.node) for word in self.words if word.node and not word.negated]

    def spans(self, path: str, name_start: int) -> tuple[tuple[int, int], ...]:
        """(start, length) of the pieces of a name that were found; the name ends its ``path``."""
        lower = path.lower()
        if len(path) > MOST_MARKED or len(lower) != len(path):
            return ()
        spans = []
        for finder in self._finders:
            try:
                found = finder.span(lower, name_start)
            except ExpressionError:  # it takes too long: rows are found, pieces are not marked
                continue
            if found is not None:
                start = max(found[0], name_start)
                spans.append((start - name_start, found[1] - start))
        return tuple(spans)


def parse(text: str) -> Query:
    """Read a filter; raises QueryError for a word that cannot be used."""
    raw = [word for word in words(text) if word.chars or word.expression]
    if len(raw) > MOST_WORDS:
        raise QueryError(
            f"A filter has up to {MOST_WORDS} words.", raw[MOST_WORDS].start, raw[-1].stop
        )
    return Query(text, tuple(_read(word) for word in raw))


def _read(raw: RawWord) -> Word:
    try:
        condition, node = _condition(raw)
    except ValueProblem as problem:
        raise QueryError(problem.sentence, raw.start, raw.stop, problem.unfinished) from None
    except ExpressionError as error:
        raise QueryError(str(error), raw.start, raw.stop) from None
    return Word(raw.start, raw.stop, raw.negated, condition, node)


def _condition(raw: RawWord) -> tuple[Condition, Node | None]:
    if raw.expression is not None:
        node = regular(raw.expression)
        return conditions.path_matches(node), node
    compared = comparison(raw.text) if raw.unquoted == raw.text else None
    if compared is not None and (compared.field in (*MEASURES, *ALIASES)):
        return measured(compared), None
    key = _KEY.match(raw.unquoted)
    if key is not None:
        return _keyed(key[1], raw.after(key.end())), None
    if compared is not None:
        raise ValueProblem(_unknown(compared.field, raw.text))
    texts = raw.alternatives()
    if not texts:
        raise ValueProblem("Write a text before or after |, or | itself in quotes.", True)
    return conditions.path_has(texts), conditions.path_node(texts)


def _keyed(name: str, value: RawWord) -> Condition:
    """What a word with a key means; ``value`` is what stands after the colon."""
    lower = name.lower()
    key = KEYS.get(lower)
    if key is None:
        if lower in (*MEASURES, *ALIASES):
            raise ValueProblem(f"Write {lower}>1M, {lower}<=10k or the like.", True)
        raise ValueProblem(_unknown(lower, f"{name}:{value.text}"))
    texts = [text for text, _ in value.alternatives()]
    if not texts:
        raise ValueProblem(f"Write what follows {name}:, for example {name}:{key.example}.", True)
    return key.read(texts)


def _unknown(name: str, word: str) -> str:
    near = next(iter(get_close_matches(name, list(KEYS), 1, 0.6)), "")
    meant = f"Did you mean {near}:? " if near else ""
    return f'There is no key "{name}". {meant}To find the text itself write {quoted(word)}'
