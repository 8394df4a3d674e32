"""Writing the open target's state dict to a file, and checking files."""

from __future__ import annotations

import numpy as np
from torch import nn

from inspector_app.backend import exporting, verifying
from inspector_app.backend.checkpoint import Checkpoint
from inspector_app.backend.facade.core import Core
from inspector_app.backend.failures import model_error
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.backend.states import StateDict, StateSource
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import ModelError, RefusedError, RequestError
from inspector_app.protocol.table import Flag, Role

_ALL = m.ExportOptions()


def _state_dict(model: nn.Module) -> StateDict:
    """The model's ``state_dict()``: the person's code, so whatever it raises is told."""
    try:
        state = StateDict(model.state_dict())
    except RecursionError:
        failure = ModelError(
            "The model has no state_dict: its modules are nested too deep, or one holds itself."
        )
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a person's code raises
        failure = model_error(error, "The model's state_dict()", model)
    else:
        other = next((key for key in state.names() if not issubclass(type(key), str)), None)
        if other is None:
            return state
        failure = ModelError(
            f"The model's state_dict() has a key of class {type(other).__name__}: "
            "keys must be text to be written or compared."
        )
    raise failure


class Exporting(Core):
    """Requests that write and check files."""

    def plan_export(self, options: m.ExportOptions = _ALL, job: Job = NO_JOB) -> m.ExportPlan:
        """What :meth:`export` would write."""
        return exporting.plan_export(
            self._state("export"), only=self._keys(options.only), skip=options.skip
        )

    def export(self, path: str, options: m.ExportOptions = _ALL, job: Job = NO_JOB) -> m.Exported:
        """Write a verified file."""
        return exporting.export(
            self._state("export"),
            path,
            only=self._keys(options.only),
            skip=options.skip,
            facts=self._facts(),
            job=job,
        )

    def verify(self, path: str, against: str = "", job: Job = NO_JOB) -> m.Verified:
        """Check a file; ``against`` "." compares it with the open target bit by bit."""
        if not against:
            return verifying.verify(path, against=None, job=job)
        if against != ".":
            raise RequestError('A file can be compared with the open target only: ask for ".".')
        name = self._opened.target if self._opened else ""
        return verifying.verify(path, against=self._state("verify"), against_name=name, job=job)

    def _keys(self, only: m.Selection | None) -> list[str] | None:
        return None if only is None else self._patterns(only)

    def _state(self, operation: str) -> StateSource:
        """The state dict of the open target."""
        _ = self.tree
        if operation in self._disabled:
            raise RefusedError(self._disabled[operation])
        if isinstance(self._opened, Checkpoint):
            return self._opened
        assert self._opened is not None
        return _state_dict(self._opened.model)

    def _facts(self) -> exporting.ExportFacts:
        assert self._opened is not None
        if isinstance(self._opened, Checkpoint):
            return exporting.ExportFacts(target=self._opened.target, carried=self._opened.metadata)
        table = self._tree.table
        parameters = np.flatnonzero(table.role == Role.PARAMETER)
        trains = (table.flags[parameters] & Flag.REQUIRES_GRAD) != 0
        paths = table.paths
        return exporting.ExportFacts(
            target=self._opened.target,
            arguments=self._opened.arguments,
            device=self._opened.device,
            seed=self._opened.seed,
            class_name=table.class_name(0),
            edits=[entry for entry in self._journal.history if entry.done],
            requires_grad={
                paths[position]: bool(train)
                for position, train in zip(parameters.tolist(), trains.tolist(), strict=True)
            },
        )
