"""Train steps that change the model itself, and those that cannot be made."""

from __future__ import annotations

import pytest
import torch

from inspector_app.backend.session import Session
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import CopyError, ModelError, RefusedError, RequestError
from tests.backend.train_steps import (
    STEPS,
    everything,
    plain_losses,
    recorded,
    write,
)


@pytest.fixture
def session():
    with Session() as session:
        yield session


# -- on the model itself -------------------------------------------------------------------------


def test_on_the_model_itself_is_an_edit(session):
    session.open("sample:resnet")
    opened = session._opened
    model = opened.model
    person = torch.ones_like(model.stem[0].weight)
    model.stem[0].weight.grad = person
    before = everything(model)
    on_itself = m.TrainSteps(on_copy=False)
    ran = session.run(repeat=STEPS, mode="train", seed=3, training=on_itself)
    assert recorded(session) == plain_losses(opened, lambda p: torch.optim.SGD(p, lr=0.01))
    assert [entry.title for entry in ran.history] == ["Train 5 steps with SGD"]
    assert not ran.change.empty
    assert model.stem[0].weight.grad is person
    trained = everything(model)
    assert trained[5] != before[5]
    session.undo()
    assert everything(model)[5] == before[5]
    edited = session.redo()
    assert everything(model)[5] == trained[5]
    assert edited.history[0].kind == "train"
    script = session.get_script()
    assert "not repeated" in " ".join(script.notes)
    with Session() as other:
        other.open("sample:resnet")
        assert "not repeated" in other.replay(edited.history).notes[0]


COUNTS = """
class Counts(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        self.seen = self.seen + 1
        return self.linear(x)

class Breaks(Counts):
    def forward(self, x):
        output = super().forward(x)
        if self.seen == 3:
            raise ValueError("three")
        return output
"""


def test_replaced_buffers_come_back(session, tmp_path):
    session.open(write(tmp_path, COUNTS) + ":Counts")
    fields = [m.InputField(name="x", shape=(3, 2))]
    settings = m.TrainSteps(loss="mse", on_copy=False)
    model = session._opened.model
    old = model.seen
    session.run(fields, repeat=3, mode="train", training=settings)
    assert model.seen == 3
    session.undo()
    assert model.seen is old
    assert model.seen == 0
    session.redo()
    assert model.seen == 3


def test_an_error_on_the_model_itself_takes_all_steps_back(session, tmp_path):
    session.open(write(tmp_path, COUNTS) + ":Breaks")
    model = session._opened.model
    before = everything(model)
    settings = m.TrainSteps(loss="mean_square", on_copy=False)
    fields = [m.InputField(name="x", shape=(3, 2))]
    with pytest.raises(ModelError, match="three"):
        session.run(fields, repeat=5, mode="train", training=settings)
    after = everything(model)
    assert after[:4] + after[5:] == before[:4] + before[5:]  # writing old values counts versions
    assert session._journal.history == []


def test_edits_are_refused_while_the_model_itself_trains(session):
    session.open("sample:mlp")
    said = []

    class Between:
        waits = True

        def progress(self, done, total, label): ...

        def check(self): ...

        def waiting(self):
            return self.waits

        def safe_point(self):
            self.waits = False
            for request in (session.undo, lambda: session.freeze(m.Selection(patterns=["hidden"]))):
                with pytest.raises(RefusedError) as error:
                    request()
                said.append(error.value.sentence)

    on_itself = m.TrainSteps(on_copy=False)
    session.run(repeat=2, mode="train", training=on_itself, job=Between())
    assert len(said) == 2
    assert "being trained" in said[0]
    session.undo()


def test_values_that_cannot_be_kept_refuse(session):
    session.open("sample:mlp")
    session._snapshots.memory_budget = session._snapshots.disk_budget = 10
    with pytest.raises(RefusedError, match="train a copy"):
        session.run(mode="train", training=m.TrainSteps(on_copy=False))


# -- what cannot be trained ----------------------------------------------------------------------

WRONG = """
class Wrong(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.linear = nn.Linear(2, 2)
        self.counter = 0

    def forward(self, x):
        self.counter += 1
        out = self.linear(x)
        if self.kind == "nan":
            return out / 0 * 0 if self.counter == 3 else out
        return {
            "none": None,
            "integers": out.argmax(-1),
            "detached": out.detach(),
            "scalar": out.sum(),
            "fine": out,
        }[self.kind]

def example_inputs():
    return torch.ones(4, 2)

def loss(output):
    return {losses}
"""


