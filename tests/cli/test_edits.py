"""The command line's edits: every scheme and every ready selection, on the way to a file."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from inspector_app.cli import DONE, WRONG, main
from inspector_app.protocol.presets import PRESETS
from inspector_app.protocol.schemes import SCHEMES


def export(tmp_path, *words: str, sample: str = "recurrent") -> tuple[int, str]:
    out = str(tmp_path / "out.safetensors")
    return main(["export", f"sample:{sample}", out, "--json", *words]), out


@pytest.mark.parametrize(
    "scheme",
    [
        *SCHEMES,
        "trunc_normal_(std=0.02)",
        "trunc_normal_(0, 0.02, -1, 1)",
        "constant_(val=2)",
        "sparse(sparsity=0.5, std=1)",
        "orthogonal(0.5)",
        "kaiming_normal(mode=fan_out)",
    ],
)
def test_every_scheme_can_be_written_out(tmp_path, scheme):
    sample, where = ("resnet", "stem.0") if scheme.startswith("dirac") else ("recurrent", "lstm")
    code, out = export(tmp_path, "--init", f"{where}={scheme}", sample=sample)
    assert code == DONE
    assert all(tensor.isfinite().all() for tensor in load_file(out).values())


def test_ready_selections_stand_where_a_pattern_does(tmp_path, capfd):
    for preset in set(PRESETS) - {"preset:initial"}:  # that one is what a load has left
        sample = "language_model"
        code, _ = export(tmp_path, "--freeze", preset, sample=sample)
        assert code == DONE
    code, out = export(
        tmp_path, "--init", "preset:biases=constant_(0.5)", "--init", "class:LSTM=orthogonal_"
    )
    assert code == DONE
    tensors = load_file(out)
    assert (tensors["lstm.bias_hh_l1"] == 0.5).all()
    gate = tensors["lstm.weight_hh_l0"][:24]
    assert torch.allclose(gate @ gate.T, torch.eye(24), atol=1e-5)
    report = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert any("not a matrix" in refusal["reason"] for refusal in report["refused"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--init", "lstm=twos_"], "kaiming_normal_"),
        (["--init", "lstm=trunc_normal_(a=1, b=0)"], "a must be below b"),
        (["--init", "head=dirac_"], "3- to 5-dimensional"),
        (["--init", "lstm"], "PATTERN=SCHEME"),
        (["--freeze", "preset:heads"], "There are: preset:body"),
        (["--freeze", "preset:norms"], "no module is a normalisation layer"),
        (["--freeze", "class:Conv2d"], "no module is of such a class"),
    ],
)
def test_says_in_one_line_what_is_wrong(tmp_path, capfd, words, told):
    code, _ = export(tmp_path, *words)
    assert code == WRONG
    (line,) = capfd.readouterr().err.splitlines()
    assert told in line


def trainable(capfd, *words: str) -> dict[str, bool]:
    """``requires_grad`` as the exported file notes it."""
    assert main(["export", "sample:mlp", "out.safetensors", "--no-proof", *words]) == DONE
    capfd.readouterr()
    with safe_open("out.safetensors", "pt") as file:
        noted: dict[str, bool] = json.loads(file.metadata()["model_inspector.requires_grad"])
    return noted


def test_edits_are_made_in_the_order_in_which_they_stand(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    noted = trainable(capfd, "--freeze", "*", "--unfreeze", "output")
    assert [name for name, trains in noted.items() if trains] == ["output.bias", "output.weight"]
    noted = trainable(capfd, "--unfreeze", "output", "--freeze", "*")
    assert not any(noted.values())
    trainable(capfd, "--init", "output=ones_", "--init", "output.bias=zeros_")
    tensors = load_file("out.safetensors")
    assert (tensors["output.weight"] == 1).all()
    assert not tensors["output.bias"].any()
    trainable(capfd, "--init", "output.bias=zeros_", "--init", "output=ones_")
    assert load_file("out.safetensors")["output.bias"].all()


def test_statistics_are_held_before_or_after(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    held = ["--hold", "preset:norms", "--release", "stem", "--freeze", "preset:norms"]
    assert main(["export", "sample:resnet", "out.safetensors", "--no-proof", "--json", *held]) == 0
    notes = json.loads(capfd.readouterr().out.splitlines()[-1])["notes"]
    (moving,) = [note for note in notes if note.startswith("running statistics still move")]
    assert "stem.1" in moving
    assert "stages" not in moving


def test_a_noted_requires_grad_is_applied(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    trainable(capfd, "--freeze", "hidden")
    (tmp_path / "out.safetensors").rename("noted.safetensors")
    noted = trainable(capfd, "--requires-grad", "noted.safetensors", "--unfreeze", "hidden.bias")
    assert [name for name, trains in noted.items() if not trains] == ["hidden.weight"]
