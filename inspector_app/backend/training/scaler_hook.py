"""Being told of ``GradScaler.update()``, which has no hooks."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import torch


class ScalerHook:
    """Stands in the place of ``update`` on one scaler, until :meth:`remove`.

    ``after`` gets the ids of the optimizers that the scaler has unscaled or let step since the
    update before.  A copy of the scaler, by ``copy.deepcopy`` or pickle, knows nothing of it.
    """

    def __init__(self, scaler: Any, after: Callable[[Collection[int]], None]) -> None:
        self._scaler = scaler
        self._after: Callable[[Collection[int]], None] | None = after
        self._update = scaler.update
        scaler.update = self

    @staticmethod
    def fits(scaler: Any) -> bool:
        """Whether this is torch's scaler, enabled, whose ``update`` nobody else has replaced."""
        if not isinstance(scaler, torch.amp.GradScaler):
            return False
        held = vars(scaler)
        update = held.get("update")
        copied = isinstance(update, partial) and update.func is type(scaler).update
        return "_per_optimizer_states" in held and (update is None or copied)

    def __call__(self, *arguments: Any, **named: Any) -> None:
        """Update the scaler."""
        optimizers = self._scaler._per_optimizer_states
        self._update(*arguments, **named)
        if self._after is not None:
            self._after(list(optimizers))

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return partial, (type(self._scaler).update, self._scaler)

    def remove(self) -> None:
        """Give the scaler its own method back; may be called twice.

        Where somebody has wrapped it since, it stays inside and tells nobody any more.
        """
        self._after = None
        if vars(self._scaler).get("update") is self:
            del self._scaler.update
