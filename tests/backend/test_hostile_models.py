"""Models and factories made to break a program that looks at them.

Each one either gives a truthful tree or one clear line, and whatever is asked of such a model is
done wholly or refused in one line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from inspector_app import cli
from inspector_app.backend.session import Session
from inspector_app.backend.tensors import is_plain
from inspector_app.backend.walking import instance_dict
from inspector_app.protocol import framing
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import InspectorError, TargetError
from inspector_app.protocol.schemes import parse_scheme
from inspector_app.protocol.table import Flag
from tests.backend import hostile_models, strange_tensors
from tests.backend.edit_models import raw
from tests.backend.hostile_models import NAMES

FILE = hostile_models.__file__

# Modules, parameters and buffers in elements, of each model that can be looked at.
MODELS = {
    "tied": (3, 20, 0),
    "overlapping": (1, 8 + 8 + 12, 0),
    "lazy": (3, 0, 1),
    "parametrized": (11, 4 * 3 + 3 + 4 * 9 + 3, 9 + 3 + 3),
    "quantized": (7, 0, 0),
    "cyclic": (2, 6, 0),
    "deep": (10_001, 2, 0),
    "half_constructed": (1, 0, 0),
    "half_constructed_inside": (3, 6, 0),
    "torch_function_hostile": (1, 6 + 3, 3),
    "torch_dispatch_hostile": (1, 6, 2),
    "attribute_hostile": (2, 6 + 2, 2),
    "name_hostile": (len(NAMES) + 1, 2 * len(NAMES), 0),
    "failing_methods": (1, 6, 0),
}
# What an export of them says; the others are written and verified.
NOT_EXPORTED = {
    "lazy": 'safetensors cannot hold "0.weight" (lazy: has no shape before the first forward)',
    "quantized": 'safetensors cannot hold "0._packed_params.dtype" (not a tensor but dtype)',
    "cyclic": "The model has no state_dict: its modules are nested too deep, or one holds itself.",
    "deep": "The model has no state_dict: its modules are nested too deep, or one holds itself.",
    "half_constructed": "The model's state_dict() raised AttributeError",
    "half_constructed_inside": "The model's state_dict() raised AttributeError",
    "torch_function_hostile": "The model's state_dict() raised RuntimeError: asked by way of torch",
    "torch_dispatch_hostile": "The model's state_dict() raised SystemExit: dispatched",
    "attribute_hostile": "The model's state_dict() raised RuntimeError: asked for state_dict",
    "name_hostile": "(its name is not valid text)",
    "failing_methods": "The model's state_dict() raised SystemExit: state_dict",
}
SCHEMES = ("normal_(std=0.5)", "reset_parameters", "zeros_", "orthogonal_")
EVERYTHING = m.Selection(rows=[0])


@pytest.fixture
def session() -> Iterator[Session]:
    with Session() as session:
        yield session
        if session._opened is not None:
            _take_apart(session.tree.objects[0])


def _take_apart(model: nn.Module) -> None:
    """Free a deep model from above: torch frees it by recursion."""
    while type(model) is nn.Sequential and len(instance_dict(model)["_modules"]) == 1:
        model = instance_dict(model)["_modules"].popitem()[1]


def attempt(work: Callable[[], Any]) -> Any:
    """What ``work`` returns, or the one clear line with which it is refused."""
    try:
        return work()
    except InspectorError as error:
        sentence = error.sentence
    assert sentence.isprintable()
    assert sentence.endswith(".")
    assert len(sentence) < 5_000
    return sentence


def registered(session: Session) -> list[torch.Tensor]:
    """Registered tensors with memory of torch's own."""
    table = session.tree.table
    found = np.flatnonzero((table.flags & (Flag.IN_PARAMETERS | Flag.MOVED)) != 0).tolist()
    tensors = [session.tree.objects[row] for row in found]
    return [t for t in tensors if is_plain(t) and not t.is_meta]


def exactly(session: Session) -> list[Any]:
    """All that an edit may change."""
    return [(id(t), t.requires_grad, raw(t)) for t in registered(session)]


# -- trees -----------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODELS)
def test_the_tree_is_truthful(name: str, session: Session) -> None:
    opened = session.open(f"{FILE}:{name}")
    told = opened.totals
    assert (told.modules, told.parameters, told.buffers) == MODELS[name]
    text = session.summary_text()
    assert all(line.isprintable() for line in text.splitlines())
    assert len(text.splitlines()) >= len(opened.table)
    depth = 50  # paths of ten thousand levels are a hundred megabytes
    summary = json.loads(json.dumps(session.summary_json(depth)))
    shown = np.flatnonzero(opened.table.depth <= depth).tolist()
    assert [row["path"] for row in summary["rows"]] == [opened.table.path(row) for row in shown]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODELS)
