"""The façade does the whole main job, and says no in sentences."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from inspector_app.backend.session import Session
from inspector_app.backend.tree import build_tree
from inspector_app.protocol import messages as m
from inspector_app.protocol.changes import apply
from inspector_app.protocol.errors import (
    Cancelled,
    ModelError,
    RefusedError,
    RequestError,
    TargetError,
)
from inspector_app.protocol.table import Role


@pytest.fixture
def session():
    with Session() as session:
        yield session


def write(folder: Path, text: str) -> str:
    file = folder / "model_file.py"
    file.write_text("import torch\nfrom torch import nn\n" + text)
    return str(file)


def same_table(first, second) -> bool:
    return first.paths == second.paths and all(
        (getattr(first, column) == getattr(second, column)).all()
        for column in ("ids", "role", "flags", "count", "bytes", "tie")
    )


def everything(pattern: str = "") -> m.Selection:
    return m.Selection(patterns=[pattern])


class Recorder:
    """A job that lets something happen between chunks."""

    def __init__(self, at_check=None):
        self.at_check = at_check
        self.checks = 0
        self.labels = set()

    def progress(self, done, total, label):
        self.labels.add(label)

    def check(self):
        self.checks += 1
        if self.at_check is not None:
            self.at_check(self.checks)

    def waiting(self):
        return False

    def safe_point(self): ...


def test_the_main_job(session, tmp_path):
    opened = session.open("sample:resnet")
    assert opened.kind == "model"
    assert opened.totals.parameters == opened.totals.trainable > 0
    table = opened.table

    frozen = session.freeze(everything("stem"))
    table = apply(table, frozen.change)
    assert 0 < frozen.totals.trainable < frozen.totals.parameters

    written = session.initialize(everything("head"), m.Scheme(name="xavier_uniform_"), seed=3)
    table = apply(table, written.change)
    assert [entry.kind for entry in written.history] == ["freeze", "initialize"]

    modules = [row for row in range(len(table)) if table.role[row] == Role.MODULE]
    assert session.watch(modules).rows == modules
    ran = session.run(repeat=2)
    table = apply(table, ran.change)
    assert same_table(table, session.tree.table)
    records = session.get_records()
    assert set(records.step.tolist()) == {1, 2}
    assert records.counts.sum() > 0

    report = session.export(str(tmp_path / "out.safetensors"))
    state = session.tree.objects[0].state_dict()
    loaded = load_file(report.path)
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[name], state[name]) for name in state)
    assert session.verify(report.path, against=".").ok

    session.undo()
    assert session.undo().totals.trainable == opened.totals.trainable
    assert not session.verify(report.path, against=".").ok


def test_every_request_is_a_method():
    requests = set(get_args(m.AnyRequest)) - {m.CancelJob}  # that is the server's own affair
    for request in requests:
        method = getattr(Session, re.sub("(?<!^)([A-Z])", r"_\1", request.__name__).lower())
        taken = set(inspect.signature(method).parameters)
        assert taken == {"self", "job", *request.__struct_fields__}


def test_nothing_open(session):
    for request in (
        m.DescribeRow(row=0),
        m.Undo(),
        m.Freeze(selection=everything()),
        m.Watch(rows=[0]),
    ):
        with pytest.raises(RequestError, match="Nothing is open"):
            session.handle(request)


def test_a_failed_open_keeps_what_was_open(session):
    session.open("sample:mlp")
    with pytest.raises(TargetError):
        session.open("sample:nonsense")
    assert session.freeze(everything()).totals.trainable == 0


def test_opening_lets_go_of_hooks(session):
    session.open("sample:mlp")
    model = session.tree.objects[0]
    session.watch([0])
    assert model._forward_hooks
    session.open("sample:mlp")
    assert not model._forward_hooks
    assert session.get_records().next == 0


def test_close_lets_go_of_hooks(session):
    session.open("sample:mlp")
    model = session.tree.objects[0]
    session.watch([0])
    session.close()
    session.close()
    assert not model._forward_hooks


def test_watching_is_all_or_nothing(session):
    session.open("sample:mlp")
    model = session.tree.objects[0]
    parameter = session.tree.table.paths.index("hidden.weight")
    with pytest.raises(RequestError, match=r"hidden\.weight is a parameter, of which"):
        session.watch([0, parameter])
    assert not model._forward_hooks


def test_checkpoint_says_what_it_cannot(session, tmp_path):
    session.open("sample:mlp")
    path = str(tmp_path / "mlp.safetensors")
    session.export(path)
    opened = session.open(path)
    assert opened.kind == "checkpoint"
    assert opened.disabled.keys() == {"freeze", "initialize", "watch", "run", "load"}
    for request in (
        m.Freeze(selection=everything()),
        m.Initialize(selection=everything(), scheme=m.Scheme(name="zeros_")),
        m.Watch(rows=[0]),
        m.Run(),
    ):
        with pytest.raises(RefusedError, match="bare checkpoint"):
            session.handle(request)
    row = opened.table.paths.index("hidden.weight")
    assert session.measure(row).count == 80
    again = session.export(str(tmp_path / "again.safetensors"))
    assert again.tensors == 4
    assert session.verify(again.path, against=".").ok


def test_exporting_over_the_open_file(session, tmp_path):
    session.open("sample:mlp")
    path = str(tmp_path / "mlp.safetensors")
    session.export(path)
    session.open(path)
    session.export(path, m.ExportOptions(only=everything("hidden")))
    assert sorted(load_file(path)) == ["hidden.bias", "hidden.weight"]
    row = session.tree.table.paths.index("output.weight")
    assert session.measure(row).count == 24  # still what was opened


def test_meta_says_what_it_cannot(session):
    opened = session.open("sample:mlp", device="meta")
    assert opened.totals.parameters == 115
    assert session.freeze(everything()).totals.trainable == 0
    with pytest.raises(RefusedError, match="meta device"):
        session.initialize(everything(), m.Scheme(name="zeros_"))
    with pytest.raises(RefusedError, match="meta device"):
        session.run()
    with pytest.raises(RefusedError, match="no values"):
        session.measure(opened.table.paths.index("hidden.weight"))


def test_the_seed_makes_the_same_model(session):
    first = session.open("sample:mlp", seed=5).fingerprint
    assert session.open("sample:mlp", seed=5).fingerprint == first
    assert session.open("sample:mlp", seed=6).fingerprint != first
    assert session.open("sample:mlp", seed=5, arguments={"hidden": 9}).fingerprint != first


def test_replay_makes_the_same_edits(session, tmp_path):
    session.open("sample:resnet", seed=1)
    session.initialize(
        everything("stages.*"), m.Scheme(name="normal_", arguments={"std": 0.5}), seed=9
    )
    session.freeze(everything("stem"))
    undone = session.freeze(everything("head"))
    assert undone.history[-1].done
    history = session.undo().history
    session.export(str(tmp_path / "before.safetensors"))
    flags = session.tree.table.flags.copy()
    with Session() as restarted:
        opened = restarted.open("sample:resnet", seed=1)
        edited = restarted.replay(history)
        assert not edited.notes
        assert same_table(apply(opened.table, edited.change), restarted.tree.table)
        assert (restarted.tree.table.flags == flags).all()
        assert restarted.verify(str(tmp_path / "before.safetensors"), against=".").ok
        assert len(edited.history) == 2


def test_replay_tells_what_differs(session):
    session.open("sample:mlp")
    history = session.freeze(everything()).history
    session.open("sample:mlp")
    session.freeze(everything("hidden"))
    assert "changed 2 tensors now, 4 before" in session.replay(history).notes[0]


def test_what_is_so_already_is_no_edit(session):
    session.open("sample:mlp")
    session.freeze(everything())
    again = session.freeze(everything("hidden"))
    assert again.change.empty
    assert len(again.history) == 1


def test_new_values_tell_their_rows(session):
    opened = session.open("sample:language_model")
    edited = session.initialize(everything("head"), m.Scheme(name="zeros_"))
    rows = {opened.table.paths[opened.table.position(row)] for row in edited.change.changed.ids}
    assert rows == {"head.weight", "tokens.weight"}


def test_run_until_cancelled_is_no_error(session):
    session.open("sample:mlp")

    def stop(checks):
        if checks > 5:
            raise Cancelled()

    ran = session.run(repeat=0, job=Recorder(stop))
    assert ran.forwards >= 2
    with pytest.raises(Cancelled):
        session.run(repeat=100, job=Recorder(stop))


def test_lazy_rows_change_after_a_forward(session, tmp_path):
    target = write(
        tmp_path,
        "def build_model():\n    return nn.Sequential(nn.LazyLinear(4), nn.ReLU())\n"
        "def example_inputs():\n    return torch.ones(2, 3)\n",
    )
    opened = session.open(target)
    row = opened.table.paths.index("0.weight")
    assert opened.table.shape(row) is None
    ran = session.run()
    table = apply(opened.table, ran.change)
    assert table.shape(table.paths.index("0.weight")) == (4, 3)
    assert ran.totals.parameters == 16


def test_rows_that_a_forward_leaves_are_inserted(session, tmp_path):
    target = write(
        tmp_path,
        "class Keeps(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.a = nn.Linear(2, 2)\n"
        "    def forward(self, x):\n        self.last = self.a(x)\n        return self.last\n"
        "def build_model():\n    return Keeps()\n"
        "def example_inputs():\n    return torch.ones(1, 2)\n",
    )
    opened = session.open(target)
    revision = session.revision
    table = apply(opened.table, session.run().change)
    assert "last" in table.paths
    assert session.revision > revision
    assert same_table(table, build_tree(session.tree.objects[0], session.tree).table)


def test_a_failing_forward_names_the_module(session, tmp_path):
    target = write(
        tmp_path,
        "def build_model():\n    return nn.Sequential(nn.Linear(2, 2), nn.Linear(3, 3))\n"
        "def example_inputs():\n    return torch.ones(1, 2)\n",
    )
    session.open(target)
    with pytest.raises(ModelError, match="in 1 "):
        session.run()


@pytest.mark.parametrize(
    "body",
    ["raise ValueError('no')", "raise SystemExit(3)", "return 1/0", "return {1: self.weight}"],
)
def test_a_failing_state_dict_is_told(session, tmp_path, body):
    target = write(
        tmp_path,
        f"class Bad(nn.Linear):\n    def state_dict(self, *a, **k):\n        {body}\n"
        "def build_model():\n    return Bad(2, 2)\n",
    )
    session.open(target)
    with pytest.raises(ModelError, match="state_dict"):
        session.export(str(tmp_path / "out.safetensors"))
    assert not (tmp_path / "out.safetensors").exists()


def test_a_module_that_holds_itself(session, tmp_path):
    target = write(
        tmp_path,
        "def build_model():\n    m = nn.Sequential(nn.Linear(2, 2))\n    m.me = m\n    return m\n",
    )
    opened = session.open(target)
    assert "me" in opened.table.paths
    assert session.freeze(everything()).totals.trainable == 0
    with pytest.raises(ModelError, match="holds itself"):
        session.export(str(tmp_path / "out.safetensors"))


def test_the_metadata_tells_how_to_rebuild(session, tmp_path):
    import json

    session.open("sample:mlp", arguments={"hidden": 4}, seed=2)
    session.freeze(everything("hidden"))
    report = session.export(str(tmp_path / "out.safetensors"))
    session.open(report.path)
    metadata = session._opened.metadata
    ours = {k.removeprefix("model_inspector."): v for k, v in metadata.items()}
    assert ours["target"] == "sample:mlp"
    assert json.loads(ours["arguments"]) == {"hidden": 4}
    assert json.loads(ours["requires_grad"])["hidden.weight"] is False
    assert json.loads(ours["requires_grad"])["output.weight"] is True
    assert json.loads(ours["edits"])[0]["title"] == "Freeze hidden"


def test_runs_take_no_global_randomness(session):
    session.open("sample:language_model")
    before = torch.get_rng_state()
    session.run(repeat=2, mode="train")
    session.initialize(everything(), m.Scheme(name="normal_"))
    assert torch.equal(before, torch.get_rng_state())


def test_many_sessions_leave_no_models_behind():
    import gc
    import weakref

    with Session() as session:
        session.open("sample:mlp")
        gone = weakref.ref(session.tree.objects[0])
        session.open("sample:mlp")
    del session
    gc.collect()
    assert gone() is None


def test_no_file_of_ours_needs_qt():
    script = (
        "import sys\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('PySide6', 'shiboken6', 'pyqtgraph'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Block())\n"
        "import inspector_app.backend.worker, inspector_app.backend.server\n"
        "from inspector_app.backend.session import Session\n"
        "with Session() as s:\n"
        "    print(s.open('sample:mlp').totals.parameters)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "115", done.stderr


def test_modules_can_be_given_by_row(session):
    opened = session.open("sample:mlp")
    row = opened.table.paths.index("hidden")
    plan = session.plan_freeze(m.Selection(rows=[row]))
    assert plan.tensors == 2
    assert plan.title == "Freeze hidden"
    assert isinstance(session.tree.objects[row], nn.Linear)
