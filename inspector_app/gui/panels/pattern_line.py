"""A line for patterns over paths, with the ready selections in its menu."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from inspector_app.gui.panels.patterns import patterns_in
from inspector_app.protocol.presets import PRESETS
from widgets.suggest_line import Suggestion, SuggestLine
from widgets.theme import mono_font


class PatternLine(SuggestLine):
    """``patterns`` are those typed; a ready selection from the menu is added to them."""

    def __init__(self, name: str, meaning: str, parent: QWidget | None = None) -> None:
        """``name`` of the object; ``meaning`` is what assistive tools call it."""
        ready = [
            Suggestion(info.title.capitalize(), info.pattern, info.summary)
            for info in PRESETS.values()
        ]
        super().__init__(ready, parent)
        self.setObjectName(name)
        self.setAccessibleName(meaning)
        self.setFont(mono_font())
        self.setPlaceholderText("encoder.* *.bias")
        self.setToolTip(
            "Globs over dotted paths, apart by spaces: * crosses dots, a module means its subtree"
        )

    @property
    def patterns(self) -> list[str]:
        """What was typed, apart by spaces or commas."""
        return patterns_in(self.text())

    def take(self, text: str) -> None:
        """Add a ready selection to what is there."""
        if text not in self.patterns:
            self.setText(f"{self.text().strip()} {text}".strip())
