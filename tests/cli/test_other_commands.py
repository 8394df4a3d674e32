"""``factories``, ``script`` and ``--trust``."""

from __future__ import annotations

import json
import sys

import pytest
import torch
from torch import nn

from inspector_app.cli import DONE, main

FILE = '''
raise SystemExit("nothing in it is run")
from torch import nn
class Net(nn.Module):
    """A net."""
    def __init__(self, width: int = 3, *, deep: bool, name="x"): super().__init__()
def make(a, b=2, **more) -> nn.Module: ...
'''


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def test_factories_are_listed_and_nothing_is_run(folder, capfd):
    (folder / "hub.py").write_text(FILE)
    assert main(["factories", "hub.py"]) == DONE
    assert capfd.readouterr().out.splitlines() == [
        "hub.py:make(a, b=2, ...)",
        "hub.py:Net(width: int = 3, *, deep: bool, name='x')",
        "    A net.",
    ]
    assert main(["factories", "hub.py", "--json"]) == DONE
    first = json.loads(capfd.readouterr().out)["factories"][0]
    assert (first["name"], first["arguments"][1]["default"]) == ("make", "2")


def test_factories_of_a_file_without_any(folder, capfd):
    (folder / "empty.py").write_text("A = 1\n")
    assert main(["factories", "empty.py"]) == DONE
    assert capfd.readouterr().out == "empty.py: nothing in it builds a model\n"


def test_a_script_is_printed(capfd):
    words = ["script", "sample:mlp", "--freeze", "hidden", "--init", "output=normal_(std=0.02)"]
    assert main([*words, "--seed", "7"]) == DONE
    out, err = capfd.readouterr()
    compile(out, "copied.py", "exec")
    assert "manual_seed(7)" in out
    assert out.index("# 1. Freeze hidden") < out.index("# 2. normal_(std=0.02) on output")
    assert err == ""
    assert main([*words, "--json"]) == DONE
    assert json.loads(capfd.readouterr().out)["notes"] == []


def test_what_a_script_cannot_do_goes_to_stderr(folder, capfd):
    (folder / "net.py").write_text(
        "from torch import nn\n"
        "def build_model():\n"
        "    model = nn.Module()\n"
        "    model.bag = {nn.Linear(2, 2), nn.Linear(2, 2)}\n"
        "    return model\n"
    )
    assert main(["script", "net.py", "--freeze", "*"]) == DONE
    out, err = capfd.readouterr()
    assert "# Left out" in out
    assert all(line.startswith("inspector-app: note: ") for line in err.splitlines())
    assert "a set, whose order" in err


def test_a_pickled_model_is_only_listed_without_trust(capfd):
    torch.save(nn.Sequential(nn.Linear(2, 3)), "whole.pt")
    assert main(["summary", "whole.pt"]) == DONE
    lines = capfd.readouterr().out.splitlines()
    assert lines[-1] == "Where you trust it: inspector-app summary whole.pt --trust"
    assert any("torch.nn.modules.linear.Linear" in line for line in lines)
    assert main(["summary", "whole.pt", "--json"]) == DONE
    found = json.loads(capfd.readouterr().out)
    assert found["kind"] == "checkpoint"
    assert {one["known"] for one in found["trust"]["imports"]} == {True}


def test_a_trusted_model_is_a_model(capfd):
    torch.save(nn.Sequential(nn.Linear(2, 3)), "whole.pt")
    assert main(["summary", "whole.pt", "--trust", "--json"]) == DONE
    found = json.loads(capfd.readouterr().out)
    assert (found["kind"], found["totals"]["parameters"]) == ("model", 9)
    assert "trust" not in found
    assert main(["export", "whole.pt", "out", "--trust", "--freeze", "*"]) == DONE


def test_paths_mean_what_they_meant_before_the_factory_changed_the_folder(
    tmp_path, monkeypatch, capfd
):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "moves.py").write_text(
        "import os\nfrom torch import nn\n"
        f"def build():\n    os.chdir({str(tmp_path / 'elsewhere')!r})\n    return nn.Linear(2, 2)\n"
    )
    outs = ("one.safetensors", "two.safetensors")
    for out, more in zip(outs, ([], ["--state", outs[0], "--requires-grad", outs[0]]), strict=True):
        monkeypatch.chdir(tmp_path)
        assert main(["export", "moves.py:build", out, *more]) == DONE
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".safetensors") == [
        *outs
    ]
    monkeypatch.chdir(tmp_path)
    assert main(["state", "moves.py:build", outs[0]]) == DONE
    monkeypatch.chdir(tmp_path)
    assert main(["verify", outs[0], "--against", "moves.py:build"]) == DONE
    assert not list((tmp_path / "elsewhere").iterdir())
