"""Steps of training that a person tries out: forward, loss, backward, update.

A step is what a plain loop of torch does::

    optimizer.zero_grad()
    loss(model(inputs)).backward()
    optimizer.step()

and gives the same losses bit by bit, under the same seed.  Probes measure it on the way.
"""

from __future__ import annotations

import math
import time
from typing import Any, NamedTuple

import torch
from torch import nn

from inspector_app.backend.failures import model_error
from inspector_app.backend.inputs import Supply
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.backend.losses import Loss, checked
from inspector_app.backend.modules import tensors_of
from inspector_app.backend.probing.probe_set import ProbeSet
from inspector_app.backend.running import Loan, between
from inspector_app.backend.tensors import is_lazy
from inspector_app.backend.trial_copy import escaped
from inspector_app.protocol.errors import Cancelled, InspectorError, RefusedError, RequestError
from inspector_app.protocol.messages import TrainSteps

OPTIMIZERS = (
    *("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adafactor", "Adamax", "NAdam"),
    *("RAdam", "ASGD", "Rprop"),
)
_WITH_MOMENTUM = ("SGD", "RMSprop")
_WITHOUT_DECAY = ("Rprop",)


class Trained(NamedTuple):
    """What came of a training run."""

    steps: int
    seconds: float
    losses: tuple[float, float] | None  # of the first and the last step; None before the first
    note: str = ""  # why it ended early


def make_optimizer(model: nn.Module, settings: TrainSteps) -> torch.optim.Optimizer:
    """The optimizer over all parameters, those that are frozen included: it passes them over.

    Raises RequestError for settings that it does not take, RefusedError where all are frozen.
    """
    parameters = {
        id(tensor): tensor
        for _, tensor in tensors_of(model)
        if isinstance(tensor, nn.Parameter) and not is_lazy(tensor)
    }
    if not parameters:
        raise RefusedError("The model has no parameters, so there is nothing to train.")
    if not any(parameter.requires_grad for parameter in parameters.values()):
        raise RefusedError("All parameters are frozen: unfreeze some to train them.")
    if settings.optimizer not in OPTIMIZERS:
        raise RequestError(
            f"There is no optimizer {settings.optimizer!r}; choose one of {', '.join(OPTIMIZERS)}."
        )
    arguments: dict[str, Any] = {"lr": settings.learning_rate}
    if settings.momentum:
        if settings.optimizer not in _WITH_MOMENTUM:
            raise RequestError(f"{settings.optimizer} takes no momentum; SGD and RMSprop do.")
        arguments["momentum"] = settings.momentum
    if settings.weight_decay is not None:
        if settings.optimizer in _WITHOUT_DECAY:
            raise RequestError(f"{settings.optimizer} takes no weight decay.")
        arguments["weight_decay"] = settings.weight_decay
    for name, value in arguments.items():
        if not (math.isfinite(value) and value >= 0):
            raise RequestError(f"{name} cannot be {value:g}: give a number from 0 on.")
    optimizer: torch.optim.Optimizer
    try:
        optimizer = getattr(torch.optim, settings.optimizer)(list(parameters.values()), **arguments)
    except (ValueError, TypeError) as error:
        raise RequestError(f"{settings.optimizer}: {str(error).rstrip('.')}.") from None
    return optimizer


def train(
    loan: Loan,
    inputs: Supply,
    optimizer: torch.optim.Optimizer,
    loss: Loss,
    *,
    repeat: int,
    before: int = 0,
    pause: float = 0.0,
    probes: ProbeSet,
    job: Job = NO_JOB,
) -> Trained:
    """Make ``repeat`` steps with the model of ``loan``, of which there were ``before``.

    0: until cancelled.
    Cancelled, or where a loss is not finite, it ends with what was done so far.  Raises ModelError
    where the model, its loss or the backward raises.
    """
    steps, seconds = 0, 0.0
    losses: list[float] = []  # of the first and the newest step
    note = ""
    loan.take()
    try:
        while not note:
            job.check()
            start = time.perf_counter()
            value = _step(loan.model, inputs, before + steps, optimizer, loss, probes)
            seconds += time.perf_counter() - start
            steps += 1
            losses = [*losses[:1], value]
            if not math.isfinite(value):
                note = (
                    f"The loss became {value} in step {probes.step:,}, which made no update: "
                    "training stopped there."
                )
            job.progress(steps, repeat, f"Loss {value:.4g}")
            if steps == repeat:
                break
            between(loan, job, pause)
    except Cancelled:
        pass
    finally:
        probes.flush()
        loan.give_back()
    return Trained(steps, seconds, (losses[0], losses[-1]) if losses else None, note)


def _step(
    model: nn.Module,
    inputs: Supply,
    number: int,
    optimizer: torch.optim.Optimizer,
    loss: Loss,
    probes: ProbeSet,
) -> float:
    """One step; returns its loss.  Without an update where that is not finite."""
    failure, doing = None, "The model"
    arguments = inputs.at(number)
    probes.begin_step()
    probes.begin_forward()
    try:
        with torch.inference_mode(False), torch.enable_grad():
            optimizer.zero_grad()
            output = model(*arguments.args, **arguments.kwargs)
            doing = "The loss"
            result = checked(loss(output), output)
            doing = "The backward pass"
            result.backward()  # type: ignore[no-untyped-call]
            value = float(result.detach())
            probes.scalar("loss", result)
            if math.isfinite(value):
                probes.before_update()
                doing = f"{type(optimizer).__name__}"
                optimizer.step()
                probes.after_update()
    except (KeyboardInterrupt, InspectorError):
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a person's code raises
        failure = escaped(error) or model_error(error, doing, model)
    finally:
        probes.end_step()
    if failure is not None:
        raise failure
    return value
