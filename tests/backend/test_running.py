"""Runs that leave the model, the random generators and the machine as they were."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from inspector_app.backend.inputs import Inputs
from inspector_app.backend.probing.probe_set import ProbeSet
from inspector_app.backend.probing.records import RecordRing
from inspector_app.backend.running import private_random, run
from inspector_app.protocol.errors import Cancelled, ModelError, RefusedError


class Fake:
    """A job that does what a test tells it."""

    def __init__(self, cancel_after: int = 10**9, at_safe_point: Callable[[], None] | None = None):
        self.told: list[tuple[int, int, str]] = []
        self.cancel_after = cancel_after
        self.at_safe_point = at_safe_point

    def progress(self, done, total, label):
        self.told.append((done, total, label))

    def check(self):
        if len(self.told) >= self.cancel_after:
            raise Cancelled

    def waiting(self):
        return self.at_safe_point is not None

    def safe_point(self):
        self.at_safe_point()


class Tells(nn.Module):
    """Notes what it sees while it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(2, 2)
        self.seen: list[tuple] = []

    def forward(self, x):
        numbers = torch.rand(1).item(), float(np.random.rand()), random.random()
        self.seen.append((self.training, self.inner.training, torch.is_grad_enabled(), *numbers))
        return self.inner(x)


def inputs(*shape: int) -> Inputs:
    return Inputs((torch.ones(*shape),), {})


def generators() -> list:
    numpy_state = np.random.get_state()
    return [torch.get_rng_state().tolist(), numpy_state[1].tolist(), random.getstate()]


def flags(model: nn.Module) -> list:
    return [vars(module).get("training") for module in model.modules()]


# -- modes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "training"), [("eval", False), ("train", True)])
def test_flags_are_those_of_the_mode_and_come_back(mode, training):
    model = nn.Sequential(Tells(), nn.Dropout(), nn.Identity())
    model[1].eval()
    model[0].inner.eval()
    before = flags(model)
    forwards, seconds = run(model, inputs(1, 2), repeat=2, mode=mode)
    assert forwards == 2
    assert seconds > 0
    assert [seen[:3] for seen in model[0].seen] == [(training, training, False)] * 2
    assert flags(model) == before
    assert before[:2] != before[1:3]


def test_flags_and_generators_come_back_after_an_error():
    class Broken(nn.Module):
        def forward(self, x):
            torch.rand(3)
            raise ValueError("no")

    model = nn.Sequential(nn.Dropout(), Broken())
    model[0].eval()
    before, states = flags(model), generators()
    with pytest.raises(ModelError):
        run(model, inputs(1), mode="train")
    assert flags(model) == before
    assert generators() == states


def test_train_and_eval_are_never_called():
    class Stubborn(nn.Module):
        def train(self, mode=True):
            raise AssertionError

        def forward(self, x):
            return x

    run(Stubborn(), inputs(1), mode="eval")


def test_a_module_inside_itself_and_one_without_a_flag():
    class Unborn(nn.Module):
        def __init__(self):
            pass

    model = nn.Sequential(nn.Linear(2, 2))
    model[0].add_module("up", model)
    unborn = vars(model)["_modules"]["unborn"] = Unborn()
    model.forward = lambda x: x
    run(model, inputs(2), mode="train")
    assert model.training
    assert vars(unborn) == {}


# -- buffers -------------------------------------------------------------------------------------


