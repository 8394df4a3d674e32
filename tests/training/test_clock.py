"""Where a step ends, told by an optimizer, by the loop, or guessed from forwards."""

from __future__ import annotations

import copy
import pickle
import threading
from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from inspector_app.backend.probing.probe_set import ProbeSet
from inspector_app.backend.probing.records import RecordRing
from inspector_app.backend.training.clock import StepClock
from inspector_app.protocol.messages import Phase


@pytest.fixture
def probes():
    with ProbeSet(RecordRing(1 << 18)) as probes:
        yield probes


def model_and_optimizer() -> tuple[nn.Module, torch.optim.Optimizer]:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))
    return model, torch.optim.SGD(model.parameters(), 0.1)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, micro: int = 1) -> None:
    optimizer.zero_grad()
    for _ in range(micro):
        model(torch.randn(4, 3)).sum().backward()
    optimizer.step()


def test_an_optimizer_tells(probes):
    model, optimizer = model_and_optimizer()
    safe: list[int] = []
    clock = StepClock(model, optimizer, None, probes, lambda: safe.append(probes.step))
    probes.watch(0, model[0], "0", ("output", "gradient"))
    for _ in range(3):
        train(model, optimizer, micro=2)
    clock.close()
    assert safe == [1, 2, 3]
    found = probes.records()
    assert found.step.tolist() == [1] * 4 + [2] * 4 + [3] * 4
    assert found.micro.tolist() == [0, 0, 1, 1] * 3
    assert "optimizer.step()" in clock.kind


class Later(torch.optim.SGD):
    """Evaluates its closure by itself, and can fail after the update of its base."""

    fails = False

    def step(self, closure=None):
        if closure is not None:
            closure()
        super().step()
        if self.fails:
            raise KeyboardInterrupt


@pytest.mark.parametrize("closure", [False, True])
def test_a_step_that_calls_that_of_its_base_is_one(probes, closure):
    model, _ = model_and_optimizer()  # torch lets the base's step run hooks from now on
    optimizer = Later(model.parameters(), 0.1)
    safe: list[int] = []
    clock = StepClock(model, optimizer, None, probes, lambda: safe.append(probes.step))
    probes.watch_parameter(0, model[0].weight, "0.weight", ("update",))
    for fails in (False, True, False, True, False):
        optimizer.fails = fails
        with pytest.raises(KeyboardInterrupt) if fails else nullcontext():
            if closure:
                optimizer.step(lambda: model(torch.randn(4, 3)).sum().backward())
            else:
                train(model, optimizer)
    clock.close()
    steps = [1, 2, 3, 4, 5] if closure else [1, 2, 3]  # with a closure that of the base tells
    assert safe == steps
    assert probes.records().step.tolist() == steps


def test_a_step_that_raised_is_made_again(probes):
    model, optimizer = model_and_optimizer()
    safe: list[int] = []
    clock = StepClock(model, optimizer, None, probes, lambda: safe.append(probes.step))
    handle = optimizer.register_step_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        optimizer.step()
    handle.remove()
    for _ in range(2):
        optimizer.step()
    clock.close()
    assert safe == [1, 2]


def test_the_loop_tells(probes):
    model, _ = model_and_optimizer()
    safe: list[int] = []
    clock = StepClock(model, None, None, probes, lambda: safe.append(probes.step))
    clock.step()
    for _ in range(2):
        model(torch.randn(4, 3))
        model(torch.randn(4, 3))
        clock.step()
    clock.close()
    assert safe == [1, 2, 3]
    assert "session.step()" in clock.kind


def test_forwards_are_a_guess(probes):
    model, _ = model_and_optimizer()
    safe: list[int] = []
    clock = StepClock(model, None, None, probes, lambda: safe.append(probes.step))
    for _ in range(3):
        model(torch.randn(4, 3))
    clock.close()
    assert safe == [1, 2]
    assert "weaker" in clock.kind


