"""Whole tensors are kept as they were, looked at by the page, and saved."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from inspector_app.backend.probing import captures as module
from inspector_app.backend.session import Session
from inspector_app.protocol.errors import RefusedError, RequestError
from inspector_app.protocol.phases import EVALUATION, TRAINING, phase_of


@pytest.fixture
def session():
    with Session() as session:
        yield session


def watched(session: Session, model: nn.Module, kinds=("output", "gradient")) -> None:
    """Open the model and watch its root, row 0."""
    session.adopt(model, "model")
    session.watch([0], kinds)


def ran(session: Session, *inputs: torch.Tensor) -> torch.Tensor:
    session.probes.begin_step()
    output = session._opened.model(*inputs)
    session.probes.end_step()
    return output


class Returns(nn.Module):
    def __init__(self, make) -> None:
        super().__init__()
        self.make = make

    def forward(self, x):
        return self.make(x)


def test_the_next_output_is_kept_as_it_was(session):
    watched(session, nn.ReLU(inplace=True))
    ran(session, torch.ones(2))
    session.capture(0)
    (waiting,) = session.get_records().captures
    assert waiting.state == "waiting"
    inputs = torch.randn(3, 4)
    expected = inputs.relu()
    ran(session, inputs).fill_(7)
    ran(session, torch.ones(2))
    (kept,) = session.get_records().captures
    assert (kept.state, kept.step, kept.shape, kept.dtype, kept.bytes) == (
        "kept",
        2,
        (3, 4),
        "float32",
        48,
    )
    found = session.get_captured_values(kept.number)
    assert found.values.tolist() == expected.flatten().tolist()
    page = session.get_captured_values(kept.number, 5, 3)
    assert (page.start, page.total) == (5, 12)
    assert page.values.tolist() == expected.flatten()[5:8].tolist()
    assert session.get_captured_values(kept.number, 12).values.tolist() == []
    statistics = session.measure_captured(kept.number)
    assert (statistics.row, statistics.count) == (0, 12)
    assert statistics.maximum == expected.max().item()


def test_gradients_leaves_and_calls_are_told_apart(session):
    watched(session, Returns(lambda x: {"a": x * 1, "b": x * 2}))
    session.capture(0, "gradient", '["b"]')
    session.capture(0, "output", '["a"]', call=1)
    session.probes.begin_step()
    model = session._opened.model
    first, second = (model(torch.full((2,), v, requires_grad=True)) for v in (1.0, 5.0))
    (3 * first["b"].sum() + 0 * second["a"].sum()).backward()
    gradient, output = session.get_records().captures
    assert session.get_captured_values(gradient.number).values.tolist() == [3.0, 3.0]
    assert session.get_captured_values(output.number).values.tolist() == [5.0, 5.0]


def test_gradients_of_a_scaled_loss_are_those_of_the_loss(session):
    watched(session, nn.Identity())
    session.capture(0, "gradient")
    session.probes.loss_scale.value = 65536.0
    output = ran(session, torch.ones(2, dtype=torch.float16, requires_grad=True))
    (output * 3).backward(torch.full((2,), 1e-2, dtype=torch.float16))
    (kept,) = session.get_records().captures
    value = float(torch.tensor(1e-2, dtype=torch.float16) * 3) / 65536
    assert session.get_captured_values(kept.number).values.tolist() == [value] * 2


def test_parameters(session):
    model = nn.Linear(2, 2)
    session.adopt(model, "model")
    (row,) = session.tree.table.ids[[session.tree.table.paths.index("weight")]].tolist()
    session.watch([row], ("parameter gradient",))
    session.capture(row, "parameter gradient")
    model(torch.ones(3, 2)).sum().backward()
    (kept,) = session.get_records().captures
    assert session.get_captured_values(kept.number).values.tolist() == [3.0] * 4


def test_what_cannot_be_captured_is_refused(session):
    watched(session, nn.Identity(), ("output",))
    with pytest.raises(RequestError, match="not watched"):
        session.capture(0, "gradient")
    with pytest.raises(RequestError, match="cannot be captured"):
        session.capture(0, "update")
    with pytest.raises(RequestError, match="let go of"):
        session.get_captured_values(1)
    session.capture(0)
    (waiting,) = session.get_records().captures
    with pytest.raises(RequestError, match="not come yet"):
        session.get_captured_values(waiting.number)


def test_memory_is_bounded(session, monkeypatch):
    watched(session, nn.Identity())
    monkeypatch.setattr(module, "BUDGET", 100)
    monkeypatch.setattr(module, "MOST", 2)
    session.capture(0)
    ran(session, torch.ones(20))
    session.capture(0)
    ran(session, torch.ones(6))
    kept, failed = session.get_records().captures
    assert (kept.state, failed.state) == ("kept", "failed")
    assert failed.sentence.startswith("It takes 24 bytes, and 20 are left")
    with pytest.raises(RefusedError, match="let go of one"):
        session.capture(0)
    session.drop_captured(kept.number)
    session.drop_captured(kept.number)
    session.capture(0)
    assert ran(session, torch.ones(6)).sum() == 6
    assert session.get_records().captures[-1].state == "kept"


def test_unwatching_ends_the_wait(session):
    watched(session, nn.Identity())
    session.capture(0)
    session.unwatch([0])
    (captured,) = session.get_records().captures
    assert (captured.state, session.probes.captures.waiting) == ("failed", False)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int64", "bool", "complex64"])
def test_a_safetensors_file_holds_the_same_bits(session, tmp_path, dtype):
    watched(session, nn.Identity(), ("output",))
    session.capture(0)
    values = torch.randn(3, 4, 2).to(getattr(torch, dtype)).transpose(0, 2)
    ran(session, values)
    path = str(tmp_path / "kept.safetensors")
    saved = session.save_captured(1, path)
    assert saved.bytes == (tmp_path / "kept.safetensors").stat().st_size
    with safe_open(path, "pt") as file:
        assert torch.equal(file.get_tensor("output"), values)
        assert file.metadata()["step"] == "1"


@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_a_npy_file_is_read_by_numpy(session, tmp_path, shape):
    watched(session, nn.Identity(), ("output",))
    session.capture(0)
    values = torch.full(shape, 1.5)
    ran(session, values)
    session.save_captured(1, str(tmp_path / "kept.npy"))
    found = np.load(tmp_path / "kept.npy")
    assert found.shape == shape
    assert found.tolist() == values.tolist()


def test_what_cannot_be_saved_says_why(session, tmp_path):
    watched(session, nn.Identity(), ("output",))
    session.capture(0)
    ran(session, torch.full((2,), math.nan, dtype=torch.bfloat16))
    with pytest.raises(RefusedError, match=r"numpy has no bfloat16: save it as .safetensors"):
        session.save_captured(1, str(tmp_path / "kept.npy"))
    with pytest.raises(RequestError, match="end in"):
        session.save_captured(1, str(tmp_path / "kept.pt"))
    with pytest.raises(RequestError, match="Cannot write"):
        session.save_captured(1, str(tmp_path / "nowhere" / "kept.safetensors"))
    assert list(tmp_path.iterdir()) == []


def test_an_unreadable_output_fails_and_the_forward_goes_on(session):
    watched(session, Returns(lambda x: x.to_sparse()), ("output",))
    session.capture(0)
    ran(session, torch.eye(2))
    (captured,) = session.get_records().captures
    assert captured.state == "waiting"  # no probe fires for it, which failures say
    assert "sparse" in session.get_records().failures[0]


def test_the_tensor_of_a_chosen_step_is_kept(session):
    watched(session, nn.ReLU())
    ran(session, torch.ones(2))
    session.capture(0, step=3)
    ran(session, torch.ones(2))
    (waiting,) = session.get_records().captures
    assert (waiting.state, waiting.step) == ("waiting", 3)
    ran(session, torch.ones(3))
    (kept,) = session.get_records().captures
    assert (kept.state, kept.step, kept.shape) == ("kept", 3, (3,))


def test_a_chosen_step_must_be_to_come(session):
    watched(session, nn.ReLU())
    ran(session, torch.ones(2))
    for step in (1, -1):
        with pytest.raises(RequestError, match=f"Step {step} is not to come: .* after step 1"):
            session.capture(0, step=step)
    assert not session.get_records().captures


def test_what_does_not_come_in_its_step_says_so(session):
    watched(session, nn.ReLU())
    session.capture(0, "gradient", step=1)
    session.capture(0, "gradient")
    ran(session, torch.ones(2))
    failed, waiting = session.get_records().captures
    assert (failed.state, failed.sentence) == ("failed", "It did not come in step 1.")
    assert waiting.state == "waiting"


def test_phases_and_micro_steps_are_told_apart(session):
    watched(session, nn.ReLU(), ["output"])
    session.capture(0, phase=EVALUATION)
    session.capture(0, phase=TRAINING, micro=1)
    probes, model = session.probes, session._opened.model
    probes.begin_step()
    for evaluates, size in ((False, 1), (True, 2), (False, 3)):
        model.train(not evaluates)
        probes.begin_forward(evaluates)
        model(torch.ones(size))
    probes.end_step()
    evaluated, trained = session.get_records().captures
    assert (evaluated.shape, evaluated.micro, phase_of(evaluated.phase)) == ((2,), 0, EVALUATION)
    assert (trained.shape, trained.micro, phase_of(trained.phase)) == ((3,), 1, TRAINING)
