"""Probes on real modules: what they see, and that they change nothing."""

from __future__ import annotations

import copy
import dataclasses
import gc
import io
import subprocess
import sys
import weakref
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from inspector_app.backend.probing.leaves import leaves
from inspector_app.backend.probing.probe_set import ProbeSet
from inspector_app.backend.probing.records import RecordRing
from inspector_app.protocol.errors import RefusedError
from inspector_app.protocol.messages import Phase


@pytest.fixture
def probes():
    with ProbeSet(RecordRing(1 << 20)) as probes:
        yield probes


def leaf_modules(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if not list(module.children())]


def watch_all(probes: ProbeSet, model: nn.Module) -> None:
    for row, (path, module) in enumerate(model.named_modules()):
        probes.watch(row, module, path)


def everything(module: nn.Module) -> dict[str, Any]:
    """Every hook dict of a module, as it is."""
    return {name: dict(v) for name, v in vars(module).items() if "hook" in name and v is not None}


class Returns(nn.Module):
    """Puts out whatever it was made with."""

    def __init__(self, make: Any) -> None:
        super().__init__()
        self.make = make

    def forward(self, x: torch.Tensor) -> Any:
        return self.make(x)


# -- what is seen --------------------------------------------------------------------------------


def test_records_say_what_came_out(probes):
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU())
    for row, module in enumerate(model):
        probes.watch(10 + row, module)
    inputs = torch.randn(7, 4)
    for step in (1, 2):
        assert probes.begin_step() == step
        output = model(inputs)
    found = probes.records()
    assert [(s.key, s.row, s.leaf) for s in found.series] == [(0, 10, ""), (1, 11, "")]
    assert found.step.tolist() == [1, 1, 2, 2]
    assert found.key.tolist() == [0, 1, 0, 1]
    assert found.count.tolist() == [35] * 4
    assert found.counts[3].sum() == found.sampled[3] == 35
    assert found.mean[3] == pytest.approx(output.mean().item(), rel=1e-6)
    assert (found.minimum[3], found.maximum[3]) == (output.min().item(), output.max().item())
    assert found.failures == []


def test_in_place_successors_do_not_reach_back(probes):
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True))
    probes.watch(0, model[0])
    model(torch.randn(50, 4))
    assert probes.records().minimum[0] < 0


def test_calls_are_numbered_within_a_step(probes):
    shared = nn.Linear(3, 3)
    model = nn.Sequential(shared, shared, shared)
    probes.watch(5, shared)
    for _ in range(2):
        probes.begin_step()
        model(torch.randn(2, 3))
    found = probes.records()
    assert found.call.tolist() == [0, 1, 2, 0, 1, 2]
    assert found.step.tolist() == [1, 1, 1, 2, 2, 2]


def test_series_keep_their_keys(probes):
    first, second = nn.Identity(), Returns(lambda x: {"a": x, "b": x})
    probes.watch(1, first)
    first(torch.ones(1))
    probes.watch(2, second)
    second(torch.ones(1))
    probes.clear()
    probes.watch(1, first)
    first(torch.ones(1))
    found = probes.records()
    assert found.key.tolist() == [0, 1, 2, 0]
    assert [series.leaf for series in found.series] == ["", '["a"]', '["b"]']


def test_in_training_with_backward(probes):
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 1))
    inputs = torch.randn(8, 4)
    model(inputs).sum().backward()
    bare = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    watch_all(probes, model)
    model(inputs).sum().backward()
    for parameter, grad in zip(model.parameters(), bare, strict=True):
        assert torch.equal(parameter.grad, grad)


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing_with_a_probe_that_goes_before_the_backward(probes, reentrant):
    block = nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 4))
    watch_all(probes, block)
    inputs = torch.randn(3, 4, requires_grad=True)
    output = checkpoint(block, inputs, use_reentrant=reentrant)
    probes.clear()
    output.sum().backward()
    assert inputs.grad is not None
    assert len(probes.records().sequence) == 4


