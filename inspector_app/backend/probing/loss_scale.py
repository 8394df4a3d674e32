"""What a loss is multiplied with before its backward, and how gradients are freed of it."""

from __future__ import annotations

import math
from typing import Any

import torch


class LossScale:
    """The scale of a ``GradScaler``, or of anything else with ``get_scale()``; 1 without one.

    On an accelerator a GradScaler's scale stays where it is: gradients are divided by it there, and
    no thread waits.  To ask waits; that is done for gradients that are elsewhere, for fused
    optimizers where parameters are watched, and for scalers that are not torch's, at each forward.
    """

    def __init__(self, scaler: Any = None) -> None:
        self.value = 1.0  # when it was last asked for
        self.updates = 0  # of the scaler, as far as they were noticed
        self._scaler = scaler
        self._states: object = None
        self._known = scaler is None

    @property
    def scaled(self) -> bool:
        """Whether losses are scaled, so that overflows are the scaler's affair."""
        return self.value != 1 or self._there() is not None

    def ask(self) -> None:
        """Ask the scaler, unless it is known what it would say, or it would have to wait."""
        self._notice()
        nameless = self._scaler is not None and self._states is None  # what it does is not seen
        if (nameless or not self._known) and self._there() is None:
            self._read()

    def forget(self) -> None:
        """A step is over: the scale may be another one in the next."""
        self._known = self._scaler is None

    def now(self) -> float:
        """The scale of a gradient that comes now."""
        self._notice()
        if not self._known:
            self._read()
        return self.value

    def _notice(self) -> None:
        # GradScaler.update() begins a new dictionary, also where the scale stays what it is.
        states = getattr(self._scaler, "_per_optimizer_states", None)
        if states is not self._states:
            self._states = states
            self._known = False
            self.updates += 1

    def _read(self) -> None:
        before, self.value = self.value, float(self._scaler.get_scale())
        self._known = True
        if self._states is None and self.value != before:
            self.updates += 1

    def _there(self) -> torch.Tensor | None:
        """The scale as a tensor on an accelerator."""
        scale = getattr(self._scaler, "_scale", None)
        return scale if isinstance(scale, torch.Tensor) and not scale.is_cpu else None

    def taken_out(self, gradient: torch.Tensor) -> tuple[torch.Tensor, int]:
        """A gradient, and the power of two that it is still too large by.

        That costs nothing.  The rest, of a scale that is no power of two, is divided by, and so is
        a scale that is on an accelerator, as the gradient.
        """
        there = None if gradient.is_cpu else self._there()
        if there is not None:
            if there.device != gradient.device:
                there = there.to(gradient.device, non_blocking=True)
            return _divided(gradient, there), 0
        scale = self.now()
        if scale == 1 or not 0 < scale < math.inf:
            return gradient, 0
        mantissa, exponent = math.frexp(scale)
        if mantissa != 0.5:
            gradient = _divided(gradient, 2 * mantissa)
        return gradient, exponent - 1


def _divided(gradient: torch.Tensor, scale: torch.Tensor | float) -> torch.Tensor:
    with torch._C.DisableTorchFunction(), torch.no_grad():
        wide = torch.promote_types(gradient.dtype, torch.float32)
        return gradient.detach().to(wide) / scale
