"""The filter language as the help tells it: examples and what they find."""

from __future__ import annotations

from typing import NamedTuple

from inspector_app.gui.filtering.keys import KEYS
from inspector_app.gui.filtering.measures import MEASURES


class Example(NamedTuple):
    """``text`` can be typed as it stands."""

    text: str
    meaning: str


def guide() -> list[tuple[str, list[Example]]]:
    """(title, examples) of every section."""
    keys = [Example(f"{k.name}:{k.example}", k.help) for name, k in KEYS.items() if name == k.name]
    return [
        (
            "Paths",
            [
                Example("attn", "The path holds it, in any case"),
                Example(
                    "layers.*.weight", "A glob: * any text, ? one character, [0-9] one of these"
                ),
                Example("/layers\\.(1|2)\\./", "A regular expression"),
                Example("q_proj|k_proj", "One or the other"),
            ],
        ),
        (
            "Words together",
            [
                Example("attn class:Linear", "All words have to hold"),
                Example("-bias", "Leave out what a word finds; not:bias does the same"),
                Example('"a name"', "Quotes: as it is, blanks and all"),
            ],
        ),
        (
            "Numbers",
            [Example(m.example, m.help) for m in MEASURES.values()],
        ),
        ("Facts", keys),
    ]
