"""Syntax colours for Python, line by line."""

from __future__ import annotations

import keyword
import re

from PySide6.QtGui import QColor, QFont, QSyntaxHighlighter, QTextCharFormat, QTextDocument

from widgets.theme import Theme, current_theme

_TOKENS = re.compile(
    r"""
    (?P<comment>\#.*)
    |(?P<string>(?:\b[rRbBuUfF]{1,2})?(?:\"{3}|'{3}|"(?:\\.|[^"\\])*"?|'(?:\\.|[^'\\])*'?))
    |(?P<decorator>^\s*@[\w.]+)
    |(?P<defined>(?<=\bdef\s)\w+|(?<=\bclass\s)\w+)
    |(?P<number>\b(?:0[xXbBoO][\da-fA-F_]+|\d[\d_]*(?:\.\d*)?(?:[eE][+-]?\d+)?j?)\b)
    |(?P<word>\b[A-Za-z_]\w*\b)
    """,
    re.VERBOSE,
)
_KEYWORDS = frozenset(keyword.kwlist) | {"match", "case"}
_CONSTANTS = frozenset({"None", "True", "False", "self", "cls"})
_TRIPLES = ('"""', "'''")


class PythonColours(QSyntaxHighlighter):
    """Colours of the theme; :meth:`take_theme` reads them again."""

    def __init__(self, document: QTextDocument) -> None:
        super().__init__(document)
        self._formats = _formats(current_theme())

    def take_theme(self) -> None:
        """Colour everything again after a change of theme."""
        self._formats = _formats(current_theme())
        self.rehighlight()

    def highlightBlock(self, text: str) -> None:
        """Colour one line; the state of a line is 1 or 2 inside a triple-quoted string."""
        self.setCurrentBlockState(0)
        position = 0
        if self.previousBlockState() > 0:
            position = self._finish_triple(text, 0, self.previousBlockState())
        while position < len(text):
            found = _TOKENS.search(text, position)
            if found is None:
                return
            kind = found.lastgroup or ""
            start, position = found.span()
            if kind == "string" and text[start:position].endswith(_TRIPLES):
                state = 1 + _TRIPLES.index(text[position - 3 : position])
                self.setFormat(start, position - start, self._formats["string"])
                position = self._finish_triple(text, position, state)
                continue
            if kind == "word":
                word = found.group()
                if word in _CONSTANTS:
                    kind = "number"
                elif word in _KEYWORDS:
                    kind = "keyword"
                else:
                    continue
            self.setFormat(start, position - start, self._formats[kind])

    def _finish_triple(self, text: str, start: int, state: int) -> int:
        """Colour up to the closing quotes or the line's end; returns where the string ends."""
        end = text.find(_TRIPLES[state - 1], start)
        stop = len(text) if end < 0 else end + 3
        if end < 0:
            self.setCurrentBlockState(state)
        self.setFormat(start, stop - start, self._formats["string"])
        return stop


def _formats(theme: Theme) -> dict[str, QTextCharFormat]:
    def plain(colour: QColor, weight: QFont.Weight = QFont.Weight.Normal) -> QTextCharFormat:
        form = QTextCharFormat()
        form.setForeground(colour)
        form.setFontWeight(weight)
        return form

    return {
        "comment": plain(theme.muted),
        "string": plain(theme.good),
        "decorator": plain(theme.attribute),
        "defined": plain(theme.parameter, QFont.Weight.Bold),
        "number": plain(theme.tensor),
        "keyword": plain(theme.module, QFont.Weight.Bold),
    }
