"""From a target's text to an open model or checkpoint; one file per format."""

from inspector_app.backend.opening.model import OpenModel
from inspector_app.backend.opening.target import open_checkpoint, open_target

__all__ = ["OpenModel", "open_checkpoint", "open_target"]
