"""Sentences that have to fit into one line."""

from __future__ import annotations

from widgets.tree_delegate import one_line


def shortened(text: str, most: int) -> str:
    """``text`` in one line of at most ``most`` characters, cut at its end."""
    line = one_line(text)
    return line if len(line) <= most else f"{line[: most - 1].rstrip(' ,;:(')}…"


def without_middle(text: str, most: int) -> str:
    """``text`` in one line of at most ``most`` characters, which keeps its beginning and end."""
    line = one_line(text)
    if len(line) <= most:
        return line
    return f"{line[: most // 2]}…{line[len(line) - (most - 1) // 2 :]}"


def sentence(text: str, most: int) -> str:
    """``text`` as a sentence of its own, shortened; a name of code at its start stays as it is."""
    line = shortened(text, most)
    if line.partition(" ")[0].rstrip(",:;").isalpha():
        line = line[:1].upper() + line[1:]
    return line if line.endswith((".", "…")) else f"{line}."