class Counting(nn.Module):
    """Changes its buffers in every way there is."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("in_place", torch.tensor([1.0, float("nan"), -0.0]))
        self.register_buffer("replaced", torch.zeros(2))
        self.register_buffer("behind", torch.zeros(2))
        self.register_buffer("removed", torch.zeros(1))
        self.register_buffer("empty", None)
        self.register_buffer("expanded", torch.zeros(1).expand(5))
        self.register_buffer("transposed", torch.zeros(3, 3, dtype=torch.bfloat16).T)

    def forward(self, x):
        self.in_place.add_(1)
        self.replaced = self.replaced + 1
        self.behind.data.add_(1)
        self.transposed.fill_(2)
        self.empty = x
        del self._buffers["removed"]
        self.register_buffer("appeared", x)
        self.register_buffer("removed", x)
        return self.in_place


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_buffers_come_back_bit_by_bit(mode):
    model = Counting()
    before = list(model._buffers.items())
    bits = {name: value.clone() for name, value in before if value is not None}
    run(model, inputs(1), repeat=1, mode=mode)
    assert [(name, id(value)) for name, value in model._buffers.items()] == [
        (name, id(value)) for name, value in before
    ]
    for name, value in bits.items():
        now = model._buffers[name].contiguous().view(torch.uint8)
        assert torch.equal(now, value.contiguous().view(torch.uint8)), name


def test_batch_norm_statistics_and_version():
    model = nn.Sequential(nn.BatchNorm1d(3))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    version = model[0].running_mean._version
    run(model, Inputs((torch.randn(8, 3),), {}), repeat=3, mode="train")
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert version <= model[0].running_mean._version


def test_inference_buffers():
    with torch.inference_mode():
        model = nn.BatchNorm1d(3)
        for name, buffer in model._buffers.items():
            model._buffers[name] = buffer.clone()
    model.num_batches_tracked = None
    model.forward = lambda x: None
    run(model, inputs(1), mode="train")

    def write(x):
        with torch.inference_mode():
            model.running_mean.add_(1)

    model.forward = write
    run(model, inputs(1), mode="train")
    assert model.running_mean.tolist() == [0, 0, 0]


def test_lazy_models_materialise():
    model = nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d())
    run(model, inputs(4, 5), mode="train")
    assert model[0].weight.shape == (3, 5)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_scripted_children():
    model = nn.Sequential(torch.jit.script(nn.BatchNorm1d(2)), nn.Dropout())
    mean = model[0].running_mean
    run(model, Inputs((torch.randn(6, 2),), {}), mode="eval")
    assert model[0].training
    run(model, Inputs((torch.randn(6, 2),), {}), mode="train")
    assert mean.tolist() == [0, 0]


# -- random numbers ------------------------------------------------------------------------------


def test_the_seed_decides_and_the_persons_generators_stay():
    model = Tells()
    states = generators()
    run(model, inputs(1, 2), repeat=3, seed=5)
    run(model, inputs(1, 2), repeat=3, seed=5)
    run(model, inputs(1, 2), repeat=1, seed=6)
    numbers = [seen[3:] for seen in model.seen]
    assert numbers[:3] == numbers[3:6]
    assert len({numbers[0], numbers[1], numbers[2], numbers[6]}) == 4
    assert generators() == states


def test_private_random():
    states = generators()
    with private_random(1):
        first = torch.rand(2).tolist(), random.random(), np.random.rand()
    with private_random(1):
        assert (torch.rand(2).tolist(), random.random(), np.random.rand()) == first
    assert generators() == states


# -- between forwards ----------------------------------------------------------------------------


def test_progress_steps_and_probes():
    model = Tells()
    job = Fake()
    with ProbeSet(RecordRing(1 << 18)) as probes:
        probes.watch(0, model.inner)
        run(model, inputs(1, 2), repeat=3, probes=probes, job=job)
        assert probes.records().step.tolist() == [1, 2, 3]
    assert job.told == [(1, 3, "Running"), (2, 3, "Running"), (3, 3, "Running")]


def test_endless_until_cancelled():
    model = Tells()
    job = Fake(cancel_after=5)
    before = flags(model)
    with pytest.raises(Cancelled):
        run(model, inputs(1, 2), repeat=0, job=job)
    assert len(model.seen) == 5
    assert job.told[-1] == (5, 0, "Running")
    assert flags(model) == before


def test_cancelled_before_the_first():
    model = Tells()
    with pytest.raises(Cancelled):
        run(model, inputs(1, 2), job=Fake(cancel_after=0))
    assert model.seen == []


def test_a_pause_can_be_cancelled():
    job = Fake(cancel_after=1)
    with pytest.raises(Cancelled):  # long before the test's own limit of time
        run(Tells(), inputs(1, 2), repeat=2, pause=10_000, job=job)


def test_at_a_safe_point_all_is_as_the_person_left_it():
    model = nn.Sequential(Tells(), nn.BatchNorm1d(2))
    model[1].eval()
    values = Inputs((torch.randn(4, 2),), {})
    before, states = flags(model), generators()
    seen: list[bool] = []

    def look() -> None:
        seen.append(flags(model) == before)
        seen.append(generators() == states)
        seen.append(model[1].num_batches_tracked.item() == 0)

    job = Fake(at_safe_point=look)
    run(model, values, repeat=3, mode="train", job=job)
    assert seen == [True] * 6
    assert generators() == states
    with_pauses = [numbers[3:] for numbers in model[0].seen]
    model[0].seen.clear()
    run(model, values, repeat=3, mode="train")
    assert [numbers[3:] for numbers in model[0].seen] == with_pauses


def test_what_another_request_changes_at_a_safe_point_stays():
    model = nn.Sequential(Tells(), nn.BatchNorm1d(2))

    def edit() -> None:
        model[1].running_mean.fill_(7.0)
        model[0].inner.training = False
        torch.manual_seed(99)

    run(model, inputs(4, 2), repeat=2, mode="train", job=Fake(at_safe_point=edit))
    assert model[1].running_mean.tolist() == [7.0, 7.0]
    assert not model[0].inner.training
    state = torch.get_rng_state()
    torch.manual_seed(99)
    assert torch.equal(state, torch.get_rng_state())


def test_an_error_of_a_waiting_request_leaves_order():
    model = Tells()
    before, states = flags(model), generators()

    def fail() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        run(model, inputs(1, 2), repeat=2, job=Fake(at_safe_point=fail))
    assert flags(model) == before
    assert generators() == states


def test_flags_that_the_forward_sets_are_given_back():
    class Toggles(nn.Sequential):
        def forward(self, x):
            self.train(not self.training)
            return super().forward(x)

    model = Toggles(nn.Linear(2, 2), nn.Dropout().eval())
    before = flags(model)
    for mode in ("eval", "train"):
        run(model, inputs(1, 2), mode=mode)
        assert flags(model) == before


# -- errors --------------------------------------------------------------------------------------


def test_models_without_data_are_refused():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, device="meta"))
    with pytest.raises(RefusedError, match=r"2 of its tensors, such as 1\.weight.*CPU"):
        run(model, inputs(1, 2))


def test_keyword_arguments():
    class Named(nn.Module):
        def forward(self, a, *, b):
            self.seen = (a, b)

    model = Named()
    run(model, Inputs((1,), {"b": 2}))
    assert model.seen == (1, 2)


def test_exit_in_a_forward_is_an_error():
    class Exits(nn.Module):
        def forward(self):
            raise SystemExit(3)

    with pytest.raises(ModelError, match="SystemExit"):
        run(Exits(), Inputs((), {}))
