"""Tensors on accelerators: nothing waits, and what is told is what the CPU tells."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import nn

import inspector_app
from inspector_app.backend.probing import device_batch as module
from inspector_app.backend.probing.batch import SAMPLE, Batch
from inspector_app.backend.probing.device_batch import ROWS, DeviceBatch
from inspector_app.backend.probing.device_rooms import ROOMS
from inspector_app.backend.probing.probe_set import ProbeSet
from inspector_app.backend.probing.records import ROW, RecordRing, Rows
from inspector_app.backend.probing.units import LOOKS
from inspector_app.protocol.messages import ProbeKind, Records
from tests.backend.probing import fake_device
from tests.backend.probing.fake_device import (
    FakeDevice,
    FakeStream,
    Other,
    There,
    is_there,
    with_devices,
)

WHERE = (3, 1, 7, 2, 1)  # step, micro, key, call, phase
BOTH: tuple[ProbeKind, ...] = ("output", "gradient")
RANDOM = np.random.default_rng(8)


@pytest.fixture(autouse=True)
def _nothing_recorded():
    fake_device.operations.clear()
    fake_device.waits.clear()


@pytest.fixture
def device():
    return FakeDevice()


@pytest.fixture
def probes(device):
    with ProbeSet(RecordRing(1 << 20)) as probes:
        with_devices(probes, device)
        yield probes


def on(device: FakeDevice, batch: Batch) -> DeviceBatch:
    return DeviceBatch(batch, lambda tensor: device, is_there)


def assert_same(found: Rows, expected: Rows) -> None:
    assert len(found) == len(expected)
    for name in ROW.names or ():
        if name in ("mean", "deviation", "norm"):  # views on the CPU have theirs from float64
            np.testing.assert_allclose(found[name], expected[name], 1e-5, 1e-8, err_msg=name)
            continue
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def told_of(*tensors: torch.Tensor, sample: int = SAMPLE) -> tuple[Rows, Rows]:
    """Records of tensors on a device, and of the same on the CPU."""
    batch, plain = Batch(sample), Batch(sample)
    there = on(FakeDevice(prompt=True), batch)
    for tensor in tensors:
        batch.take(There(tensor), WHERE)
        plain.take(tensor, WHERE)
    return there.flush(), plain.flush()


def strange(dtype: torch.dtype) -> list[torch.Tensor]:
    """Tensors of all that can be in one."""
    normal = torch.from_numpy(RANDOM.normal(size=9 * SAMPLE)).to(dtype)
    broken = normal.clone()
    broken[::1000] = math.nan
    broken[7], broken[9], broken[11] = math.inf, math.inf, -math.inf
    image = normal[: 4 * 8 * 16 * 16].view(4, 8, 16, 16)
    return [
        normal,
        broken,
        broken[:5],
        normal[:1].reshape(()),
        torch.zeros(SAMPLE + 1, dtype=dtype),
        torch.full((3,), math.nan, dtype=dtype),
        torch.tensor([math.inf, -math.inf, 1.0], dtype=dtype),
        torch.full((4 * SAMPLE,), -math.inf, dtype=dtype),
        torch.empty(0, 4, dtype=dtype),
        torch.tensor([torch.finfo(dtype).max / 4, torch.finfo(dtype).min / 4], dtype=dtype),
        torch.full((2,), torch.finfo(dtype).tiny, dtype=dtype),
        image.to(memory_format=torch.channels_last),
        normal.view(-1, 64)[:, ::3],  # holes, more elements than a sample
        broken.view(-1, 64)[:9, ::3],
        normal[:64].view(8, 8).T.expand(3, 8, 8),
        normal[:SAMPLE],
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_floats_are_told_as_those_of_the_cpu(dtype):
    assert_same(*told_of(*strange(dtype)))
    assert fake_device.waits == []


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int32", "int64", "uint16", "float8_e5m2", "complex64"]
)
def test_other_dtypes_are_told_as_those_of_the_cpu(dtype):
    numbers = torch.tensor([0.0, 1.0, 1.0, 5.0, 0.0]).repeat(1000).to(getattr(torch, dtype))
    assert_same(*told_of(numbers, numbers[:5], numbers[:1]))
    assert fake_device.waits == []


@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(max_dims=3, max_side=12),
        elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
    )
)
def test_small_tensors_are_told_as_those_of_the_cpu(array):
    assert_same(*told_of(torch.from_numpy(array), sample=50))


def test_parts_of_a_large_tensor_make_one(monkeypatch):
    monkeypatch.setattr("inspector_app.backend.probing.device_facts._PART", 1000)
    assert_same(*told_of(*strange(torch.float32)))


def test_no_value_is_needed_to_enqueue(probes):
    """By construction: meta tensors have none, and torch refuses whatever would ask for one."""
    probes.device_batch = on(device := FakeDevice(host="meta"), probes.batch)
    probes.batch.units.zeros.add(0)
    key = probes.series_key(0, "", "output", "m")
    probes.puts_out(key, nn.ReLU())
    for dtype in (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64):
        for shape in [(5,), (300, 40), (2, 9, 30, 30), ()]:
            values = There(torch.empty(shape, dtype=dtype, device="meta"))
            assert probes.take(values, key, 0, 0) == ""
            if values.dim() > 1:
                assert probes.take(values[:, ::2], key, 0, 0) == ""
    assert len(probes.device_batch) == 30
    assert "index_select" in fake_device.operations
    assert fake_device.waits == []
    assert device.copies == []


# -- whole steps ---------------------------------------------------------------------------------


def model_of(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv1d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(120, 200), nn.Tanh()
    )


def moved(model: nn.Module) -> nn.Module:
    """The same on the device."""
    there = copy.deepcopy(model)
    for layer in there.modules():
        for name, parameter in layer._parameters.items():
            if parameter is not None:
                layer._parameters[name] = nn.Parameter(There(parameter.detach()))
    return there


def train(probes: ProbeSet, model: nn.Module, batches: list[torch.Tensor]) -> None:
    """Watch all layers; a message a step."""
    for row, layer in enumerate(model):
        probes.watch(row, layer, f"layer{row}", BOTH)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, foreach=False)
    for batch in batches:
        probes.begin_step()
        optimizer.zero_grad()
        loss = model(batch).square().mean()
        probes.scalar("loss", loss)
        loss.backward()
        optimizer.step()
        probes.end_step()
        probes.flush()


def assert_same_records(found: Records, expected: Records) -> None:
    for name in (*(ROW.names or ()), "sequence"):
        # A loss is recorded in its own dtype on a device, and as float64 on the CPU.
        np.testing.assert_allclose(
            getattr(found, name), getattr(expected, name), rtol=1e-6, err_msg=name
        )


def test_a_step_makes_one_copy_and_never_waits(probes, device):
    model = model_of(0)
    batches = [torch.randn(60, 3, 32) for _ in range(LOOKS + 2)]
    with ProbeSet() as plain:
        train(plain, copy.deepcopy(model), batches)
        expected = plain.records(limit=100_000)

    there = moved(model)
    for number, batch in enumerate(batches, 1):
        train(probes, there, [There(batch)])
        assert len(device.copies) == number
        assert fake_device.waits == []
        device.land()
    assert "index_select" in fake_device.operations
    found = probes.records(limit=100_000)
    assert probes.failures == []
    assert device.uploads == len({n > SAMPLE for n in ()} | {60 * 4 * 30, 60 * 120, 60 * 200})
    # Dead units are told a few steps later, since zeros are known when the message is there.
    known = np.isfinite(found.dead) & np.isfinite(expected.dead)
    assert known.any()
    np.testing.assert_array_equal(found.dead[known], expected.dead[known])
    found.dead[:] = expected.dead[:] = 0
    assert_same_records(found, expected)


def test_a_watched_loop_never_waits_before_it_is_closed(device):
    model = moved(model_of(1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, foreach=False)
    steps = 5
    with inspector_app.watch(model, optimizer, budget=None, window=False) as session:
        probes = session._session.probes
        with_devices(probes, device)
        for _ in range(steps):
            loss = model(There(torch.randn(60, 3, 32))).square().mean()
            session.log(loss=loss)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            device.land()
        assert fake_device.waits == []
        assert len(device.copies) <= steps
    assert len(device.copies) <= steps + 1
    found = probes.records(limit=10_000)
    assert found.failures == []
    layers = len(model)
    assert len(found.key) == steps * (2 * layers + 1)
    assert found.step.tolist() == sorted(found.step.tolist())


def test_dead_units_are_those_of_the_cpu(probes, device):
    device.prompt = True
    batch = torch.from_numpy(RANDOM.normal(size=(64, 10)).astype(np.float32))
    batch[:, [0, 3, 9]] = -1.0
    batch[5, 4] = math.nan
    layer = nn.ReLU()
    probes.watch(0, layer, "relu")
    for _ in range(LOOKS + 2):
        probes.begin_step()
        layer(There(batch))
        probes.flush()
    found = probes.records().dead.tolist()
    assert all(math.isnan(share) for share in found[:LOOKS])
    assert found[-1] == 0.3
    assert fake_device.waits == []


def test_dead_units_of_signed_outputs(probes, device):
    device.prompt = True
    layer = nn.Identity()
    probes.watch(0, layer, "layer")
    for _ in range(LOOKS + 1):
        probes.begin_step()
        layer(There(torch.tensor([[0.0, -1.0, math.nan], [0.0, 0.0, 0.0]])))
        probes.flush()
    assert probes.records().dead[-1] == 1 / 3


def test_what_is_taken_is_what_it_was_then(probes, device):
    values = torch.ones(10)
    key = probes.series_key(0, "", "output", "m")
    probes.take(There(values), key, 0, 0)
    values.fill_(5)
    probes.flush()
    device.land()
    assert probes.records().mean.tolist() == [1.0]


def test_the_callers_context_changes_nothing(device):
    values = torch.from_numpy(RANDOM.normal(size=SAMPLE * 4)).float()
    batch = Batch()
    there = on(device, batch)
    device.prompt = True

    def seen() -> bytes:
        batch.take(There(values), WHERE)
        return there.flush().tobytes()

    with torch.inference_mode():
        plain = seen()
    assert seen() == plain
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.device("meta"):
        assert seen() == plain
    assert device.uploads == 1


# -- order ---------------------------------------------------------------------------------------


def test_records_come_in_the_order_of_firing(device):
    batch = Batch()
    there = on(device, batch)
    for number in range(8):
        tensor = torch.full((number + 1,), float(number))
        batch.take(There(tensor) if number in (1, 2, 5, 7) else tensor, WHERE)
    assert len(there.flush()) == 0  # nothing overtakes the device
    batch.take(torch.full((9,), 8.0), WHERE)
    assert len(there.flush()) == 0
    device.land()
    found = there.flush()
    assert found["maximum"].tolist() == list(range(9))
    assert found["count"].tolist() == list(range(1, 10))


def test_late_copies_keep_the_order(device):
    batch = Batch()
    there = on(device, batch)
    for number in range(3):
        batch.take(There(torch.tensor([float(number)])), WHERE)
        assert len(there.flush()) == 0
    device.copies[1].land()
    device.copies[2].land()
    assert len(there.flush()) == 0
    device.copies[0].land()
    assert there.flush()["maximum"].tolist() == [0, 1, 2]
    assert fake_device.waits == []


def test_the_first_nan_is_found_among_both(probes, device):
    layers = [nn.Identity() for _ in range(4)]
    for row, layer in enumerate(layers):
        probes.watch(row, layer, f"layer{row}")
    good, bad = torch.ones(3), torch.tensor([1.0, math.nan])
    probes.begin_step()
    layers[0](good)
    layers[1](There(good))
    layers[2](There(bad))
    probes.flush()
    layers[3](bad)
    assert probes.records().alarms == []
    device.land()
    first, second = probes.records().alarms
    assert (first.path, second.path) == ("layer2", "layer3")
    assert first.origin == second.origin == first.key


def test_exponents_belong_to_their_tensors(device):
    batch = Batch()
    there = on(device, batch)
    batch.take(There(torch.tensor([32.0])), WHERE, exponent=4)
    batch.take(torch.tensor([3.0]), WHERE)
    batch.take(torch.tensor([64.0]), WHERE, exponent=4)
    batch.take(There(torch.tensor([5.0])), WHERE, 70)
    there.flush()
    device.land()
    found = there.flush()
    assert found["maximum"].tolist() == [2.0, 3.0, 4.0, 5.0]
    assert found["count"].tolist() == [1, 1, 1, 70]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_full_message_is_sent_within_the_step(probes, device, dtype):
    key = probes.series_key(0, "", "output", "m")
    number = ROWS + 9
    probes.begin_step()
    for value in range(number):
        probes.take(There(torch.full((SAMPLE,), float(value), dtype=dtype)), key, 0, 0)
    probes.flush()
    assert len(device.copies) == (2 if dtype is torch.float32 else 3)
    device.land()
    assert probes.records().maximum.tolist() == list(range(number))


def test_each_device_has_a_copy_of_its_own(probes, device):
    second = FakeDevice()
    with_devices(probes, device, second)
    key = probes.series_key(0, "", "output", "m")
    for value in range(ROWS - 1):
        kind = Other if value % 3 else There
        probes.take(kind(torch.tensor([float(value)])), key, 0, 0)
    probes.flush()
    assert len(device.copies) == len(second.copies) == 1
    second.land()
    assert len(probes.records().key) == 0
    device.land()
    assert probes.records().maximum.tolist() == list(range(ROWS - 1))


def test_a_copy_comes_after_all_streams_that_took_part(device):
    batch = Batch()
    there = on(device, batch)
    large = There(torch.ones(2 * SAMPLE))
    for number in (1, 2, 1):
        device.current = FakeStream(number)
        batch.take(large, WHERE)
    there.flush()
    assert device.copies[0].streams == [FakeStream(1), FakeStream(2)]
    assert device.uploads == 2  # no stream waits for what another one uploads
    batch.take(large, WHERE)
    there.flush()
    assert device.copies[1].streams == [FakeStream(1)]


# -- thinning out --------------------------------------------------------------------------------


def test_where_no_room_is_left_the_rest_of_the_step_is_left_out(probes, device):
    layers = [nn.Identity() for _ in range(4)]
    for row, layer in enumerate(layers):
        probes.watch(row, layer, f"layer{row}")

    def step() -> None:
        probes.begin_step()
        layers[0](torch.ones(3))
        layers[1](There(torch.ones(3)))
        layers[2](torch.ones(3))
        probes.flush()
        layers[3](There(torch.ones(3)))
        probes.flush()

    for _ in range(3):
        step()
    # Two messages a step: the first two are whole, the third was left out after its first tensor.
    assert len(device.copies) == ROOMS == 4
    assert probes.failures == [
        "3 tensors are left out: earlier ones were still on their way from the device."
    ]
    device.land()
    probes.flush()
    assert len(device.copies) == ROOMS
    step()
    device.land()
    found = probes.records()
    assert found.step.tolist() == [1, 1, 1, 1, 2, 2, 2, 2, 3, 4, 4, 4, 4]
    assert found.key.tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 0, 0, 1, 2, 3]
    assert probes.device_batch.left_out == 3
    assert fake_device.waits == []


def test_room_that_comes_free_within_the_step_is_for_the_next_one(device):
    batch = Batch()
    there = on(device, batch)

    def take(tensor: torch.Tensor, step: int) -> None:
        batch.take(tensor, (step, *WHERE[1:]))

    for step in range(1, ROOMS + 1):
        take(There(torch.ones(1)), step)
        there.flush()
    last = ROOMS + 1
    take(There(torch.ones(1)), last)
    device.land()
    assert there.flush()["step"].tolist() == [1, 2, 3, 4]
    take(torch.ones(1), last)
    take(There(torch.ones(1)), last)
    take(There(torch.ones(2)), last + 1)
    take(torch.ones(3), last + 1)
    there.flush()
    device.land()
    found = there.flush()
    assert found["step"].tolist() == [last + 1, last + 1]
    assert found["count"].tolist() == [2, 3]
    assert there.left_out == 3


def test_what_is_on_its_way_is_not_written_over(device):
    batch = Batch()
    there = on(device, batch)
    for number in range(ROOMS):
        batch.take(There(torch.tensor([float(number)])), WHERE)
        there.flush()
    device.copies[0].land()
    assert there.flush()["maximum"].tolist() == [0.0]
    batch.take(There(torch.tensor([9.0, 9.0])), (4, *WHERE[1:]))
    there.flush()
    device.land()
    assert there.flush()["maximum"].tolist() == [1, 2, 3, 9]


def test_outside_of_steps_only_the_tensor_itself_is_left_out(probes, device):
    key = probes.series_key(0, "", "output", "m")
    for _ in range(ROOMS + 1):
        probes.take(There(torch.ones(2)), key, 0, 0)
        probes.flush()
    device.land()
    probes.flush()
    probes.take(There(torch.ones(3)), key, 0, 0)
    probes.settle()
    assert probes.records().count.tolist() == [2] * ROOMS + [3]
    assert probes.device_batch.left_out == 1


def test_records_behind_a_device_that_stands_are_bounded(device):
    batch = Batch()
    there = on(device, batch)
    batch.take(There(torch.ones(1)), (1, *WHERE[1:]))
    there.flush()
    number = module._QUEUE + 30
    for step in range(2, number + 2):
        batch.take(torch.ones(1), (step, *WHERE[1:]))
        there.flush()
    assert there.left_out == 31
    device.land()
    assert there.flush()["step"].tolist() == list(range(1, module._QUEUE + 1))
    batch.take(torch.ones(1), (number + 2, *WHERE[1:]))
    assert there.flush()["step"].tolist() == [number + 2]


# -- closing, and devices that fail --------------------------------------------------------------


def test_closing_loses_nothing(probes, device):
    layer = nn.Identity()
    probes.watch(0, layer, "layer")
    for number in range(1, 4):
        probes.begin_step()
        layer(There(torch.full((number,), 1.0)))
        probes.flush()
    layer(There(torch.ones(4)))
    assert probes.ring.next == 0
    assert fake_device.waits == []
    probes.clear()
    assert probes.ring.next == 4
    assert len(device.copies) == 4
    assert all(copied.done for copied in device.copies)
    probes.clear()
    assert probes.records().count.tolist() == [1, 2, 3, 4]


def test_an_error_while_enqueuing_stops_the_probe_and_nothing_else(probes, device, monkeypatch):
    def refuse(numbers: torch.Tensor) -> None:
        raise RuntimeError("out of memory")

    layers = [nn.Identity(), nn.Identity()]
    for row, layer in enumerate(layers):
        probes.watch(row, layer, f"layer{row}")
    monkeypatch.setattr(device, "upload", refuse)
    layers[1](There(torch.ones(1)))
    probes.flush()
    layers[0](There(torch.ones(2 * SAMPLE)))
    assert probes.failures == ["The probe on layer0 stopped: RuntimeError: out of memory"]
    layers[1](torch.ones(2))
    probes.flush()
    assert len(device.copies) == 1
    layers[1](There(torch.ones(3)))
    probes.settle()
    assert probes.records().count.tolist() == [1, 2, 3]


def test_a_smaller_batch_makes_records_of_a_message_in_parts(device):
    batch = Batch(capacity=3)
    there = on(device, batch)
    for number in range(8):
        batch.take(There(torch.tensor([float(number)])), WHERE)
    assert there.flush(wait=True)["maximum"].tolist() == list(range(8))


def test_a_device_that_fails_does_no_harm(probes, device):
    key = probes.series_key(0, "", "output", "m")
    for number in range(1, 4):
        probes.take(torch.full((number,), 1.0), key, 0, 0)
        probes.take(There(torch.ones(9)), key, 0, 0)
        probes.flush()
    device.copies[0].land()
    device.copies[1].broken = device.copies[2].broken = True
    probes.clear()
    assert probes.records().count.tolist() == [1, 9, 2, 3]
    assert probes.failures == ["2 tensors are left out: device-side assert."]


def test_a_copy_that_cannot_be_enqueued_does_no_harm(probes, device, monkeypatch):
    def fetch(*arguments: object) -> None:
        raise RuntimeError("no device any more")

    monkeypatch.setattr(device, "fetch", fetch)
    key = probes.series_key(0, "", "output", "m")
    probes.take(There(torch.ones(9)), key, 0, 0)
    probes.take(torch.ones(2), key, 0, 0)
    assert probes.records().count.tolist() == [2]
    assert probes.failures == ["1 tensors are left out: no device any more."]


# -- what is read with a wait --------------------------------------------------------------------


def test_what_a_person_asks_for_whole_is_read_with_a_wait(probes, device):
    key = probes.series_key(0, "", "output", "m")
    probes.set_exact(0, True)
    probes.take(There(torch.ones(3 * SAMPLE)), key, 0, 0)
    assert fake_device.waits
    assert probes.records().sampled.tolist() == [3 * SAMPLE]
    assert device.copies == []


def test_without_float64_what_needs_it_is_read_with_a_wait(device):
    device.doubles = False
    batch = Batch()
    there = on(device, batch)
    short = strange(torch.float32)[0]
    numbers = short[:SAMPLE].double()
    batch.take(There(short), WHERE)
    assert fake_device.waits == []
    batch.take(There(numbers), WHERE)
    assert fake_device.waits
    there.flush()
    device.land()
    plain = Batch()
    plain.take(short, WHERE)
    plain.take(numbers, WHERE)
    assert_same(there.flush(), plain.flush())


def test_without_streams_or_memory_tensors_are_read_with_a_wait():
    def refuse(size: int) -> None:
        raise RuntimeError("out of memory")

    device = FakeDevice()
    device.room = refuse
    for opened in (lambda tensor: None, lambda tensor: device):
        batch = Batch()
        there = DeviceBatch(batch, opened, is_there)
        batch.take(There(torch.ones(3)), WHERE)
        assert there.flush()["count"].tolist() == [3]
        assert fake_device.waits


def test_the_reasons_are_those_of_before():
    batch = Batch()
    there = DeviceBatch(batch)
    for tensor, word in [
        (torch.empty(3, device="meta"), "it has no data \\(meta device\\)"),
        (torch.eye(3).to_sparse(), "layout torch.sparse_coo"),
    ]:
        with pytest.raises(ValueError, match=word):
            batch.take(tensor, WHERE)
    assert len(batch) == len(there) == 0


def test_what_is_recorded_into_a_graph_is_refused(device, monkeypatch):
    monkeypatch.setattr(module, "is_captured", lambda tensor: True)
    batch = Batch()
    there = on(device, batch)
    with pytest.raises(ValueError, match="CUDA graph"):
        batch.take(There(torch.ones(3)), WHERE, exponent=3)
    assert fake_device.operations == []
    assert len(there) == 0
