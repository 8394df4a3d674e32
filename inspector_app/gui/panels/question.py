"""A question to the worker of which only the newest answer is wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from inspector_app.gui.panels.asking import Asks
from inspector_app.protocol.errors import InspectorError
from inspector_app.protocol.messages import Request


class Question:
    """Asks one thing at a time: what was asked before is cancelled, and its answer not heard."""

    def __init__(self, session: Asks) -> None:
        self._session = session
        self._request: int | None = None
        self._turn = 0

    @property
    def waiting(self) -> bool:
        """Whether an answer is still to come."""
        return self._request is not None

    def ask(
        self,
        request: Request,
        on_result: Callable[[Any], None],
        on_error: Callable[[InspectorError], None],
    ) -> None:
        """Ask this instead; one of the callbacks is called unless it is dropped."""
        self.drop()
        turn = self._turn

        def answered(callback: Callable[[Any], None], answer: Any) -> None:
            if turn == self._turn:
                self._request = None
                callback(answer)

        self._request = self._session.request(
            request,
            lambda result: answered(on_result, result),
            lambda error: answered(on_error, error),
        )

    def drop(self) -> None:
        """Do not want the answer any more."""
        self._turn += 1
        if self._request is not None:
            self._session.cancel(self._request)
            self._request = None
