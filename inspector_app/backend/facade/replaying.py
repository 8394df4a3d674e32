"""Carrying out the edits of a session that was lost."""

from __future__ import annotations

import os
from contextlib import closing

from inspector_app.backend.facade.editing import Editing
from inspector_app.backend.facade.loading import Loading
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.backend.opening import open_checkpoint
from inspector_app.protocol import messages as m
from inspector_app.protocol.changes import difference
from inspector_app.protocol.errors import RequestError


def _changed_file(entry: m.JournalEntry) -> list[str]:
    """The note about a file that is not the one of back then."""
    with closing(open_checkpoint(entry.path)) as checkpoint:
        same = not entry.digest or checkpoint.fingerprint() == entry.digest
    name = os.path.basename(entry.path)
    return [] if same else [f"“{entry.title}”: {name} has changed since, so the values differ"]


class Replaying(Editing, Loading):
    """The request that repeats edits."""

    def replay(self, entries: list[m.JournalEntry], job: Job = NO_JOB) -> m.Edited:
        """Carry out the edits of a session that was lost, in order; undone ones are passed over."""
        before = self.tree.table
        refused: list[m.Refusal] = []
        notes: list[str] = []
        wanted = [entry for entry in entries if entry.done]
        for index, entry in enumerate(wanted):
            job.check()
            job.progress(index, len(wanted), "Replaying edits")
            if entry.kind == "train":
                notes.append(f"“{entry.title}” was left out: steps of training are not repeated")
                continue
            if entry.path:
                notes += _changed_file(entry)
            length = len(self._journal.history)
            edited = self._repeated(entry, job)
            again = len(edited.history) > length
            touched = edited.history[-1].touched if again else 0
            if touched != entry.touched:
                kind = "modules" if entry.kind in ("hold", "release") else "tensors"
                notes.append(
                    f"“{entry.title}” changed {touched:,} {kind} now, {entry.touched:,} before"
                )
            refused += edited.refused
        return m.Edited(
            change=difference(before, self._tree.table),
            totals=self._totals(),
            history=self._journal.history,
            refused=refused,
            notes=notes,
        )

    def _repeated(self, entry: m.JournalEntry, job: Job) -> m.Edited:
        """One edit, carried out anew."""
        selection = m.Selection(patterns=entry.patterns)
        match entry.kind:
            case "freeze" | "unfreeze":
                return self.freeze(selection, entry.kind == "freeze", job=job)
            case "hold" | "release":
                return self.hold_statistics(selection, entry.kind == "hold", job=job)
            case "initialize":
                if entry.scheme is None:
                    raise RequestError(f"“{entry.title}” names no scheme and cannot be replayed.")
                return self.initialize(selection, entry.scheme, seed=entry.seed, job=job)
            case "load":
                return self.load_state(entry.path, entry.prefix, entry.fit, job=job)
            case "train":
                raise AssertionError("steps of training are not repeated")
            case "requires_grad":
                return self.apply_requires_grad(entry.path, entry.prefix, job=job)