def test_autocast_and_inference_mode(probes):
    model = nn.Linear(4, 4)
    probes.watch(0, model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model(torch.randn(2, 4)).dtype == torch.bfloat16
    with torch.inference_mode():
        model(torch.randn(2, 4))
    assert probes.failures == []
    assert probes.records().count.tolist() == [8, 8]


# -- gradients -----------------------------------------------------------------------------------

BOTH = ("output", "gradient")


def gradients(probes: ProbeSet) -> dict[int, torch.Tensor]:
    """Records of gradients by row: (minimum, maximum, mean)."""
    found = probes.records()
    series = {s.key: s for s in found.series if s.kind == "gradient"}
    return {
        series[key].row: (found.minimum[i], found.maximum[i], found.mean[i])
        for i, key in enumerate(found.key.tolist())
        if key in series
    }


def test_gradients_are_those_that_autograd_computes(probes):
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 2))
    inputs = torch.randn(8, 4)
    hidden = model[0](inputs)
    hidden.retain_grad()
    output = model[2](torch.relu(hidden))
    (expected,) = torch.autograd.grad(output.square().sum(), hidden)
    for row, module in enumerate(model):
        probes.watch(row, module, str(row), BOTH)
    model(inputs).square().sum().backward()
    found = gradients(probes)
    assert set(found) == {0, 1, 2}
    minimum, maximum, mean = found[0]
    assert (minimum, maximum) == (expected.min().item(), expected.max().item())
    assert mean == pytest.approx(expected.mean().item(), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("shape", ["dict", "list", "dataclass"])
def test_gradients_of_outputs_that_backward_hooks_never_see(probes, shape):
    make = {
        "dict": lambda x: {"logits": x * 2},
        "list": lambda x: [x * 2],
        "dataclass": lambda x: SimpleOutput(x * 2),
    }[shape]
    model = Returns(make)
    probes.watch(0, model, "m", ("gradient",))
    inputs = torch.ones(3, requires_grad=True)
    ((_, tensor),) = leaves(model(inputs))
    (tensor * 5).sum().backward()
    found = probes.records()
    assert (found.minimum[0], found.maximum[0]) == (5.0, 5.0)
    assert Phase.BACKWARD in Phase(int(found.phase[0]))


@dataclasses.dataclass
class SimpleOutput:
    logits: torch.Tensor


def test_a_frozen_beginning_has_no_gradient(probes):
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[0].requires_grad_(False)
    for row, module in enumerate(model):
        probes.watch(row, module, str(row), BOTH)
    model(torch.randn(2, 3)).sum().backward()
    assert set(gradients(probes)) == {1}
    assert probes.failures == []


def test_a_leaf_that_is_put_out_keeps_no_hook(probes):
    weight = nn.Parameter(torch.ones(3))
    model = Returns(lambda x: weight)
    probes.watch(0, model, "m", ("gradient",))
    for _ in range(3):
        probes.begin_step()
        (model(torch.ones(1)) * 2).sum().backward()
    probes.begin_step()
    assert not weight._backward_hooks
    assert len(probes.records().sequence) == 3


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing_tells_first_pass_from_recompute(probes, reentrant):
    block = nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 4))
    probes.watch(0, block[0], "0", BOTH)
    inputs = torch.randn(3, 4, requires_grad=True)
    checkpoint(block, inputs, use_reentrant=reentrant).sum().backward()
    found = probes.records()
    outputs = [s.key for s in found.series if s.kind == "output"]
    phases = found.phase[found.key == outputs[0]].tolist()
    assert [bool(phase & Phase.RECOMPUTE) for phase in phases] == [False, True]
    assert set(found.call.tolist()) == {0}  # it is called once, however often that is computed
    assert set(gradients(probes)) == {0}


def test_unwatched_before_the_backward(probes):
    model = nn.Linear(3, 3)
    probes.watch(0, model, "m", BOTH)
    output = model(torch.randn(2, 3))
    probes.clear()
    output.sum().backward()
    assert gradients(probes) == {}


def test_gradients_of_a_scaled_loss_are_those_of_the_loss(probes):
    model = nn.Linear(3, 3)
    probes.watch(0, model, "m", ("gradient",))
    probes.loss_scale.value = 65536.0
    (model(torch.randn(2, 3)).sum() * 65536).backward()
    found = probes.records()
    assert (found.minimum[0], found.maximum[0], found.mean[0]) == (1.0, 1.0, 1.0)
    edges = found.low[0] + 2.0 ** found.exponent[0] * np.arange(65)
    (filled,) = np.flatnonzero(found.counts[0])
    assert edges[filled] <= 1.0 < edges[filled + 1]


