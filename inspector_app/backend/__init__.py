"""Everything that touches torch; knows no Qt.

``from inspector_app.backend import Session`` is all that a notebook needs; it is imported when it
is asked for, since torch takes its time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inspector_app.backend.session import Session

__all__ = ["Session"]


def __getattr__(name: str) -> Any:
    if name != "Session":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from inspector_app.backend.session import Session

    return Session
