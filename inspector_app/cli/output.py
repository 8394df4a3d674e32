"""What the commands say: a stdout of their own, progress, JSON, tables, and one line for an error.

Exit codes: 0 done, 1 a check failed, 2 the target or the call is wrong, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from inspector_app.protocol import messages as m

DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130


def one_line(sentence: str) -> str:
    """A sentence without line breaks, whatever a name in it may hold."""
    return " ".join(sentence.split())


def complain(sentence: str) -> None:
    """Say on stderr, in one line, what is wrong."""
    print(f"inspector-app: {one_line(sentence)}", file=sys.stderr)


@contextlib.contextmanager
def own_output(*, to_the_end: bool) -> Iterator[TextIO]:
    """Our stdout, while all that a model prints goes to stderr, from C as well.

    ``to_the_end`` of the process: threads and exit handlers of the model may still print after us.
    """
    sys.stdout.flush()
    kept = os.dup(1)
    output = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="backslashreplace")
    os.dup2(2, 1)
    try:
        yield output
    finally:
        with contextlib.suppress(Exception):  # the model may have closed or replaced it
            sys.stdout.flush()
        if not to_the_end:
            os.dup2(kept, 1)
        os.close(kept)
        with contextlib.suppress(OSError):
            output.close()


class TerminalJob:
    """Shows progress in a terminal's last line, says nothing elsewhere."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()

    def progress(self, done: int, total: int, label: str) -> None:
        """Tell how far the work is."""
        if self._shown:
            share = f" {done / total:4.0%}" if total else ""
            sys.stderr.write(f"\r\x1b[K{label}{share}")
            if total and done >= total:
                sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def check(self) -> None:
        """Nothing cancels but Ctrl+C, which Python raises by itself."""

    def waiting(self) -> bool:
        """Nobody else has requests here."""
        return False

    def safe_point(self) -> None:
        """Nothing waits."""


def plain(value: object) -> Any:
    """A piece of a message as plain data."""
    import msgspec

    return msgspec.to_builtins(value)


def print_json(output: TextIO, value: dict[str, Any]) -> None:
    """One JSON object on one line."""
    json.dump(value, output)
    output.write("\n")


def print_result(output: TextIO, result: m.Result, **more: object) -> None:
    """The answer to a request as one JSON object, with more fields beside its own."""
    fields = plain(result)
    fields.pop("type")
    print_json(output, {**fields, **more})


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a table whose columns are as wide as they must be."""
    cells = [tuple(header), *(tuple(map(_cell, row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def _cell(text: str) -> str:
    """A cell that stays in its line: control characters are written out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
