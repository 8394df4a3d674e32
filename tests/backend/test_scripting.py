"""The edits as a script: how it reads, that it runs on its own, and what it says it cannot do."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from inspector_app.backend.scripting.source import Unscriptable, literal, text_literal, wrapped
from inspector_app.backend.session import Session
from inspector_app.backend.tree import build_tree
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import RefusedError, RequestError
from inspector_app.protocol.schemes import parse_scheme
from tests.backend.test_edit_properties import fresh, state, state_of


@pytest.fixture
def session():
    with Session() as session:
        yield session


def selected(*patterns: str) -> m.Selection:
    return m.Selection(patterns=list(patterns))


def model_file(folder: Path, text: str, name: str = "mine.py") -> str:
    path = folder / name
    path.write_text(f"import torch\nfrom torch import nn\n{text}")
    return str(path)


def block(session: Session) -> str:
    """The code of the newest edit, without its indentation and with its calls on one line."""
    text = session.get_script().text
    body = text.partition("def apply_edits")[2].partition("\n\n\nif __name__")[0]
    lines = re.split(r"\n    # \d+\. ", body)[-1].split("\n")[1:]
    return re.sub(r"\(\n +(.*)\n\)", r"(\1)", "\n".join(line[4:] for line in lines).strip())


def run_alone(session: Session, folder: Path) -> dict[str, Any]:
    """Run the script in a process of its own, far from here; what its model then is."""
    place = folder / "elsewhere"
    place.mkdir(exist_ok=True)
    path = place / "copied.py"
    path.write_text(session.get_script().text, encoding="utf-8", errors="surrogatepass")
    code = (
        "import json, runpy, sys, torch\n"
        f"model = runpy.run_path({str(path)!r}, run_name='__main__')['model']\n"
        "assert 'inspector_app' not in sys.modules\n"
        "print(json.dumps({name: [parameter.requires_grad, parameter.detach().view(-1).tolist()]"
        " for name, parameter in model.named_parameters()}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=place,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def now(session: Session) -> dict[str, Any]:
    """What the open model is, in the same form."""
    return {
        name: [parameter.requires_grad, parameter.detach().view(-1).tolist()]
        for name, parameter in session._opened.model.named_parameters()
    }


def applied(session: Session, target: str) -> None:
    """The script, carried out here on a model built anew, gives the session's model."""
    script = session.get_script()
    namespace: dict[str, Any] = {"__name__": "copied"}
    exec(compile(script.text, "copied.py", "exec"), namespace)
    model = fresh(target)
    namespace["apply_edits"](model)
    assert state(build_tree(model)) == state_of(session), script.text


# -- how it reads ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "lines"),
    [
        ("", ["for parameter in model.parameters():"]),
        ("stages.0", ["for parameter in model.stages[0].parameters():"]),
        (
            "preset:body",
            [
                "for name, parameter in model.named_parameters():",
                '    if not name.startswith("head."):',
            ],
        ),
        (
            "preset:norms",
            [
                "for module in model.modules():",
                "    if isinstance(module, nn.BatchNorm2d):",
                "        for parameter in module.parameters(recurse=False):",
            ],
        ),
        (
            "*bias",
            [
                "for name, parameter in model.named_parameters():",
                '    if name.endswith("bias"):',
            ],
        ),
    ],
)
def test_what_is_frozen_is_said_as_a_person_would(session, pattern, lines):
    session.open("sample:resnet")
    session.freeze(selected(pattern))
    depth = "    " * sum(line.endswith(":") for line in lines)
    expected = [*lines, f"{depth}parameter.requires_grad = False", f"{depth}parameter.grad = None"]
    assert block(session).splitlines() == expected


def test_a_few_subtrees_are_listed(session):
    session.open("sample:resnet")
    session.freeze(selected("stem", "stages.0"))
    assert block(session).splitlines()[:2] == [
        "for module in (model.stem, model.stages[0]):",
        "    for parameter in module.parameters():",
    ]


def test_parameters_that_follow_no_rule_are_named(session):
    session.open("sample:mlp")
    session.freeze(selected("hidden.weight", "output.bias"))
    assert block(session) == (
        'for name in ("hidden.weight", "output.bias"):\n'
        "    parameter = model.get_parameter(name)\n"
        "    parameter.requires_grad = False\n"
        "    parameter.grad = None"
    )


