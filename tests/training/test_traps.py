"""Where hooks are known to change a training, to break it or to be blind: watched, it is the same.

Each case trains the same model twice, bare and watched, and compares losses and weights bit by bit.
"""

from __future__ import annotations

import copy
import dataclasses
import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

import inspector_app
from inspector_app.backend.probing.probe_set import ProbeSet
from inspector_app.backend.probing.records import RecordRing
from inspector_app.protocol import messages as m

STEPS = 4


@pytest.fixture
def records(joined) -> Callable[[Any], m.Records]:
    """What a peer sees of a session."""

    def found(session: Any) -> m.Records:
        with joined(session) as peer:
            return peer.result(m.GetRecords())

    return found


def seen(found: m.Records) -> dict[tuple[int, str, str], int]:
    """How often each (row, kind, leaf) was measured."""
    names = {series.key: (series.row, series.kind, series.leaf) for series in found.series}
    counted: dict[tuple[int, str, str], int] = {}
    for key in found.key.tolist():
        counted[names[key]] = counted.get(names[key], 0) + 1
    return counted


def kinds(found: m.Records) -> list[str]:
    """Kinds of the series, sorted."""
    return sorted(series.kind for series in found.series)


# -- models --------------------------------------------------------------------------------------


@dataclasses.dataclass
class Output:
    logits: torch.Tensor
    hidden: torch.Tensor


class Head(nn.Module):
    """Puts out its results in a container."""

    def __init__(self, container: Callable[[torch.Tensor, torch.Tensor], Any]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(8))
        self.container = container

    def forward(self, x: torch.Tensor) -> Any:
        return self.container(x * self.weight, x + 1)


class Contained(nn.Module):
    """A model whose last module has an output that full backward hooks never see."""

    def __init__(
        self, container: Callable[..., Any], logits: Callable[[Any], torch.Tensor]
    ) -> None:
        super().__init__()
        self.body = nn.Linear(4, 8)
        self.head = Head(container)
        self.logits = logits

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.logits(self.head(self.body(x)))


class Checkpointed(nn.Module):
    """A block that is computed anew in the backward."""

    def __init__(self, *, reentrant: bool) -> None:
        super().__init__()
        self.first = nn.Linear(4, 8)
        self.block = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.2), nn.GELU(), nn.Linear(8, 8))
        self.reentrant = reentrant

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return checkpoint(self.block, self.first(x), use_reentrant=self.reentrant)


def in_place() -> nn.Module:
    """Each activation overwrites what the layer before it has put out."""
    return nn.Sequential(
        nn.Linear(4, 8),
        nn.ReLU(inplace=True),
        nn.Linear(8, 8),
        nn.Hardtanh(-0.5, 0.5, inplace=True),
        nn.Dropout(0.3, inplace=True),
    )


def frozen_first() -> nn.Module:
    """Nothing before the second layer is trained."""
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    model[0].requires_grad_(False)
    return model


MODELS: dict[str, Callable[[], nn.Module]] = {
    "dict": lambda: Contained(lambda a, b: {"a": a, "b": b}, lambda out: out["a"]),
    "list": lambda: Contained(lambda a, b: [a, b], lambda out: out[0]),
    "dataclass": lambda: Contained(Output, lambda out: out.logits),
    "in place": in_place,
    "frozen": frozen_first,
    "reentrant": lambda: Checkpointed(reentrant=True),
    "not reentrant": lambda: Checkpointed(reentrant=False),
    "transformer": lambda: nn.TransformerEncoderLayer(4, 2, 8, 0.1, batch_first=True),
    "called twice": lambda: nn.Sequential(layer := nn.Linear(4, 4), nn.Tanh(), layer),
}


def train(model: nn.Module, optimizer: Any, steps: int = STEPS, micro: int = 1) -> list[float]:
    torch.manual_seed(1)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        for _ in range(micro):
            loss = model(torch.randn(6, 5, 4)).square().mean() / micro
            loss.backward()
            losses.append(loss.item())
        optimizer.step()
    return losses


def built(make: Callable[[], nn.Module]) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = make()
    trained = [one for one in model.parameters() if one.requires_grad]
    return model, torch.optim.AdamW(trained, 0.01)


