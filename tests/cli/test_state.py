"""A checkpoint laid onto a model: compared, refused as a whole, loaded in part."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from inspector_app.cli import DONE, FAILED, WRONG, main
from inspector_app.gui import app


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A current folder with a checkpoint that fits and one that does not."""
    monkeypatch.chdir(tmp_path)
    whole = {
        "hidden.weight": torch.full((8, 10), 2.0),
        "hidden.bias": torch.zeros(8),
        "output.weight": torch.zeros(3, 8),
        "output.bias": torch.ones(3),
    }
    torch.save({"state_dict": {f"module.{key}": value for key, value in whole.items()}}, "all.pt")
    del whole["output.bias"]
    torch.save({**whole, "output.weight": torch.zeros(5, 8), "extra": torch.ones(1)}, "part.pt")
    return tmp_path


def test_what_fits_is_one_line(folder, capfd):
    assert main(["state", "sample:mlp", "all.pt"]) == DONE
    out = capfd.readouterr().out
    assert out.splitlines()[0] == "all.pt: 4 of 4 tensors of sample:mlp match"
    assert "module." in out


def test_differences_are_a_table(folder, capfd):
    assert main(["state", "sample:mlp", "part.pt"]) == FAILED
    head, count, header, *rows = capfd.readouterr().out.splitlines()
    assert head == "part.pt: 2 of 4 tensors of sample:mlp match"
    assert count == "3 differences; --state with --fit loads 2 tensors"
    assert header.split() == ["name", "difference", "model", "file"]
    starts = [header.index(word) for word in ("difference", "model", "file")]
    cells = [
        tuple(row[a:b].strip() for a, b in zip([0, *starts], [*starts, None], strict=True))
        for row in rows
    ]
    assert [cell[0] for cell in cells] == ["output.weight", "output.bias", "extra"]
    assert cells[0][2:] == ("float32 [3, 8]", "float32 [5, 8]")
    assert cells[1][2:] == ("float32 [3]", "-")
    assert cells[2][2:] == ("-", "float32 [1]")


def test_the_plan_as_json(folder, capfd):
    assert main(["state", "sample:mlp", "part.pt", "--json"]) == FAILED
    plan = json.loads(capfd.readouterr().out)
    assert (plan["complete"], plan["matching"], plan["fits"]) == (False, 2, 2)
    assert [one["kind"] for one in plan["differences"]] == ["shape", "missing", "unexpected"]


def test_a_prefix_may_be_named(folder, capfd):
    assert main(["state", "sample:mlp", "all.pt", "--prefix", ""]) == FAILED
    assert main(["state", "sample:mlp", "all.pt", "--prefix", "module."]) == DONE
    capfd.readouterr()


@pytest.mark.parametrize("command", ["summary", "export", "script"])
def test_what_does_not_fit_is_not_loaded(folder, capfd, command):
    words = [command, "sample:mlp", *(["out"] if command == "export" else [])]
    assert main([*words, "--state", "part.pt"]) == WRONG
    out, err = capfd.readouterr()
    assert out == ""
    *table, last = err.splitlines()
    assert len(table) == 4
    assert last == (
        "inspector-app: part.pt differs from the model in 3 keys, so nothing was loaded. "
        "--fit loads what fits: 2 of 4 tensors."
    )
    assert not (folder / "out").exists()


def test_many_differences_are_cut_on_stderr(folder, capfd):
    assert main(["summary", "sample:resnet", "--state", "all.pt"]) == WRONG
    err = capfd.readouterr().err.splitlines()
    assert len(err) == 1 + 20 + 1 + 1
    assert "shows all" in err[-2]
    assert err[-1].endswith("It is of another model.")


def test_what_fits_is_loaded_and_the_rest_can_be_initialised(folder, capfd):
    words = ["export", "sample:mlp", "out", "--state", "part.pt", "--fit", "--json"]
    assert main([*words, "--init", "preset:initial=constant_(5)"]) == DONE
    out, err = capfd.readouterr()
    assert "output.weight" in err
    assert [one["name"] for one in json.loads(out)["state"]["differences"]][-1] == "extra"
    tensors = load_file("out")
    assert (tensors["hidden.weight"] == 2).all()
    assert (tensors["output.weight"] == 5).all()
    assert (tensors["output.bias"] == 5).all()


def test_a_file_is_verified_against_a_model_with_its_state(folder, capfd):
    assert main(["export", "sample:mlp", "out", "--state", "all.pt", "--seed", "3"]) == DONE
    assert main(["verify", "out", "--against", "sample:mlp"]) == FAILED
    assert main(["verify", "out", "--against", "sample:mlp", "--state", "all.pt"]) == DONE
    capfd.readouterr()


def test_the_summary_tells_of_it(folder, capfd):
    assert main(["summary", "sample:mlp", "--state", "all.pt", "--json"]) == DONE
    summary = json.loads(capfd.readouterr().out)
    assert summary["state"]["matching"] == 4
    assert any("module." in note for note in summary["notes"])


def test_the_window_is_given_it(folder, monkeypatch):
    given: dict = {}
    monkeypatch.setattr(app, "run", lambda *words, **named: given.update(named) or 0)
    assert main(["sample:mlp", "--state", "all.pt", "--trust"]) == DONE
    assert given == {"state": "all.pt", "trusted": True}


def test_a_state_needs_a_target(capfd):
    assert main(["window", "--state", "all.pt"]) == WRONG
    assert "name TARGET" in capfd.readouterr().err
