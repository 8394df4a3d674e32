"""All probes of one session: the only owner of their hooks, and of what they measure."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from time import perf_counter

import msgspec
import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from inspector_app.backend.probing.batch import Batch
from inspector_app.backend.probing.parameters import ParameterProbe
from inspector_app.backend.probing.probes import ModuleProbe, short
from inspector_app.backend.probing.records import RecordRing
from inspector_app.protocol.errors import RefusedError
from inspector_app.protocol.messages import Phase, ProbeKind, Records, Series

_FLUSHED_WITHIN = 0.05  # seconds; a flush costs a fixed amount, however little there is
OUTPUT: frozenset[ProbeKind] = frozenset({"output"})


class ProbeSet:
    """Probes by the row they watch.

    :meth:`watch`, :meth:`unwatch` and :meth:`clear` belong to the thread that may change the
    model; :meth:`records`, ``series`` and ``failures`` may be read from any thread.
    """

    def __init__(self, ring: RecordRing | None = None) -> None:
        self.ring = ring or RecordRing()
        self.batch = Batch()
        self.active = True  # whether this step is measured
        self.spent = 0.0  # seconds in hooks and flushes since the owner set it to 0
        self.forward = (0, 0)  # step and forward within it
        self.gradient_exponent = 0  # gradients are 2**this too large: the loss was scaled
        self._probes: dict[int, tuple[ModuleProbe, nn.Module, RemovableHandle]] = {}
        self._parameters: dict[int, ParameterProbe] = {}
        self._kept: list[RemovableHandle] = []
        self._flushed = 0.0
        self._lock = threading.Lock()  # of series and failures
        self._batch_lock = threading.Lock()  # a model may run in several threads
        self._series: dict[tuple[int, str, ProbeKind], Series] = {}
        self._failures: dict[tuple[int, str], str] = {}

    def __enter__(self) -> ProbeSet:
        return self

    def __exit__(self, *error: object) -> None:
        self.clear()

    @property
    def rows(self) -> list[int]:
        """Ids of the rows watched now, in the order in which they were."""
        return [*self._probes, *self._parameters]

    def kinds(self, row: int) -> frozenset[ProbeKind]:
        """What is measured of a row; nothing of one that is not watched."""
        if row in self._probes:
            return self._probes[row][0].kinds
        return self._parameters[row].kinds if row in self._parameters else frozenset()

    def fired(self, row: int) -> int:
        """How often the probe of a row has fired."""
        if row in self._probes:
            return self._probes[row][0].fired
        return self._parameters[row].fired if row in self._parameters else 0

    @property
    def step(self) -> int:
        """Number of the step that runs, or ran last; 0 before the first."""
        return self.forward[0]

    @property
    def series(self) -> list[Series]:
        """All series ever measured; a series keeps its key when its row is watched again."""
        with self._lock:
            return list(self._series.values())

    @property
    def failures(self) -> list[str]:
        """Sentences about what is not measured, and why."""
        with self._lock:
            return list(self._failures.values())

    # -- hooks -----------------------------------------------------------------------------------

    def watch(
        self, row: int, module: nn.Module, path: str = "", kinds: Iterable[ProbeKind] = OUTPUT
    ) -> None:
        """Hook ``module``; nothing happens where the row watches the same of it already.

        ``path`` names it in sentences.  Raises RefusedError for a module that takes no hooks.
        """
        name = path or type(module).__name__
        wanted = frozenset(kinds)
        if row in self._probes:
            probe, watched, _ = self._probes[row]
            if watched is module and probe.armed:
                probe.kinds = wanted
                return
            self.unwatch(row)
        if issubclass(type(module), torch.jit.ScriptModule):
            raise RefusedError(
                f"{name} is a ScriptModule, which takes no hooks: watch a module around it."
            )
        self._forget_failures(row)
        probe = ModuleProbe(self, row, name, wanted)
        try:
            handle = nn.Module.register_forward_hook(module, probe)
        except (AttributeError, TypeError, RuntimeError) as error:
            raise RefusedError(f"{name} cannot be watched: {short(error)}.") from error
        self._probes[row] = (probe, module, handle)

    def watch_parameter(
        self, row: int, parameter: torch.Tensor, path: str, kinds: Iterable[ProbeKind]
    ) -> None:
        """Measure a parameter; in place of what was measured of it before."""
        self.unwatch(row)
        self._forget_failures(row)
        self._parameters[row] = ParameterProbe(self, row, parameter, path, frozenset(kinds))

    def unwatch(self, row: int) -> None:
        """Remove the hook of ``row``, if there is one; its series and records stay."""
        parameter = self._parameters.pop(row, None)
        if parameter is not None:
            parameter.remove()
        entry = self._probes.pop(row, None)
        if entry is not None:
            probe, _, handle = entry
            probe.armed = False  # a copy of the hook dict, or a graph, may still hold it
            handle.remove()

    def clear(self) -> None:
        """Remove all hooks; may be called again."""
        for row in self.rows:
            self.unwatch(row)
        self._let_go()
        self.flush()

    def keep(self, handle: RemovableHandle) -> None:
        """Remove this hook when the step is over: the tensor that it hangs on lives longer."""
        self._kept.append(handle)

    def _let_go(self) -> None:
        kept, self._kept = self._kept, []
        for handle in kept:
            handle.remove()

    # -- steps -----------------------------------------------------------------------------------

    def begin_step(self) -> int:
        """A step begins; returns its number, from 1 on."""
        self._let_go()
        self.forward = (self.forward[0] + 1, 0)
        return self.forward[0]

    def begin_forward(self) -> None:
        """Another outermost forward begins within the step."""
        self.forward = (self.forward[0], self.forward[1] + 1)

    def before_update(self, scale: float = 1.0) -> None:
        """The optimizer is about to step; gradients are ``scale`` times what they should be."""
        for probe in self._parameters.values():
            probe.before_update(scale)

    def after_update(self) -> None:
        """The optimizer has made its step."""
        for probe in self._parameters.values():
            probe.after_update()

    def take(
        self,
        tensor: torch.Tensor,
        key: int,
        call: int,
        phase: int,
        forward: tuple[int, int] | None = None,
        count: int | None = None,
    ) -> str:
        """Look at a tensor now; returns why its values cannot be read, "" where they can.

        ``count`` tells of how many elements the tensor is a sample.
        """
        with self._batch_lock:
            if self.batch.full:
                self.ring.extend(self.batch.flush())
            try:
                where = (*(forward or self.forward), key, call, phase)
                exponent = self.gradient_exponent if phase & Phase.BACKWARD else 0
                self.batch.take(tensor, where, count, exponent)
            except ValueError as error:
                return str(error)
        return ""

    def scalar(self, name: str, value: float | torch.Tensor) -> None:
        """Record one number of this step under a name of its own."""
        number = value.detach() if isinstance(value, torch.Tensor) else torch.tensor(float(value))
        key = self.series_key(-1, name, "scalar")
        if reason := self.take(number.double().reshape(1), key, 0, 0):
            self.failed(-1, name, f"{name} is left out: {reason}.")

    def end_step(self) -> None:
        """A step is over: make records of what was seen, of several short steps at once."""
        if self.batch.nearly_full or perf_counter() - self._flushed > _FLUSHED_WITHIN:
            start = perf_counter()
            self.flush()
            self.spent += perf_counter() - start

    def flush(self) -> None:
        """Make records of all that was seen; from any thread."""
        with self._batch_lock:
            if len(self.batch):
                self.ring.extend(self.batch.flush())
            self._flushed = perf_counter()

    def set_octaves(self, octaves: bool) -> None:
        """Count into octaves from now on, or into equal bins."""
        with self._batch_lock:
            if len(self.batch):
                self.ring.extend(self.batch.flush())
            self.batch.octaves = octaves

    def records(self, since: int = 0, limit: int = 4096) -> Records:
        """Records of the ring from sequence number ``since`` on, with their series."""
        self.flush()
        # The series after the records: none of these can then lack its own.
        records = self.ring.since(since, limit)
        return msgspec.structs.replace(records, series=self.series, failures=self.failures)

    # -- called by probes ------------------------------------------------------------------------

    def series_key(self, row: int, leaf: str, kind: ProbeKind) -> int:
        """Key of the series of one tensor; the same for ever."""
        with self._lock:
            series = self._series.get((row, leaf, kind))
            if series is None:
                series = Series(key=len(self._series), row=row, leaf=leaf, kind=kind)
                self._series[row, leaf, kind] = series
            return series.key

    def failed(self, row: int, leaf: str, sentence: str) -> None:
        """Keep a sentence about what is not measured."""
        with self._lock:
            self._failures[row, leaf] = sentence

    def _forget_failures(self, row: int) -> None:
        with self._lock:
            for key in [key for key in self._failures if key[0] == row]:
                del self._failures[key]