def test_inputs_can_be_measured(probes):
    model = nn.Linear(3, 3)
    probes.watch(0, model, "m", ("input",))
    model(torch.full((2, 3), 7.0))
    found = probes.records()
    assert [(s.kind, s.leaf) for s in found.series] == [("input", "[0]")]
    assert found.minimum[0] == found.maximum[0] == 7.0


class Named(nn.Module):
    """Calls a module by name, which changes its input in place."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Doubles()

    def forward(self, x):
        return self.inner(x * 1, more={"y": x * 3}) + self.inner(x * 5)


class Doubles(nn.Module):
    def forward(self, x, more=None):
        return x.mul_(2)


@pytest.mark.parametrize("before", [(), ("output",)])
def test_inputs_are_those_before_the_call_and_those_by_name(probes, before, hook_guard):
    model = hook_guard(Named())
    if before:
        probes.watch(0, model.inner, "inner", before)
    probes.watch(0, model.inner, "inner", ("input",))
    probes.begin_step()
    model(torch.full((2, 3), 7.0))
    copy.deepcopy(model)(torch.ones(2, 3))
    found = probes.records()
    leaf = {series.key: series.leaf for series in found.series}
    assert [
        (leaf[key], call, value)
        for key, call, value in zip(found.key, found.call, found.maximum, strict=True)
    ] == [("[0]", 0, 7.0), ('["more"]["y"]', 0, 21.0), ("[0]", 1, 35.0)]
    probes.unwatch(0)


def test_an_error_in_the_walk_of_an_input_never_reaches_the_forward(probes):
    class Broken(dict):
        def items(self):
            raise ZeroDivisionError

    probes.watch(0, model := Doubles(), "m", ("input", "output"))
    model(torch.ones(2), more=Broken())
    assert "ZeroDivisionError" in probes.failures[0]
    assert probes.states[0].state == "stopped"


# -- what goes wrong -----------------------------------------------------------------------------


def test_inside_vmap_nothing_is_measured_and_that_is_told(probes):
    model = nn.Linear(4, 4)
    inputs = torch.randn(3, 4)
    bare = torch.func.vmap(model)(inputs)
    probes.watch(0, model, "encoder")
    assert torch.equal(torch.func.vmap(model)(inputs), bare)
    (sentence,) = probes.failures
    assert sentence.startswith("encoder runs inside torch.func")
    model(inputs)
    assert len(probes.records().sequence) == 1
    assert probes.failures == []  # it is measured now
    torch.func.vmap(model)(inputs)
    assert probes.failures == [sentence]


def test_a_probe_that_failed_is_armed_again_when_it_is_watched_again(probes):
    broken = [True]

    def output(x):
        return Raises(x) if broken[0] else x

    class Raises(dict):
        def __init__(self, x):
            super().__init__(a=x)

        def items(self):
            raise RuntimeError

    model = Returns(output)
    probes.watch(0, model, "odd")
    model(torch.ones(1))
    broken[0] = False
    model(torch.ones(1))
    assert len(probes.records().sequence) == 0
    probes.watch(0, model, "odd")
    assert probes.failures == []
    model(torch.ones(1))
    assert len(probes.records().sequence) == 1


def test_an_error_while_walking_never_reaches_the_forward(probes):
    class Hostile(dict):
        def items(self):
            raise RuntimeError("no items for you\nsecond line")

    model = Returns(lambda x: Hostile(a=x))
    probes.watch(0, model, "hostile")
    assert isinstance(model(torch.ones(1)), Hostile)
    (sentence,) = probes.failures
    assert sentence == "The probe on hostile stopped: RuntimeError: no items for you"


def test_leaves_without_values_are_left_out_by_name(probes):
    model = Returns(lambda x: (x, x.to_sparse(), x.to("meta")))
    probes.watch(0, model, "mixed")
    for _ in range(2):
        model(torch.ones(2, 2))
    assert probes.records().key.tolist() == [0, 0]
    assert len(probes.failures) == 2
    assert probes.failures[0].startswith("mixed[1] is left out: ")
    assert "meta" in probes.failures[1]


def test_selective_checkpointing_keeps_nothing_of_a_probe(probes):
    from torch.utils.checkpoint import (
        CheckpointPolicy,
        checkpoint,
        create_selective_checkpoint_contexts,
    )

    layer = nn.Sequential(nn.Linear(64, 64), nn.ReLU())
    inputs = torch.randn(64, 64, requires_grad=True)

    def contexts():
        return create_selective_checkpoint_contexts(lambda *_, **__: CheckpointPolicy.MUST_SAVE)

    def step():
        out = checkpoint(layer, inputs, use_reentrant=False, context_fn=contexts)
        out.sum().backward()
        gradient, inputs.grad = inputs.grad, None
        return gradient

    bare = step()
    for row, module in enumerate(layer):
        probes.watch(row, module, str(row), ("output", "gradient"))
    probes.begin_step()
    assert torch.equal(step(), bare)
    probes.end_step()
    assert probes.failures == []
    assert {series.kind for series in probes.series} == {"output", "gradient"}


def test_a_dry_run_without_values_is_passed_over(probes):
    from torch._subclasses.fake_tensor import FakeTensorMode

    layer = nn.Linear(64, 64)
    probes.watch(1, layer, "layer")
    with FakeTensorMode(allow_non_fake_inputs=True):
        layer(torch.randn(64, 64))
    assert probes.failures == []
    layer(torch.randn(64, 64))
    assert len(probes.records().step) == 1


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_the_persons_default_dtype_and_device_do_not_matter(dtype):
    before = torch.get_default_dtype()
    inputs = torch.full((64, 64), 3.7e6)
    small = torch.full((3,), 3.7e6)
    torch.set_default_dtype(dtype)
    try:
        with torch.device("meta"), ProbeSet() as probes:
            probes.set_sample(512)
            for row, layer in enumerate((nn.Identity(), nn.Identity())):
                probes.watch(row, layer, str(row))
                layer((inputs, small)[row])
            probes.scalar("loss", 1.0000001)
            found = probes.records()
    finally:
        torch.set_default_dtype(before)
    assert probes.failures == []
    assert found.maximum.tolist() == [3.7e6, 3.7e6, 1.0000001]
    assert found.mean.tolist() == pytest.approx([3.7e6, 3.7e6, 1.0000001])


def test_a_set_made_in_inference_mode_measures_outside_of_it():
    with torch.inference_mode(), ProbeSet() as probes:
        probes.set_sample(512)
        layer = nn.Identity()
        probes.watch(1, layer, "layer")
        with torch.inference_mode(False):
            for values in (torch.ones(4), torch.ones(4, 4000)):
                layer(values)
        assert probes.records().mean.tolist() == [1.0, 1.0]
        assert probes.failures == []


def test_endlessly_new_leaves_disarm(probes):
    steps = iter(range(10_000))
    model = Returns(lambda x: {str(next(steps)): x for _ in range(200)})
    probes.watch(0, model)
    for _ in range(10):
        model(torch.ones(1))
    assert len(probes.series) == 1024
    assert "different tensors" in probes.failures[0]


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_what_takes_no_hooks_is_refused(probes):
    scripted = torch.jit.script(nn.Linear(2, 2))
    with pytest.raises(RefusedError, match="head is a ScriptModule"):
        probes.watch(0, scripted, "head")

    class Unborn(nn.Module):
        def __init__(self):
            pass

    with pytest.raises(RefusedError, match="Unborn cannot be watched"):
        probes.watch(0, Unborn())
    assert probes.rows == []


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_a_trace_holds_nothing_of_a_probe(probes):
    model = nn.Sequential(nn.Linear(2, 2))
    inputs = torch.ones(1, 2)

    def operators() -> list[str]:
        graph = torch.jit.trace(model, inputs).inlined_graph
        return [node.kind() for node in graph.nodes()]

    bare = operators()
    probes.watch(0, model[0])
    assert operators() == bare


# -- nothing is changed --------------------------------------------------------------------------


def convolutional() -> tuple[nn.Module, torch.Tensor]:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.Dropout(),
        nn.Flatten(),
        nn.LSTM(8 * 36, 5),
    )
    return model, torch.randn(2, 3, 8, 8)


def test_outputs_are_bit_identical_and_random_numbers_untouched(probes):
    model, inputs = convolutional()
    state = copy.deepcopy(model.state_dict())
    torch.manual_seed(1)
    bare = model(inputs)
    after = torch.get_rng_state()
    model.load_state_dict(state)
    watch_all(probes, model)
    torch.manual_seed(1)
    watched = model(inputs)
    assert torch.equal(after, torch.get_rng_state())
    for (_, first), (_, second) in zip(leaves(bare), leaves(watched), strict=True):
        assert torch.equal(first.view(torch.int32), second.view(torch.int32))
    assert len(probes.records().sequence) == 11  # LSTM: output and both states, root the same


def test_a_probe_never_replaces_an_output(probes):
    for output in (None, 0.0, False, torch.ones(0)):
        model = Returns(lambda x, output=output: output)
        probes.watch(0, model)
        assert model(torch.ones(1)) is output


def test_the_transformer_fast_path_is_left_but_close(probes):
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    inputs = torch.randn(2, 5, 8)
    with torch.no_grad():
        bare = layer(inputs)
        probes.watch(0, layer)
        assert torch.equal(layer(inputs), bare)  # hooked from outside: still fast
        assert len(probes.records().sequence) == 1
        probes.watch(1, layer.linear1)
        torch.testing.assert_close(layer(inputs), bare)
    assert probes.records().key.tolist() == [0, 1, 0]


# -- coming and going ----------------------------------------------------------------------------


def test_a_thousand_times_leave_nothing(probes, hook_guard):
    model, _ = convolutional()
    hook_guard(model)
    handle = model[0].register_forward_hook(lambda *_: None)
    before = [(vars(m)["_forward_hooks"], everything(m), list(vars(m))) for m in model.modules()]
    for _ in range(1_000):
        for row, module in enumerate(model):
            probes.watch(row, module)
        probes.clear()
    after = [(vars(m)["_forward_hooks"], everything(m), list(vars(m))) for m in model.modules()]
    assert all(a[0] is b[0] for a, b in zip(after, before, strict=True))
    assert after == before
    handle.remove()


def test_watched_twice_is_hooked_once(probes):
    model = nn.Identity()
    probes.watch(0, model)
    probes.watch(0, model)
    assert len(model._forward_hooks) == 1
    other = nn.Identity()
    probes.watch(0, other)  # the row's module was replaced
    assert len(model._forward_hooks) == 0
    assert len(other._forward_hooks) == 1
    assert probes.rows == [0]


def test_unwatching_is_idempotent(probes):
    model = nn.Identity()
    probes.watch(0, model)
    model._forward_hooks.clear()  # somebody was there before
    probes.unwatch(0)
    probes.unwatch(0)
    probes.unwatch(99)
    probes.clear()
    probes.clear()
    assert probes.rows == []


def test_leaving_the_context_cleans_up_after_an_error():
    model = nn.Identity()

    def fail() -> None:
        with ProbeSet(RecordRing(1 << 16)) as probes:
            probes.watch(0, model)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert not model._forward_hooks


def test_a_watched_module_is_not_kept_alive(probes):
    model = nn.Identity()
    probes.watch(0, model)
    alive = weakref.ref(model)
    probes.clear()
    del model
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize("way", ["deepcopy", "pickle", "torch.save"])
def test_copies_carry_an_inert_hook(probes, way):
    model = nn.Sequential(nn.Linear(2, 2))
    watch_all(probes, model)
    if way == "deepcopy":
        twin = copy.deepcopy(model)
    else:
        file = io.BytesIO()
        torch.save(model, file)
        file.seek(0)
        twin = torch.load(file, weights_only=False)
    inputs = torch.randn(3, 2)
    assert torch.equal(twin(inputs), model(inputs))
    assert len(probes.records().sequence) == 2  # of the original alone
    probes.clear()
    twin(inputs)
    assert len(probes.records().sequence) == 2


def test_a_model_saved_while_watched_loads_without_us(probes, tmp_path):
    model = nn.Sequential(nn.Linear(2, 2))
    watch_all(probes, model)
    path = tmp_path / "model.pt"
    torch.save(model, path)
    program = (
        "import sys, torch; sys.modules['inspector_app'] = None\n"
        f"torch.load({str(path)!r}, weights_only=False)(torch.ones(1, 2))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_an_output_without_tensors_is_told(probes):
    model = Returns(lambda x: SimpleNamespace(x=x))  # no container we know
    probes.watch(0, model, "odd")
    model(torch.ones(1))
    assert probes.series == []
    assert probes.failures == ["odd puts out no tensor (SimpleNamespace)."]
