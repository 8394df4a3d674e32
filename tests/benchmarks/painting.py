"""Waiting until something is on the screen."""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6.QtCore import QEvent, QEventLoop, QObject, QTimer


class Painted(QObject):
    """Notes when a widget was painted last, and how often it was."""

    def __init__(self, widget: QObject) -> None:
        super().__init__()
        self.last = 0.0
        self.count = 0
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Paint:
            self.count += 1
            # After this event has been handled: then it is on the screen.
            QTimer.singleShot(0, self, self._note)
        return False

    def _note(self) -> None:
        self.last = time.monotonic()


def wait(condition: Callable[[], bool]) -> None:
    """Run the event loop until ``condition`` holds; looks once a millisecond."""
    loop = QEventLoop()
    timer = QTimer()
    timer.setInterval(1)
    timer.timeout.connect(lambda: loop.quit() if condition() else None)
    timer.start()
    loop.exec()
    timer.stop()