def test_every_row_can_be_told_and_sent(name: str, session: Session) -> None:
    opened = session.open(f"{FILE}:{name}")
    some = opened.table.ids.tolist()
    requests: list[m.Request] = [m.DescribeRow(row=row) for row in some[:40] + some[-5:]]
    requests += [m.Measure(row=row) for row in some[:40]]
    requests += [m.DescribeInputs(), m.Watch(rows=[0]), m.Unwatch(), m.PlanExport()]
    requests += [m.PlanFreeze(selection=EVERYTHING, frozen=True)]
    requests += [
        m.PlanInitialize(selection=EVERYTHING, scheme=parse_scheme(scheme)) for scheme in SCHEMES
    ]
    for number, request in enumerate(requests):
        result = attempt(lambda request=request: session.handle(request))
        if not isinstance(result, str):
            sent = b"".join(framing.encode(m.Answer(session.id, number, 0, result)))
            assert framing.decode(sent[4:], m.FromServer).id == number


def test_what_is_special_is_marked(session: Session) -> None:
    session.open(f"{FILE}:half_constructed_inside")
    marks = {row["path"]: row["marks"] for row in session.summary_json()["rows"]}
    assert marks["inner"] == ["not initialised"]
    session.open(f"{FILE}:cyclic")
    assert "stands above" in session.summary_text()


def test_names_are_kept_exactly(session: Session) -> None:
    opened = session.open(f"{FILE}:name_hostile")
    assert [opened.table.name(row) for row in range(1, len(opened.table), 2)] == list(NAMES)
    assert max(map(len, session.summary_text().splitlines())) < 200


def test_ten_thousand_levels_stay_readable(session: Session) -> None:
    session.open(f"{FILE}:deep")
    lines = session.summary_text().splitlines()
    assert max(map(len, lines)) < 250
    assert any("level 10,000" in line for line in lines)


# -- edits and files -------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODELS)
def test_edits_are_made_and_undone_wholly(name: str, session: Session) -> None:
    session.open(f"{FILE}:{name}")
    before = exactly(session)
    edits: list[Callable[[], m.Edited]] = [
        lambda: session.freeze(EVERYTHING),
        lambda: session.hold_statistics(EVERYTHING),
        *(
            lambda scheme=scheme: session.initialize(EVERYTHING, parse_scheme(scheme))  # type: ignore[misc]
            for scheme in SCHEMES
        ),
    ]
    changed = 0
    for edit in edits:
        result = attempt(edit)
        if isinstance(result, str):
            assert exactly(session) == before, result
            continue
        changed += exactly(session) != before
        if result.history:
            session.undo()
        assert exactly(session) == before
    # A model with parameters of its own can at least be frozen.
    can_change = any(t.requires_grad for t in registered(session))
    assert bool(changed) == can_change


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODELS)
def test_exports_are_whole_or_refused(name: str, session: Session, tmp_path: Path) -> None:
    session.open(f"{FILE}:{name}")
    out = tmp_path / "out.safetensors"
    result = attempt(lambda: session.export(str(out)))
    if name in NOT_EXPORTED:
        assert isinstance(result, str)
        assert NOT_EXPORTED[name] in result
        assert list(tmp_path.iterdir()) == []
        return
    assert not isinstance(result, str), result
    assert result.proof.state == "proven", result.proof.sentence
    assert session.verify(str(out), ".").ok
    assert list(tmp_path.iterdir()) == [out]


def test_what_can_be_held_of_a_hostile_name_is_exported(session: Session, tmp_path: Path) -> None:
    session.open(f"{FILE}:name_hostile")
    out = tmp_path / "out.safetensors"
    report = session.export(str(out), m.ExportOptions(skip=["*lone surrogate*"]))
    assert report.tensors == len(NAMES) - 1
    assert len(report.left_out) == 1
    assert session.verify(str(out)).ok


def test_a_reset_that_exits_changes_nothing(session: Session) -> None:
    session.open(f"{FILE}:failing_methods")
    before = exactly(session)
    told = attempt(lambda: session.initialize(EVERYTHING, parse_scheme("reset_parameters")))
    assert "so nothing was changed: SystemExit: reset" in told
    assert exactly(session) == before


def test_a_forward_that_exits_is_told(session: Session) -> None:
    session.open(f"{FILE}:failing_methods")
    fields = [m.InputField(name="input", shape=(1, 2))]
    told = attempt(lambda: session.run(fields))
    assert told == "The model raised SystemExit: forward in Failing."


