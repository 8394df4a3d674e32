"""What can be wrong with a filter, each told in one sentence."""

from __future__ import annotations


class ValueProblem(ValueError):
    """What stands after a key is wrong; ``unfinished`` where it may still become right."""

    def __init__(self, sentence: str, unfinished: bool = False) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.unfinished = unfinished


class QueryError(ValueError):
    """A word of a filter that cannot be used: ``start`` to ``stop`` in the text.

    ``unfinished``: it may become right as more is typed.
    """

    def __init__(self, sentence: str, start: int, stop: int, unfinished: bool = False) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.start = start
        self.stop = stop
        self.unfinished = unfinished
