"""The colours of the three themes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from PySide6.QtGui import QColor


def mix(colour: QColor, ground: QColor, share: float) -> QColor:
    """``share`` (0 to 1) of one colour over another, opaque."""
    rest = 1 - share
    return QColor(
        round(colour.red() * share + ground.red() * rest),
        round(colour.green() * share + ground.green() * rest),
        round(colour.blue() * share + ground.blue() * rest),
    )


@dataclass(frozen=True, eq=False)
class Theme:
    """A set of colours that go together; text on ``base`` and ``window`` meets WCAG AA (4.5:1)."""

    name: str
    dark: bool
    window: QColor  # around the panels
    base: QColor  # ground of lists, plots and text
    alternate: QColor  # every other row
    text: QColor
    muted: QColor  # secondary text
    accent: QColor  # the one colour that means "act here" or "chosen"
    on_accent: QColor  # text on the accent
    border: QColor
    good: QColor
    warning: QColor
    danger: QColor
    parameter: QColor
    buffer: QColor
    attribute: QColor
    module: QColor
    tensor: QColor

    @cached_property
    def selection(self) -> QColor:
        """Ground of what is selected: light enough that role colours stay readable on it."""
        return mix(self.accent, self.base, 0.24 if self.dark else 0.15)

    @cached_property
    def hover(self) -> QColor:
        """Ground under the pointer."""
        return mix(self.text, self.base, 0.08 if self.dark else 0.05)

    @cached_property
    def faint(self) -> QColor:
        """Grid lines and guides: seen, never read."""
        return mix(self.border, self.base, 0.6)

    def tone(self, name: str) -> QColor:
        """The colour called ``name``; "plain", "info" and "quiet" are the tones of text.

        Raises KeyError where the theme has no such colour.
        """
        name = {"plain": "text", "info": "accent", "quiet": "muted", "group": "muted"}.get(
            name, name
        )
        colour = getattr(self, name, None)
        if not isinstance(colour, QColor):
            raise KeyError(name)
        return colour


LIGHT: Final = Theme(
    name="light",
    dark=False,
    window=QColor("#F3F4F7"),
    base=QColor("#FFFFFF"),
    alternate=QColor("#F8F9FB"),
    text=QColor("#1B1F27"),
    muted=QColor("#59626F"),
    accent=QColor("#2A5FD6"),
    on_accent=QColor("#FFFFFF"),
    border=QColor("#D3D8E0"),
    good=QColor("#17733E"),
    warning=QColor("#8A5200"),
    danger=QColor("#BE222A"),
    parameter=QColor("#2059C9"),
    buffer=QColor("#08706B"),
    attribute=QColor("#8A5200"),
    module=QColor("#6A48BE"),
    tensor=QColor("#A12F73"),
)

DARK: Final = Theme(
    name="dark",
    dark=True,
    window=QColor("#1D2027"),
    base=QColor("#15181D"),
    alternate=QColor("#191C22"),
    text=QColor("#E4E7EC"),
    muted=QColor("#9CA5B4"),
    accent=QColor("#75A5FF"),
    on_accent=QColor("#0A1222"),
    border=QColor("#363C48"),
    good=QColor("#5FCB8C"),
    warning=QColor("#E8B44F"),
    danger=QColor("#FF8078"),
    parameter=QColor("#83B3FF"),
    buffer=QColor("#4FD1C2"),
    attribute=QColor("#E8B44F"),
    module=QColor("#BCA7FF"),
    tensor=QColor("#F296C6"),
)

HIGH_CONTRAST: Final = Theme(
    name="high contrast",
    dark=True,
    window=QColor("#000000"),
    base=QColor("#000000"),
    alternate=QColor("#0C0C0C"),
    text=QColor("#FFFFFF"),
    muted=QColor("#DADADA"),
    accent=QColor("#FFD60A"),
    on_accent=QColor("#000000"),
    border=QColor("#A6A6A6"),
    good=QColor("#6CFFA3"),
    warning=QColor("#FFC24B"),
    danger=QColor("#FF9A94"),
    parameter=QColor("#9CC8FF"),
    buffer=QColor("#66F2E3"),
    attribute=QColor("#FFC24B"),
    module=QColor("#D6C6FF"),
    tensor=QColor("#FFB0DA"),
)
