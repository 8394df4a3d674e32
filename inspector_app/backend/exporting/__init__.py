"""Verified export of a state dict: what is written, how, and the proof that it was.

Files are written as drafts beside their destinations, read back, compared bit by bit with the
source and only then renamed, so that each destination is the old file or a proven new one.
"""

from inspector_app.backend.exporting.carrying_out import export, plan_export
from inspector_app.backend.exporting.choosing import keys_matching
from inspector_app.backend.exporting.facts import ExportFacts

__all__ = ["ExportFacts", "export", "keys_matching", "plan_export"]
