"""When a training step begins and ends, told by hooks on the optimizer and on the model.

A step ends after ``optimizer.step()`` where an optimizer is known, else where the loop says so
(:meth:`StepClock.step`), else with the next outermost forward.  There the model may be looked at
and changed: that is the *safe point*.  The last of the three is weaker, since a backward of the
former forward may still come.

A loss scaler leaves out ``optimizer.step()`` where gradients overflow: such a step ends with the
``scaler.update()`` after it.  Of a scaler that is not torch's only the scale is known: there it
ends with the next outermost forward after the scale has changed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from inspector_app.backend.probing.loss_scale import LossScale
from inspector_app.backend.probing.probe_set import ProbeSet
from inspector_app.backend.probing.probes import ProbeHook
from inspector_app.backend.training.scaler_hook import ScalerHook

_backward: Callable[[], int] = torch._C._current_graph_task_id  # -1 outside of one


class _RootHook(ProbeHook):
    """A hook on the root that leaves its owner behind where the model is copied or saved."""

    def __init__(self, function: Callable[..., None]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> None:
        self._function(*arguments)


class StepClock:
    """Counts steps for a :class:`ProbeSet` and calls ``safe_point`` between two of them.

    Belongs to the training thread (``thread``, else the first that runs the model);
    :meth:`close` removes every hook and may be called twice.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | None,
        loss_scaler: Any,
        probes: ProbeSet,
        safe_point: Callable[[], None],
        thread: int | None = None,
    ) -> None:
        self._probes = probes
        self._safe_point = safe_point
        self._loss_scale = probes.loss_scale = LossScale(loss_scaler)
        self._optimizer = optimizer
        self._optimizer_tells = optimizer is not None
        self._told = optimizer is not None  # the end of steps is told, not guessed
        self._inside = 0  # outermost forwards under way: 0 or 1, more where it calls itself
        self._forwards = 0  # of this step
        self._updating = 0  # calls of the optimizer's step() under way, one in the other
        self._began_with = 0  # forwards, when the last of them began
        self._updates = 0  # of the loss scaler before the last of them
        self._stepped = False  # the optimizer, since the loss scaler's last update
        self._scaler_hook: ScalerHook | None = None
        self._thread = thread  # the loop's, as far as it is known
        self._handles: list[RemovableHandle] = []
        try:
            self._hook(model, optimizer)
            if optimizer is not None and ScalerHook.fits(loss_scaler):
                self._scaler_hook = ScalerHook(loss_scaler, self._scaler_updated)
        except BaseException:
            self.close()
            raise
        probes.begin_step()

    def _hook(self, model: nn.Module, optimizer: torch.optim.Optimizer | None) -> None:
        begins, ends = _RootHook(self._forward_begins), _RootHook(self._forward_ends)
        self._handles.append(nn.Module.register_forward_pre_hook(model, begins))
        self._handles.append(nn.Module.register_forward_hook(model, ends, always_call=True))
        if optimizer is not None:
            # A step that is compiled as a whole must not have what happens between steps in it.
            begins, ends = map(torch.compiler.disable, (self._update_begins, self._update_ends))
            self._handles.append(optimizer.register_step_pre_hook(begins))
            self._handles.append(optimizer.register_step_post_hook(ends))

    @property
    def kind(self) -> str:
        """Where the safe point is, in words."""
        if self._optimizer_tells:
            return "after each optimizer.step()"
        if self._told:
            return "at each session.step()"
        return "before each forward of the model (weaker: a backward may still come)"

    @property
    def step_of_numbers(self) -> int:
        """The step that a number given now belongs to: the last one until a forward begins."""
        step = self._probes.step
        begun = self._forwards or self._probes.seen == step
        return step if begun else max(step - 1, 1)

    def close(self) -> None:
        """Remove the hooks."""
        handles, self._handles = self._handles, []
        for handle in handles:
            with suppress(KeyError, ReferenceError):
                handle.remove()
        if self._scaler_hook is not None:
            self._scaler_hook.remove()
        self._optimizer = None  # which holds the model

    def step(self) -> None:
        """The loop says that a step is over."""
        self._told = True
        self._inside = 0
        self._end_step()

    # -- hooks -----------------------------------------------------------------------------------

    def _forward_begins(self, module: nn.Module, inputs: Any) -> None:
        if not self._counts():
            return
        self._inside += 1
        if self._inside > 1:
            return
        scale = self._loss_scale
        scale.ask()
        told = self._optimizer is None or self._scaler_hook is not None
        skipped = not told and scale.updates != self._updates
        self._updates = scale.updates
        if self._forwards and (skipped or not self._told):
            self._end_step()
        self._probes.begin_forward(module.__dict__.get("training") is False)
        self._forwards += 1

    def _forward_ends(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if self._counts():
            self._inside = max(0, self._inside - 1)

    def _counts(self) -> bool:
        """Whether a forward of the root, now, is one of the loop.

        Not that of another thread, which may run in the middle of a step, nor one that activation
        checkpointing computes anew.
        """
        if torch.compiler.is_compiling() or _backward() != -1:
            return False
        if self._thread is None:
            self._thread = threading.get_ident()
        return self._thread == threading.get_ident()

    def _update_begins(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        if self._updating and (self._forwards != self._began_with or not _nests(optimizer)):
            self._updating = 0  # the former raised
        self._began_with = self._forwards
        self._updating += 1
        if self._updating > 1:  # where a subclass calls super().step(), both tell
            return
        # A fused optimizer divides by the scale itself, in the step, unless that is done already.
        scaled = getattr(optimizer, "grad_scale", None) is not None
        self._probes.before_update(scaled)

    def _update_ends(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        self._updating -= 1
        if self._updating:
            self._updating = max(0, self._updating)  # -1: its beginning was not told
            return
        self._probes.after_update()
        self._stepped = True
        self._inside = 0  # a forward that Ctrl+C broke off told of no end
        self._end_step()

    def _scaler_updated(self, optimizers: Collection[int]) -> None:
        """The scaler was updated, after it had these optimizers step, or left that out."""
        if id(self._optimizer) in optimizers:
            stepped, self._stepped = self._stepped, False
            if not stepped:
                self._end_step()

    def _end_step(self) -> None:
        self._thread = threading.get_ident()
        self._forwards = self._updating = self._began_with = 0
        self._probes.end_step()
        self._loss_scale.forget()
        self._safe_point()
        self._probes.begin_step()


def _nests(optimizer: Any) -> bool:
    """Whether ``step()`` of its class and that of a base both run hooks, as torch had them do."""
    steps = [vars(kind).get("step") for kind in type(optimizer).__mro__]
    return sum(hasattr(step, "hooked") for step in steps) > 1


def hookable(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """The optimizer itself, or the one inside of it where it is a wrapper without hooks.

    Such as accelerate's.  Raises TypeError where there is no such one.
    """
    if "_optimizer_step_pre_hooks" in vars(optimizer):
        return optimizer
    inside = [held for held in vars(optimizer).values() if isinstance(held, torch.optim.Optimizer)]
    if len(inside) != 1:
        raise TypeError(
            f"{type(optimizer).__name__} takes no hooks, since it never called "
            "Optimizer.__init__(): give watch() the optimizer inside of it, or none."
        )
    return hookable(inside[0])
