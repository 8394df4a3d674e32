"""Whether a file is what was written, and equals a model, bit by bit."""

from inspector_app.backend.verifying.reporting import verify

__all__ = ["verify"]
