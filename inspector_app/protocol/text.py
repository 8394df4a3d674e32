"""Text from models as a line that can be read: names hold whatever their authors put into them."""

from __future__ import annotations

LONGEST_WORD = 300  # characters without a space between them, in a sentence


def printable(text: str) -> str:
    """The text on one line: what does not print, or turns the line around, is escaped."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def cut(text: str, width: int) -> str:
    """The text, without its middle where it is longer than ``width`` characters."""
    if len(text) <= width:
        return text
    half = (width - 1) // 2
    return f"{text[: width - 1 - half]}…{text[-half:]}"


def one_line(sentence: str) -> str:
    """A sentence on one line, with words of a length that can be read."""
    words = printable(" ".join(sentence.split("\n"))).split(" ")
    return " ".join(cut(word, LONGEST_WORD) for word in words)
