"""Whether a fresh model takes an exported file: built by the same factory, loaded strictly.

The file is read by the libraries that others will read it with.  It is in its place already when
this begins, so nothing that a factory does can spoil it.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import nn

from inspector_app.backend.exporting.planning import Plan
from inspector_app.backend.failures import spoken
from inspector_app.backend.pieces import same
from inspector_app.backend.states import describe_value, tensor_blocks
from inspector_app.protocol.errors import InspectorError
from inspector_app.protocol.messages import ExportOptions, Proof


class Unfit(Exception):
    """Why a proof cannot be tried, as the end of a sentence."""


@contextlib.contextmanager
def _unseen() -> Iterator[None]:
    """The person's random numbers stay as they are, and what a factory prints is not shown."""
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    words = io.StringIO()
    try:
        with contextlib.redirect_stdout(words), contextlib.redirect_stderr(words):
            yield
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])


def _free_memory() -> int:
    """Bytes that can be had; a large number where the system does not tell."""
    with contextlib.suppress(OSError, ValueError), open("/proc/meminfo") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 1 << 62


def why_not_tried(plan: Plan, options: ExportOptions) -> str:
    """Why a fresh model cannot load the file strictly in any case; "" where it should."""
    if plan.report.left_out:
        return "only a part of the keys was written"
    if plan.report.renamed:
        return "keys have other names in the file"
    return ""


def _read(paths: Sequence[str], options: ExportOptions) -> dict[str, Any]:
    """All values of the files, as the libraries give them; mapped, not read.

    The versions of the modules, by which they load what older ones wrote, come with a state dict.
    """
    found: OrderedDict[str, Any] = OrderedDict()
    versions: dict[str, Any] = {}
    for path in paths:
        if options.format == "torch":
            state = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
            found.update(state)
            versions.update(getattr(state, "_metadata", None) or {})
        else:
            with safe_open(path, "pt") as file:
                found.update((name, file.get_tensor(name)) for name in file.keys())  # noqa: SIM118 - no mapping
    if versions:
        vars(found)["_metadata"] = versions
    return found


def _storages(values: Any) -> set[int]:
    """Addresses of the memory of tensors."""
    found = set()
    for value in values:
        # What is lazy raises ValueError.
        with contextlib.suppress(RuntimeError, NotImplementedError, ValueError):
            found.add(value.untyped_storage().data_ptr())
    return found - {0}


def _tensors(model: nn.Module) -> Iterator[torch.Tensor]:
    yield from model.parameters()
    yield from model.buffers()


def _differs(loaded: Any, given: Any) -> bool:
    """Whether a value of the fresh model is not the one in the file, bit by bit.

    A value that was written in another data type is compared in the model's own.
    """
    if not isinstance(given, torch.Tensor) or not isinstance(loaded, torch.Tensor):
        return False  # extra state: what set_extra_state makes of it is the model's own affair
    if given.dtype != loaded.dtype:
        given = given.to(loaded.dtype)
    ours, theirs = describe_value(loaded), describe_value(given)
    if ours.reason or theirs.reason:
        return ours.reason != theirs.reason
    if ours.shape != theirs.shape:
        return True
    pairs = zip(tensor_blocks(loaded), tensor_blocks(given), strict=True)
    return any(len(one) != len(other) or not same(one, other) for one, other in pairs)


class _Prover:
    """One proof."""

    def __init__(
        self,
        model: nn.Module,
        build: Callable[[str], nn.Module],
        plan: Plan,
        options: ExportOptions,
    ) -> None:
        self._model = model
        self._build = build
        self._plan = plan
        self._options = options

    def prove(self, paths: Sequence[str]) -> Proof:
        """Build, load and compare; raises what the person's code raises."""
        large = 2 * self._plan.report.bytes > _free_memory()
        try:
            fresh = self._build("meta" if large else "cpu")
        except InspectorError as error:
            raise Unfit(f"building a fresh model failed: {error.sentence}") from None
        if fresh is self._model or _storages(_tensors(fresh)) & _storages(_tensors(self._model)):
            raise Unfit("the factory gives back the model that is open, not a fresh one")
        values = _read(paths, self._options)
        for name, kept in self._plan.aliases.items():
            values[name] = values[kept]
        if large:
            return self._by_shapes(fresh, values)
        try:
            fresh.load_state_dict(values, strict=True)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - hooks of a person's model run here
            return Proof(
                state="failed", sentence=f"A fresh model does not load it: {_first(error)}"
            )
        after = fresh.state_dict()
        missing = sorted(set(values) ^ set(after))
        wrong = [name for name in values if name in after and _differs(after[name], values[name])]
        if missing or wrong:
            named = ", ".join([*missing, *wrong][:3])
            return Proof(
                state="failed",
                sentence=f"A fresh model loads it, but then does not hold the same values: {named}",
            )
        equals = "equals it bit by bit"
        if self._plan.report.converted:
            equals = "then holds its values, in the model's own data types"
        return Proof(state="proven", sentence=f"A fresh model loads it strictly and {equals}")

    def _by_shapes(self, fresh: nn.Module, values: Mapping[str, Any]) -> Proof:
        """Compare keys and shapes only."""
        wanted = {name: describe_value(value).shape for name, value in fresh.state_dict().items()}
        given = {name: describe_value(value).shape for name, value in values.items()}
        if wanted != given:
            named = ", ".join(sorted(n for n in {*wanted, *given} if wanted.get(n) != given.get(n)))
            return Proof(
                state="failed", sentence=f"A fresh model has other keys or shapes: {named}"
            )
        return Proof(
            state="proven",
            sentence="A fresh model, built without memory as there is too little for a second one, "
            "has the same keys and shapes; its values were not compared",
        )


def _first(error: BaseException) -> str:
    """What torch said of the first thing that is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[1] if isinstance(error, RuntimeError) and len(lines) > 1 else spoken(error)


def prove(
    model: nn.Module,
    build: Callable[[str], nn.Module],
    paths: Sequence[str],
    plan: Plan,
    options: ExportOptions,
) -> Proof:
    """Try the files on a fresh model; nothing that goes wrong is raised but KeyboardInterrupt.

    ``build`` makes one on a device, and raises Unfit with the reason where it cannot.
    """
    began = time.perf_counter()
    reason = why_not_tried(plan, options)
    if reason:
        return Proof(state="not tried", sentence=f"Not tried on a fresh model: {reason}")
    try:
        with _unseen():
            proof = _Prover(model, build, plan, options).prove([os.fspath(path) for path in paths])
    except Unfit as error:
        return Proof(state="not tried", sentence=f"Not tried on a fresh model: {error}")
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - the file stands, whatever a model's code does
        sentence = f"Trying it on a fresh model raised {spoken(error)}"
        proof = Proof(state="failed", sentence=sentence)
    seconds = time.perf_counter() - began
    return Proof(state=proof.state, sentence=proof.sentence, seconds=seconds)