@contextmanager
def watched(model: nn.Module, *given: Any, **more: Any) -> Iterator[Any]:
    """A session that thins nothing out and opens no window."""
    with inspector_app.watch(model, *given, budget=None, window=False, **more) as session:
        yield session


@pytest.mark.parametrize("name", MODELS)
def test_losses_and_weights_are_those_of_the_bare_loop(name, records, hook_guard):
    model, optimizer = built(MODELS[name])
    bare = train(model, optimizer)
    weights = copy.deepcopy(model.state_dict())
    model, optimizer = built(MODELS[name])
    hook_guard(model)
    with watched(model, optimizer) as session:
        assert train(model, optimizer) == bare
        found = records(session)
    assert found.failures == []
    for key, value in model.state_dict().items():
        assert torch.equal(value, weights[key])


@pytest.mark.parametrize(
    ("name", "leaves"), [("dict", ['["a"]', '["b"]']), ("list", ["[0]", "[1]"])]
)
def test_every_tensor_of_a_container_has_its_output_and_its_gradient(name, leaves, records):
    model, optimizer = built(MODELS[name])
    with watched(model, optimizer) as session:
        train(model, optimizer)
        found = seen(records(session))
    counted = {(kind, leaf): number for (_, kind, leaf), number in found.items() if leaf}
    first, second = leaves
    assert counted == {  # the second takes no part in the loss
        ("output", first): STEPS,
        ("output", second): STEPS,
        ("gradient", first): STEPS,
    }


def test_outputs_are_those_before_a_change_in_place(records):
    model, optimizer = built(in_place)
    with watched(model, optimizer) as session:
        train(model, optimizer)
        found = records(session)
    rows = {series.key: series.row for series in found.series if series.kind == "output"}
    first = [i for i, key in enumerate(found.key.tolist()) if rows.get(key) == min(rows.values())]
    assert len(first) == STEPS
    assert all(found.minimum[i] < 0 for i in first)  # no ReLU has touched it
    assert kinds(found) == ["gradient"] * 5 + ["output"] * 5


def test_a_frozen_beginning_has_outputs_and_no_gradients(records):
    model, optimizer = built(frozen_first)
    with watched(model, optimizer) as session:
        train(model, optimizer)
        found = records(session)
    assert kinds(found) == ["gradient"] + ["output"] * 3


@pytest.mark.parametrize("reentrant", [True, False])
def test_what_is_computed_anew_is_told_apart(reentrant, records):
    model, optimizer = built(lambda: Checkpointed(reentrant=reentrant))
    with watched(model, optimizer, probes=["block.0"]) as session:
        train(model, optimizer)
        found = records(session)
    outputs = [series.key for series in found.series if series.kind == "output"]
    phases = found.phase[found.key == outputs[0]].tolist()
    assert [bool(phase & m.Phase.RECOMPUTE) for phase in phases] == [False, True] * STEPS
    assert ("gradient" in kinds(found)) is True


