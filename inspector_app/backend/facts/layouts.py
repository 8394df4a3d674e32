"""Facts about tensors that are not plain: sparse, nested, quantized, wrapped, made elsewhere.

Each reader is asked of every tensor and answers for those it knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from inspector_app.backend.facts.words import BASE, call, extents, full_class_name, read, times
from inspector_app.backend.quantization import scheme_of
from inspector_app.backend.tensors import defines, is_lazy, layout_of, shape_of, wrapped_tensors
from inspector_app.protocol.messages import Fact

_PLAIN = (Tensor, nn.Parameter)
_MOST_COMPONENTS = 4  # of a nested tensor that are spelt out
_functorch: Any = torch._C._functorch


def _ask(reader: Callable[..., Any], *arguments: Any) -> Any:
    """What one of torch's own functions answers; None where it refuses."""
    try:
        return reader(*arguments)
    except (Exception, SystemExit):  # noqa: BLE001 - a subclass may raise anything at all
        return None


def layout_facts(tensor: Tensor) -> Iterator[Fact]:
    """What there is to say of a tensor beyond shape, dtype, device and strides."""
    for reader in (_layout, _quantized, _views, _inference, _functorch_wrapper):
        yield from reader(tensor)
    if type(tensor) not in _PLAIN and not is_lazy(tensor):
        yield from _subclass(tensor)


# -- layouts ---------------------------------------------------------------------------------------


def _layout(tensor: Tensor) -> Iterator[Fact]:
    layout = layout_of(tensor)
    if layout.startswith("sparse_"):
        yield Fact(label="Layout", value=_sparse(tensor, layout))
    elif layout == "nested":
        yield Fact(label="Layout", value=_nested(tensor))
    elif layout == "jagged":
        yield Fact(label="Layout", value=_jagged(tensor))
    elif layout == "mkldnn":
        yield Fact(label="Layout", value="oneDNN's own (MKL-DNN): only its kernels know where")
    elif layout != "strided":
        yield Fact(label="Layout", value=layout)


def _sparse(tensor: Tensor, layout: str) -> str:
    """A sparse tensor's format and how much of it is stored."""
    words = [f"sparse {layout.removeprefix('sparse_').upper()}"]
    stored = call("_nnz", tensor)
    dense = call("dense_dim", tensor) or 0
    shape = shape_of(tensor)
    if stored is None or shape is None:
        return words[0]
    if layout == "sparse_coo":
        words.append(f"{times(stored, 'place')} stored (nnz)")
        words.append("coalesced" if call("is_coalesced", tensor) else "not coalesced")
    elif layout in ("sparse_bsr", "sparse_bsc"):
        values = call("values", tensor)
        block = tuple(BASE.size(values))[1:] if values is not None else ()
        words.append(f"{times(stored, 'block')} of {extents(block)} stored (nnz)")
    else:
        words.append(f"{times(stored, 'element')} stored (nnz)")
    if dense:
        words.append(f"{times(dense, 'dense dimension')} of extent {extents(shape[-dense:])}")
    return ", ".join(words)


def _nested(tensor: Tensor) -> str:
    sizes = call("_nested_tensor_size", tensor)
    if sizes is None:
        return "nested"
    shapes = [extents(row) for row in sizes[:_MOST_COMPONENTS].tolist()]
    more = ", …" if len(sizes) > _MOST_COMPONENTS else ""
    return f"nested: {times(len(sizes), 'tensor')}, of {'; '.join(shapes)}{more}"


def _jagged(tensor: Tensor) -> str:
    held = dict(wrapped_tensors(tensor))
    offsets, values = held.get("_offsets"), held.get("_values")
    rows = None if offsets is None else _ask(lambda: BASE.size(offsets)[0] - 1)
    shape = None if values is None else _ask(BASE.size, values)
    if rows is None or shape is None:
        return "jagged"
    return f"jagged: {times(rows, 'row')} of different length in values of {extents(shape)}"


def _quantized(tensor: Tensor) -> Iterator[Fact]:
    for label, value in scheme_of(tensor).items():
        yield Fact(label=label, value=value)


