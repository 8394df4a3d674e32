"""Opening a target."""

from __future__ import annotations

import gc
import time
from typing import Any, Literal

from inspector_app.backend.checkpoint import Checkpoint
from inspector_app.backend.facade.loading import Loading
from inspector_app.backend.fingerprint import fingerprint
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.backend.marking import marked
from inspector_app.backend.opening import OpenModel, open_target
from inspector_app.backend.tree import build_tree
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import RefusedError

_BARE = "A bare checkpoint holds tensors but no modules: {}. Open the model's factory instead."
_CHECKPOINT_CANNOT = {
    "freeze": _BARE.format("there is no training to freeze it for"),
    "initialize": _BARE.format("nothing says how a tensor is used"),
    "watch": _BARE.format("nothing runs, so there is nothing to watch"),
    "run": _BARE.format("there is nothing to run"),
    "load": _BARE.format("there is no model to load values into"),
}
_META = "This model is on the meta device, where tensors have shapes but no values: {}."
_META_CANNOT = {
    "initialize": _META.format("there is nothing to write to"),
    "run": _META.format("a forward would compute nothing"),
    "watch": _META.format("there are no activations to watch"),
    "export": _META.format("there is nothing to export"),
    "load": _META.format("there is nothing to load into"),
}

# A model of this size stays for as long as its session, so the collector need not walk it again
# and again (0.6 s each time for 100,000 modules).
_MANY_ROWS = 10_000


class Opening(Loading):
    """Requests that open a target."""

    def _mark_initial(self, keys: list[str]) -> None:
        """Mark rows that were left at their initial value while the target was opened."""
        table = self._tree.table
        left = set(keys)
        loaded = [position for position, path in enumerate(table.paths) if path not in left]
        self._laid_on = table.ids[loaded]
        self._tree, _ = marked(self._tree, self._settled())

    def open(
        self,
        target: str,
        arguments: dict[str, Any] | None = None,
        device: Literal["cpu", "meta"] = "cpu",
        seed: int = 0,
        trusted: bool = False,
        job: Job = NO_JOB,
    ) -> m.Opened:
        """Open a target; the one before stays open where this one fails.

        ``trusted`` runs the code that a file of torch.save names.
        """
        if self._adopted:
            raise RefusedError("This session belongs to a live model: open a target beside it.")
        start = time.perf_counter()
        job.progress(0, 0, f"Opening {target}")
        opened = open_target(
            target,
            arguments=arguments or {},
            device=device,
            seed=seed,
            trusted=trusted,
            check=job.check,
        )
        job.check()
        tree = build_tree(opened.model) if isinstance(opened, OpenModel) else opened.tree
        notes, laid_on = list(opened.notes), None
        if isinstance(opened, OpenModel) and opened.state_path:
            tree, laid_on, more = self._lay_on(opened, tree, job)
            notes += more
        self.close()
        self._opened, self._tree, self._laid_on = opened, tree, laid_on
        self.revision += 1
        if isinstance(opened, Checkpoint):
            self._disabled = _CHECKPOINT_CANNOT
        else:
            self._disabled = _META_CANNOT if device == "meta" else {}
            if len(tree.table) > _MANY_ROWS:
                gc.freeze()
        if isinstance(opened, OpenModel) and opened.initial is not None:
            self._mark_initial(opened.initial)
        return m.Opened(
            kind=self._kind,
            target=target,
            title=opened.title,
            path=opened.path,
            arguments=arguments or {},
            device=device,
            seed=seed,
            totals=self._totals(),
            table=self._tree.table,
            disabled=self._disabled,
            fingerprint=opened.fingerprint()
            if isinstance(opened, Checkpoint)
            else fingerprint(self._tree),
            seconds=time.perf_counter() - start,
            trusted=trusted,
            trust=opened.trust if isinstance(opened, Checkpoint) else None,
            notes=notes,
        )