@pytest.mark.parametrize("which", ["model", "compiled"])
def test_a_model_compiled_before_says_that_nothing_fires(which, joined):
    """Hooks that come after the compilation are never called; the way out that is told works."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    compiled = torch.compile(model, backend="eager")
    inputs = torch.randn(2, 4)
    bare = compiled(inputs)
    optimizer = torch.optim.SGD(model.parameters(), 0.0)
    root = model if which == "model" else compiled

    def states() -> list[m.ProbeState]:
        for _ in range(3):
            output = compiled(inputs)
            assert torch.equal(output, bare)
            output.sum().backward()
            optimizer.step()
        return peer.result(m.GetProbeStates()).states

    try:
        with watched(root, optimizer) as session, joined(session) as peer:
            silent = states()
            assert [one.state for one in silent] == ["never fired"] * 2
            assert all('torch.compiler.set_stance("force_eager")' in one.reason for one in silent)
            with torch.compiler.set_stance("force_eager"):
                assert [one.state for one in states()] == ["fired"] * 2
    finally:
        torch._dynamo.reset()


def test_autocast_and_a_loss_scaler(records):
    """The scale is taken out of gradients, and the loop is the same to the last bit."""

    def run(around: Callable[[nn.Module, Any, Any], Any]) -> tuple[list[float], m.Records | None]:
        model, optimizer = built(lambda: nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)))
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12, growth_interval=2)
        torch.manual_seed(1)
        losses = []
        with around(model, optimizer, scaler) as session:
            for _ in range(STEPS):
                optimizer.zero_grad()
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    loss = model(torch.randn(6, 4)).float().square().mean()
                scaler.scale(loss).backward()
                scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                scaler.step(optimizer)
                scaler.update()
                losses.append(loss.item())
            return losses, records(session) if session else None

    bare, _ = run(lambda *_: nullcontext())
    losses, found = run(watched)
    assert losses == bare
    gradients = {series.key for series in found.series if series.kind == "gradient"}
    largest = [found.maximum[i] for i, key in enumerate(found.key.tolist()) if key in gradients]
    assert len(largest) == 3 * STEPS
    assert max(largest) < 10  # thousands, if the scale were still in them
    assert found.training.step == STEPS + 1


def test_a_step_that_the_scaler_leaves_out(records):
    """With an infinite gradient there is no optimizer.step(), and yet it is a step."""
    model, optimizer = built(lambda: nn.Linear(4, 2))
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
    with watched(model, optimizer, scaler) as session:
        for factor in (1.0, float("inf"), 1.0):
            optimizer.zero_grad()
            scaler.scale(model(torch.randn(6, 4)).sum() * factor).backward()
            scaler.step(optimizer)
            scaler.update()
        found = records(session)
    assert found.training.step == 4
    assert set(found.step.tolist()) == {1, 2, 3}
    assert found.failures == []
    assert found.nan.sum() + found.positive_infinity.sum() + found.negative_infinity.sum() > 0


def test_micro_steps_of_an_accumulation_are_told_apart(records):
    model, optimizer = built(lambda: nn.Linear(4, 2))
    bare = train(*built(lambda: nn.Linear(4, 2)), micro=3)
    with watched(model, optimizer) as session:
        assert train(model, optimizer, micro=3) == bare
        found = records(session)
    outputs = [series.key for series in found.series if series.kind == "output"]
    rows = found.key == outputs[0]
    assert found.step[rows].tolist() == [step for step in range(1, STEPS + 1) for _ in range(3)]
    assert found.micro[rows].tolist() == [0, 1, 2] * STEPS


def test_inside_vmap_nothing_is_measured_and_nothing_breaks(records):
    model, optimizer = built(lambda: nn.Linear(4, 2))
    inputs = torch.randn(3, 5, 4)
    bare = torch.func.vmap(model)(inputs)
    with watched(model, optimizer) as session:
        assert torch.equal(torch.func.vmap(model)(inputs), bare)
        found = records(session)
        assert len(found.sequence) == 0
        assert any("torch.func" in sentence for sentence in found.failures)
        optimizer.step()  # the loop goes on, and so does watching
        train(model, optimizer, 1)
        assert len(records(session).sequence) == 2


def test_batched_gradients_are_left_out_and_nothing_breaks(records):
    """As ``torch.autograd.functional.jacobian(..., vectorize=True)`` asks for them."""
    model, optimizer = built(lambda: nn.Linear(4, 2))
    inputs = torch.randn(3, 4)

    def all_at_once():
        output = model(inputs)
        many = torch.eye(6).view(6, 3, 2)
        return torch.autograd.grad(output, model.weight, many, is_grads_batched=True)[0]

    bare = all_at_once()
    with watched(model, optimizer) as session:
        assert torch.equal(all_at_once(), bare)
        found = records(session)
        assert any("is batched" in sentence for sentence in found.failures)
        optimizer.step()
        before = len(found.sequence)
        train(model, optimizer, 1)
        assert len(records(session).sequence) == before + 2


class Counted(TorchFunctionMode):
    """A person's own, which counts what is called."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.names.append(function.__name__)
        return function(*args, **(kwargs or {}))


def test_modes_of_the_person_see_nothing_of_ours(records):
    model, optimizer = built(lambda: nn.Sequential(nn.Linear(4, 2000), nn.ReLU()))
    inputs = torch.randn(3, 4)

    def called(dispatched: bool) -> list[str]:
        with FlopCounterMode(display=False) if dispatched else nullcontext(), Counted() as mode:
            model(inputs).sum().backward()
        return mode.names

    model.zero_grad()
    called(False)  # gradients are there from now on
    bare = [called(False), called(True)]
    with watched(model, optimizer) as session:
        assert [called(False), called(True)] == bare
        assert len(records(session).sequence) == 8


