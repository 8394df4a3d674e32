"""All probes of one session: the only owner of their hooks, and of what they measure."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any

import msgspec
import numpy as np
import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from inspector_app.backend.probing.alarms import Alarms
from inspector_app.backend.probing.batch import Batch
from inspector_app.backend.probing.captures import Captures
from inspector_app.backend.probing.costs import Costs
from inspector_app.backend.probing.device_batch import DeviceBatch
from inspector_app.backend.probing.loss_scale import LossScale
from inspector_app.backend.probing.parameters import ParameterProbe
from inspector_app.backend.probing.probes import BACKWARD, ModuleProbe, Probe, short
from inspector_app.backend.probing.records import RecordRing
from inspector_app.backend.probing.scalars import as_number
from inspector_app.backend.probing.units import saturation_limits
from inspector_app.protocol.errors import RefusedError
from inspector_app.protocol.messages import ProbeKind, ProbeState, Records, Series

_FLUSHED_WITHIN = 0.05  # seconds; a flush costs a fixed amount, however little there is
_NO_GRADIENT = (
    "Its output needs no gradient: nothing up to it is trained, or the forward ran without "
    "gradients."
)
OUTPUT: frozenset[ProbeKind] = frozenset({"output"})


class ProbeSet:
    """Probes by the row they watch.

    :meth:`watch`, :meth:`unwatch` and :meth:`clear` belong to the thread that may change the
    model; :meth:`records`, ``series`` and ``failures`` may be read from any thread.
    """

    def __init__(self, ring: RecordRing | None = None) -> None:
        self.ring = ring or RecordRing()
        self.batch = Batch()
        self.device_batch = DeviceBatch(self.batch)  # of what is on accelerators
        self.alarms = Alarms()
        self.captures = Captures()
        self.costs = Costs()
        self.active = True  # whether this step is measured
        self.spent = 0.0  # seconds in hooks and flushes since the owner set it to 0
        self.forward = (0, 0)  # step and forward within it, those of evaluation counted apart
        self.forwards = 0  # all that ever began
        self.evaluates = False  # whether the model as a whole is in evaluation mode
        self.anew = (0, 0), False  # the last two, of what a backward computes anew
        self._begun = [0, 0]  # forwards of this step that train, and that evaluate
        self.seen = 0  # the last step in which a tensor was taken
        self.loss_scale = LossScale()  # by which gradients are too large
        self.ended = 0  # steps that were measured to their end
        self._probes: dict[int, tuple[ModuleProbe, nn.Module]] = {}
        self._parameters: dict[int, ParameterProbe] = {}
        self._kept: list[RemovableHandle] = []
        self._flushed = 0.0
        self._began = (0.0, 0.0)  # when the step began, and ``spent`` then
        self._lock = threading.Lock()  # of series and failures
        self._batch_lock = threading.Lock()  # a model may run in several threads
        self._series: dict[tuple[int, str, ProbeKind], Series] = {}
        self._by_key: list[Series] = []
        self._exact: set[int] = set()  # rows of which all elements are measured
        self._paths: dict[int, str] = {}  # of rows that were ever watched
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

    def path(self, row: int) -> str:
        """How a row that was measured is named in sentences; "" for any other."""
        return self._paths.get(row, "")

    @property
    def step(self) -> int:
        """Number of the step that runs, or ran last; 0 before the first."""
        return self.forward[0]

    @property
    def series(self) -> list[Series]:
        """All series ever measured; a series keeps its key when its row is watched again."""
        with self._lock:
            return list(self._by_key)

    @property
    def failures(self) -> list[str]:
        """Sentences about what is not measured, and why."""
        with self._lock:
            return list(self._failures.values())

    @property
    def states(self) -> list[ProbeState]:
        """How the probe of each row stands; why one never fired must be told by the model."""
        with self._lock:
            measured = {(series.row, series.kind) for series in self._by_key}
            stopped = {row: sentence for (row, _), sentence in self._failures.items()}
        probes: list[Probe] = [
            *(probe for probe, _ in list(self._probes.values())),
            *list(self._parameters.values()),
        ]
        hooks = {probe.row: probe.spent for probe in probes}
        shares = self.costs.shares(hooks, self.series)
        found: list[ProbeState] = []
        for probe in probes:
            row = probe.row
            if not probe.armed:
                reason = stopped.get(row, "")
                state = ProbeState(row=row, state="stopped", fired=probe.fired, reason=reason)
            elif probe.fired:
                without = "gradient" in probe.kinds and (row, "gradient") not in measured
                state = ProbeState(
                    row=row,
                    state="fired",
                    fired=probe.fired,
                    reason=_NO_GRADIENT if without else "",
                )
            else:
                waited = self.ended > probe.since
                state = ProbeState(row=row, state="never fired" if waited else "armed")
            exact, share = row in self._exact, shares.get(row)
            found.append(msgspec.structs.replace(state, exact=exact, share=share))
        return found

    # -- hooks -----------------------------------------------------------------------------------

    def set_exact(self, row: int, exact: bool) -> None:
        """Measure all elements of what a row shows, or a sample."""
        with self._batch_lock, self._lock:
            keys = {series.key for series in self._by_key if series.row == row}
            if exact:
                self._exact.add(row)
                self.batch.exact |= keys
            else:
                self._exact.discard(row)
                self.batch.exact -= keys

    def is_exact(self, row: int) -> bool:
        """Whether all elements of a row are measured, not a sample."""
        return row in self._exact

    def watch(
        self, row: int, module: nn.Module, path: str = "", kinds: Iterable[ProbeKind] = OUTPUT
    ) -> None:
        """Hook ``module``; nothing happens where the row watches the same of it already.

        ``path`` names it in sentences.  Raises RefusedError for a module that takes no hooks.
        """
        name = path or type(module).__name__
        wanted = frozenset(kinds)
        if row in self._probes:
            probe, watched = self._probes[row]
            if watched is module and probe.armed:
                other = ("input" in wanted) != ("input" in probe.kinds)
                probe.kinds = wanted
                if other:
                    probe.hook(module)
                return
            self.unwatch(row)
        if issubclass(type(module), torch.jit.ScriptModule):
            raise RefusedError(
                f"{name} is a ScriptModule, which takes no hooks: watch a module around it."
            )
        self._forget_failures(row)
        probe = ModuleProbe(self, row, name, wanted)
        try:
            probe.hook(module)
        except (AttributeError, TypeError, RuntimeError) as error:
            probe.unhook()
            raise RefusedError(f"{name} cannot be watched: {short(error)}.") from error
        self._probes[row] = (probe, module)

    def watch_parameter(
        self, row: int, parameter: torch.Tensor, path: str, kinds: Iterable[ProbeKind]
    ) -> None:
        """Measure a parameter; in place of what was measured of it before."""
        self.unwatch(row)
        self._forget_failures(row)
        self._parameters[row] = ParameterProbe(self, row, parameter, path, frozenset(kinds))

    def stand_in(self, other: Callable[[Any], Any]) -> None:
        """Hook what ``other`` gives for each module and parameter, in the same rows and series.

        So a copy of the model is measured in its place; ``other`` returns what it does not know.
        """
        for row, (probe, module) in list(self._probes.items()):
            there = other(module)
            probe.hook(there)
            self._probes[row] = (probe, there)
        for parameter in self._parameters.values():
            parameter.move_to(other(parameter.parameter))

    def unwatch(self, row: int) -> None:
        """Remove the hook of ``row``, if there is one; its series and records stay."""
        if self.captures.waiting:
            self.captures.unwatched(row)
        parameter = self._parameters.pop(row, None)
        if parameter is not None:
            parameter.remove()
        entry = self._probes.pop(row, None)
        if entry is not None:
            probe, _ = entry
            probe.armed = False  # a copy of the hook dict, or a graph, may still hold it
            probe.unhook()

    def clear(self) -> None:
        """Remove all hooks; may be called again."""
        for row in self.rows:
            self.unwatch(row)
        self._let_go()
        self.captures.clear()
        self.settle()

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
        self.forwards += 1
        self._begun = [0, 0]
        self.evaluates = False
        self.anew = self.forward, False
        self._began = perf_counter(), self.spent
        return self.forward[0]

    def begin_forward(self, evaluates: bool = False) -> None:
        """An outermost forward begins within the step, with the model in evaluation mode or not."""
        self.forward = (self.forward[0], self._begun[evaluates])
        self.forwards += 1
        self._begun[evaluates] += 1
        self.evaluates = evaluates
        if not evaluates or not self._begun[False]:  # backwards seldom come of an evaluation
            self.anew = self.forward, evaluates

    def before_update(self, scaled: bool = False) -> None:
        """The optimizer is about to step; ``scaled``: with gradients of a scaled loss."""
        scale = self.loss_scale.now() if scaled and self._parameters else 1.0
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
        self.seen = self.forward[0]
        with self._batch_lock:
            if self.batch.full or self.device_batch.full:
                # The hook that is under way counts this time as its own.
                self.costs.add(np.array([key], np.int32), -self._store())
            try:
                where = (*(forward or self.forward), key, call, phase)
                exponent = 0
                if phase & BACKWARD:
                    tensor, exponent = self.loss_scale.taken_out(tensor)
                self.batch.take(tensor, where, count, exponent)
            except ValueError as error:
                return str(error)
            if self.captures.waiting:
                series = self._by_key[key]
                self.captures.offer(series, call, where[:2], phase, tensor, exponent)
        return ""

    def scalar(self, name: str, value: object, step: int = 0) -> None:
        """Record one number under a name of its own; ``step`` 0 is the one that runs.

        What cannot be recorded is told of as a failure.
        """
        seen = self.seen
        try:
            number = as_number(value)
            key = self.series_key(-1, name, "scalar", "")
            there = (step, 0) if 0 < step < self.step else None
            reason = self.take(number, key, 0, 0, there)
        except ValueError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - the person's training must go on
            reason = short(error)
        self.seen = seen  # numbers are no sign of a forward
        if reason:
            self.failed(-1, name, f"{name} is left out: {reason}.")

    def end_step(self) -> None:
        """A step is over: make records of what was seen, of several short steps at once."""
        if self.captures.waiting:
            self.captures.step_over(self.step)
        if self.active:
            self.ended += 1
        late = perf_counter() - self._flushed > _FLUSHED_WITHIN
        many = self.batch.nearly_full or self.device_batch.nearly_full
        if late or many or self.alarms.prompt:
            start = perf_counter()
            self.flush()
            self.spent += perf_counter() - start
        began, spent = self._began
        if began:
            self.costs.bare += max(0.0, perf_counter() - began - (self.spent - spent))
            self._began = 0.0, 0.0

    def flush(self) -> None:
        """Make records of all that was seen; from any thread.

        Those of tensors on accelerators come with a later flush.
        """
        with self._batch_lock:
            self._store()
            self._flushed = perf_counter()

    def settle(self) -> None:
        """Make all records, and wait for what is still on its way from accelerators."""
        with self._batch_lock:
            self._store(wait=True)

    def set_octaves(self, octaves: bool) -> None:
        """Count into octaves from now on, or into equal bins."""
        with self._batch_lock:
            self._store()
            self.batch.measuring.octaves = octaves

    def set_sample(self, sample: int) -> None:
        """Look at so many elements of a tensor from now on, where not all are asked for."""
        with self._batch_lock:
            self._store()
            self.batch.set_sample(sample)

    def _store(self, *, wait: bool = False) -> float:
        """Records of the batch into the ring, past the alarms; its lock is held.

        Returns the seconds it took.
        """
        start = perf_counter()
        rows = self.device_batch.flush(wait=wait)
        if sentence := self.device_batch.sentence:
            self.failed(-2, "", sentence)
        if not len(rows):
            return 0.0
        self.ring.extend(rows)
        self.alarms.judge(rows, scaled=self.loss_scale.scaled)
        seconds = perf_counter() - start
        self.costs.add(rows["key"], seconds)
        return seconds

    def records(self, since: int = 0, limit: int = 4096, alarms_since: int = 0) -> Records:
        """Records of the ring from sequence number ``since`` on, with series and alarms."""
        self.flush()
        # The series after the records: none of these can then lack its own.
        records = self.ring.since(since, limit)
        alarms, version = self.alarms.since(alarms_since)
        return msgspec.structs.replace(
            records,
            series=self.series,
            failures=self.failures,
            alarms=alarms,
            alarms_version=version,
            alarm_rules=self.alarms.rules,
            captures=self.captures.listed,
        )

    # -- called by probes ------------------------------------------------------------------------

    def series_key(self, row: int, leaf: str, kind: ProbeKind, path: str) -> int:
        """Key of the series of one tensor, the same for ever; ``path`` is that of the row."""
        with self._lock:
            series = self._series.get((row, leaf, kind))
            if series is None:
                series = Series(key=len(self._by_key), row=row, leaf=leaf, kind=kind)
                self._series[row, leaf, kind] = series
                self._by_key.append(series)
                self._paths[row] = path
                if row in self._exact:
                    self.batch.exact.add(series.key)
                self.alarms.register(series, path)
            return series.key

    def puts_out(self, key: int, module: nn.Module) -> None:
        """A series is an output of this module: its units can be dead or saturated."""
        with self._batch_lock:
            self.batch.units.add(key, module)
            limits = saturation_limits(module)
            if limits is not None:
                self.batch.measuring.limits[key] = limits

    def failed(self, row: int, leaf: str, sentence: str) -> None:
        """Keep a sentence about what is not measured."""
        with self._lock:
            self._failures[row, leaf] = sentence

    def mended(self, row: int, leaf: str) -> None:
        """Forget the sentence about what is measured again."""
        with self._lock:
            self._failures.pop((row, leaf), None)

    def _forget_failures(self, row: int) -> None:
        with self._lock:
            for key in [key for key in self._failures if key[0] == row]:
                del self._failures[key]
