"""Whole tensors that a running model showed to a probe, kept until they are let go of.

A capture waits for its tensor; the thread that runs the model copies it when its probe fires.  What
is kept stays within ``BUDGET`` bytes and ``MOST`` captures.
"""

from __future__ import annotations

import threading
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
from inspector_app.protocol.messages import Captured, Floats, ProbeKind, Series

BUDGET = 1 << 30  # bytes
MOST = 16  # captures
_PAGE = 1 << 16  # values told at once


class Captures:
    """Captures by number; every method may be called from any thread."""

    def __init__(self) -> None:
        #: Whether any waits: asked at each firing.
        self.waiting = False
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._held: dict[int, tuple[Captured, torch.Tensor | None]] = {}

    @property
    def listed(self) -> list[Captured]:
        """All that are kept or waited for, oldest first."""
        with self._lock:
            return [captured for captured, _ in self._held.values()]

    def ask(self, row: int, kind: ProbeKind, leaf: str, call: int) -> None:
        """Keep this tensor when it comes next; raises RefusedError where there is no room."""
        with self._lock:
            if len(self._held) >= MOST:
                raise RefusedError(f"{MOST} tensors are captured: let go of one of them first.")
            number = next(self._numbers)
            captured = Captured(
                number=number, row=row, leaf=leaf, kind=kind, call=call, state="waiting"
            )
            self._held[number] = captured, None
            self.waiting = True

    def drop(self, number: int) -> None:
        """Let go of one, whether it waits or is kept; nothing where it is gone."""
        with self._lock:
            self._held.pop(number, None)
            self._look_for_waiting()

    def unwatched(self, row: int) -> None:
        """A row is not watched any more: what waits for it waits in vain."""
        with self._lock:
            for number, (captured, _) in self._held.items():
                if captured.row == row and captured.state == "waiting":
                    sentence = "It was not watched any more before it came."
                    told = msgspec.structs.replace(captured, state="failed", sentence=sentence)
                    self._held[number] = told, None
            self._look_for_waiting()

    def clear(self) -> None:
        """Let go of all."""
        with self._lock:
            self._held.clear()
            self.waiting = False

    def _look_for_waiting(self) -> None:
        self.waiting = any(captured.state == "waiting" for captured, _ in self._held.values())

    # -- as the model runs -----------------------------------------------------------------------

    def offer(
        self, series: Series, call: int, step: int, phase: int, tensor: torch.Tensor, exponent: int
    ) -> None:
        """Keep a copy of a tensor that is waited for, divided by ``2**exponent``."""
        with self._lock:
            for number, (wanted, _) in self._held.items():
                if (
                    wanted.state == "waiting"
                    and (wanted.row, wanted.kind, wanted.leaf)
                    == (series.row, series.kind, series.leaf)
                    and wanted.call == call
                ):
                    self._held[number] = self._kept(wanted, step, phase, tensor, exponent)
            self._look_for_waiting()

    def _kept(
        self, wanted: Captured, step: int, phase: int, tensor: torch.Tensor, exponent: int
    ) -> tuple[Captured, torch.Tensor | None]:
        found = msgspec.structs.replace(wanted, step=step, phase=phase)
        try:
            copy = self._copy(tensor, exponent)
        except (ValueError, RuntimeError, MemoryError) as error:  # torch's own lack of memory
            why = str(error).split("\n", 1)[0]
            return msgspec.structs.replace(found, state="failed", sentence=why), None
        told = msgspec.structs.replace(
            found,
            state="kept",
            shape=tuple(copy.shape),
            dtype=str(copy.dtype).removeprefix("torch."),
            bytes=copy.nbytes,
        )
        return told, copy

    def _copy(self, tensor: torch.Tensor, exponent: int) -> torch.Tensor:
        """Row-major, on the CPU; raises ValueError where there is nothing to keep."""
        if reason := why_unreadable(tensor) or why_wrapped(tensor):
            raise ValueError(f"It cannot be kept: {reason}.")
        size = tensor.numel() * tensor.element_size()
        used = sum(captured.bytes for captured, _ in self._held.values())
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
            captured, tensor = self._held.get(number, (None, None))
        if captured is None:
            raise RequestError(f"Capture {number} was let go of: capture the tensor again.")
        if tensor is None:
            raise RequestError(captured.sentence or "The tensor has not come yet: let a step run.")
        return captured, tensor

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
    notes = {"tensor": name, "step": str(captured.step), "call": str(captured.call)}
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