def _views(tensor: Tensor) -> Iterator[Fact]:
    if call("is_conj", tensor):
        value = "conjugate: the memory holds the imaginary parts with the other sign"
        yield Fact(label="View", value=value)
    if call("is_neg", tensor):
        value = "negative: the memory holds the values with the other sign"
        yield Fact(label="View", value=value)


def _inference(tensor: Tensor) -> Iterator[Fact]:
    if call("is_inference", tensor):
        value = "made in inference mode: cannot require a gradient or be written outside of it"
        yield Fact(label="Inference", value=value)


def _functorch_wrapper(tensor: Tensor) -> Iterator[Fact]:
    if not _ask(_functorch.is_functorch_wrapped_tensor, tensor):
        return
    kinds = {
        "is_batchedtensor": "vmap",
        "is_gradtrackingtensor": "grad or jvp",
        "is_functionaltensor": "functionalize",
    }
    names = [word for name, word in kinds.items() if _ask(getattr(_functorch, name), tensor)]
    words = [f"of torch.func ({', '.join(names) or 'unknown'})"]
    level = _ask(_functorch.maybe_get_level, tensor)
    if level is not None and level >= 0:
        words.append(f"level {level}")
    if _ask(_functorch.is_dead_tensor_wrapper, tensor):
        words.append("left over from a call that has ended")
    inner = _ask(_functorch.get_unwrapped, tensor)
    shape = None if inner is None else shape_of(inner)
    if shape is not None:
        words.append(f"around a tensor of {extents(shape)}")
    yield Fact(label="Wrapper", value=", ".join(words), tone="warning")


# -- subclasses ------------------------------------------------------------------------------------


def _subclass(tensor: Tensor) -> Iterator[Fact]:
    """What a subclass of Tensor is and holds; its own methods and properties are not asked."""
    cls = type(tensor)
    held = dict(wrapped_tensors(tensor))
    home = str(cls.__dict__.get("__module__", ""))
    if cls.__name__ == "DTensor" and home.startswith("torch.distributed"):
        yield from _distributed(tensor, held)
    elif cls.__name__ == "FakeTensor" and home.startswith("torch."):
        yield Fact(label="Fake", value="shape, dtype and device only: there are no values")
    elif held:
        parts = [
            f"{name}: {'?' if shape is None else extents(shape)}"
            for name, shape in ((name, shape_of(part)) for name, part in held.items())
        ]
        yield Fact(label="Holds", value="; ".join(parts))
    overridden = [
        name for name in ("__torch_function__", "__torch_dispatch__") if defines(cls, name)
    ]
    if overridden:
        value = f"{full_class_name(cls)} has a {' and a '.join(overridden)} of its own"
        exact = "What stands here was asked of torch itself, so what that code says may differ."
        yield Fact(label="Subclass", value=value, exact=exact)


def _distributed(tensor: Tensor, held: dict[str, Tensor]) -> Iterator[Fact]:
    """Placements, mesh and the local part of a DTensor."""
    spec = _ask(lambda: type(tensor).__dict__["_spec"].__get__(tensor))
    placements = _ask(lambda: ", ".join(map(str, spec.placements)))
    if placements:
        yield Fact(label="Placements", value=placements)
    mesh = _ask(lambda: _mesh(spec.mesh))
    if mesh:
        yield Fact(label="Mesh", value=mesh)
    local = held.get("_local_tensor")
    shape = None if local is None else shape_of(local)
    if local is not None and shape is not None:
        stored = read("nbytes", local)
        yield Fact(label="Local part", value=extents(shape), exact=f"{stored:,} bytes")


def _mesh(mesh: Any) -> str:
    """Names and extents of a device mesh."""
    sizes = tuple(mesh.mesh.shape)
    names = mesh.mesh_dim_names or tuple(f"dimension {index}" for index in range(len(sizes)))
    inner = ", ".join(f"{name} {size}" for name, size in zip(names, sizes, strict=True))
    return f"{inner} on {mesh.device_type}"
