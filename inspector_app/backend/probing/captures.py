"""Whole tensors that a running model showed to a probe, kept until they are let go of.

A capture waits for its tensor; the thread that runs the model copies it when its probe fires.  What
is kept stays within ``BUDGET`` bytes and ``MOST`` captures.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from io import BytesIO
from itertools import count

import msgspec
import numpy as np
import torch

from inspector_app.backend.exporting.pen import Pen
from inspector_app.backend.exporting.safetensors_writer import encode_header
from inspector_app.backend.formats.safetensors_file import CODES, TensorEntry
from inspector_app.backend.histograms import as_floats, as_real, why_unreadable
from inspector_app.backend.replacing import Drafts
from inspector_app.backend.tensors import is_plain, why_wrapped, without_subclass
from inspector_app.protocol.errors import RefusedError, RequestError
from inspector_app.protocol.messages import Capture, Captured, Floats, Series
from inspector_app.protocol.phases import phase_of

BUDGET = 1 << 30  # bytes
MOST = 16  # captures
_PAGE = 1 << 16  # values told at once


@dataclass(slots=True)
class _Held:
    """One capture: what was asked for, what is told of it, and the tensor once it is there."""

    wanted: Capture
    told: Captured
    tensor: torch.Tensor | None = None

    @property
    def waits(self) -> bool:
        return self.told.state == "waiting"

    def fits(self, series: Series, call: int, step: int, micro: int, phase: int) -> bool:
        """Whether this firing is waited for."""
        wanted = self.wanted
        return (
            self.waits
            and (wanted.row, wanted.kind, wanted.leaf) == (series.row, series.kind, series.leaf)
            and wanted.call == call
            and wanted.step in (0, step)
            and wanted.micro in (-1, micro)
            and wanted.phase in (-1, phase_of(phase))
        )

    def fail(self, sentence: str) -> None:
        self.told = msgspec.structs.replace(self.told, state="failed", sentence=sentence)


class Captures:
    """Captures by number; every method may be called from any thread."""

    def __init__(self) -> None:
        #: Whether any waits: asked at each firing.
        self.waiting = False
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._held: dict[int, _Held] = {}

    @property
    def listed(self) -> list[Captured]:
        """All that are kept or waited for, oldest first."""
        with self._lock:
            return [held.told for held in self._held.values()]

    def ask(self, wanted: Capture) -> None:
        """Keep this tensor when it comes; raises RefusedError where there is no room."""
        with self._lock:
            if len(self._held) >= MOST:
                raise RefusedError(f"{MOST} tensors are captured: let go of one of them first.")
            number = next(self._numbers)
            told = Captured(
                number=number,
                row=wanted.row,
                leaf=wanted.leaf,
                kind=wanted.kind,
                call=wanted.call,
                step=wanted.step,
                state="waiting",
            )
            self._held[number] = _Held(wanted, told)
            self.waiting = True

    def awaits(self, step: int) -> bool:
        """Whether something of just this step is waited for."""
        if not self.waiting:
            return False
        with self._lock:
            return any(held.waits and held.wanted.step == step for held in self._held.values())

    def step_over(self, step: int) -> None:
        """What was to come in this step or before has not come."""
        with self._lock:
            for held in self._held.values():
                if held.waits and 0 < held.wanted.step <= step:
                    held.fail(f"It did not come in step {held.wanted.step:,}.")
            self._look_for_waiting()

    def drop(self, number: int) -> None:
        """Let go of one, whether it waits or is kept; nothing where it is gone."""
        with self._lock:
            self._held.pop(number, None)
            self._look_for_waiting()

    def unwatched(self, row: int) -> None:
        """A row is not watched any more: what waits for it waits in vain."""
        with self._lock:
            for held in self._held.values():
                if held.wanted.row == row and held.waits:
                    held.fail("It was not watched any more before it came.")
            self._look_for_waiting()

    def clear(self) -> None:
        """Let go of all."""
        with self._lock:
            self._held.clear()
            self.waiting = False

    def _look_for_waiting(self) -> None:
        self.waiting = any(held.waits for held in self._held.values())

    # -- as the model runs -----------------------------------------------------------------------

    def offer(
        self,
        series: Series,
        call: int,
        forward: tuple[int, int],
        phase: int,
        tensor: torch.Tensor,
        exponent: int,
    ) -> None:
        """Keep a copy of a tensor that is waited for, divided by ``2**exponent``.

        ``forward`` is the step and the forward within it.
        """
        with self._lock:
            for held in self._held.values():
                if held.fits(series, call, *forward, phase):
                    step, micro = forward
                    held.told = msgspec.structs.replace(
                        held.told, step=step, micro=micro, phase=phase
                    )
                    self._keep(held, tensor, exponent)
            self._look_for_waiting()

    def _keep(self, held: _Held, tensor: torch.Tensor, exponent: int) -> None:
        try:
            copy = held.tensor = self._copy(tensor, exponent)
        except (ValueError, RuntimeError, MemoryError) as error:  # torch's own lack of memory
            held.fail(str(error).split("\n", 1)[0])
            return
        held.told = msgspec.structs.replace(
            held.told,
            state="kept",
            shape=tuple(copy.shape),
            dtype=str(copy.dtype).removeprefix("torch."),
            bytes=copy.nbytes,
        )

    def _copy(self, tensor: torch.Tensor, exponent: int) -> torch.Tensor:
        """Row-major, on the CPU; raises ValueError where there is nothing to keep."""
        if reason := why_unreadable(tensor) or why_wrapped(tensor):
            raise ValueError(f"It cannot be kept: {reason}.")
        size = tensor.numel() * tensor.element_size()
        used = sum(held.told.bytes for held in self._held.values())
        if used + size > BUDGET:
            raise ValueError(
                f"It takes {size:,} bytes, and {max(0, BUDGET - used):,} are left for captures: "
                "let go of others."
            )
        with torch._C.DisableTorchFunction(), torch.no_grad():
            values = tensor.detach() if is_plain(tensor) else without_subclass(tensor).detach()
            values = values.resolve_conj().resolve_neg()
            values = values.clone(memory_format=torch.contiguous_format)
            if exponent:
                # A half could not hold it: that is what the scaling is for.
                values = values.to(torch.promote_types(values.dtype, torch.float32))
                values = torch.ldexp(values, torch.tensor(-exponent, device=values.device))
            return values.cpu()

    # -- afterwards ------------------------------------------------------------------------------

    def tensor(self, number: int) -> tuple[Captured, torch.Tensor]:
        """What is kept under a number; raises RequestError where nothing is."""
        with self._lock:
            held = self._held.get(number)
        if held is None:
            raise RequestError(f"Capture {number} was let go of: capture the tensor again.")
        if held.tensor is None:
            raise RequestError(held.told.sentence or "The tensor has not come yet: let a step run.")
        return held.told, held.tensor

    def values(self, number: int, start: int, size: int) -> tuple[Floats, int]:
        """At most ``size`` values from place ``start`` on, row-major, and their number in all."""
        _, tensor = self.tensor(number)
        first = max(start, 0)
        with torch.inference_mode():
            part = tensor.view(-1)[first : first + min(max(size, 0), _PAGE)]
            return as_floats(as_real(part)).copy(), tensor.numel()

    def save(self, number: int, path: str, name: str) -> int:
        """Write it as ``.safetensors`` or ``.npy``; returns the bytes of the file.

        ``name`` is that of the tensor.  Raises RequestError for any other ending and for errors of
        the disk, RefusedError where the format does not know the dtype.
        """
        captured, tensor = self.tensor(number)
        if path.endswith(".safetensors"):
            head = _safetensors_head(captured, tensor, name)
        elif path.endswith(".npy"):
            head = _npy_head(tensor)
        else:
            raise RequestError(f"Cannot write {path}: let its name end in .safetensors or .npy.")
        with torch.inference_mode():
            block = tensor.view(-1).view(torch.uint8).numpy()
        with Drafts() as drafts:
            pen = Pen(drafts.open(path))
            pen.put(head, 0)
            pen.put(block, len(head))
            drafts.put_in_place()
        return len(head) + len(block)


def _safetensors_head(captured: Captured, tensor: torch.Tensor, name: str) -> bytes:
    if captured.dtype not in CODES:
        raise RefusedError(f"safetensors has no {captured.dtype}: save it as .npy.")
    numbers = {"step": captured.step, "micro-step": captured.micro, "call": captured.call}
    notes = {"tensor": name, **{word: str(number) for word, number in numbers.items()}}
    entry = TensorEntry(captured.kind, captured.dtype, captured.shape, 0, tensor.nbytes)
    return encode_header(notes, [entry])


def _npy_head(tensor: torch.Tensor) -> bytes:
    try:
        with torch.inference_mode():
            array = tensor.view(-1)[:0].numpy()
    except TypeError:
        kind = str(tensor.dtype).removeprefix("torch.")
        raise RefusedError(f"numpy has no {kind}: save it as .safetensors.") from None
    head = BytesIO()
    np.lib.format.write_array_header_1_0(
        head,
        {
            "descr": np.lib.format.dtype_to_descr(array.dtype),
            "fortran_order": False,
            "shape": tuple(tensor.shape),
        },
    )
    return head.getvalue()