def test_one_parameter_needs_no_loop(session):
    session.open("sample:mlp")
    session.freeze(selected("hidden.weight"))
    session.freeze(selected("hidden.weight"), frozen=False)
    assert block(session) == "model.hidden.weight.requires_grad = True"


@pytest.mark.parametrize(
    ("scheme", "line"),
    [
        ("normal_(std=0.02)", "nn.init.normal_({}, std=0.02, generator=generator)"),
        (
            "kaiming_normal_(mode=fan_out)",
            'nn.init.kaiming_normal_({}, mode="fan_out", generator=generator)',
        ),
        ("zeros_", "nn.init.zeros_({})"),
        ("constant_(0.5)", "nn.init.constant_({}, 0.5)"),
        ("eye_", "nn.init.eye_({})"),
        ("orthogonal_", "nn.init.orthogonal_({}, generator=generator)"),
        (
            "trunc_normal_(std=2)",
            "nn.init.trunc_normal_({}, mean=0.0, std=2.0, a=-4.0, b=4.0, generator=generator)",
        ),
    ],
)
def test_a_scheme_is_the_call_of_torch(session, scheme, line):
    session.open("sample:mlp")
    session.initialize(selected("hidden.weight"), parse_scheme(scheme), seed=4)
    written = block(session).splitlines()
    assert written[-1] == line.format("model.hidden.weight")
    drawn = "generator" in line
    assert written[:-1] == (["generator = torch.Generator().manual_seed(4)"] if drawn else [])


def test_fans_that_torch_misreads_are_numbers_with_the_reason(session):
    session.open("sample:recurrent")
    session.initialize(selected("lstm.weight_ih_l0"), parse_scheme("xavier_uniform_"))
    text = block(session)
    assert "# fans of the layer itself: 4 gates, each on its own, fan_out 24" in text
    bound = (6 / (16 + 24)) ** 0.5
    assert float(text.split(", ")[-2]) == pytest.approx(bound)


def test_what_stands_is_in_it_and_nothing_else(session):
    session.open("sample:mlp")
    session.freeze(selected("hidden"))
    session.initialize(selected("output"), parse_scheme("ones_"))
    session.undo()
    text = session.get_script().text
    assert "# 1. Freeze hidden" in text
    assert "ones_" not in text
    session.undo()
    assert "No edit stands" in session.get_script().text


def test_lines_stay_within_their_width(session):
    session.open("sample:language_model")
    names = [path for path in session.tree.table.paths if path.endswith("query_key_value.weight")]
    session.freeze(selected(*names, "positions"))
    session.initialize(selected(""), parse_scheme("trunc_normal_(0.001, 0.02, -0.041, 0.043)"))
    session.initialize(selected(""), parse_scheme("reset_parameters"))
    text = session.get_script().text
    assert max(map(len, text.splitlines())) <= 100
    compile(text, "copied.py", "exec")
    applied(session, "sample:language_model")


def test_names_of_titles_cannot_leave_their_comment(session, tmp_path):
    target = model_file(
        tmp_path,
        "def build_model():\n"
        "    model = nn.Module()\n"
        '    model.add_module("a\\nraise SystemExit", nn.Linear(2, 2))\n'
        "    return model\n",
        name='od"""d\\.py',
    )
    session.open(target)
    session.freeze(selected("a\nraise SystemExit"))
    text = session.get_script().text
    assert "\nraise" not in text
    compile(text, "copied.py", "exec")


def test_a_line_breaks_at_its_arguments_only():
    short = "call(1, 2)"
    assert wrapped(short) == [short]
    text = "call('(, ,)', [1, 2], " + "x" * 90 + ")"
    assert wrapped(text) == ["call(", "    '(, ,)',", "    [1, 2],", "    " + "x" * 90 + ",", ")"]
    nothing = "x" * 120
    assert wrapped(nothing) == [nothing]
    assert wrapped(f"# {nothing}, (a, b)") == [f"# {nothing}, (a, b)"]


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        -0.5,
        float("inf"),
        "a\n'\"b",
        b"\0",
        [1, (2,)],
        {"a": {1: ()}},
        1 + 2j,
        "\ud800",
    ],
)
def test_plain_values_are_written_so_that_python_reads_them_back(value):
    assert eval(literal(value)) == value


