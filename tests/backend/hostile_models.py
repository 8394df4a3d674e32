"""Factories of models that are hard to look at, and factories that are hard to call.

A file to open as a target: every function without arguments is a factory.  Nothing is built before
one is called.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import warnings
from typing import Any

import torch
from torch import Tensor, nn

# -- models that are unusual -----------------------------------------------------------------------


def tied() -> nn.Module:
    """One tensor in three modules, two of which are the same module."""
    model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 5, bias=False))
    model[1].weight = model[0].weight
    model.append(model[1])
    return model


def overlapping() -> nn.Module:
    """Parameters that are parts of one another."""
    base = torch.arange(12.0)
    return nn.ParameterList([nn.Parameter(base[:8]), nn.Parameter(base[4:]), nn.Parameter(base)])


def lazy() -> nn.Module:
    """No shape before the first forward."""
    return nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d())


def parametrized() -> nn.Module:
    """Weights that are computed, in every style."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the old styles are deprecated
        return nn.Sequential(
            nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)),
            nn.utils.parametrizations.orthogonal(nn.Linear(3, 3)),
            nn.utils.weight_norm(nn.Linear(3, 3)),
            nn.utils.spectral_norm(nn.Linear(3, 3)),
        )


def quantized() -> nn.Module:
    """Weights that are packed out of sight."""
    from torch.ao.quantization import quantize_dynamic

    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.LSTM(3, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated
        return quantize_dynamic(model, {nn.Linear, nn.LSTM})


def cyclic() -> nn.Module:
    """A module that holds itself, at once and by way of a child."""
    model = nn.Sequential(nn.Linear(2, 2))
    model.add_module("loop", model)
    model[0].add_module("up", model)
    return model


def deep() -> nn.Module:
    """Ten thousand levels."""
    model: nn.Module = nn.Linear(1, 1)
    for _ in range(10_000):
        model = nn.Sequential(model)
    return model


class HalfConstructed(nn.Linear):
    """Somebody forgot ``super().__init__()``."""

    def __init__(self) -> None:
        self.scale = 3
        self.table = torch.ones(2)


def half_constructed() -> nn.Module:
    """It is the root."""
    return HalfConstructed()


def half_constructed_inside() -> nn.Module:
    """It is a child."""
    model = nn.Sequential(nn.Linear(2, 2))
    model.inner = HalfConstructed()
    return model


# -- models that fight back ------------------------------------------------------------------------


class Refusing(Tensor):
    """Raises whatever is asked of it by way of torch."""

    @classmethod
    def __torch_function__(cls, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("asked by way of torch")


class Dispatching(Tensor):
    """A wrapper whose every operation ends the program."""

    @staticmethod
    def __new__(cls, inner: Tensor) -> Dispatching:
        made: Dispatching = Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)
        return made

    def __init__(self, inner: Tensor) -> None:
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, *args: Any, **kwargs: Any) -> Any:
        sys.exit("dispatched")


def torch_function_hostile() -> nn.Module:
    """A parameter and a buffer that raise at every call of torch."""
    model = nn.Linear(2, 2)
    model._parameters["refusing"] = torch.ones(3).as_subclass(Refusing)  # type: ignore[assignment]
    model._buffers["refusing_buffer"] = torch.ones(3).as_subclass(Refusing)
    return model


def torch_dispatch_hostile() -> nn.Module:
    """A buffer that ends the program at every operation."""
    model = nn.Linear(2, 2)
    model._buffers["dispatching"] = Dispatching(torch.ones(2))
    return model


