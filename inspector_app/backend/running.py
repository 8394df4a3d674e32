"""Forwards of the open model, which leave it as the person left it.

While a forward runs the training flags are those of the mode, and the global random generators
stand where the run's seed put them.  Before any other request may look at the model, and at the
end, flags, buffers and generators are again what they were.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any

import numpy as np
import torch
from torch import nn

from inspector_app.backend.failures import model_error
from inspector_app.backend.inputs import Inputs, Supply
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.backend.modules import (
    modules_of,
    set_training_flag,
    tensors_of,
    training_flag,
)
from inspector_app.backend.probing.probe_set import ProbeSet
from inspector_app.backend.tensors import held_by, is_lazy, is_plain
from inspector_app.backend.walking import instance_dict, items_of
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import RefusedError

_is_meta: Callable[[torch.Tensor], bool] = torch._C.TensorBase.is_meta.__get__  # type: ignore[attr-defined]
_PATIENCE = 0.02  # seconds between two looks at cancel and waiting requests during a pause


# -- random generators ---------------------------------------------------------------------------


class _RandomStates:
    """Where the global random generators stand: torch's, numpy's and Python's."""

    def __init__(self) -> None:
        self._torch = torch.get_rng_state()
        # Asking for the state of a CUDA device would start CUDA.
        started = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        self._cuda = torch.cuda.get_rng_state_all() if started else None
        self._numpy = np.random.get_state()
        self._python = random.getstate()

    def restore(self) -> None:
        """Put them back."""
        torch.set_rng_state(self._torch)
        if self._cuda is not None:
            torch.cuda.set_rng_state_all(self._cuda)
        np.random.set_state(self._numpy)
        random.setstate(self._python)


def _seed_all(seed: int) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


@contextmanager
def private_random(seed: int) -> Iterator[None]:
    """Seeded global random generators inside, untouched ones outside."""
    before = _RandomStates()
    _seed_all(seed)
    try:
        yield
    finally:
        before.restore()


# -- what a forward may change -------------------------------------------------------------------


class _Flags:
    """Training flags, set to one value and given back."""

    def __init__(self, model: nn.Module, training: bool) -> None:
        flags = [(module, training_flag(module)) for _, module in modules_of(model)]
        self._before = [(module, flag) for module, flag in flags if flag is not None]
        _set_flags([(module, training) for module, _ in self._before])

    def restore(self) -> None:
        """Give them back, those as well that the forward itself has set."""
        _set_flags(self._before)


def _set_flags(wanted: list[tuple[nn.Module, Any]]) -> None:
    for module, flag in wanted:
        if training_flag(module) is not flag:
            set_training_flag(module, flag)


class Buffers:
    """Registered buffers, objects and values, and the way back to them.

    Neither identity nor ``_version`` tells whether a buffer changed (batch normalisation writes
    its statistics without a new version), so values are copied and compared bit by bit.
    """

    def __init__(self, model: nn.Module) -> None:
        self._held: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self._values: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        for _, module in modules_of(model):
            buffers = instance_dict(module).get("_buffers")
            for _, value in items_of(buffers):
                if issubclass(type(value), torch.Tensor) and not is_lazy(value):
                    with _if_it_can(value):
                        held = value if is_plain(value) else held_by(value)
                        self._values.setdefault(id(value), (held, held.detach().clone()))
            if isinstance(buffers, dict):
                self._held.append((buffers, dict(buffers)))

    def restore(self) -> None:
        """Put back objects that were replaced, drop new ones, write values that changed."""
        for buffers, held in self._held:
            if [(name, id(value)) for name, value in buffers.items()] != [
                (name, id(value)) for name, value in held.items()
            ]:
                buffers.clear()
                buffers.update(held)
        for value, before in self._values.values():
            with _if_it_can(value):
                if not _same_bits(value, before):
                    # An inference tensor may be written in inference mode only.  Writing to
                    # ``data`` leaves the version as it is: the value is the one that a graph may
                    # have saved.
                    with torch.inference_mode(value.is_inference()), torch.no_grad():
                        value.data.copy_(before)


def _if_it_can(value: torch.Tensor) -> AbstractContextManager[None]:
    """Whatever is raised inside by a tensor that is not plain is passed over.

    Some nested and quantized tensors cannot be copied, and a subclass may raise anything at all:
    what such a buffer holds is left as the forward leaves it.
    """
    return nullcontext() if is_plain(value) else suppress(Exception, SystemExit)