def test_other_values_are_not_written():
    with pytest.raises(Unscriptable, match="class object"):
        literal([object()])
    assert text_literal("it's") == '"it\'s"'


# -- that it runs on its own -----------------------------------------------------------------------


EDITS = (
    ("freeze", "0", None),
    ("init", "", "normal_(std=0.5)"),
    ("init", "1", "reset_parameters"),
)


def edit(session: Session) -> None:
    for kind, pattern, scheme in EDITS:
        if kind == "freeze":
            session.freeze(selected(pattern))
        else:
            session.initialize(selected(pattern), parse_scheme(scheme or ""), seed=6)


def test_it_runs_on_a_clean_machine(session, tmp_path):
    target = model_file(
        tmp_path,
        "def build_model(width=2, norm=None, scale=1.0):\n"
        "    assert norm == {'kind': 'a b'} and scale == float('inf')\n"
        "    return nn.Sequential(nn.Linear(width, width), nn.Linear(width, 1))\n",
    )
    arguments = {"width": 3, "norm": {"kind": "a b"}, "scale": float("inf")}
    session.open(target, arguments=arguments, seed=5)
    edit(session)
    assert run_alone(session, tmp_path) == now(session)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["my-model.py", "random.py", "class.py", "v1.2.py"])
def test_files_that_cannot_be_imported_by_name(session, tmp_path, name):
    (tmp_path / "neighbour.py").write_text("WIDTH = 3\n")
    target = model_file(
        tmp_path,
        "from neighbour import WIDTH\n"
        "def build_model():\n"
        "    return nn.Sequential(nn.Linear(WIDTH, 2), nn.Linear(2, 1))\n",
        name,
    )
    session.open(target)
    edit(session)
    assert run_alone(session, tmp_path) == now(session)


@pytest.mark.slow
def test_a_package_an_instance_and_a_method(session, tmp_path, monkeypatch):
    inside = tmp_path / "project" / "inner"
    inside.mkdir(parents=True)
    (tmp_path / "project" / "__init__.py").write_text("")
    text = (
        "class Net(nn.Sequential):\n"
        "    @classmethod\n"
        "    def tiny(cls):\n"
        "        return cls(nn.Linear(2, 2), nn.Linear(2, 2))\n"
        "model = Net.tiny()\n"
    )
    model_file(inside, text, "__init__.py")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for factory in ("model", "Net.tiny"):
        sys.modules.pop("project.inner", None)
        session.open(f"project.inner:{factory}", seed=3)
        edit(session)
        assert run_alone(session, tmp_path) == now(session)


def test_meta_stays_meta(session, tmp_path):
    session.open("sample:mlp", device="meta")
    session.freeze(selected("hidden"))
    text = session.get_script().text
    namespace = {"__name__": "__main__"}
    exec(compile(text, "copied.py", "exec"), namespace)
    model: Any = namespace["model"]
    assert model.hidden.weight.is_meta
    assert [p.requires_grad for p in model.parameters()] == [False, False, True, True]


def test_a_trusted_file_is_loaded_as_it_was(session, tmp_path):
    torch.manual_seed(0)
    torch.save({"model": nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))}, tmp_path / "whole.pt")
    session.open(str(tmp_path / "whole.pt"), trusted=True)
    edit(session)
    assert run_alone(session, tmp_path) == now(session)


