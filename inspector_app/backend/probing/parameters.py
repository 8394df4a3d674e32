"""Probes of parameters: their values, their gradients, and how far an update moves them."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

import torch
from torch.utils.hooks import RemovableHandle

from inspector_app.backend.histograms import as_floats, as_real, in_memory_order, why_unreadable
from inspector_app.backend.probing.batch import sample_places
from inspector_app.backend.probing.probes import Probe, apart, short
from inspector_app.protocol.messages import Floats, Phase, ProbeKind

if TYPE_CHECKING:
    from inspector_app.backend.probing.probe_set import ProbeSet


class ParameterProbe(Probe):
    """What is measured of one parameter.

    The gradient as it is accumulated comes from a hook on the parameter; what the optimizer sees,
    and what it does, is looked at before and after its step.
    """

    def __init__(
        self,
        owner: ProbeSet,
        row: int,
        parameter: torch.Tensor,
        path: str,
        kinds: frozenset[ProbeKind],
    ) -> None:
        super().__init__(owner, row, path, kinds)
        self._before: tuple[Floats, float, int] | None = None  # a sample, its RMS, most elements
        self._unreadable: set[ProbeKind] = set()
        self._handle: RemovableHandle | None = None
        self.move_to(parameter)

    def move_to(self, parameter: torch.Tensor) -> None:
        """Measure this parameter from now on."""
        self._unhook()
        self.parameter = parameter
        hooked = self.armed and "parameter gradient" in self.kinds
        if hooked and parameter.requires_grad and parameter.is_leaf:
            attach = parameter.register_post_accumulate_grad_hook
            self._handle = attach(self)  # type: ignore[no-untyped-call]

    def remove(self) -> None:
        """Take the hook away."""
        self.armed = False
        self._unhook()

    def _unhook(self) -> None:
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def __call__(self, parameter: torch.Tensor) -> None:
        """Measure ``parameter.grad``: a backward has added to it."""
        if parameter.grad is not None:
            self._measure("parameter gradient", parameter.grad, Phase.BACKWARD)

    def before_update(self, scale: float = 1.0) -> None:
        """The optimizer is about to move the parameter; its gradients are ``scale`` too large."""
        if "optimizer gradient" in self.kinds and self.parameter.grad is not None:
            gradient = self.parameter.grad
            self._measure("optimizer gradient", gradient / scale if scale != 1 else gradient)
        if "update" in self.kinds and self._owner.active:
            exact = self._owner.is_exact(self.row)
            most = self.parameter.numel() if exact else self._owner.batch.sample
            sample = self._sample(most)
            if sample is not None:
                size = float((sample * sample).mean() ** 0.5) if len(sample) else 0.0
                self._before = sample, size, most

    def after_update(self) -> None:
        """The optimizer has moved the parameter."""
        if "value" in self.kinds:
            self._measure("value", self.parameter)
        before, self._before = self._before, None
        after = None if before is None else self._sample(before[2])
        if before is not None and after is not None and before[1] > 0:
            moved = torch.from_numpy((after - before[0]) / before[1])
            count = self.parameter.numel()
            self._measure("update", moved, count=count if len(moved) < count else None)

    def _sample(self, most: int) -> Floats | None:
        """At most so many elements, at places that depend on the number of elements only.

        None where they cannot be read.
        """
        if not self.armed:
            return None
        start, sample = perf_counter(), None
        try:
            if reason := why_unreadable(self.parameter):
                raise ValueError(reason)
            with apart(), torch._C.DisableTorchFunction(), torch.no_grad():
                values = in_memory_order(self.parameter.detach())
                if values.numel() > most:
                    places = sample_places(values.numel(), most)
                    values = values.take(places.to(values.device))
                sample = as_floats(as_real(values)).copy()
        except Exception as error:  # noqa: BLE001 - the person's training must go on
            self._stop("update", error)
        self._count(start)
        return sample

    def _stop(self, kind: ProbeKind, error: Exception) -> None:
        """Measure nothing any more, because of an error."""
        self.armed = False
        sentence = f"The {kind} of {self.path} is left out: {short(error)}."
        self._owner.failed(self.row, kind, sentence)

    def _measure(
        self, kind: ProbeKind, tensor: torch.Tensor, phase: int = 0, count: int | None = None
    ) -> None:
        owner = self._owner
        if not self.armed or not owner.active or torch.compiler.is_compiling():
            return
        if kind in self._unreadable:
            return
        start = perf_counter()
        self.fired += 1
        try:
            key = owner.series_key(self.row, "", kind, self.path)
            with apart():
                reason = owner.take(tensor, key, 0, phase, count=count)
            if reason:  # of this kind alone: a sparse gradient belongs to a dense parameter
                self._unreadable.add(kind)
                self.armed = not self._unreadable >= self.kinds
                owner.failed(self.row, kind, f"The {kind} of {self.path} is left out: {reason}.")
        except Exception as error:  # noqa: BLE001 - the person's training must go on
            self._stop(kind, error)
        self._count(start)
