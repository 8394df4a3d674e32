"""What a run trains for: the model file's own loss, or one that fits any output of numbers."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch.nn import functional

from inspector_app.backend.probing.leaves import leaves
from inspector_app.protocol.errors import ModelError, RequestError
from inspector_app.protocol.messages import LossKind

Loss = Callable[[Any], Any]
_WAY_OUT = "Choose another loss, or give the model file a loss(output)"


def own_loss(namespace: ModuleType | None) -> Callable[[Any], Any] | None:
    """The ``loss`` of a model file, where it has one."""
    found = None if namespace is None else vars(namespace).get("loss")
    return found if callable(found) else None


def make_loss(kind: LossKind, namespace: ModuleType | None, seed: int) -> Loss:
    """A function from the model's output to one number.

    Raises RequestError where the file has no loss.  What is returned may raise ModelError, or
    return anything where it is the file's own: see :func:`checked`.
    """
    if kind == "own":
        found = own_loss(namespace)
        if found is None:
            raise RequestError("The model file has no loss(output): choose another loss.")
        return found
    if kind == "mean_square":
        return lambda output: torch.stack(
            [_magnitudes(tensor).square().mean() for tensor in _numbers(output)]
        ).sum()
    targets = _Targets(seed)
    if kind == "mse":
        return lambda output: functional.mse_loss(
            _magnitudes(first := _main(output)), targets.numbers(first)
        )
    return lambda output: _cross_entropy(_main(output), targets)


def checked(value: Any, output: Any) -> torch.Tensor:
    """A loss that a backward can begin at; raises ModelError with the reason where it is none."""
    if not isinstance(value, torch.Tensor):
        kind = type(value).__name__
        raise ModelError(f"loss(output) returned {kind}: it must return a tensor of one number.")
    if value.numel() != 1 or value.is_complex():
        shape = "x".join(map(str, value.shape)) or "complex"
        raise ModelError(
            f"loss(output) returned a tensor ({shape}): it must be one real number, as .mean() "
            "makes it."
        )
    if not value.requires_grad:
        tensors = [tensor for _, tensor in leaves(output)]
        why = "it does not depend on a trainable parameter"
        if tensors and not any(_has_gradient_dtype(tensor) for tensor in tensors):
            why = f"the model puts out whole numbers ({_word(tensors[0])})"
        elif not any(tensor.requires_grad for tensor in tensors):
            why = "the model's output does not depend on a trainable parameter"
        raise ModelError(
            f"The loss has no gradient, so nothing can be trained: {why}. Unfreeze what the output "
            "depends on, or see whether forward detaches it."
        )
    return value


class _Targets:
    """Random targets, the same ones for outputs of the same shape; from a generator of its own."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._made: dict[tuple[Any, ...], torch.Tensor] = {}

    def numbers(self, output: torch.Tensor) -> torch.Tensor:
        """Standard normal ones of the same shape, dtype (if complex, of its magnitudes), device."""
        like = _magnitudes(output.detach())
        return self._kept(
            ("numbers", tuple(like.shape), like.dtype, like.device),
            lambda generator: torch.randn(like.shape, generator=generator).to(like),
        )

    def classes(self, shape: tuple[int, ...], count: int, device: torch.device) -> torch.Tensor:
        """Class numbers below ``count``."""
        return self._kept(
            ("classes", shape, count, device),
            lambda generator: torch.randint(count, shape, generator=generator).to(device),
        )

    def _kept(
        self, key: tuple[Any, ...], make: Callable[[torch.Generator], torch.Tensor]
    ) -> torch.Tensor:
        if key not in self._made:
            self._made[key] = make(torch.Generator().manual_seed(self._seed))
        return self._made[key]


def _cross_entropy(logits: torch.Tensor, targets: _Targets) -> torch.Tensor:
    """Classes stand last in (examples, classes) and (examples, places, classes), else second.

    The latter is torch's own order, for pictures; the former is what language models put out.
    """
    if logits.is_complex() or logits.dim() < 2:
        raise ModelError(
            "Cross-entropy needs logits of shape (examples, classes), and the model puts out "
            f"{_spoken(logits)}. {_WAY_OUT}."
        )
    if logits.dim() == 3:
        logits = logits.flatten(0, 1)
    shape = (logits.shape[0], *logits.shape[2:])
    return functional.cross_entropy(logits, targets.classes(shape, logits.shape[1], logits.device))


def _numbers(output: Any) -> list[torch.Tensor]:
    """The tensors of an output that can have gradients; raises ModelError where there is none."""
    found = [tensor for _, tensor in leaves(output)]
    fit = [tensor for tensor in found if _has_gradient_dtype(tensor) and tensor.numel()]
    if not found:
        raise ModelError(f"The model puts out no tensor, so it has no loss of its own. {_WAY_OUT}.")
    if not fit:
        raise ModelError(
            f"The model puts out {_spoken(found[0])}, from which no gradient can come. {_WAY_OUT}."
        )
    return fit


def _main(output: Any) -> torch.Tensor:
    """The tensor that a target stands against: the one named "logits", else the first."""
    numbers = _numbers(output)
    named = {
        id(tensor): tensor for path, tensor in leaves(output) if path.strip('.[]"') == "logits"
    }
    return next((tensor for tensor in numbers if id(tensor) in named), numbers[0])


def _has_gradient_dtype(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def _magnitudes(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.abs() if tensor.is_complex() else tensor


def _spoken(tensor: torch.Tensor) -> str:
    shape = " x ".join(map(str, tensor.shape)) or "a scalar"
    return f"{shape} of {_word(tensor)}"


def _word(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
