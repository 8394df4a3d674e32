"""Tensors of every kind that is not plain, and subclasses that lie or raise."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed import destroy_process_group, init_process_group
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.testing._internal.two_tensor import TwoTensor


class Liar(Tensor):
    """Tells nonsense, or raises, whatever is asked."""

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        raise RuntimeError("no shape")

    @property
    def dtype(self) -> torch.dtype:  # type: ignore[override]
        return torch.int8

    def __getattribute__(self, name: str) -> object:
        raise RuntimeError(f"asked for {name}")

    @classmethod
    def __torch_function__(cls, *args: object, **kwargs: object) -> object:
        raise RuntimeError("called")


class Refuser(Tensor):
    """A wrapper that ends the program whatever operation is tried on it."""

    @staticmethod
    def __new__(cls, inner: Tensor) -> Refuser:
        made: Refuser = Tensor._make_wrapper_subclass(
            cls, inner.shape, dtype=inner.dtype, dispatch_sizes_strides_policy="sizes"
        )
        return made

    def __init__(self, inner: Tensor) -> None:
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, *args: object, **kwargs: object) -> object:
        raise SystemExit("dispatched")


@contextmanager
def two_ranks() -> Iterator[None]:
    """A process group of two of which only this one is there; nothing is ever sent."""
    init_process_group("fake", rank=0, world_size=2, store=FakeStore())
    try:
        yield
    finally:
        destroy_process_group()


def distributed_tensor() -> Tensor:
    """The first half of a DTensor of shape (4, 3); needs :func:`two_ranks`."""
    mesh = init_device_mesh("cpu", (2,), mesh_dim_names=("dp",))
    local = torch.arange(6.0).reshape(2, 3)
    return DTensor.from_local(local, mesh, [Shard(0)], run_check=False)


def _left_over(transform: Callable[..., Callable[[Tensor], object]]) -> Tensor:
    """The wrapper that a transform of torch.func passed to a function that kept it."""
    kept: list[Tensor] = []

    def keep(x: Tensor) -> Tensor:
        kept.append(x)
        return x.sum()

    transform(keep)(torch.ones(3, 2))
    return kept[0]


NAMES = (
    *("sparse_coo", "hybrid", "sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc"),
    *("nested", "jagged", "quantized", "per_channel", "mkldnn"),
    *("complex", "conjugate", "negative", "float8", "complex32", "bits"),
    *("expanded", "meta", "scalar", "nothing"),
    *("vmapped", "tracked", "functional", "two", "liar", "refuser", "inference", "fake"),
)


def strange_tensors() -> dict[str, Tensor]:
    """One of each kind, by name."""
    eye = torch.eye(4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # half of these are "in beta"
        rows = [eye[0], eye[0, :2]]
        found = {
            "sparse_coo": eye.to_sparse(),
            "hybrid": torch.ones(3, 5).to_sparse(1),
            "sparse_csr": eye.to_sparse_csr(),
            "sparse_csc": eye.to_sparse_csc(),
            "sparse_bsr": eye.to_sparse_bsr((2, 2)),
            "sparse_bsc": eye.to_sparse_bsc((2, 2)),
            "nested": torch.nested.nested_tensor(rows),
            "jagged": torch.nested.nested_tensor(rows, layout=torch.jagged),
            "quantized": torch.quantize_per_tensor(eye, 0.1, 3, torch.qint8),
            "per_channel": torch.quantize_per_channel(
                eye, torch.arange(1.0, 5), torch.zeros(4), 1, torch.quint8
            ),
            "mkldnn": eye.to_mkldnn(),
            "complex": eye.to(torch.complex64),
            "conjugate": eye.to(torch.complex64).conj(),
            "negative": torch._neg_view(eye.clone()),
            "float8": eye.to(torch.float8_e4m3fn),
            "complex32": eye.to(torch.complex32),
            "bits": torch.ones(2).view(torch.uint16),
            "expanded": torch.zeros(1).expand(1000),
            "meta": torch.empty(2, 3, device="meta"),
            "scalar": torch.tensor(1.0),
            "nothing": torch.empty(0, 3),
            "vmapped": _left_over(torch.func.vmap),
            "tracked": _left_over(torch.func.grad),
            "functional": _left_over(torch.func.functionalize),
            "two": TwoTensor(torch.ones(2), torch.zeros(2)),
            "liar": torch.ones(2, 3).as_subclass(Liar),
            "refuser": Refuser(torch.ones(2, 2)),
        }
        with torch.inference_mode():
            found["inference"] = torch.ones(2)
        with FakeTensorMode():
            found["fake"] = torch.ones(3, device="cuda")
    return found


def holding(tensors: dict[str, Tensor]) -> nn.Module:
    """A module that holds them as buffers, put there as torch keeps them."""
    model = nn.Module()
    model._buffers.update(tensors)
    return model


def build_model(name: str) -> nn.Module:
    """A factory: a layer that runs, and beside it one of these as a parameter and as a buffer."""
    model = nn.Linear(2, 2)
    tensor = strange_tensors()[name]
    model._parameters["strange"] = tensor  # type: ignore[assignment]
    model._buffers["strange_buffer"] = tensor
    return model