def _same_bits(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Whether two tensors of one shape and dtype hold the same bits; False where unknown."""
    if first.is_nested or first.layout != torch.strided or first.is_quantized:
        return False
    if first.shape != second.shape or first.is_conj() or first.is_neg():
        return False
    bits = [t.detach().reshape(-1).contiguous().view(torch.uint8) for t in (first, second)]
    return torch.equal(*bits)


class Loan:
    """The model while it runs: taken before the forwards, given back at every safe point.

    With ``buffers`` False these stay as the run leaves them.
    """

    def __init__(
        self, model: nn.Module, mode: m.RunMode, seed: int, *, buffers: bool = True
    ) -> None:
        self.model = model
        self._training = mode == "train"
        self._seed = seed
        self._ours: _RandomStates | None = None  # where the run's generators stand
        self._buffers: Buffers | None = None
        self._restores_buffers = buffers

    def take(self) -> None:
        """Remember what the person has, then set what the run needs."""
        if self._restores_buffers:
            self._buffers = Buffers(self.model)  # first: the only one that may run out of memory
        self._random = _RandomStates()
        if self._ours is None:
            _seed_all(self._seed)
        else:
            self._ours.restore()
        self._flags = _Flags(self.model, self._training)

    def give_back(self) -> None:
        """Put back all that :meth:`take` remembered."""
        self._ours = _RandomStates()
        self._flags.restore()
        if self._buffers is not None:
            self._buffers.restore()
        self._random.restore()


# -- forwards ------------------------------------------------------------------------------------


def why_not_runnable(model: nn.Module) -> str:
    """The reason why a model cannot run; empty where it may."""
    with torch._C.DisableTorchFunctionSubclass():
        without = [path for path, tensor in tensors_of(model) if _is_meta(tensor)]
    if not without:
        return ""
    return (
        f"The model cannot run: {len(without):,} of its tensors, such as {without[0]}, are on the "
        "meta device and have no data. Open it on the CPU to run it."
    )


def run(
    model: nn.Module,
    inputs: Supply,
    *,
    repeat: int = 1,
    mode: m.RunMode = "eval",
    seed: int = 0,
    pause: float = 0.0,
    probes: ProbeSet | None = None,
    job: Job = NO_JOB,
) -> tuple[int, float]:
    """Run ``repeat`` forwards without gradients; 0: until cancelled.

    Returns their number and the seconds they took together.  ``mode`` is that of every training
    flag meanwhile; flags, buffers and random generators are restored in both.  Raises
    RefusedError where the model has no data, ModelError where it raises, Cancelled between two
    forwards.
    """
    if reason := why_not_runnable(model):
        raise RefusedError(reason)
    loan = Loan(model, mode, seed)
    forwards, seconds = 0, 0.0
    job.check()
    loan.take()
    try:
        while True:
            if probes is not None:
                probes.begin_step()
                probes.begin_forward(mode == "eval")
            seconds += _forward(model, inputs.at(forwards))
            if probes is not None:
                probes.end_step()
                probes.flush()
            forwards += 1
            job.progress(forwards, repeat, "Running")
            if forwards == repeat:
                return forwards, seconds
            between(loan, job, pause)
    finally:
        loan.give_back()


def forward_once(model: nn.Module, inputs: Inputs, seed: int) -> None:
    """One forward in eval mode that leaves all as it was; lazy tensors get their shapes by it.

    Raises ModelError where the model raises.
    """
    loan = Loan(model, "eval", seed)
    loan.take()
    try:
        _forward(model, inputs)
    finally:
        loan.give_back()


def _forward(model: nn.Module, inputs: Inputs) -> float:
    """One forward; returns its seconds."""
    failure = None
    start = time.perf_counter()
    try:
        with torch.no_grad():
            model(*inputs.args, **inputs.kwargs)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a person's code raises
        failure = model_error(error, "The model", model)
    if failure is not None:
        raise failure
    return time.perf_counter() - start


def between(loan: Loan, job: Job, pause: float) -> None:
    """The time between two forwards: cancel is seen, and others may have the model."""
    end = time.monotonic() + pause
    while True:
        job.check()
        if job.waiting():
            loan.give_back()
            try:
                job.safe_point()
            finally:
                loan.take()
        left = end - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(left, _PATIENCE))
