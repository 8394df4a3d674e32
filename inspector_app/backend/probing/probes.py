"""Probes: temporary hooks that measure what modules take, put out and get as gradients.

A probe of a module is one *forward hook*, and another before the forward where inputs are asked
for.  It walks the output and, for gradients, hangs a hook on each tensor in it: full backward hooks
never fire for dict outputs, break in-place operations that follow and cost thirty times as much.
It never returns anything (whatever a hook returns replaces the output), never builds an autograd
graph, draws no random number and never breaks the forward: an error in a probe disarms it and
leaves a sentence in ``failures``.

What hooking changes, and what a probe cannot see:

* ``nn.TransformerEncoderLayer`` leaves its fast path in eval mode as soon as one of its submodules
  has a hook; the outputs then come from other kernels and may differ in the last bits.
* ``module.forward(x)`` and ``F.linear(x, module.weight)`` run no hooks; ``MultiheadAttention`` uses
  its ``out_proj`` that way.
* A hook added after ``torch.compile`` is ignored.  Inside of compiled or traced code probes do
  nothing, so that they leave no trace in it.
* A ScriptModule takes no hooks.
* Where nothing before a module is trained, its output has no gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils.hooks import RemovableHandle

from inspector_app.backend.probing.leaves import leaves
from inspector_app.protocol.messages import Phase, ProbeKind

if TYPE_CHECKING:
    from inspector_app.backend.probing.probe_set import ProbeSet

# As plain integers: those of an enum cost a microsecond an operation.
_TRAIN, _RECOMPUTE, BACKWARD = int(Phase.TRAIN), int(Phase.RECOMPUTE), int(Phase.BACKWARD)
_EVALUATION = int(Phase.EVALUATION)
_modes: Callable[[], int] = torch._C._len_torch_dispatch_stack
_function_modes: Callable[[], int] = torch._C._len_torch_function_stack
_NOTHING: AbstractContextManager[None] = nullcontext()
Firing = tuple[int, int, tuple[int, int]]  # call, phase; step and forward within it
MAX_SERIES = 1024  # differently named tensors in all outputs of one module
_HIDDEN = "values stand for many and cannot be read one by one"
_in_backward: Callable[[], int] = torch._C._current_graph_task_id
_in_functorch: Callable[[], Any] = torch._C._functorch.peek_interpreter_stack


def apart() -> AbstractContextManager[Any]:
    """Without the modes that see each operation: selective checkpointing would keep ours.

    A person's own count or change what they see, too.
    """
    if _modes():
        return _unseen()
    return torch._C.DisableTorchFunction() if _function_modes() else _NOTHING


@contextmanager
def _unseen() -> Iterator[None]:
    with torch._C.DisableTorchFunction(), _disable_current_modes():
        yield


def _stands_for_many(tensor: torch.Tensor) -> bool:
    """Whether torch.func, or its older form in a batched backward, holds many in one."""
    batched: bool = torch._C._functorch.is_legacy_batchedtensor(tensor)
    return batched or _in_functorch() is not None


def _is_fake(tensor: torch.Tensor) -> bool:
    """Whether it has a shape and no values, as under FakeTensorMode."""
    return type(tensor).__name__ == "FakeTensor"


class ProbeHook:
    """What all hooks of probes have in common.

    A copy of one, made by ``copy.deepcopy(model)`` or ``torch.save(model)``, is a hook that does
    nothing; a saved one needs nothing of ours to be loaded.
    """

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        # The way out of a null context takes any three arguments and returns None: a hook that
        # does nothing, picklable, and found wherever Python is.
        return getattr, (nullcontext(), "__exit__")


class Probe(ProbeHook):
    """What is measured of one row."""

    def __init__(self, owner: ProbeSet, row: int, path: str, kinds: frozenset[ProbeKind]) -> None:
        self._owner = owner
        self.row = row
        self.path = path
        self.kinds = kinds
        self.armed = True
        self.fired = 0
        self.spent = 0.0  # seconds in its hooks
        self.since = owner.ended  # steps that had ended when it was armed

    def _count(self, start: float) -> None:
        """The time since then was spent here."""
        seconds = perf_counter() - start
        self._owner.spent += seconds
        self.spent += seconds


class ModuleProbe(Probe):
    """The hook on one watched module."""

    def __init__(self, owner: ProbeSet, row: int, path: str, kinds: frozenset[ProbeKind]) -> None:
        super().__init__(owner, row, path, kinds)
        self._keys: dict[tuple[ProbeKind, str], int] = {}  # -> key of its series; -1: not measured
        self._forward = -1
        self._calls = [0, 0]  # in the forward, and as it is computed anew
        self._begun = [0, 0]  # the same, of calls whose input was seen
        self._hidden = False  # it was told that the module runs inside torch.func
        self._handles: list[RemovableHandle] = []

    def hook(self, module: nn.Module) -> None:
        """Stand on this module, and on none other any more."""
        self.unhook()
        self._handles.append(nn.Module.register_forward_hook(module, self))
        if "input" in self.kinds:
            before = InputHook(self)
            handle = nn.Module.register_forward_pre_hook(module, before, with_kwargs=True)
            self._handles.append(handle)

    def unhook(self) -> None:
        """Take the hooks away."""
        handles, self._handles = self._handles, []
        for handle in handles:
            handle.remove()

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> None:
        """Measure one call of the module; a forward hook."""
        owner = self._owner
        if not self.armed or not owner.active:
            return
        if torch.compiler.is_compiling() or torch._C._is_tracing():
            return
        if _in_functorch() is not None:
            self._hidden = True
            owner.failed(self.row, "", f"{self.path} runs inside torch.func, where {_HIDDEN}.")
            return
        start = perf_counter()
        if self._hidden:
            self._hidden = False
            owner.mended(self.row, "")
        try:
            with apart():
                self._see(module, output)
        except Exception as error:  # noqa: BLE001 - the person's forward must go on
            self.disarm(error)
        self._count(start)

    def disarm(self, error: BaseException) -> None:
        """Measure nothing any more, because of an error."""
        self.armed = False
        self._owner.failed(self.row, "", f"The probe on {self.path} stopped: {short(error)}")

    def _firing(self, module: nn.Module, ends: bool) -> Firing:
        """Which firing this is; at the end of a call or as it begins."""
        owner = self._owner
        if owner.forwards != self._forward:
            self._forward, self._calls, self._begun = owner.forwards, [0, 0], [0, 0]
        anew = _in_backward() != -1
        calls = self._calls if ends else self._begun
        call = calls[anew]
        calls[anew] += 1
        phase = _RECOMPUTE if anew else 0
        forward, evaluates = owner.anew if anew else (owner.forward, owner.evaluates)
        if module.__dict__.get("training") is True:
            phase |= _TRAIN
        elif evaluates:
            phase |= _EVALUATION
        return call, phase, forward

    def see_inputs(self, module: nn.Module, inputs: Any, named: dict[str, Any]) -> None:
        """Measure what a call takes, by place and by name."""
        firing = self._firing(module, False)
        for held in (inputs, named):
            for leaf, tensor in leaves(held):
                self._measure("input", leaf, tensor, firing, module)

    def _see(self, module: nn.Module, output: Any) -> None:
        owner, kinds = self._owner, self.kinds
        firing = self._firing(module, True)
        self.fired += 1
        wants_output, wants_gradient = "output" in kinds, "gradient" in kinds
        if not (wants_output or wants_gradient):
            return
        found = False
        for leaf, tensor in leaves(output):
            found = True
            if wants_output:
                self._measure("output", leaf, tensor, firing, module)
            if wants_gradient and tensor.requires_grad:
                key = self._key("gradient", leaf, module)
                if key >= 0:
                    hook = GradientHook(self, key, leaf, firing)
                    handle = tensor.register_hook(hook)  # type: ignore[no-untyped-call]
                    if tensor.is_leaf:  # it outlives this forward, and so would the hook
                        owner.keep(handle)
        if not found:
            kind = type(output).__name__
            owner.failed(self.row, "", f"{self.path} puts out no tensor ({kind}).")

    def _key(self, kind: ProbeKind, leaf: str, module: nn.Module) -> int:
        key = self._keys.get((kind, leaf))
        if key is None:
            if len(self._keys) == MAX_SERIES:
                raise ValueError(f"its outputs had more than {MAX_SERIES} different tensors")
            key = self._owner.series_key(self.row, leaf, kind, self.path)
            self._keys[kind, leaf] = key
            if kind == "output":
                self._owner.puts_out(key, module)
        return key

    def _measure(
        self,
        kind: ProbeKind,
        leaf: str,
        tensor: torch.Tensor,
        firing: Firing,
        module: nn.Module,
    ) -> None:
        key = self._key(kind, leaf, module)
        if key >= 0 and (reason := self._owner.take(tensor, key, *firing)):
            if _is_fake(tensor):
                return  # a dry run: the next forward may be real
            self._keys[kind, leaf] = -1
            self._owner.failed(self.row, leaf, f"{self.path}{leaf} is left out: {reason}.")


class InputHook(ProbeHook):
    """The hook before a call of a watched module, which may change its input in place.

    Another hook that comes later may still change what the module gets.
    """

    def __init__(self, probe: ModuleProbe) -> None:
        self._probe = probe

    def __call__(self, module: nn.Module, inputs: Any, named: dict[str, Any]) -> None:
        """Measure the input; a forward pre-hook."""
        probe = self._probe
        if not probe.armed or not probe._owner.active:
            return
        if torch.compiler.is_compiling() or torch._C._is_tracing():
            return
        if _in_functorch() is not None:
            return  # which the probe tells
        start = perf_counter()
        try:
            with apart():
                probe.see_inputs(module, inputs, named)
        except Exception as error:  # noqa: BLE001 - the person's forward must go on
            probe.disarm(error)
        probe._count(start)


class GradientHook(ProbeHook):
    """The hook on one tensor of an output, for the backward of this forward."""

    __slots__ = ("_call", "_key", "_leaf", "_phase", "_probe", "_step")

    def __init__(self, probe: ModuleProbe, key: int, leaf: str, firing: Firing) -> None:
        self._probe = probe
        self._key = key
        self._leaf = leaf
        self._call, phase, self._step = firing
        self._phase = phase | BACKWARD

    def __call__(self, gradient: torch.Tensor) -> None:
        """Measure the gradient."""
        probe = self._probe
        owner = probe._owner
        if not probe.armed or not owner.active or torch.compiler.is_compiling():
            return
        start = perf_counter()
        try:
            with apart():
                reason = owner.take(gradient, self._key, self._call, self._phase, self._step)
            if reason and not _is_fake(gradient):
                path = f"{probe.path}{self._leaf}"
                owner.failed(
                    probe.row, self._leaf, f"The gradient of {path} is left out: {reason}."
                )
        except Exception as error:  # noqa: BLE001 - the person's backward must go on
            if _stands_for_many(gradient):
                path = f"{probe.path}{self._leaf}"
                owner.failed(
                    probe.row, self._leaf, f"A gradient of {path} is batched: its {_HIDDEN}."
                )
            else:
                probe.disarm(error)
        probe._count(start)


def short(error: BaseException) -> str:
    """An error in a few words."""
    text = str(error).strip().split("\n", 1)[0]
    return f"{type(error).__name__}: {text[:200].rstrip('.')}" if text else type(error).__name__