class Recursive(nn.Module):
    """Calls itself: only the outermost forward counts."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(2, 2)

    def forward(self, x, depth=2):
        return self(x, depth - 1) if depth else self.inner(x)


def test_only_outermost_forwards_count(probes):
    model = Recursive()
    safe: list[int] = []
    clock = StepClock(model, None, None, probes, lambda: safe.append(1))
    for _ in range(3):
        model(torch.ones(1, 2))
    clock.close()
    assert len(safe) == 2


def test_a_forward_that_raises_is_over(probes):
    model = Recursive()
    safe: list[int] = []
    clock = StepClock(model, None, None, probes, lambda: safe.append(1))
    for _ in range(2):
        with pytest.raises(RuntimeError):
            model(torch.ones(1, 5))
    model(torch.ones(1, 2))
    clock.close()
    assert len(safe) == 2


def test_forwards_of_other_threads_end_no_step(probes):
    model, _ = model_and_optimizer()
    safe: list[int] = []
    clock = StepClock(model, None, None, probes, lambda: safe.append(probes.step))
    model(torch.randn(4, 3))
    other = threading.Thread(target=lambda: [model(torch.randn(4, 3)) for _ in range(5)])
    other.start()
    other.join()
    assert safe == []
    model(torch.randn(4, 3))
    clock.close()
    assert safe == [1]


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_root_computed_anew_in_the_backward_ends_no_step(probes, reentrant):
    model, _ = model_and_optimizer()
    safe: list[int] = []
    clock = StepClock(model, None, None, probes, lambda: safe.append(probes.step))
    for _ in range(3):
        inputs = torch.randn(4, 3, requires_grad=True)
        checkpoint(model, inputs, use_reentrant=reentrant).sum().backward()
    clock.close()
    assert safe == [1, 2]


def test_closing_leaves_nothing(probes):
    model, optimizer = model_and_optimizer()
    clock = StepClock(model, optimizer, None, probes, lambda: None)
    clock.close()
    clock.close()
    assert not model._forward_hooks
    assert not model._forward_pre_hooks
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks


def test_parameters_are_measured_around_the_update(probes):
    model, optimizer = model_and_optimizer()
    clock = StepClock(model, optimizer, None, probes, lambda: None)
    weight = model[0].weight
    kinds = ("value", "parameter gradient", "optimizer gradient", "update")
    probes.watch_parameter(5, weight, "0.weight", kinds)
    before = weight.detach().clone()
    optimizer.zero_grad()
    model(torch.randn(4, 3)).sum().backward()
    accumulated = weight.grad.clone()
    nn.utils.clip_grad_norm_([weight], 0.01)
    optimizer.step()
    clock.close()
    found = probes.records()
    kind = {series.key: series.kind for series in found.series}
    by_kind = {kind[key]: index for index, key in enumerate(found.key.tolist())}
    assert set(by_kind) == set(kinds)
    norm = {name: found.norm[index] for name, index in by_kind.items()}
    assert norm["parameter gradient"] == pytest.approx(accumulated.norm().item(), rel=1e-3)
    assert norm["optimizer gradient"] == pytest.approx(0.01, rel=1e-3)
    assert norm["value"] == pytest.approx(weight.norm().item(), rel=1e-3)
    moved = (weight - before).norm() / before.norm()
    share = norm["update"] / weight.numel() ** 0.5
    assert share == pytest.approx(moved.item(), rel=1e-3)


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("scale", [2.0**12, 1000.0])
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("unscaled", [False, True])
@pytest.mark.parametrize("root", [True, False])
def test_a_loss_scaler_is_taken_into_account(probes, enabled, scale, fused, unscaled, root):
    model, _ = model_and_optimizer()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, fused=fused)
    scaler = torch.amp.GradScaler("cpu", enabled=enabled, init_scale=scale, growth_interval=1)
    clock = StepClock(model, optimizer, scaler, probes, lambda: None)
    probes.watch(0, model[1], "1", ("gradient",))
    probes.watch_parameter(1, model[1].bias, "1.bias", ("parameter gradient", "optimizer gradient"))
    for _ in range(3):  # the scale grows after each
        optimizer.zero_grad()
        inputs = torch.randn(4, 3)
        output = model(inputs) if root else model[1](model[0](inputs))
        scaler.scale(output.sum()).backward()
        if unscaled:
            scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
    clock.close()
    found = probes.records()
    kind = {series.key: series.kind for series in found.series}
    assert len(found.key) == 9
    for index, key in enumerate(found.key.tolist()):
        expected = 1.0 if kind[key] == "gradient" else 4.0
        assert found.maximum[index] == pytest.approx(expected, rel=1e-6)


class NamelessScaler:
    """One of which only the scale can be known; it halves it at each overflow."""

    def __init__(self) -> None:
        self.scale = 1024.0

    def get_scale(self) -> float:
        return self.scale

    def step(self, optimizer: torch.optim.Optimizer, broken: bool) -> None:
        if broken:
            self.scale /= 2
        else:
            optimizer.step()


@pytest.mark.parametrize("own", [True, False])
def test_steps_that_a_loss_scaler_leaves_out_are_steps(probes, own):
    model, optimizer = model_and_optimizer()
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    nameless = NamelessScaler()
    safe: list[int] = []
    clock = StepClock(
        model, optimizer, scaler if own else nameless, probes, lambda: safe.append(probes.step)
    )
    probes.watch(0, model[0], "0")
    before = model[0].weight.detach().clone()
    for broken in (True, True, False, True, False, False):
        for _ in range(2):  # gradients are accumulated
            loss = model(torch.randn(4, 3)).sum() * (torch.nan if broken else 1.0)
            (scaler.scale(loss) if own else loss).backward()
        if own:
            scaler.step(optimizer)
            scaler.update()
        else:
            nameless.step(optimizer, broken)
        assert torch.equal(model[0].weight, before) == broken
        before = model[0].weight.detach().clone()
        optimizer.zero_grad()
    clock.close()
    assert safe == [1, 2, 3, 4, 5, 6]
    found = probes.records()
    assert found.step.tolist() == [step for step in safe for _ in range(2)]
    assert found.micro.tolist() == [0, 1] * 6


def overflowing(model: nn.Module, broken: bool, root: bool = True) -> torch.Tensor:
    inputs = torch.randn(4, 3)
    output = model(inputs) if root else model[1](model[0](inputs))
    return output.sum() * (torch.nan if broken else 1.0)


@pytest.mark.parametrize("root", [True, False])
@pytest.mark.parametrize("broken", [(), (0, 1, 3), (4,), (0, 1, 2, 3, 4)])
def test_one_scaler_updated_for_each_of_two_optimizers(probes, broken, root):
    """As of two networks that train against each other: the one that steps last is watched."""
    first, _ = model_and_optimizer()
    model, optimizer = model_and_optimizer()
    other = torch.optim.SGD(first.parameters(), 0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    safe: list[int] = []
    clock = StepClock(model, optimizer, scaler, probes, lambda: safe.append(probes.step))
    probes.watch(0, model[0], "0")
    for step in range(5):
        for stepping in (other, optimizer):
            loss = overflowing(first, False) + overflowing(model, step in broken, root)
            scaler.scale(loss).backward()
            scaler.step(stepping)
            scaler.update()
            other.zero_grad()
            optimizer.zero_grad()
    clock.close()
    assert safe == [1, 2, 3, 4, 5]
    assert probes.records().step.tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


def test_a_scaler_gets_its_method_back(probes):
    model, optimizer = model_and_optimizer()
    scaler = torch.amp.GradScaler("cpu")
    before = dict(vars(scaler))
    clock = StepClock(model, optimizer, scaler, probes, lambda: None)
    second = StepClock(model, optimizer, scaler, probes, lambda: None)
    copies = [copy.deepcopy(scaler), pickle.loads(pickle.dumps(scaler))]
    assert scaler.state_dict() == torch.amp.GradScaler("cpu").state_dict()
    second.close()
    clock.close()
    clock.close()
    assert vars(scaler) == before
    for each in copies:
        each.scale(torch.ones(1))
        each.update(2.0)
        assert each.get_scale() == 2.0
        safe: list[int] = []
        clock = StepClock(model, optimizer, each, probes, lambda safe=safe: safe.append(1))
        each.scale(overflowing(model, True)).backward()
        each.step(optimizer)
        each.update()
        clock.close()
        assert safe == [1]  # at once, as with the scaler that was copied
        assert vars(each).keys() == before.keys()


def test_a_loss_scaler_is_asked_once_a_forward(probes, monkeypatch):
    model, optimizer = model_and_optimizer()
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    clock = StepClock(model, optimizer, scaler, probes, lambda: None)
    probes.watch(0, model, "", ("output", "gradient"))
    asked: list[float] = []
    get_scale = scaler.get_scale
    monkeypatch.setattr(scaler, "get_scale", lambda: asked.append(get_scale()) or asked[-1])
    for _ in range(5):
        scaler.scale(model(torch.randn(4, 3)).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
    clock.close()
    assert len(asked) == 5


def test_a_scaler_wrapped_since_tells_nobody_after_the_end(probes):
    model, optimizer = model_and_optimizer()
    scaler = torch.amp.GradScaler("cpu")
    safe: list[int] = []
    clock = StepClock(model, optimizer, scaler, probes, lambda: safe.append(probes.step))
    inner = scaler.update
    scaler.update = lambda *arguments: inner(*arguments)
    for closed in (False, True):
        if closed:
            clock.close()
        scaler.scale(overflowing(model, True)).backward()
        scaler.step(optimizer)
        scaler.update()
        assert safe == [1]
    assert scaler.get_scale() == 2.0**14


@pytest.mark.parametrize("told", [True, False])
def test_a_forward_that_is_broken_off_is_over_with_the_step(probes, told):
    """As by Ctrl+C in a notebook, where the next cell trains on."""
    model, optimizer = model_and_optimizer()
    safe: list[int] = []
    clock = StepClock(
        model, None if told else optimizer, None, probes, lambda: safe.append(probes.step)
    )
    probes.watch(0, model[0], "0")

    def breaks_off(*_):
        raise KeyboardInterrupt

    handle = model[1].register_forward_hook(breaks_off)
    with pytest.raises(KeyboardInterrupt):
        model(torch.randn(4, 3))
    handle.remove()
    for _ in range(2):
        train(model, optimizer, micro=2)
        if told:
            clock.step()
    clock.close()
    assert safe == [1, 2]
    assert probes.records().micro.tolist()[-2:] == [0, 1]


UNREADABLE = {
    "sparse": (lambda: torch.eye(3).to_sparse(), "layout"),
    "rows": (lambda: torch.eye(3).to_sparse_csr(), "layout"),
    "meta": (lambda: torch.ones(3, device="meta"), "meta device"),
}


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("kinds", [("update",), ("value", "update")])
@pytest.mark.parametrize("name", UNREADABLE)
def test_a_parameter_that_cannot_be_read_breaks_no_update(probes, name, kinds):
    make, word = UNREADABLE[name]
    model, optimizer = model_and_optimizer()
    clock = StepClock(model, optimizer, None, probes, lambda: None)
    probes.watch_parameter(0, nn.Parameter(make()), "odd", kinds)
    for _ in range(2):
        train(model, optimizer)
    clock.close()
    assert [word in sentence for sentence in probes.failures] == [True]
    assert len(probes.records().key) == 0


def test_a_sparse_gradient_leaves_values_and_updates_measured(probes):
    model = nn.Embedding(8, 3, sparse=True)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    clock = StepClock(model, optimizer, None, probes, lambda: None)
    kinds = ("value", "parameter gradient", "optimizer gradient", "update")
    probes.watch_parameter(0, model.weight, "weight", kinds)
    probes.watch_parameter(1, model.weight, "tied", ("optimizer gradient",))
    for _ in range(2):
        model(torch.arange(4)).sum().backward()
        optimizer.step()
    clock.close()
    found = probes.records()
    measured = {series.key: series.kind for series in found.series}
    assert [measured[key] for key in found.key.tolist()] == ["value", "update"] * 2
    assert sorted(probes.failures) == [
        f"The {what} is left out: tensors of layout torch.sparse_coo are not measured."
        for what in (
            "optimizer gradient of tied",
            "optimizer gradient of weight",
            "parameter gradient of weight",
        )
    ]
    assert [state.state for state in probes.states] == ["fired", "stopped"]


@pytest.mark.parametrize("reentrant", [True, False])
def test_what_is_computed_anew_belongs_to_the_forward_that_trained(probes, reentrant):
    """An evaluation in the middle of a step, before the backward, changes nothing in that."""

    class Part(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(3, 3)

        def both(self, inputs):
            return self.inner(inputs).tanh()

        def forward(self, inputs):
            if not self.training:
                return self.both(inputs)
            return checkpoint(self.both, inputs, use_reentrant=reentrant)

    model = Part()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    clock = StepClock(model, optimizer, None, probes, lambda: None)
    model.inner.training = False  # frozen, as a normalisation may be
    model.inner.train = lambda mode: model.inner
    probes.watch(0, model.inner, "inner")
    for _ in range(2):
        for micro in range(2):
            inputs = torch.randn(4, 3, requires_grad=True)
            loss = model(inputs).sum()
            if micro == 1:
                model.eval()
                model(inputs)
                model.train()
            loss.backward()
        optimizer.step()
    clock.close()
    found = probes.records()
    seen = list(zip(found.phase.tolist(), found.micro.tolist(), found.call.tolist(), strict=True))
    anew, evaluated = int(Phase.RECOMPUTE), int(Phase.EVALUATION)
    assert seen == 2 * [(0, 0, 0), (anew, 0, 0), (0, 1, 0), (evaluated, 0, 0), (anew, 1, 0)]


def test_an_evaluation_tells_nothing_of_the_next_step(probes):
    """Whose parts are called directly, one of them frozen."""
    model, optimizer = model_and_optimizer()
    clock = StepClock(model, optimizer, None, probes, lambda: None)
    probes.watch(0, model[0], "0")
    model.eval()
    model(torch.randn(4, 3))
    optimizer.step()
    model[0](torch.randn(4, 3))
    clock.close()
    assert probes.records().phase.tolist() == [Phase.EVALUATION, 0]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # those of torch itself
def test_between_steps_that_are_compiled_as_a_whole_nothing_is(probes):
    model, optimizer = model_and_optimizer()
    compiling: list[bool] = []
    clock = StepClock(
        model, optimizer, None, probes, lambda: compiling.append(torch.compiler.is_compiling())
    )
    step = torch.compile(train, backend="eager")
    try:
        for _ in range(3):
            step(model, optimizer)
    finally:
        clock.close()
        torch.compiler.reset()
    assert compiling == [False] * 3