@pytest.mark.parametrize("part", [False, True])
def test_a_hugging_face_folder_is_built_and_laid_on(session, tmp_path, part):
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        vocab_size=20, max_position_embeddings=8,
    )  # fmt: skip
    kind = transformers.BertForMaskedLM if part else transformers.BertForSequenceClassification
    kind(config).save_pretrained(tmp_path / "bert")
    if part:  # weights of another head: what is missing stays initial
        named = json.loads((tmp_path / "bert" / "config.json").read_text())
        named["architectures"] = ["BertForSequenceClassification"]
        (tmp_path / "bert" / "config.json").write_text(json.dumps(named))
    session.open(str(tmp_path / "bert"), seed=2)
    session.initialize(selected("classifier.bias"), parse_scheme("normal_(std=0.02)"))
    session.freeze(selected("bert"))
    namespace = {"__name__": "__main__"}
    exec(compile(session.get_script().text, "copied.py", "exec"), namespace)
    built, ours = state(build_tree(namespace["model"])), state_of(session)
    for found in (built, ours):  # a note that the library makes on a model it has loaded
        found.pop("_use_kernels", None)
    assert built == ours


# -- loading ---------------------------------------------------------------------------------------


def test_a_checkpoint_is_loaded_as_torch_does(session, tmp_path):
    session.open("sample:mlp", seed=1)
    path = str(tmp_path / "all.safetensors")
    session.export(path)
    session.open("sample:mlp")
    session.load_state(path)
    assert block(session).endswith("model.load_state_dict(state)")
    applied(session, "sample:mlp")


@pytest.mark.parametrize("front", ["module.", ""])
def test_shards_are_read_one_after_the_other(session, tmp_path, front):
    model = fresh("sample:mlp")
    weight_map = {}
    for number, (key, value) in enumerate(model.state_dict().items()):
        name = f"part-{number}.bin"
        torch.save({front + key: value + 1}, tmp_path / name)
        weight_map[front + key] = name
    index = tmp_path / "model.bin.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    session.open("sample:mlp")
    session.load_state(str(index))
    applied(session, "sample:mlp")


def test_lazy_tensors_get_their_shapes_from_the_file(session, tmp_path):
    model = fresh("sample:lazy")
    with Session() as other:
        other.open("sample:lazy")
        other.run()
        torch.save(other._opened.model.state_dict(), tmp_path / "run.pt")
    assert any(p.__class__.__name__ == "UninitializedParameter" for p in model.parameters())
    session.open("sample:lazy")
    session.load_state(str(tmp_path / "run.pt"))
    applied(session, "sample:lazy")


def test_a_file_that_is_gone_is_told(session, tmp_path):
    path = tmp_path / "all.pt"
    torch.save(fresh("sample:mlp").state_dict(), path)
    session.open("sample:mlp", seed=1)
    session.load_state(str(path))
    session.freeze(selected("hidden"))
    path.unlink()
    script = session.get_script()
    assert any("Load all.pt” is left out" in note for note in script.notes)
    assert "# Left out" in script.text
    assert "model.hidden.parameters()" in script.text


def test_a_file_that_needs_trust_says_so(session, tmp_path):
    state_dict = dict(fresh("sample:mlp").state_dict())
    torch.save({"state_dict": state_dict, "path": Path("x")}, tmp_path / "named.pt")
    session.open("sample:mlp", seed=1)
    session.load_state(str(tmp_path / "named.pt"))
    script = session.get_script()
    assert "weights_only=False" in script.text
    assert any("only where you trust" in note for note in script.notes)
    applied(session, "sample:mlp")


@pytest.mark.parametrize("legacy", [False, True])
def test_a_nested_state_is_found_where_torch_finds_it(session, tmp_path, legacy):
    model = fresh("sample:mlp")
    held = {"nets": {"first": model.state_dict(), "second": 1}, "epoch": 3}
    torch.save(held, tmp_path / "nested.pt", _use_new_zipfile_serialization=not legacy)
    session.open("sample:mlp", seed=1)
    session.load_state(str(tmp_path / "nested.pt"), fit=True)
    assert '["nets"]["first"]' in session.get_script().text
    applied(session, "sample:mlp")


def test_a_pickled_model_gives_its_state(session, tmp_path):
    with Session() as other:
        other.open("sample:mlp", seed=2)
        torch.save(other._opened.model, tmp_path / "whole.pt")
    session.open("sample:mlp", seed=1)
    session.load_state(str(tmp_path / "whole.pt"))
    assert any("only where you trust" in note for note in session.get_script().notes)
    applied(session, "sample:mlp")


# -- what it cannot do -----------------------------------------------------------------------------


