"""What the tests of exports share: models, tensors of any bits, jobs, processes of their own."""

import subprocess
import sys
import textwrap

import numpy as np
import torch
from hypothesis import strategies as st
from torch import nn

from inspector_app.backend.formats.safetensors_file import KINDS
from inspector_app.protocol.errors import Cancelled

DTYPES = [kind.torch_dtype for kind in KINDS.values() if kind.torch_dtype is not None]


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5, 4)
        self.norm = nn.BatchNorm1d(4)
        self.head = nn.Linear(4, 5, bias=False)
        self.head.weight = self.embedding.weight


def bits(tensor):
    spelled = tensor.resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format)
    return spelled.as_strided((spelled.numel(),), (1,)).view(torch.uint8).numpy().tobytes()


def random_tensor(dtype, shape, seed):
    """Any bits at all: NaN payloads, subnormal numbers and -0.0 among them."""
    generator = np.random.default_rng(seed)
    size = int(np.prod(shape)) * dtype.itemsize
    raw = generator.integers(0, 2 if dtype is torch.bool else 256, size, np.uint8)
    if not size:
        return torch.empty(shape, dtype=dtype)
    return torch.from_numpy(raw).view(dtype).reshape(shape)


class Made:
    """A tensor that may be of a type torch cannot print."""

    def __init__(self, tensor):
        self.tensor = tensor

    def __repr__(self):
        return f"<{self.tensor.dtype} {tuple(self.tensor.shape)} {self.tensor.stride()}>"


@st.composite
def tensors(draw):
    dtype = draw(st.sampled_from(DTYPES))
    pairs = dtype is getattr(torch, "float4_e2m1fn_x2", None)  # have no scalars in the format
    shape = draw(st.lists(st.integers(0, 5), min_size=int(pairs), max_size=3))
    tensor = random_tensor(dtype, shape, draw(st.integers(0, 2**32)))
    for _ in range(draw(st.integers(0, 2))):
        change = draw(st.sampled_from(["transpose", "stride", "expand", "conj", "neg", "flip"]))
        if change == "transpose" and tensor.dim() > 1:
            tensor = tensor.transpose(0, -1)
        elif change == "stride" and tensor.dim():
            tensor = tensor[..., ::2]
        elif change == "expand":
            tensor = tensor.unsqueeze(0).expand(3, *tensor.shape)
        elif change == "conj" and tensor.is_complex():
            tensor = tensor.conj()
        elif change == "neg" and tensor.is_complex():
            tensor = tensor.resolve_conj().conj().imag
            assert tensor.is_neg()
    return Made(tensor)


class CancelAt:
    """A job that is cancelled after so many bytes."""

    def __init__(self, limit):
        self.limit = limit
        self.seen = []

    def progress(self, done, total, label):
        self.seen.append((done, total, label))

    def check(self):
        if self.seen and self.seen[-1][0] >= self.limit:
            raise Cancelled

    def waiting(self):
        return False

    def safe_point(self): ...


def run_python(code, **options):
    code = textwrap.dedent(code)
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, **options)
