"""What panels need of a session: ask, and cancel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from inspector_app.protocol.errors import InspectorError
from inspector_app.protocol.messages import Request


class Asks(Protocol):
    """The part of ``gui.client.session.ClientSession`` that a panel talks to."""

    def request(
        self,
        request: Request,
        on_result: Callable[[Any], None],
        on_error: Callable[[InspectorError], None] | None = None,
        label: str = "",
    ) -> int:
        """Send; exactly one of the callbacks is called later, from the event loop."""
        ...

    def cancel(self, request_id: int) -> None:
        """Ask a running or waiting request to stop."""
        ...