def test_what_stands_in_a_set_is_told(session, tmp_path):
    target = model_file(
        tmp_path,
        "def build_model():\n"
        "    model = nn.Module()\n"
        "    model.head = nn.Linear(2, 2)\n"
        "    model.bag = {nn.Linear(2, 2), nn.Linear(2, 2)}\n"
        "    return model\n",
    )
    session.open(target)
    session.freeze(selected(""))
    session.initialize(selected(""), parse_scheme("normal_"))
    script = session.get_script()
    assert "model.head.parameters()" in script.text
    assert sum("whose order is not fixed" in note for note in script.notes) == 3
    assert any(note.startswith("“normal_ on the whole model” is left out") for note in script.notes)


def test_a_forward_that_gave_shapes_is_told(session):
    session.open("sample:lazy")
    session.run()
    session.initialize(selected("*"), parse_scheme("zeros_"))
    script = session.get_script()
    assert any("run it once before apply_edits" in note for note in script.notes)
    assert "run it once" in script.text


def test_memory_that_others_share_and_a_reset_exchanges_is_told(session, tmp_path):
    target = model_file(
        tmp_path,
        "class Gives(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.weight = nn.Parameter(torch.zeros(3))\n"
        "    def reset_parameters(self):\n"
        "        self.weight.data = torch.ones(3)\n"
        "def build_model():\n"
        "    model = nn.ModuleList([Gives()])\n"
        "    model.twin = nn.Parameter(model[0].weight.detach())\n"
        "    return model\n",
    )
    session.open(target)
    session.initialize(selected(""), parse_scheme("reset_parameters"))
    assert any("keeps the old values" in note for note in session.get_script().notes)


def test_a_bare_checkpoint_has_no_edits(session, tmp_path):
    torch.save({"a": torch.zeros(2)}, tmp_path / "bare.pt")
    session.open(str(tmp_path / "bare.pt"))
    with pytest.raises(RefusedError, match="no edits"):
        session.get_script()


def test_nothing_open_is_told(session):
    with pytest.raises(RequestError, match="open a target first"):
        session.get_script()


# -- unusual models --------------------------------------------------------------------------------


UNUSUAL = {
    "deep": (
        "def build_model():\n"
        "    model = nn.Sequential(nn.Linear(1, 1))\n"
        "    for _ in range(600):\n"
        "        model = nn.Sequential(model)\n"
        "    return model\n"
    ),
    "cycle": (
        "def build_model():\n"
        "    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))\n"
        "    model[0].add_module('above', model)\n"
        "    return model\n"
    ),
    "hostile": (
        "class Sly(torch.Tensor):\n"
        "    @classmethod\n"
        "    def __torch_function__(cls, function, types, args=(), kwargs=None):\n"
        "        raise RuntimeError('no')\n"
        "def build_model():\n"
        "    model = nn.Linear(2, 2)\n"
        "    sly = torch.zeros(2, 2).as_subclass(Sly)\n"
        "    with torch._C.DisableTorchFunctionSubclass():\n"
        "        sly.requires_grad_(True)\n"
        "    model._parameters['sly'] = sly\n"
        "    return model\n"
    ),
    "channels_last": (
        "def build_model():\n"
        "    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(4, 2, 3)).to(\n"
        "        memory_format=torch.channels_last)\n"
    ),
    "other": (
        "class Norm(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.weight = nn.Parameter(torch.ones(2))\n"
        "        self.register_buffer('running_mean', torch.zeros(2))\n"
        "def build_model():\n"
        "    return nn.Sequential(nn.Linear(2, 2), Norm(), nn.Linear(2, 2), Norm())\n"
    ),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_models(session, tmp_path, name):
    target = model_file(tmp_path, UNUSUAL[name])
    session.open(target)
    session.freeze(selected(""))
    session.freeze(selected("*weight"), frozen=False)
    for scheme in ("normal_", "orthogonal_", "reset_parameters"):
        session.initialize(selected(""), parse_scheme(scheme), seed=2)
    if name == "other":
        session.hold_statistics(selected(""))
        assert 'type(module).__name__ == "Norm"' in block(session)
    script = session.get_script()
    assert not script.notes
    applied(session, target)
