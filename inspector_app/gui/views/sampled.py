"""Of how much of a tensor a record tells, and how far that may be off, in words."""

from __future__ import annotations

from functools import lru_cache

from inspector_app.protocol.sampling import sample_error
from widgets.numbers import count_text, short_count


@lru_cache(maxsize=1024)
def sampled_words(sampled: int, count: int, evaluation: bool = False) -> tuple[str, ...]:
    """Wordings from the longest to the shortest: "2,048 of 8,192, shares ±3%" to "±3%".

    With ``evaluation`` they tell that the module was not in training mode.
    """
    mode = "eval · " if evaluation else ""
    if sampled >= count:
        return (f"{mode}exact",)
    error = error_text(sampled)
    return (
        f"{mode}{count_text(sampled)} of {count_text(count)}, shares {error}",
        f"{mode}{count_text(sampled)} of {short_count(count)}, {error}",
        f"{mode}shares {error}",
        f"{mode}{error}",
    )


@lru_cache(maxsize=1024)
def sampled_sentence(sampled: int, count: int, evaluation: bool = False) -> str:
    """The same in full, for a tooltip."""
    mode = "in evaluation mode\n" if evaluation else ""
    if sampled >= count:
        return f"{mode}exact: made of all {count_text(count)} elements"
    return mode + (
        f"made of {count_text(sampled)} of {count_text(count)} elements: cumulative shares are "
        f"within {error_text(sampled)} of the true ones with 95% confidence\n"
        "minimum, maximum, NaN and Inf are those of all elements"
    )


def error_text(sampled: int) -> str:
    """How far shares may be off: "±3%"."""
    return f"±{100 * sample_error(sampled):.2g}%"
