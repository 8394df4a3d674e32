"""The edits that stand, as a script."""

from __future__ import annotations

import torch

from inspector_app.backend.checkpoint import Checkpoint
from inspector_app.backend.facade.core import Core
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.backend.scripting import write_script
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import RefusedError


class Scripting(Core):
    """The request for a script."""

    def get_script(self, job: Job = NO_JOB) -> m.Script:
        """The edits that stand, as a script in plain torch that does the same."""
        _ = self.tree
        if isinstance(self._opened, Checkpoint):
            raise RefusedError(
                "A bare checkpoint holds tensors but no modules, so there are no edits of it to "
                "write down. Open the model's factory instead."
            )
        assert self._opened is not None
        # Tensors of a person's class are asked as torch's own would answer.
        with torch._C.DisableTorchFunctionSubclass():
            text, notes = write_script(
                self._opened, self._journal.standing, materialised=self._materialised
            )
        return m.Script(text=text, notes=notes)
