"""Train steps as a person tries them: the same losses as a plain loop, and nothing else changed."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from inspector_app.backend.running import private_random
from inspector_app.backend.session import Session
from inspector_app.backend.trial_training import OPTIMIZERS
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import CopyError, ModelError, RefusedError, RequestError

STEPS = 5
ALL_KINDS = (
    *("output", "gradient"),
    *("value", "parameter gradient", "optimizer gradient", "update"),
)


@pytest.fixture
def session():
    with Session() as session:
        yield session


def write(folder: Path, text: str) -> str:
    file = folder / "model_file.py"
    file.write_text("import torch\nfrom torch import nn\n" + text)
    return str(file)


def seeded(seed: int) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def plain_losses(opened, make_optimizer, *, seed=3, mode="train", dry=False) -> list[float]:
    """What a loop in plain torch comes to, on a fresh model of the same target."""
    with private_random(opened.seed):
        model = opened.namespace.build_model()
        seeded(seed)
        inputs = opened.namespace.example_inputs()
        if dry:
            seeded(seed)
            with torch.no_grad():
                model.eval()(*inputs)
        seeded(seed)
        model.train(mode == "train")
        optimizer = make_optimizer(model.parameters())
        losses = []
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss = opened.namespace.loss(model(*inputs))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses


def recorded(session: Session, name: str = "loss") -> list[float]:
    """A scalar series as the ring holds it."""
    records = session.get_records()
    key = next(one.key for one in records.series if (one.kind, one.leaf) == ("scalar", name))
    return records.mean[records.key == key].tolist()


def kinds_of(session: Session, row: int) -> set[str]:
    records = session.get_records()
    fired = set(records.key.tolist())
    return {one.kind for one in records.series if one.row == row and one.key in fired}


def everything(model: nn.Module) -> list:
    """All that a run on a copy must leave alone."""
    tensors = [*model.parameters(), *model.buffers()]
    return [
        [module.training for module in model.modules()],
        [id(tensor) for tensor in tensors],
        [tensor.requires_grad for tensor in tensors],
        [id(tensor.grad) for tensor in tensors],
        [tensor._version for tensor in tensors],
        [tensor.detach().clone().flatten().view(torch.uint8).tolist() for tensor in tensors],
        [len(module._forward_hooks) for module in model.modules()],
        [len(parameter._backward_hooks or ()) for parameter in model.parameters()],
        torch.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),
        random.getstate(),
    ]


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


def test_replaced_buffers_come_back(session, tmp_path):
    session.open(
        write(
            tmp_path,
            """
class Counts(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        self.seen = self.seen + 1
        return self.linear(x)
""",
        )
        + ":Counts"
    )
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
    session.open(
        write(
            tmp_path,
            """
class Breaks(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        self.seen = self.seen + 1
        if self.seen == 3:
            raise ValueError("three")
        return self.linear(x)
""",
        )
        + ":Breaks"
    )
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