def test_inference_and_evaluation_in_between(records):
    model, optimizer = built(lambda: nn.Sequential(nn.Linear(4, 8), nn.Dropout()))
    with watched(model, optimizer) as session:
        train(model, optimizer, 1)
        model.eval()
        with torch.inference_mode():
            bare = model(torch.ones(2, 4))
        with torch.no_grad():
            assert torch.equal(model(torch.ones(2, 4)), bare)
        model.train()
        train(model, optimizer, 1)
        found = records(session)
    assert found.failures == []
    trained = [bool(phase & m.Phase.TRAIN) for phase in found.phase]
    assert (trained.count(True), trained.count(False)) == (8, 4)
    evaluated = (found.phase & m.Phase.EVALUATION) != 0
    assert evaluated.tolist() == [not one for one in trained]
    assert found.step[evaluated].tolist() == [2] * 4
    assert found.micro[evaluated].tolist() == [0, 0, 1, 1]
    assert set(found.micro[~evaluated].tolist()) == {0}  # as if nothing had been evaluated before


def test_a_layer_that_is_held_in_a_training_is_not_evaluated(records):
    model, optimizer = built(lambda: nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(5)))
    model[1].eval()
    with watched(model, optimizer, probes=["1"]) as session:
        train(model, optimizer)
        found = records(session)
    assert not (found.phase & (m.Phase.TRAIN | m.Phase.EVALUATION)).any()


def test_the_fast_path_of_a_transformer_is_left_and_told_by_closeness(records):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    inputs = torch.randn(2, 5, 8)
    with torch.no_grad():
        bare = layer(inputs)
        with watched(layer) as session:
            torch.testing.assert_close(layer(inputs), bare)
            session.step()
            found = records(session)
        assert torch.equal(layer(inputs), bare)  # fast again
    assert found.failures == []
    assert len(found.sequence) > 0


@pytest.mark.parametrize("way", ["deepcopy", "torch.save"])
def test_a_copy_of_a_watched_model_is_not_watched(way, records):
    model, optimizer = built(lambda: nn.Sequential(nn.Linear(4, 2), nn.ReLU()))
    with watched(model, optimizer) as session:
        train(model, optimizer, 1)
        if way == "deepcopy":
            twin = copy.deepcopy(model)
        else:
            file = io.BytesIO()
            torch.save(model, file)
            file.seek(0)
            twin = torch.load(file, weights_only=False)
        before = len(records(session).sequence)
        inputs = torch.randn(3, 4)
        output = twin(inputs)
        output.sum().backward()
        assert len(records(session).sequence) == before
        assert torch.equal(model(inputs), output)


def test_several_threads_run_the_model(records):
    model, optimizer = built(lambda: nn.Linear(4, 2))
    with watched(model, optimizer) as session:
        threads = [
            threading.Thread(target=lambda: [model(torch.randn(6, 4)) for _ in range(50)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = records(session)
    assert len(found.sequence) == 200
    assert found.failures == []


def test_ten_thousand_times_while_a_forward_runs(hook_guard):
    """Probes come and go in one thread while another runs the model."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 2))
    hook_guard(model)
    inputs = torch.randn(3, 4)
    bare = model(inputs).detach().clone()
    stop, wrong, forwards = threading.Event(), [], [0]

    def run() -> None:
        while not stop.is_set():
            try:
                output = model(inputs)
                output.sum().backward()
                if not torch.equal(output, bare):
                    wrong.append("another output")
            except Exception as error:  # noqa: BLE001 - whatever a hook may have done
                wrong.append(repr(error))
            forwards[0] += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        with ProbeSet(RecordRing(1 << 20)) as probes:
            cycles = 0
            # A machine may give the other thread little of its time: it is waited for.
            while cycles < 10_000 or (forwards[0] < 10 and thread.is_alive()):
                for row, module in enumerate(model):
                    probes.watch(row, module, str(row), ("output", "gradient"))
                probes.clear()
                cycles += 1
            assert probes.failures == []
    finally:
        stop.set()
        thread.join()
    assert wrong == []
    assert forwards[0] >= 10
