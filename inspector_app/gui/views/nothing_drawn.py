"""What a live view says while there is nothing to draw, and the button that changes it."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from widgets.empty_state import EmptyState

WATCH_ALL = "Watch all leaf modules"


class NothingDrawn(EmptyState):
    """Offers to watch while nothing is watched."""

    def __init__(self, unwatched: str, otherwise: str, parent: QWidget | None = None) -> None:
        """What is said while nothing is watched, and while something is."""
        super().__init__("live", unwatched, WATCH_ALL, parent)
        self._sentences = {False: unwatched, True: otherwise}

    def set_watched(self, watched: bool) -> None:
        """Whether anything is watched."""
        self.set_sentence(self._sentences[watched])
        self.set_button(None if watched else WATCH_ALL)
