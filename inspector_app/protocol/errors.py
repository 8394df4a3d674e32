"""Errors a person can act on.

Every one carries a sentence that says what is wrong, where, and what to do.  The backend raises
them, the wire carries them as :class:`~inspector_app.protocol.messages.Failure`, the window and
the command line show the sentence as it is.
"""

from __future__ import annotations

from inspector_app.protocol.text import one_line


class InspectorError(Exception):
    """Base of all errors meant for a person.  ``kind`` names it on the wire."""

    kind = "error"

    def __init__(self, sentence: str, detail: str = "") -> None:
        """``sentence`` is shown, on one line; ``detail`` (a traceback, say) opens on demand."""
        self.sentence = one_line(sentence)
        super().__init__(self.sentence)
        self.detail = detail


class TargetError(InspectorError):
    """The target does not exist, cannot be read, or its factory failed."""

    kind = "target"


class RequestError(InspectorError):
    """The request does not fit the open session: unknown row, wrong argument, nothing open."""

    kind = "request"


class RefusedError(InspectorError):
    """The request is understood and must not be carried out (reason in the sentence)."""

    kind = "refused"


class CopyError(RefusedError):
    """There can be no copy of the model to try things on; the model itself can be used."""

    kind = "copy"


class ModelError(InspectorError):
    """The user's own model raised while it ran."""

    kind = "model"


class Cancelled(InspectorError):
    """The person cancelled the job."""

    kind = "cancelled"

    def __init__(self, sentence: str = "Cancelled.", detail: str = "") -> None:
        super().__init__(sentence, detail)


class ConnectionLost(InspectorError):
    """The worker died or the connection broke before an answer came."""

    kind = "lost"


class ProtocolError(InspectorError):
    """A peer sent bytes that are not a valid message."""

    kind = "protocol"


class InternalError(InspectorError):
    """A mistake of ours; ``detail`` holds the traceback."""

    kind = "internal"


_KINDS: dict[str, type[InspectorError]] = {
    error.kind: error
    for error in (
        TargetError,
        RequestError,
        RefusedError,
        CopyError,
        ModelError,
        Cancelled,
        ConnectionLost,
        ProtocolError,
        InternalError,
    )
}


def error_of_kind(kind: str, sentence: str, detail: str = "") -> InspectorError:
    """The error that a :class:`Failure` on the wire stands for."""
    return _KINDS.get(kind, InternalError)(sentence, detail)