@pytest.mark.parametrize(
    ("kind", "loss", "losses", "words"),
    [
        ("none", "mse", "None", "puts out no tensor"),
        ("integers", "cross_entropy", "None", "whole numbers|no gradient can come"),
        ("integers", "own", "output.float().sum()", "whole numbers \\(int64\\)"),
        ("detached", "mse", "None", "forward detaches"),
        ("scalar", "cross_entropy", "None", "needs logits of shape"),
        ("fine", "own", "3.0", "returned float"),
        ("fine", "own", "output", "must be one real number"),
        ("fine", "own", "output @ torch.ones(3)", "The loss raised RuntimeError"),
    ],
)
def test_each_problem_is_one_sentence(session, tmp_path, kind, loss, losses, words):
    path = write(tmp_path, WRONG.replace("{losses}", losses))
    session.open(f"{path}:Wrong", arguments={"kind": kind})
    with pytest.raises(ModelError, match=words) as error:
        session.run(mode="train", training=m.TrainSteps(loss=loss))
    assert "\n" not in error.value.sentence


def test_a_loss_that_is_not_finite_stops_without_an_update(session, tmp_path):
    path = write(tmp_path, WRONG.replace("{losses}", "output.mean()"))
    session.open(f"{path}:Wrong", arguments={"kind": "nan"})
    ran = session.run(repeat=10, mode="train", training=m.TrainSteps())
    assert ran.forwards == 3
    assert ran.note == (
        "The loss became nan in step 3, which made no update: training stopped there."
    )
    again = session.run(repeat=10, mode="train", training=m.TrainSteps())
    drawn = session.get_records().step.max()
    assert f"nan in step {drawn}, which" in again.note  # as the plots number it
    assert drawn > 3


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"optimizer": "LBFGS"}, "There is no optimizer 'LBFGS'"),
        ({"optimizer": "Adam", "momentum": 0.9}, "takes no momentum"),
        ({"optimizer": "Rprop", "weight_decay": 0.9}, "takes no weight decay"),
        ({"learning_rate": float("nan")}, "lr cannot be nan"),
        ({"learning_rate": -1.0}, "lr cannot be -1"),
    ],
)
def test_settings_that_make_no_sense(session, settings, words):
    session.open("sample:mlp")
    with pytest.raises(RequestError, match=words):
        session.run(mode="train", training=m.TrainSteps(**settings))


def test_nothing_to_train(session, tmp_path):
    session.open("sample:mlp")
    session.freeze(m.Selection(patterns=[""]))
    with pytest.raises(RefusedError, match="All parameters are frozen"):
        session.run(mode="train", training=m.TrainSteps())
    session.open(write(tmp_path, "def build():\n    return nn.ReLU()\n") + ":build")
    with pytest.raises(RequestError, match="has no loss"):
        session.run([m.InputField(name="input")], mode="train", training=m.TrainSteps())
    with pytest.raises(RefusedError, match="no parameters"):
        session.run(
            [m.InputField(name="input")], mode="train", training=m.TrainSteps(loss="mean_square")
        )
    form = session.describe_inputs()
    assert not form.own_loss
    assert "AdamW" in form.optimizers


def test_a_closure_over_the_model_is_found_before_harm(session, tmp_path):
    session.open(
        write(
            tmp_path,
            """
def build_model():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    model.forward = lambda x: model[1](model[0](x))
    return model

def example_inputs():
    return torch.randn(4, 2)
""",
        )
        + ":build_model"
    )
    model = session._opened.model
    before = everything(model)
    with pytest.raises(CopyError, match="closure") as error:
        session.run(mode="train", training=m.TrainSteps(loss="mse"))
    assert error.value.kind == "copy"
    after = everything(model)
    assert after[:4] + after[5:] == before[:4] + before[5:]  # buffers were moved and put back
    session.run(mode="train", training=m.TrainSteps(loss="mse", on_copy=False))


def test_stop_keeps_what_was_done(session):
    session.open("sample:mlp")

    class Stops:
        steps = 0

        def progress(self, done, total, label):
            self.steps = done

        def check(self):
            from inspector_app.protocol.errors import Cancelled

            if self.steps == 3:
                raise Cancelled

        def waiting(self):
            return False

        def safe_point(self): ...

    for repeat in (0, 100):
        ran = session.run(repeat=repeat, mode="train", training=m.TrainSteps(), job=Stops())
        assert ran.forwards == 3
