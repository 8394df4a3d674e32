"""What watching costs: a training step with all leaves' outputs and gradients, and single tensors.

Bare and watched steps alternate in one process; printed are ratios of medians, and the bare step
against itself as the measure of noise.  One thread: on a busy machine threads wait for each other,
which measures the neighbours.  TensorBoard and wandb are compared with where they are installed::

    python tests/benchmarks/bench_probes.py [steps|budget|tensors|peers]
"""

from __future__ import annotations

import importlib.util
import statistics
import sys
import tempfile
import time
from collections.abc import Callable

import torch
from torch import nn

import inspector_app
from inspector_app.backend.probing import compiled
from inspector_app.backend.probing.batch import Batch
from inspector_app.backend.probing.probe_set import ProbeSet

ROUNDS = 31
STEPS = 200
TOGETHER = 16  # tensors flushed together, as a step does


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


class Residual(nn.Module):
    """One block of a residual network."""

    def __init__(self, width: int, stride: int = 1) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(width // stride, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.short = nn.Identity() if stride == 1 else nn.Conv2d(width // stride, width, 1, stride)
        self.last = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.inner(x) + self.short(x))


def transformer() -> tuple[nn.Module, torch.Tensor]:
    """Six layers, 256 wide, 44 leaf modules; 8 x 64 tokens."""
    model = nn.Sequential(
        nn.Embedding(1000, 256), *(Block(256, 4) for _ in range(6)), nn.Linear(256, 1000)
    )
    return model, torch.randint(1000, (8, 64))


def resnet() -> tuple[nn.Module, torch.Tensor]:
    """A small residual network for images of 32 x 32."""
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3, 1, 1),
        nn.BatchNorm2d(32),
        nn.ReLU(inplace=True),
        *(Residual(32) for _ in range(3)),
        Residual(64, 2),
        *(Residual(64) for _ in range(2)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )
    return model, torch.randn(16, 3, 32, 32)


def seconds(call: Callable[[], object]) -> float:
    """Of one call, of the processor: the clock would measure the neighbours on a busy machine."""
    start = time.process_time()
    call()
    return time.process_time() - start


def leaves(model: nn.Module) -> list[nn.Module]:
    """Modules without modules in them."""
    return [module for module in model.modules() if not list(module.children())]


def training(
    model: nn.Module, inputs: torch.Tensor, optimizer: torch.optim.Optimizer | None = None
) -> Callable[[], None]:
    """A step of training."""
    used = optimizer or torch.optim.AdamW(model.parameters(), 1e-4)

    def step() -> None:
        used.zero_grad()
        model(inputs).square().mean().backward()
        used.step()

    return step


def compare(name: str, model: nn.Module, inputs: torch.Tensor) -> None:
    """Print what watching every leaf of ``model`` costs."""
    probes, step = ProbeSet(), training(model, inputs)
    watched_modules = leaves(model)
    times: dict[str, list[float]] = {"bare": [], "bare again": [], "watched": []}

    def watched() -> None:
        probes.begin_step()
        step()
        probes.end_step()

    for _ in range(ROUNDS):
        times["bare"].append(seconds(step))
        for row, module in enumerate(watched_modules):
            probes.watch(row, module, str(row), ("output", "gradient"))
        times["watched"].append(seconds(watched))
        probes.clear()
        times["bare again"].append(seconds(step))
    bare = [(a + b) / 2 for a, b in zip(times["bare"], times["bare again"], strict=True)]
    pairs = statistics.median(w / b for w, b in zip(times["watched"], bare, strict=True))
    again = zip(times["bare again"], times["bare"], strict=True)
    print(
        f"{name}: {len(watched_modules)} leaf modules, bare {statistics.median(bare) * 1e3:.1f} ms,"
        f" watched {pairs:.3f}x, bare again {statistics.median(b / a for b, a in again):.3f}x"
    )


def compare_budget(name: str, build: Callable[[], tuple[nn.Module, torch.Tensor]]) -> None:
    """Print what watching costs over 200 steps under the default budget, from the first one on."""
    model, inputs = build()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4)
    step = training(model, inputs, optimizer)
    step()
    before = [seconds(step) for _ in range(STEPS // 2)]
    # Not by turns: what stands between two steps of a watched loop counts as its own.
    with inspector_app.watch(model, optimizer, window=False) as session:
        watched = sum(seconds(step) for _ in range(STEPS))
        state = session.state
    after = [seconds(step) for _ in range(STEPS // 2)]
    print(
        f"{name}: {STEPS} steps in the default budget {watched / sum(before + after):.3f}x, bare "
        f"steps after and before {sum(after) / sum(before):.3f}x. {state.thinned}"
    )


def compare_elements(count: int, dtype: torch.dtype) -> None:
    """Print what one tensor costs, as a multiple of the floor: one ``sum`` over it."""
    tensor = torch.randn(count).to(dtype)
    sampled, whole = Batch(), Batch()
    whole.exact.add(0)
    together = TOGETHER if count < 10_000_000 else 1

    def run(batch: Batch) -> None:
        for _ in range(together):
            batch.take(tensor, (1, 0, 0, 0, 0))
        batch.flush()

    def sums() -> None:
        for _ in range(together):
            tensor.sum()

    run(sampled), run(whole)
    times: list[list[float]] = [[], [], []]
    for _ in range(ROUNDS if count < 100_000_000 else 5):
        for kept, call in zip(times, (sums, lambda: run(sampled), lambda: run(whole)), strict=True):
            kept.append(seconds(call))
    floor, first, second = (statistics.median(kept) / together for kept in times)
    print(
        f"{count:>11,} {str(dtype)[6:]:>8}: sum {floor * 1e6:8.0f} us, sampled "
        f"{first / floor:5.2f}x, exact {second / floor:5.2f}x"
    )


def compare_peers(name: str, model: nn.Module, inputs: torch.Tensor) -> None:
    """Print what histograms of TensorBoard for all outputs and gradients cost, if installed."""
    if not importlib.util.find_spec("tensorboard"):
        return
    from torch.utils.tensorboard import SummaryWriter

    step = training(model, inputs)
    with tempfile.TemporaryDirectory() as folder:
        writer = SummaryWriter(folder)

        def forward_hook(row: int) -> Callable[..., None]:
            def seen(module: nn.Module, args: object, output: torch.Tensor) -> None:
                writer.add_histogram(f"output/{row}", output)
                if output.requires_grad:
                    output.register_hook(lambda g: writer.add_histogram(f"gradient/{row}", g))

            return seen

        times: list[list[float]] = [[], []]
        for _ in range(7):
            times[0].append(seconds(step))
            handles = [
                m.register_forward_hook(forward_hook(i)) for i, m in enumerate(leaves(model))
            ]
            times[1].append(seconds(step))
            for handle in handles:
                handle.remove()
        writer.close()
    bare, watched = map(statistics.median, times)
    print(f"{name}: TensorBoard add_histogram {watched / bare:.2f}x")


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["steps", "budget", "tensors", "peers"]
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if "steps" in wanted:
        compare("transformer", *transformer())
        compare("resnet", *resnet())
    if "budget" in wanted:
        compare_budget("transformer", transformer)
        compare_budget("resnet", resnet)
    if "tensors" in wanted:
        compiled.prepare().join()
        for elements in (1_000_000, 10_000_000, 100_000_000):
            for kind in (torch.float32, torch.bfloat16):
                compare_elements(elements, kind)
    if "peers" in wanted:
        compare_peers("transformer", *transformer())
