"""Train steps as a person tries them: the same losses as a plain loop, and nothing else changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from inspector_app.backend.session import Session
from inspector_app.backend.trial_training import OPTIMIZERS
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import RequestError
from tests.backend.train_steps import (
    STEPS,
    everything,
    kinds_of,
    plain_losses,
    recorded,
    write,
)

ALL_KINDS = (
    *("output", "gradient"),
    *("value", "parameter gradient", "optimizer gradient", "update"),
)


@pytest.fixture
def session():
    with Session() as session:
        yield session


def test_seeded_run_is_the_plain_loop(session):
    for sample in ("mlp", "resnet", "language_model"):
        session.open(f"sample:{sample}")
        opened = session._opened
        before = everything(opened.model)
        for settings, plain in (
            (m.TrainSteps(), lambda p: torch.optim.SGD(p, lr=0.01)),
            (
                m.TrainSteps(optimizer="SGD", learning_rate=0.1, momentum=0.9, weight_decay=0.1),
                lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
            ),
            (m.TrainSteps(optimizer="AdamW"), lambda p: torch.optim.AdamW(p, lr=0.01)),
        ):
            ran = session.run(repeat=STEPS, mode="train", seed=3, training=settings)
            expected = plain_losses(opened, plain)
            assert recorded(session)[-STEPS:] == expected
            assert (ran.first_loss, ran.last_loss) == (expected[0], expected[-1])
            assert ran.forwards == STEPS
            assert ran.history is None
            assert ran.change.empty
            assert not ran.note
        assert everything(opened.model) == before


def test_every_optimizer_steps_as_in_the_plain_loop(session):
    session.open("sample:mlp")
    for name in OPTIMIZERS:
        session.run(repeat=STEPS, mode="train", seed=3, training=m.TrainSteps(optimizer=name))
        make = getattr(torch.optim, name)
        expected = plain_losses(session._opened, lambda p, make=make: make(p, lr=0.01))
        assert recorded(session)[-STEPS:] == expected, name


def test_everything_watched_is_measured_on_the_copy(session):
    opened = session.open("sample:resnet")
    model = session._opened.model
    rows = opened.table.ids.tolist()
    roles = opened.table.role
    modules = [row for row, role in zip(rows, roles, strict=True) if role == 0]
    leaf = opened.table.ids[opened.table.paths.index("stem.0")]
    weight = opened.table.ids[opened.table.paths.index("stem.0.weight")]
    session.watch([*modules, int(weight)], ALL_KINDS)
    before = everything(model)
    quiet = session.run(repeat=2, mode="train", training=m.TrainSteps())
    first = recorded(session)
    assert kinds_of(session, int(leaf)) == {"output", "gradient"}
    assert kinds_of(session, int(weight)) == set(ALL_KINDS[2:])
    assert everything(model)[:-3] == before[:-3]
    session.run(repeat=1)  # the same hooks measure the model itself again
    records = session.get_records()
    of_leaf = {one.key for one in records.series if one.row == leaf and one.kind == "output"}
    assert sorted(records.step[np.isin(records.key, list(of_leaf))].tolist()) == [1, 2, 3]
    session.unwatch()
    session.run(repeat=2, mode="train", training=m.TrainSteps())
    assert recorded(session)[-2:] == first  # watching changes nothing
    assert quiet.last_loss == first[-1]


def test_tied_and_shared_parameters_stay_so(session, tmp_path):
    session.open(
        write(
            tmp_path,
            """
class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3)
        self.b.weight = self.a.weight
        self.c.weight = nn.Parameter(self.a.weight.data)
        self.part = nn.Parameter(self.a.weight.data[:2])
        self.part.note = "kept"

    def forward(self, x):
        return self.c(self.b(self.a(x))) + self.part.sum()

def build_model():
    return Tied()

def example_inputs():
    return torch.randn(4, 3)

def loss(output):
    return output.square().mean()
""",
        )
        + ":build_model"
    )
    opened = session._opened
    inputs = opened.namespace.example_inputs
    opened.namespace.example_inputs = lambda: (inputs(),)
    session.run(repeat=STEPS, mode="train", seed=3, training=m.TrainSteps(learning_rate=0.1))
    assert recorded(session) == plain_losses(opened, lambda p: torch.optim.SGD(p, lr=0.1))


def test_lazy_model_gets_its_shapes_in_the_copy_alone(session):
    opened = session.open("sample:lazy")
    model = session._opened.model
    session.watch(opened.table.ids[opened.table.role == 0].tolist(), ("output", "gradient"))
    session.run(repeat=STEPS, mode="train", seed=3, training=m.TrainSteps())
    assert any(nn.parameter.is_lazy(parameter) for parameter in model.parameters())
    expected = plain_losses(session._opened, lambda p: torch.optim.SGD(p, lr=0.01), dry=True)
    assert recorded(session) == expected


PARAMETRIZED = """
import warnings
from torch.nn.utils import parametrizations, spectral_norm, weight_norm

