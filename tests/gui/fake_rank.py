"""A stand-in for RankSession: another rank of a training, which answers from plain data."""

from __future__ import annotations

from typing import Any, ClassVar

from PySide6.QtCore import QObject, QTimer, Signal

from inspector_app.protocol.messages import Attach, Opened, Request
from tests.gui.fake_backend import FakeBackend


class FakeRank(QObject):
    """Joined as soon as it is started; ``backend`` is its own, ``die`` ends it."""

    asked = Signal(object)
    answered = Signal(object, object)
    joined = Signal(object)
    ended = Signal(str)

    backends: ClassVar[dict[str, FakeBackend]] = {}  # by address
    made: ClassVar[list[FakeRank]] = []

    def __init__(self, address: str, token: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.address, self.token = address, token
        self.backend = self.backends[address]
        self.requests: list[Request] = []
        self.left = False
        self.made.append(self)

    def start(self) -> None:
        self.request(Attach(), self._joined)

    def _joined(self, opened: Opened) -> None:
        self.joined.emit(opened)

    def request(
        self, request: Request, on_result: Any, on_error: Any = None, label: str = ""
    ) -> int:
        self.requests.append(request)
        QTimer.singleShot(0, self, lambda: self._answer(request, on_result))
        return len(self.requests)

    def _answer(self, request: Request, on_result: Any) -> None:
        if not self.left:
            result = self.backend.answer(request)
            on_result(result)
            self.answered.emit(request, result)

    def leave(self) -> None:
        self.left = True

    def die(self, sentence: str) -> None:
        self.left = True
        self.ended.emit(sentence)
