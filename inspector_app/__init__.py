"""Model Inspector: see what is inside a PyTorch model, change it safely, watch it run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "inspect", "watch"]

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

    import torch

    from inspector_app.backend.training.loop import TrainingSession
    from inspector_app.backend.training.stop import StoppedSession


def watch(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer | None = None,
    loss_scaler: Any = None,
    probes: Literal["leaves", "none"] | Sequence[str] = "leaves",
    budget: float | None = 0.05,
    *,
    exact: bool = False,
    window: bool = True,
    title: str = "",
) -> TrainingSession:
    """Watch a model while it trains: ``with inspector_app.watch(model, optimizer): ...``.

    ``optimizer`` tells when a step is over, ``loss_scaler`` (a GradScaler) by what gradients are
    too large.  ``probes`` "leaves" measures output and gradient of every leaf module, "none"
    nothing at first; else patterns of modules.  ``budget`` is the share of a step that probes may
    take; with None nothing is ever thinned out.  ``exact`` makes all statistics of all elements of
    what is watched, not of samples: several times as much work, less with numba installed.
    ``window`` False opens none: ``inspector-app attach`` finds the session.  Where no folder
    for that can be written, its address is "" and training goes on without a window.  Raises
    TypeError or ValueError for arguments that make no sense, and then leaves nothing on the model.
    """
    from inspector_app.backend.training.loop import TrainingSession

    return TrainingSession(
        model, optimizer, loss_scaler, probes, budget, exact=exact, window=window, title=title
    )


def inspect(model: torch.nn.Module, *, window: bool = True, title: str = "") -> StoppedSession:
    """Look at a model from a notebook or a debugger stop; returns at once.

    Whatever the window asks for is carried out in a thread beside yours: let the model stand still
    while you edit it.  ``close()`` the session, or use it as a context manager.  Raises
    RefusedError where no folder can be written by which windows find it.
    """
    from inspector_app.backend.training.stop import StoppedSession

    return StoppedSession(model, window=window, title=title)
