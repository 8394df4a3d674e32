"""What a loss is multiplied with before its backward, and how gradients are freed of it."""

from __future__ import annotations

import math
from typing import Any

import torch


class LossScale:
    """The scale of a ``GradScaler``, or of anything else with ``get_scale()``; 1 without one.

    To ask waits for an accelerator, as the scaler's own step does.  So it is done at forwards of
    the model; where gradients come without one, once after the scaler was updated.
    """

    def __init__(self, scaler: Any = None) -> None:
        self.value = 1.0
        self.updates = 0  # of the scaler, as far as they were noticed
        self._scaler = scaler
        self._states: object = None
        self._known = scaler is None

    def ask(self) -> None:
        """Ask the scaler."""
        if self._scaler is None:
            return
        before = self._states, self.value
        # GradScaler.update() begins a new dictionary, also where the scale stays what it is.
        self._states = getattr(self._scaler, "_per_optimizer_states", None)
        self.value = float(self._scaler.get_scale())
        self._known = True
        if self._states is not before[0] or (self._states is None and self.value != before[1]):
            self.updates += 1

    def forget(self) -> None:
        """A step is over: the scale may be another one in the next."""
        self._known = self._scaler is None

    def now(self) -> float:
        """The scale of a gradient that comes now."""
        states = self._states
        if not self._known or (
            states is not None and self._scaler._per_optimizer_states is not states
        ):
            self.ask()
        return self.value

    def taken_out(self, gradient: torch.Tensor) -> tuple[torch.Tensor, int]:
        """A gradient, and the power of two that it is still too large by.

        That costs nothing.  The rest, of a scale that is no power of two, is divided by.
        """
        scale = self.now()
        if scale == 1 or not 0 < scale < math.inf:
            return gradient, 0
        mantissa, exponent = math.frexp(scale)
        if mantissa != 0.5:
            with torch._C.DisableTorchFunction(), torch.no_grad():
                wide = torch.promote_types(gradient.dtype, torch.float32)
                gradient = gradient.detach().to(wide) / (2 * mantissa)
        return gradient, exponent - 1
