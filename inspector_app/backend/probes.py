"""Probes: temporary hooks that measure what modules put out.

A probe is a *forward hook* that walks the output.  It never returns anything (whatever a hook
returns replaces the output), never builds an autograd graph, draws no random number and never
breaks the forward: an error in a probe disarms it and leaves a sentence in ``failures``.

What hooking changes, and what a probe cannot see:

* ``nn.TransformerEncoderLayer`` leaves its fast path in eval mode as soon as one of its submodules
  has a hook; the outputs then come from other kernels and may differ in the last bits.
* ``module.forward(x)`` and ``F.linear(x, module.weight)`` run no hooks; ``MultiheadAttention`` uses
  its ``out_proj`` that way.
* A hook added after ``torch.compile`` is ignored.  Inside of compiled or traced code probes do
  nothing, so that they leave no trace in it.
* A ScriptModule takes no hooks.
* With activation checkpointing a module fires again when the backward computes it anew.
"""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from typing import Any

import msgspec
import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from inspector_app.backend.histograms import quick_statistics, why_unreadable
from inspector_app.backend.records import RecordRing
from inspector_app.backend.threads import one_thread
from inspector_app.protocol.errors import RefusedError
from inspector_app.protocol.messages import Records, Series

MAX_DEPTH = 16  # levels of containers in one output
MAX_LEAVES = 256  # tensors in one output
MAX_SERIES = 1024  # differently named tensors in all outputs of one module


