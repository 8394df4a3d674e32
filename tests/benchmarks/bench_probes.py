"""What watching costs: all leaf modules of a transformer and of a ResNet, against the bare forward.

Bare and watched forwards alternate in one process; printed are ratios of medians, and the bare
forward against itself as the measure of noise.  One thread: on a busy machine threads wait for each
other, which measures the neighbours.  Run it as ``python tests/benchmarks/bench_probes.py``.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from inspector_app.backend.histograms import quick_statistics
from inspector_app.backend.probes import ProbeSet

ROUNDS = 31


class Block(nn.Module):
    """One layer of a transformer, out of leaf modules that all run as modules."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention = nn.LayerNorm(width)
        self.into = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.before_feed = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.activation = nn.GELU()
        self.down = nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        split = self.into(self.before_attention(x)).view(batch, length, 3, self.heads, -1)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(self.activation(self.up(self.before_feed(x))))


def transformer() -> tuple[nn.Module, torch.Tensor]:
    """Six layers, 44 leaf modules."""
    model = nn.Sequential(
        nn.Embedding(1000, 256), *(Block(256, 4) for _ in range(6)), nn.Linear(256, 1000)
    )
    return model.eval(), torch.randint(1000, (8, 128))


def residual(width: int, stride: int = 1) -> nn.Module:
    """The inner part of a residual block."""
    return nn.Sequential(
        nn.Conv2d(width // stride, width, 3, stride, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, width, 3, 1, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )


def resnet() -> tuple[nn.Module, torch.Tensor]:
    """A plain stack of the layers of a small ResNet."""
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3, 1, 1),
        *(residual(32) for _ in range(3)),
        residual(64, 2),
        *(residual(64) for _ in range(2)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )
    return model.eval(), torch.randn(16, 3, 32, 32)


def seconds(call: Callable[[], object]) -> float:
    """Of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def compare(name: str, model: nn.Module, inputs: torch.Tensor) -> None:
    """Print what watching every leaf of ``model`` costs."""
    leaf_modules = [module for module in model.modules() if not list(module.children())]
    probes = ProbeSet()
    times: dict[str, list[float]] = {"bare": [], "bare again": [], "watched": []}
    with torch.no_grad():
        for _ in range(ROUNDS):
            times["bare"].append(seconds(lambda: model(inputs)))
            for row, module in enumerate(leaf_modules):
                probes.watch(row, module)
            probes.begin_step()
            times["watched"].append(seconds(lambda: model(inputs)))
            probes.clear()
            times["bare again"].append(seconds(lambda: model(inputs)))
    bare = statistics.median(times["bare"])
    print(
        f"{name}: {len(leaf_modules)} leaf modules, bare {bare * 1e3:.1f} ms, watched "
        f"{statistics.median(times['watched']) / bare:.3f}x, bare again "
        f"{statistics.median(times['bare again']) / bare:.3f}x"
    )


def compare_elements(count: int) -> None:
    """Print what one tensor costs, as a multiple of the floor: one ``sum`` over it."""
    tensor = torch.randn(count)
    measured, floor = [], []
    for _ in range(ROUNDS):
        measured.append(seconds(lambda: quick_statistics(tensor)))
        floor.append(seconds(lambda: tensor.sum()))
    quick, total = statistics.median(measured), statistics.median(floor)
    print(f"{count:>10,} elements: {quick * 1e6:7.0f} us, {quick / total:5.1f}x of sum()")


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for elements in (1_000, 16_384, 65_536, 65_537, 1_000_000, 16_000_000):
        compare_elements(elements)
    compare("transformer", *transformer())
    compare("resnet", *resnet())
