"""What watching costs: a training step with all leaves' outputs and gradients, and single tensors.

Bare and watched steps alternate in one process; printed are medians of ratios, and the bare step
against itself as the measure of noise.  ``floor`` is one ``aminmax`` for each of the same tensors
in hooks that do nothing else: what exact extremes cost on this machine.  One thread: on a busy
machine threads wait for each other, which measures the neighbours.  TensorBoard and wandb are
compared with where they are installed::

    python tests/benchmarks/bench_probes.py [steps|budget|tensors|peers]
"""

from __future__ import annotations

import importlib.util
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle
from transformers import ResNetConfig, ResNetModel

import inspector_app
from inspector_app.backend.probing import compiled
from inspector_app.backend.probing.batch import Batch
from inspector_app.backend.probing.probe_set import ProbeSet

Hooks = list[RemovableHandle]
ROUNDS = 31
STEPS = 200
SESSIONS = 3
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


class Pooled(nn.Module):
    """The pooled output of a backbone."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.backbone(x).pooler_output


def resnet() -> tuple[nn.Module, torch.Tensor]:
    """ResNet-18 (He et al., 2015), as transformers builds it; 16 images of 64 x 64."""
    sizes = [64, 128, 256, 512]
    config = ResNetConfig(
        embedding_size=64, hidden_sizes=sizes, depths=[2, 2, 2, 2], layer_type="basic"
    )
    return Pooled(ResNetModel(config)), torch.randn(16, 3, 64, 64)


def narrow_resnet() -> tuple[nn.Module, torch.Tensor]:
    """A residual network 32 channels wide: little is computed for each element it puts out."""
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


def hooked(modules: list[nn.Module], look: Callable[[int, str, torch.Tensor], object]) -> Hooks:
    """Hooks that ``look`` at every output and its gradient: row, kind and tensor."""

    def forward_hook(row: int) -> Callable[..., None]:
        def seen(module: nn.Module, args: object, output: object) -> None:
            if not isinstance(output, torch.Tensor):
                return
            look(row, "output", output.detach())
            if output.requires_grad:
                output.register_hook(lambda gradient: ignore(look(row, "gradient", gradient)))

        return seen

    def ignore(_: object) -> None:
        """A hook that returns something would replace the gradient."""

    return [module.register_forward_hook(forward_hook(i)) for i, module in enumerate(modules)]


def compare(name: str, model: nn.Module, inputs: torch.Tensor) -> None:
    """Print what watching every leaf of ``model`` costs."""
    probes, step, modules = ProbeSet(), training(model, inputs), leaves(model)
    names = ("bare", "floor", "watched", "bare again")
    times: dict[str, list[float]] = {name: [] for name in names}

    def watched() -> None:
        probes.begin_step()
        step()
        probes.end_step()

    for _ in range(ROUNDS):
        times["bare"].append(seconds(step))
        handles = hooked(modules, lambda row, kind, tensor: tensor.aminmax())
        times["floor"].append(seconds(step))
        for handle in handles:
            handle.remove()
        for row, module in enumerate(modules):
            probes.watch(row, module, str(row), ("output", "gradient"))
        times["watched"].append(seconds(watched))
        probes.clear()
        times["bare again"].append(seconds(step))
    bare = [(a + b) / 2 for a, b in zip(times["bare"], times["bare again"], strict=True)]
    floor, pairs = (
        statistics.median(w / b for w, b in zip(times[of], bare, strict=True))
        for of in ("floor", "watched")
    )
    noise = zip(times["bare again"], times["bare"], strict=True)
    print(
        f"{name}: {len(modules)} leaf modules, bare {statistics.median(bare) * 1e3:.1f} ms,"
        f" watched {pairs:.3f}x, floor {floor:.3f}x,"
        f" bare again {statistics.median(b / a for b, a in noise):.3f}x"
    )


def compare_budget(name: str, build: Callable[[], tuple[nn.Module, torch.Tensor]]) -> None:
    """Print what watching costs over 200 steps under the default budget, from the first one on.

    Several times, each between bare steps: in the minute that it takes a machine changes its pace.
    """
    model, inputs = build()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4)
    step = training(model, inputs, optimizer)
    step()
    ratios: list[float] = []
    noise: list[float] = []
    for _ in range(SESSIONS):
        before = sum(seconds(step) for _ in range(STEPS // 2))
        # Not by turns: what stands between two steps of a watched loop counts as its own.
        with inspector_app.watch(model, optimizer, window=False) as session:
            watched = sum(seconds(step) for _ in range(STEPS))
            state = session.state
        after = sum(seconds(step) for _ in range(STEPS // 2))
        ratios.append(watched / (before + after))
        noise.append(after / before)
    told = ", ".join(f"{ratio:.3f}" for ratio in ratios)
    print(
        f"{name}: {STEPS} steps in the default budget {statistics.median(ratios):.3f}x"
        f" (of {told}), bare steps after and before {statistics.median(noise):.3f}x."
        f" {state.thinned}"
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
    """Print what peers that are installed take for it, and what we take in the same run."""
    step, modules = training(model, inputs), leaves(model)
    with tempfile.TemporaryDirectory() as folder, ProbeSet() as probes:
        peers: dict[str, Callable[[], float]] = {"watched": lambda: ours(probes, modules, step)}
        if importlib.util.find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            writer = SummaryWriter(folder)
            peers["TensorBoard add_histogram"] = lambda: tensorboard(writer, modules, step)
        if importlib.util.find_spec("wandb"):
            import wandb

            run = wandb.init(mode="offline", dir=folder, project="bench", settings={"silent": True})
            peers["wandb.watch(log='all', log_freq=1)"] = lambda: wandb_watch(wandb, model, step)
        times: dict[str, list[float]] = {peer: [] for peer in peers}
        for _ in range(7):
            bare = seconds(step)
            for peer, call in peers.items():
                times[peer].append(call() / bare)
        for peer, ratios in times.items():
            print(f"{name}: {peer} {statistics.median(ratios):.2f}x")
        if "wandb" in sys.modules:
            run.finish()


def ours(probes: ProbeSet, modules: list[nn.Module], step: Callable[[], None]) -> float:
    """Seconds of a step with every output and gradient watched."""
    for row, module in enumerate(modules):
        probes.watch(row, module, str(row), ("output", "gradient"))

    def watched() -> None:
        probes.begin_step()
        step()
        probes.end_step()

    taken = seconds(watched)
    probes.clear()
    return taken


def tensorboard(writer: Any, modules: list[nn.Module], step: Callable[[], None]) -> float:
    """Seconds of a step with a histogram of every output and gradient."""
    handles = hooked(modules, lambda row, kind, x: writer.add_histogram(f"{kind}/{row}", x))
    taken = seconds(step)
    for handle in handles:
        handle.remove()
    return taken


def wandb_watch(wandb: Any, model: nn.Module, step: Callable[[], None]) -> float:
    """Seconds of a step with histograms of every parameter and its gradient."""

    def logged() -> None:
        step()
        wandb.log({"step": 1})

    wandb.watch(model, log="all", log_freq=1)
    taken = seconds(logged)
    wandb.unwatch(model)
    return taken


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["steps", "budget", "tensors", "peers"]
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if "steps" in wanted:
        compare("transformer", *transformer())
        compare("ResNet-18", *resnet())
        compare("narrow ResNet", *narrow_resnet())
    if "budget" in wanted:
        for called, build in (("transformer", transformer), ("ResNet-18", resnet)):
            compare_budget(called, build)
    if "tensors" in wanted:
        compiled.prepare().join()
        for elements in (1_000_000, 10_000_000, 100_000_000):
            for kind in (torch.float32, torch.bfloat16):
                compare_elements(elements, kind)
    if "peers" in wanted:
        compare_peers("transformer", *transformer())