def leaves(output: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Paths and tensors of a module's output: tensors, tuples, lists, dicts, dataclasses.

    Walked by hand, since pytree takes dataclasses and subclasses of dict for leaves.  What stands
    inside itself is walked once; beyond ``MAX_DEPTH`` levels or ``MAX_LEAVES`` tensors nothing is.
    """
    if isinstance(output, torch.Tensor):
        yield "", output
        return
    found = 0
    inside: set[int] = set()  # containers on the way down to the current one
    stack: list[tuple[int, Iterator[tuple[str, Any]]]] = [(0, iter([("", output)]))]
    while stack:
        identity, items = stack[-1]
        for path, value in items:
            if isinstance(value, torch.Tensor):
                yield path, value
                found += 1
                if found == MAX_LEAVES:
                    return
            elif id(value) not in inside and len(stack) <= MAX_DEPTH:
                below = _items(path, value)
                if below is not None:
                    inside.add(id(value))
                    stack.append((id(value), below))
                    break
        else:
            inside.discard(identity)
            stack.pop()


def _items(path: str, value: Any) -> Iterator[tuple[str, Any]] | None:
    """What a container holds, with paths; None for anything else."""
    kind = type(value)
    if dataclasses.is_dataclass(kind):
        fields = [field.name for field in dataclasses.fields(kind)]
        return ((f"{path}.{name}", getattr(value, name, None)) for name in fields)
    if isinstance(value, tuple) and isinstance(names := getattr(kind, "_fields", None), tuple):
        return ((f"{path}.{name}", item) for name, item in zip(names, value, strict=False))
    if isinstance(value, (tuple, list)):
        return ((f"{path}[{index}]", item) for index, item in enumerate(value))
    if isinstance(value, Mapping):
        return ((f"{path}[{_key(key)}]", item) for key, item in value.items())
    return None


def _key(key: Any) -> str:
    return json.dumps(key, ensure_ascii=False) if isinstance(key, str) else repr(key)


class Probe:
    """The hook on one watched module.

    A copy of it, made by ``copy.deepcopy(model)`` or ``torch.save(model)``, is a hook that does
    nothing; a saved one needs nothing of ours to be loaded.
    """

    def __init__(self, owner: ProbeSet, row: int, path: str) -> None:
        self._owner = owner
        self.row = row
        self.path = path
        self.armed = True
        self._keys: dict[str, int] = {}  # leaf -> key of its series; -1: not measured
        self._step = -1
        self._calls = 0

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> None:
        """Measure ``output``; a forward hook."""
        if not self.armed or torch.compiler.is_compiling() or torch._C._is_tracing():
            return
        try:
            with one_thread:
                self._measure(output)
        except Exception as error:  # noqa: BLE001 - the person's forward must go on
            self.armed = False
            self._owner.failed(self.row, "", f"The probe on {self.path} stopped: {_short(error)}")

    def _measure(self, output: Any) -> None:
        step = self._owner.step
        if step != self._step:
            self._step, self._calls = step, 0
        call = self._calls
        self._calls += 1
        for leaf, tensor in leaves(output):
            key = self._keys.get(leaf)
            if key is None:
                if len(self._keys) == MAX_SERIES:
                    raise ValueError(f"its outputs had more than {MAX_SERIES} different tensors")
                key = self._keys[leaf] = self._owner.series_key(self.row, leaf)
            if key < 0:
                continue
            if reason := why_unreadable(tensor):
                self._keys[leaf] = -1
                self._owner.failed(self.row, leaf, f"{self.path}{leaf} is left out: {reason}.")
                continue
            self._owner.ring.append(step, key, call, quick_statistics(tensor))
        if not self._keys:
            kind = type(output).__name__
            self._owner.failed(self.row, "", f"{self.path} puts out no tensor ({kind}).")

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        # The way out of a null context takes any three arguments and returns None: a hook that
        # does nothing, picklable, and found wherever Python is.
        return getattr, (nullcontext(), "__exit__")


def _short(error: BaseException) -> str:
    text = str(error).strip().split("\n", 1)[0]
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__


class ProbeSet:
    """All probes of one session; the only owner of their hooks.

    :meth:`watch`, :meth:`unwatch` and :meth:`clear` belong to the thread that may change the
    model; :meth:`records`, ``series`` and ``failures`` may be read from any thread.
    """

    def __init__(self, ring: RecordRing | None = None) -> None:
        self.ring = ring or RecordRing()
        self._step = 0
        self._probes: dict[int, tuple[Probe, nn.Module, RemovableHandle]] = {}
        self._lock = threading.Lock()
        self._series: dict[tuple[int, str], Series] = {}
        self._failures: dict[tuple[int, str], str] = {}

    def __enter__(self) -> ProbeSet:
        return self

    def __exit__(self, *error: object) -> None:
        self.clear()

    @property
    def rows(self) -> list[int]:
        """Ids of the rows watched now, in the order in which they were."""
        return list(self._probes)

    @property
    def step(self) -> int:
        """Number of the outermost forward that runs, or ran last; 0 before the first."""
        return self._step

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

    def watch(self, row: int, module: nn.Module, path: str = "") -> None:
        """Hook ``module``; nothing happens where the row watches it already.

        ``path`` names it in sentences.  Raises RefusedError for a module that takes no hooks.
        """
        name = path or type(module).__name__
        if row in self._probes:
            probe, watched, _ = self._probes[row]
            if watched is module and probe.armed:
                return
            self.unwatch(row)
        if issubclass(type(module), torch.jit.ScriptModule):
            raise RefusedError(
                f"{name} is a ScriptModule, which takes no hooks: watch a module around it."
            )
        self._forget_failures(row)
        probe = Probe(self, row, name)
        try:
            handle = nn.Module.register_forward_hook(module, probe)
        except (AttributeError, TypeError, RuntimeError) as error:
            raise RefusedError(f"{name} cannot be watched: {_short(error)}.") from error
        self._probes[row] = (probe, module, handle)

    def unwatch(self, row: int) -> None:
        """Remove the hook of ``row``, if there is one; its series and records stay."""
        entry = self._probes.pop(row, None)
        if entry is not None:
            probe, _, handle = entry
            probe.armed = False  # a copy of the hook dict may still hold it
            handle.remove()

    def clear(self) -> None:
        """Remove all hooks; may be called again."""
        for row in self.rows:
            self.unwatch(row)

    def begin_step(self) -> int:
        """An outermost forward begins; returns its number, from 1 on."""
        self._step += 1
        return self._step

    def records(self, since: int = 0, limit: int = 4096) -> Records:
        """Records of the ring from sequence number ``since`` on, with their series."""
        # The series after the records: none of these can then lack its own.
        records = self.ring.since(since, limit)
        return msgspec.structs.replace(records, series=self.series, failures=self.failures)

    # -- called by probes ------------------------------------------------------------------------

    def series_key(self, row: int, leaf: str) -> int:
        """Key of the series of one tensor in the output of one row's module; the same for ever."""
        with self._lock:
            series = self._series.get((row, leaf))
            if series is None:
                series = Series(key=len(self._series), row=row, leaf=leaf)
                self._series[row, leaf] = series
            return series.key

    def failed(self, row: int, leaf: str, sentence: str) -> None:
        """Keep a sentence about what is not measured."""
        with self._lock:
            self._failures[row, leaf] = sentence

    def _forget_failures(self, row: int) -> None:
        with self._lock:
            for key in [key for key in self._failures if key[0] == row]:
                del self._failures[key]
