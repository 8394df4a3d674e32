"""Edits of the open model."""

from __future__ import annotations

from inspector_app.backend import freezing, initialization, norms, previewing
from inspector_app.backend.facade.core import Core
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.protocol import messages as m
from inspector_app.protocol.schemes import scheme_text


class Editing(Core):
    """Requests that change the model, and those that tell what such a request would do."""

    def plan_freeze(
        self, selection: m.Selection, frozen: bool = True, job: Job = NO_JOB
    ) -> m.Planned:
        """What :meth:`freeze` would change; nothing is."""
        self._model_for("freeze")
        title = self._freeze_title(selection, frozen)
        return freezing.plan_freeze(self._tree, self._selected(selection), frozen, title)

    def freeze(self, selection: m.Selection, frozen: bool = True, job: Job = NO_JOB) -> m.Edited:
        """Set ``requires_grad`` of all parameters selected to ``not frozen``."""
        self._model_for("freeze")
        edit = freezing.freeze(self._tree, self._selected(selection), frozen)
        entry = m.JournalEntry(
            number=self._journal.next_number,
            kind="freeze" if frozen else "unfreeze",
            title=self._freeze_title(selection, frozen),
            touched=edit.touched,
            patterns=self._patterns(selection),
        )
        return self._carried_out(edit, entry)

    def plan_hold_statistics(
        self, selection: m.Selection, held: bool = True, job: Job = NO_JOB
    ) -> m.Planned:
        """What :meth:`hold_statistics` would change; nothing is."""
        self._model_for("freeze")
        title = self._hold_title(selection, held)
        return norms.plan_hold(self._tree, self._selected(selection), held, title)

    def hold_statistics(
        self, selection: m.Selection, held: bool = True, job: Job = NO_JOB
    ) -> m.Edited:
        """Set the layers selected that keep running statistics to eval mode, or back to train."""
        self._model_for("freeze")
        edit = norms.hold(self._tree, self._selected(selection), held)
        entry = m.JournalEntry(
            number=self._journal.next_number,
            kind="hold" if held else "release",
            title=self._hold_title(selection, held),
            touched=edit.touched,
            patterns=self._patterns(selection),
        )
        return self._carried_out(edit, entry)

    def plan_initialize(
        self, selection: m.Selection, scheme: m.Scheme, job: Job = NO_JOB
    ) -> m.Planned:
        """What :meth:`initialize` would change; nothing is."""
        self._model_for("initialize")
        title = f"{scheme_text(scheme)} on {self._spoken(selection)}"
        positions = self._selected(selection)
        return initialization.plan_initialize(self._tree, positions, scheme, title, self._snapshots)

    def initialize(
        self, selection: m.Selection, scheme: m.Scheme, seed: int = 0, job: Job = NO_JOB
    ) -> m.Edited:
        """Write new values into the parameters selected, wholly or not at all."""
        self._model_for("initialize")
        positions = self._selected(selection)
        edit = initialization.initialize(self._tree, positions, scheme, seed, self._snapshots, job)
        entry = m.JournalEntry(
            number=self._journal.next_number,
            kind="initialize",
            title=f"{scheme_text(scheme)} on {self._spoken(selection)}",
            touched=edit.touched,
            patterns=self._patterns(selection),
            scheme=scheme,
            seed=seed,
        )
        return self._carried_out(edit, entry)

    def preview_initialize(
        self,
        selection: m.Selection,
        scheme: m.Scheme,
        seed: int = 0,
        limit: int = 8,
        job: Job = NO_JOB,
    ) -> m.Previewed:
        """The values that :meth:`initialize` would write to the first tensors; nothing is."""
        self._model_for("initialize")
        positions = self._selected(selection)
        return previewing.preview_initialize(self._tree, positions, scheme, seed, limit, job)

    def undo(self, job: Job = NO_JOB) -> m.Edited:
        """Take back the newest edit."""
        self._check("undo")
        return self._edited(self._journal.undo())

    def redo(self, job: Job = NO_JOB) -> m.Edited:
        """Carry out again what was undone last."""
        self._check("undo")
        return self._edited(self._journal.redo())

    def _freeze_title(self, selection: m.Selection, frozen: bool) -> str:
        return f"{'Freeze' if frozen else 'Unfreeze'} {self._spoken(selection)}"

    def _hold_title(self, selection: m.Selection, held: bool) -> str:
        what = f"the statistics of {self._spoken(selection)}"
        return f"Hold {what}" if held else f"Let {what} move"
