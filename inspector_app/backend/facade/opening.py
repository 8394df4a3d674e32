"""Opening a target."""

from __future__ import annotations

import gc
import time
from typing import Any, Literal

from inspector_app.backend.checkpoint import Checkpoint
from inspector_app.backend.facade.core import Core
from inspector_app.backend.fingerprint import fingerprint
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.backend.opening import OpenModel, open_target
from inspector_app.backend.tree import build_tree
from inspector_app.protocol import messages as m

_BARE = "A bare checkpoint holds tensors but no modules: {}. Open the model's factory instead."
_CHECKPOINT_CANNOT = {
    "freeze": _BARE.format("there is no training to freeze it for"),
    "initialize": _BARE.format("nothing says how a tensor is used"),
    "watch": _BARE.format("nothing runs, so there is nothing to watch"),
    "run": _BARE.format("there is nothing to run"),
}
_META = "This model is on the meta device, where tensors have shapes but no values: {}."
_META_CANNOT = {
    "initialize": _META.format("there is nothing to write to"),
    "run": _META.format("a forward would compute nothing"),
    "watch": _META.format("there are no activations to watch"),
    "export": _META.format("there is nothing to export"),
}

# A model of this size stays for as long as its session, so the collector need not walk it again
# and again (0.6 s each time for 100,000 modules).
_MANY_ROWS = 10_000


class Opening(Core):
    """Requests that open a target."""

    def open(
        self,
        target: str,
        arguments: dict[str, Any] | None = None,
        device: Literal["cpu", "meta"] = "cpu",
        seed: int = 0,
        job: Job = NO_JOB,
    ) -> m.Opened:
        """Open a target; the one before stays open where this one fails."""
        start = time.perf_counter()
        job.progress(0, 0, f"Opening {target}")
        opened = open_target(target, arguments=arguments or {}, device=device, seed=seed)
        job.check()
        tree = build_tree(opened.model) if isinstance(opened, OpenModel) else opened.tree
        self.close()
        self._opened, self._tree = opened, tree
        self.revision += 1
        if isinstance(opened, Checkpoint):
            self._disabled = _CHECKPOINT_CANNOT
        else:
            self._disabled = _META_CANNOT if device == "meta" else {}
            if len(tree.table) > _MANY_ROWS:
                gc.freeze()
        return m.Opened(
            kind=self._kind,
            target=target,
            title=opened.title,
            path=opened.path,
            arguments=arguments or {},
            device=device,
            seed=seed,
            totals=self._totals(),
            table=tree.table,
            disabled=self._disabled,
            fingerprint=opened.fingerprint()
            if isinstance(opened, Checkpoint)
            else fingerprint(tree),
            seconds=time.perf_counter() - start,
        )