# -- tensors of every kind -------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", strange_tensors.NAMES)
def test_a_strange_tensor_is_in_nobodys_way(name: str, session: Session, tmp_path: Path) -> None:
    session.open(f"{strange_tensors.__file__}:build_model", arguments={"name": name})
    before = exactly(session)
    assert session.freeze(EVERYTHING).history
    session.undo()
    assert exactly(session) == before
    assert session.initialize(EVERYTHING, parse_scheme("normal_")).history
    assert exactly(session) != before
    session.undo()
    assert exactly(session) == before
    attempt(lambda: session.initialize(EVERYTHING, parse_scheme("reset_parameters")))
    attempt(session.undo)
    assert exactly(session) == before
    told = attempt(lambda: session.run([m.InputField(name="input", shape=(1, 2))]))
    assert told.forwards == 1 if not isinstance(told, str) else name == "meta"
    assert exactly(session) == before
    out = tmp_path / "out.safetensors"
    told = attempt(lambda: session.export(str(out)))
    assert out.exists() != isinstance(told, str)


# -- factories -------------------------------------------------------------------------------------

FAILURES = {
    "sys_exit": "it ended the program (sys.exit(0)); let it return the model instead.",
    "sys_exit_with_words": "it ended the program (sys.exit('no data\\nfound'))",
    "system_exit": "it ended the program (sys.exit(None))",
    "raises": "ValueError: bad.",
    "raises_base": "Base: from the bottom.",
    "raises_mute": "Mute.",
    "raises_much": "ValueError: \\x1b[31mmuch much",
    "recurses": "RecursionError: maximum recursion depth exceeded",
    "runs_out_of_memory": "tried to allocate",
    "returns_nothing": "returned None (is a return missing?)",
    "returns_a_poser": "returned an object of class Posing",
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_factory_that_fails_is_one_line(name: str, session: Session) -> None:
    with pytest.raises(TargetError) as caught:
        session.open(f"{FILE}:{name}")
    sentence = caught.value.sentence
    assert FAILURES[name] in sentence
    assert sentence.isprintable()
    assert len(sentence) < 800
    assert session._opened is None


def test_an_interrupted_factory_leaves_what_was_open(session: Session) -> None:
    session.open(f"{FILE}:tied")
    with pytest.raises(KeyboardInterrupt):
        session.open(f"{FILE}:keyboard_interrupt")
    assert session.tree.table.class_name(0) == "Sequential"


# -- by the command line ---------------------------------------------------------------------------


@pytest.fixture
def command(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Run a command in this process: exit code, stdout, stderr."""
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(*words: str) -> tuple[int, str, str]:
        return (cli.main(words), *capfd.readouterr())

    return run


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(MODELS.keys() - {"deep"}))
def test_the_command_line_shows_models(name: str, command: Any) -> None:
    code, out, err = command("summary", f"{FILE}:{name}")
    assert (code, err) == (cli.DONE, "")
    assert f"{MODELS[name][1]:,} parameters (" in out


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(NOT_EXPORTED.keys() - {"deep"}))
def test_the_command_line_refuses_in_one_line(name: str, command: Any, tmp_path: Path) -> None:
    code, out, err = command("export", f"{FILE}:{name}", str(tmp_path / "out.safetensors"))
    assert (code, out) == (cli.WRONG, "")
    assert len(err.splitlines()) == 1
    assert NOT_EXPORTED[name] in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FAILURES)
def test_the_command_line_tells_of_factories_in_one_line(name: str, command: Any) -> None:
    code, out, err = command("summary", f"{FILE}:{name}")
    assert (code, out) == (cli.WRONG, "")
    assert len(err.splitlines()) == 1
    assert FAILURES[name] in err


# -- as processes of their own ---------------------------------------------------------------------


def process(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the command line."""
    return subprocess.run(
        [sys.executable, "-m", "inspector_app", *words],
        capture_output=True,
        text=True,
        timeout=110,
        env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2])},
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("os_exit", "without a word (exit code 0, as os._exit does)"),
        ("killed", "by the signal SIGKILL: perhaps the machine ran out of memory."),
    ],
)
def test_a_factory_that_ends_the_process_leaves_one_line(name: str, said: str) -> None:
    done = process("summary", f"{FILE}:{name}", "--json")
    assert (done.returncode, done.stdout) == (cli.WRONG, "")
    lines = done.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"inspector-app: {FILE}:{name} ended the program ")
    assert said in lines[0]


def test_whatever_is_printed_stays_out_of_the_answer() -> None:
    done = process("summary", f"{FILE}:print_happy", "--json")
    assert done.returncode == cli.DONE
    assert json.loads(done.stdout)["totals"]["parameters"] == 9
    for source in ("print", "stderr", "write", "C", "logging", "a thread"):
        assert f"hello from {source}" in done.stderr
    assert "hello at the end" in done.stderr


def test_a_deep_model_survives_the_end_of_the_process() -> None:
    done = process("summary", f"{FILE}:deep", "--depth", "3")
    assert (done.returncode, done.stderr) == (cli.DONE, "")
    assert "10,001 modules" in done.stdout
