"""Laying a checkpoint onto the open model."""

from __future__ import annotations

import os
from contextlib import closing

from torch import nn

from inspector_app.backend import comparing_state, loading, planning
from inspector_app.backend.checkpoint import Checkpoint
from inspector_app.backend.choosing_state import chosen_state
from inspector_app.backend.collecting import without_collection
from inspector_app.backend.facade.core import Core
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.backend.laying import Laying
from inspector_app.backend.marking import marked
from inspector_app.backend.noted_gradients import apply_gradients, wanted_gradients
from inspector_app.backend.opening import OpenModel, open_checkpoint
from inspector_app.backend.state_slots import slots_of
from inspector_app.backend.transformers_names import as_the_model_names_it
from inspector_app.backend.tree import Tree, build_tree
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import RefusedError
from inspector_app.protocol.table import Int32


class Loading(Core):
    """Requests that compare a checkpoint with the open model, and lay it on."""

    def plan_state(self, path: str, prefix: str | None = None, job: Job = NO_JOB) -> m.StatePlan:
        """What :meth:`load_state` would load, and what does not fit; nothing is changed."""
        opened = self._model_for("load")
        with closing(open_checkpoint(path)) as file:
            chosen, rest = chosen_state(file, prefix)
            checkpoint, laying = self._laying(opened.model, self._tree, chosen, rest, job)
            noted = checkpoint.requires_grad
            wanted = None if noted is None else wanted_gradients(self._tree, noted, rest)
            size = loading.size_kept(laying)
            undoable = self._snapshots.can_keep(size)
            notes = [*laying.notes, *loading.overlap_notes(laying)]
            if not undoable:
                notes.append(planning.too_large_note(size))
            return m.StatePlan(
                path=checkpoint.path,
                matching=laying.matching,
                tensors=laying.keys,
                bytes=laying.size,
                differences=laying.differences,
                fits=laying.fits,
                prefix=laying.prefix,
                asked=prefix,
                notes=notes,
                undoable=undoable,
                requires_grad=0 if wanted is None else wanted.tensors(self._tree),
            )

    def load_state(
        self, path: str, prefix: str | None = None, fit: bool = False, job: Job = NO_JOB
    ) -> m.Edited:
        """Write a checkpoint's values into the model; with ``fit`` those that fit.

        Raises RefusedError where it does not fit (with ``fit``: where nothing does), TargetError
        where the file cannot be read, Cancelled; then nothing has been changed.
        """
        opened = self._model_for("load")
        with closing(open_checkpoint(path)) as file:
            chosen, rest = chosen_state(file, prefix)
            checkpoint, laying = self._laying(opened.model, self._tree, chosen, rest, job)
            name = os.path.basename(checkpoint.path)
            if not laying.fits or (laying.differences and not fit):
                raise RefusedError(
                    loading.does_not_fit(name, laying.differences, any_fits=laying.fits > 0)
                )
            digest = checkpoint.fingerprint()
            edit = loading.load(self._tree, laying, checkpoint, self._snapshots, job, fit=fit)
            whole = not laying.differences
            entry = m.JournalEntry(
                number=self._journal.next_number,
                kind="load",
                title=f"Load {name}" if whole else f"Load what fits of {name}",
                touched=edit.touched,
                patterns=[],
                path=checkpoint.path,
                prefix=prefix,
                fit=fit,
                digest=digest,
            )
        return self._carried_out(edit, entry)

    def apply_requires_grad(
        self, path: str, prefix: str | None = None, job: Job = NO_JOB
    ) -> m.Edited:
        """Set ``requires_grad`` of parameters as a file notes it.

        Raises RefusedError where the file notes none, or none of it can be set.
        """
        self._model_for("freeze")
        with closing(open_checkpoint(path)) as file:
            checkpoint, rest = chosen_state(file, prefix)
            name = os.path.basename(checkpoint.path)
            noted = checkpoint.requires_grad
            if noted is None:
                raise RefusedError(
                    f"{name} does not note requires_grad: files that this program exported do, and "
                    "torch files whose tensors were saved as parameters."
                )
            wanted = wanted_gradients(self._tree, noted, rest)
            edit = apply_gradients(self._tree, wanted)
            entry = m.JournalEntry(
                number=self._journal.next_number,
                kind="requires_grad",
                title=f"Apply requires_grad of {name}",
                touched=edit.touched,
                patterns=[],
                path=checkpoint.path,
                prefix=prefix,
                digest=checkpoint.fingerprint(),
            )
        return self._carried_out(edit, entry)

    def _laying(
        self, model: nn.Module, tree: Tree, checkpoint: Checkpoint, prefix: str | None, job: Job
    ) -> tuple[Checkpoint, Laying]:
        """The checkpoint under the model's names, and how it lies on the model."""
        with without_collection():
            slots = slots_of(model, tree)
            keys = [slot.key for slot in slots]
            checkpoint, notes = as_the_model_names_it(checkpoint, model, keys)
            laying = comparing_state.compare(tree, slots, checkpoint, prefix, job)
        laying.notes[:0] = notes
        return checkpoint, laying

    def _lay_on(
        self, opened: OpenModel, tree: Tree, job: Job = NO_JOB
    ) -> tuple[Tree, Int32, list[str]]:
        """Load what fits of the checkpoint that belongs to a model that is being opened.

        Its tree with what is still initial marked, the ids of rows that were loaded, and what to
        know of it.  It is a part of opening, not an edit: nothing is kept to undo it, and where it
        raises (as :meth:`load_state` does) the model may hold some of the values.
        """
        with closing(open_checkpoint(opened.state_path)) as file:
            checkpoint, laying = self._laying(opened.model, tree, file, None, job)
            edit = loading.load(tree, laying, checkpoint, None, job, fit=True)
        if edit.attributes:  # lazy tensors have their shapes now
            tree = build_tree(opened.model, tree)
        opened.laid = edit.recipe
        tree, initial = marked(tree, edit.rows)
        notes = list(edit.notes)
        if len(initial):
            named = planning.paths_list(tree.table, initial)
            notes.append(f"{len(initial):,} tensors are still at their initial value: {named}")
        return tree, edit.rows, notes