class AttributeHostile(nn.Module):
    """Raises at whatever is asked of an instance."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(2, 2)
        self.scale = nn.Parameter(torch.ones(2))
        self.register_buffer("running_mean", torch.ones(2))

    def __getattribute__(self, name: str) -> Any:
        if object.__getattribute__(self, "__dict__").get("armed"):
            raise RuntimeError(f"asked for {name}")
        return super().__getattribute__(name)

    def __repr__(self) -> str:
        raise RuntimeError("asked for repr")

    def __len__(self) -> int:
        raise RuntimeError("asked for len")

    def __hash__(self) -> int:
        raise RuntimeError("asked for hash")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("asked for eq")


def attribute_hostile() -> nn.Module:
    """Its attributes cannot be asked for."""
    model = AttributeHostile()
    model.__dict__["armed"] = True
    return model


NAMES = (
    "with spaces  inside",
    "line\nbreak and\ttab",
    "\u202eright-to-left\u202c",
    "x" * 3_000,
    "dots.in.names",
    "\ud800 lone surrogate",
    "\x1b[31mred",
    "*[glob]?",
    "nul\0nul",
    "",
)


def name_hostile() -> nn.Module:
    """Names that nobody should give."""
    model = nn.Module()
    for number, name in enumerate(NAMES):
        child = nn.Module()
        child._parameters[name] = nn.Parameter(torch.full((2,), float(number)))
        model._modules[name] = child
    return model


# -- factories that talk ---------------------------------------------------------------------------


def print_happy() -> nn.Module:
    """Prints from Python, from C, from a thread and at the end."""
    import atexit
    import logging

    print("hello from print")
    sys.stderr.write("hello from stderr\n")
    os.write(1, b"hello from write\n")
    libc = ctypes.CDLL(None)
    libc.puts(b"hello from C")
    libc.fflush(None)
    logging.warning("hello from logging")
    thread = threading.Thread(target=print, args=("hello from a thread",))
    thread.start()
    thread.join()
    atexit.register(print, "hello at the end")
    return nn.Linear(2, 3)


# -- factories that end the program ----------------------------------------------------------------


def sys_exit() -> nn.Module:
    """As scripts do."""
    sys.exit(0)


def sys_exit_with_words() -> nn.Module:
    """As scripts do that know why."""
    sys.exit("no data\nfound")


def system_exit() -> nn.Module:
    """The exception itself."""
    raise SystemExit


def os_exit() -> nn.Module:
    """Ends the process without a word."""
    os._exit(0)


def os_exit_with_code() -> nn.Module:
    """... with a code that could be one of ours."""
    os._exit(1)


def killed() -> nn.Module:
    """As the system does where memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


def aborted() -> nn.Module:
    """As a failed check in C does."""
    os.abort()


def keyboard_interrupt() -> nn.Module:
    """Ctrl+C, so to speak."""
    raise KeyboardInterrupt


# -- factories that raise --------------------------------------------------------------------------


class Base(BaseException):
    """Not an Exception."""


class Mute(Exception):
    """Cannot describe itself."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def raises() -> nn.Module:
    """Many lines."""
    raise ValueError("bad\nmany\nlines")


def raises_base() -> nn.Module:
    """Below Exception."""
    raise Base("from the bottom")


def raises_mute() -> nn.Module:
    """Without words."""
    raise Mute


def raises_much() -> nn.Module:
    """A message of a megabyte, with control characters."""
    raise ValueError("\x1b[31m" + "much " * 200_000)


def recurses() -> nn.Module:
    """For ever."""
    return recurses()


def runs_out_of_memory() -> nn.Module:
    """More than there is."""
    return nn.Linear(1 << 40, 1 << 20)


def returns_nothing() -> None:
    """Somebody forgot the return."""


class Posing:
    """Says that it is a module."""

    @property
    def __class__(self) -> Any:
        return nn.Module


def returns_a_poser() -> Any:
    """No module."""
    return Posing()


# -- models whose own code fails when it is called -------------------------------------------------


class Failing(nn.Linear):
    """Each of its methods that an edit or an export calls raises or exits."""

    def reset_parameters(self) -> None:
        if self.__dict__.get("armed"):
            self.weight.data.zero_()
            sys.exit("reset")

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        sys.exit("state_dict")

    def forward(self, input: Tensor) -> Tensor:
        sys.exit("forward")


def failing_methods() -> nn.Module:
    """``reset_parameters``, ``state_dict`` and ``forward`` exit."""
    model = Failing(2, 2)
    model.armed = True
    return model
