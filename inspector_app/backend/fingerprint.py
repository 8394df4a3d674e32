"""A short mark of a model's structure and values: equal models have equal marks.

It tells after a restart whether the factory built the same model again.  Values are sampled (the
first and last 4 KiB of at most 4,096 tensors), so a model of any size is marked in a moment; two
models that differ only in between are not told apart.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch

from inspector_app.backend.tensors import why_wrapped, without_subclass
from inspector_app.backend.tree import Tree
from inspector_app.protocol.table import Flag, RowTable

SAMPLED_TENSORS = 4096
SAMPLED_BYTES = 4096


def structure_mark(table: RowTable) -> hashlib.blake2b:
    """Hash of names, nesting, roles, classes, shapes, dtypes, devices and requires_grad."""
    mark = hashlib.blake2b(digest_size=16)
    for column in (table.parent, table.role, table.flags, table.count, table.name_bytes):
        mark.update(np.ascontiguousarray(column).tobytes())
    for codes, values in (
        (table.class_index, table.classes),
        (table.shape_index, table.shapes),
        (table.dtype_index, table.dtypes),
        (table.device_index, table.devices),
    ):
        mark.update(codes.tobytes())
        mark.update(repr(values).encode("utf-8", "surrogatepass"))
    return mark


def _sampled_bytes(tensor: torch.Tensor) -> bytes:
    """Some bytes of a dense tensor, first and last; empty where they cannot be had."""
    if why_wrapped(tensor):
        return b""  # asking it would run a person's code
    try:
        flat = without_subclass(tensor).reshape(-1)
        elements = max(1, SAMPLED_BYTES // max(1, tensor.element_size()))
        ends = torch.cat([flat[:elements], flat[-elements:]]).cpu()
        return ends.resolve_conj().resolve_neg().view(torch.uint8).numpy().tobytes()
    except (RuntimeError, TypeError, NotImplementedError):
        return b""  # sparse, quantized, nested: their structure is marked, their values are not


def fingerprint(tree: Tree) -> str:
    """The mark of a model as hexadecimal digits."""
    mark = structure_mark(tree.table)
    has_data = (tree.table.flags & (Flag.TENSOR | Flag.META | Flag.LAZY)) == Flag.TENSOR
    positions = np.flatnonzero(has_data)
    stride = max(1, -(-len(positions) // SAMPLED_TENSORS))
    with torch.no_grad(), torch._C.DisableTorchFunctionSubclass():
        for position in positions[::stride].tolist():
            mark.update(_sampled_bytes(tree.objects[position]))
    return mark.hexdigest()