def build_model():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.Sequential(
            weight_norm(nn.Linear(4, 4)),
            parametrizations.weight_norm(nn.Linear(4, 4)),
            parametrizations.orthogonal(nn.Linear(4, 4)),
            parametrizations.spectral_norm(nn.Linear(4, 4)),
            spectral_norm(nn.Linear(4, 4)),
        )

def example_inputs():
    return (torch.randn(3, 4),)

def loss(output):
    return output.square().mean()
"""


def test_parametrized_and_normed_weights(session, tmp_path):
    session.open(write(tmp_path, PARAMETRIZED) + ":build_model")
    session.run()  # leaves weights with graphs behind
    model = session._opened.model
    before = everything(model)
    session.run(repeat=STEPS, mode="train", seed=3, training=m.TrainSteps())
    assert everything(model) == before
    # The plain model has not run a forward before, which moves no parameter or buffer here.
    expected = plain_losses(session._opened, lambda p: torch.optim.SGD(p, lr=0.01))
    assert recorded(session) == expected


def test_hugging_face_model(session):
    pytest.importorskip("transformers")
    path = Path(__file__).with_name("hugging_face_models.py")
    session.open(f"{path}:build", arguments={"name": "gpt2"})
    fields = [
        m.InputField(name="input_ids", shape=(2, 8), dtype="int64", distribution="integers", high=9)
    ]
    settings = m.TrainSteps(optimizer="AdamW", learning_rate=1e-2, loss="cross_entropy")
    ran = session.run(fields, repeat=20, mode="train", training=settings)
    assert ran.last_loss < ran.first_loss
    model = session._opened.model
    assert all(parameter.grad is None for parameter in model.parameters())


def test_frozen_stays_frozen_and_a_freeze_between_steps_counts(session):
    session.open("sample:mlp")
    session.freeze(m.Selection(patterns=["hidden"]))
    table = session.tree.table
    rows = [int(table.ids[table.paths.index(f"{name}.weight")]) for name in ("hidden", "output")]
    session.watch(rows, ("value",))

    class Between:
        waits = False

        def progress(self, done, total, label):
            self.waits = done == 2

        def check(self): ...

        def waiting(self):
            return self.waits

        def safe_point(self):
            self.waits = False
            session.freeze(m.Selection(patterns=["output"]))
            session.freeze(m.Selection(patterns=["hidden.bias"]), False)

    decays = m.TrainSteps(optimizer="AdamW", weight_decay=0.5)
    session.run(repeat=4, mode="train", training=decays, job=Between())
    records = session.get_records()
    keys = {one.row: one.key for one in records.series if one.kind == "value"}
    values = [records.norm[records.key == keys[row]].tolist() for row in rows]
    assert len(set(values[0])) == 1
    assert len(set(values[1][:2])) == 2
    assert len(set(values[1][1:])) == 1


def test_one_step_after_the_other_goes_on_with_the_same_copy(session):
    session.open("sample:resnet")
    settings = m.TrainSteps(optimizer="Adam")
    session.run(repeat=STEPS, mode="train", seed=3, training=settings)
    whole = recorded(session)

    def one() -> float:
        return session.run(mode="train", seed=3, training=settings, resume=True).last_loss

    session.run(mode="train", seed=3, training=settings)
    for frozen in (True, False):
        session.freeze(m.Selection(patterns=["stem"]), frozen)
    session.run()  # a forward between does no harm
    assert [one() for _ in range(STEPS - 1)] == whole[1:]
    session.initialize(m.Selection(patterns=["stem"]), m.Scheme(name="zeros_"))
    assert one() != whole[0]  # another model: it begins anew
    session.undo()
    assert [one(), one()] == whole[:2]
    session.close()
    assert session._trial is None


# -- data ----------------------------------------------------------------------------------------


def test_batches_of_a_file_and_pictures(session, tmp_path):
    rows = torch.arange(20, dtype=torch.float32).reshape(10, 2)
    np.save(tmp_path / "rows.npy", rows.numpy())
    path = write(
        tmp_path,
        """
class Keeps(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.seen = []

    def forward(self, x):
        self.seen.append(x.flatten().tolist())
        return x
""",
    )
    session.open(f"{path}:Keeps")
    field = m.InputField(name="x", distribution="file", path=str(tmp_path / "rows.npy"))
    session.run([field], repeat=4, batch=4)
    seen = session._opened.model.seen
    assert seen[0] == list(range(8))
    assert seen[2] == [16, 17, 18, 19, 0, 1, 2, 3]
    field = m.InputField(name="x", distribution="pictures")
    pixels = np.full((2, 1, 2, 2), 255, np.uint8)
    session.run([field], pictures={"x": pixels})
    assert seen[-1] == [1.0] * 8
    with pytest.raises(RequestError, match="choose the pictures"):
        session.run([field])
    data = session.describe_data_file(str(tmp_path / "rows.npy"))
    assert [(one.key, one.shape, one.dtype) for one in data.tensors] == [("", (10, 2), "float32")]
