"""The options of ``export``, each seen in the file that it writes."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from inspector_app.cli import DONE, FAILED, main
from inspector_app.protocol import messages as m


@pytest.fixture
def export(tmp_path, monkeypatch, capfd):
    """Export a sample in a current folder of its own; the report."""
    monkeypatch.chdir(tmp_path)

    def export(sample: str, *words: str) -> dict:
        assert main(["export", f"sample:{sample}", "out", "--json", *words]) == DONE
        report: dict = json.loads(capfd.readouterr().out)
        return report

    return export


def test_a_file_for_torch(export):
    report = export("mlp", "--format", "torch")
    assert report["proof"]["state"] == "proven"
    assert sorted(torch.load("out", weights_only=True)) == sorted(
        ["hidden.weight", "hidden.bias", "output.weight", "output.bias"]
    )


def test_only_what_trains(export):
    export("mlp", "--freeze", "hidden", "--trainable")
    assert sorted(load_file("out")) == ["output.bias", "output.weight"]


def test_another_dtype(export):
    report = export("mlp", "--dtype", "bfloat16")
    assert {tensor.dtype for tensor in load_file("out").values()} == {torch.bfloat16}
    assert any("bfloat16" in note for note in report["notes"])


def test_the_first_renaming_that_fits_is_carried_out(export):
    export("mlp", "--rename", "hidden.=body.", "--add-prefix", "net.")
    assert sorted(load_file("out")) == [
        "body.bias", "body.weight", "net.output.bias", "net.output.weight",
    ]  # fmt: skip
    export("mlp", "--add-prefix", "net.")
    assert all(name.startswith("net.") for name in load_file("out"))
    export("mlp", "--remove-prefix", "hidden.", "--only", "hidden")
    assert sorted(load_file("out")) == ["bias", "weight"]


def test_ready_selections_choose_keys(export):
    export("language_model", "--only", "preset:embeddings", "--skip", "class:LayerNorm")
    assert sorted(load_file("out")) == ["positions.weight", "tokens.weight"]
    export("language_model", "--skip", "class:LayerNorm", "--skip", "preset:biases")
    assert not [name for name in load_file("out") if "norm" in name or name.endswith("bias")]


def test_shards_of_a_size(export):
    report = export("resnet", "--shard-size", "40KiB")
    assert len(report["files"]) > 2
    assert report["files"][0].endswith(".json")


def test_a_tied_tensor_under_one_name(export):
    (tie,) = export("language_model", "--ties", "alias")["ties"]
    names = set(load_file("out"))
    assert len(names & set(tie["names"])) == 1
    (tie,) = export("language_model")["ties"]
    assert set(tie["names"]) <= set(load_file("out"))


def test_no_proof_where_none_is_wanted(export):
    assert export("mlp", "--no-proof")["proof"]["state"] == "not tried"


def test_past_the_page_cache(export):
    assert export("mlp", "--from-disk")["tensors"] == 4


def test_keys_left_out_are_told_by_reason(export, capfd):
    assert main(["export", "sample:resnet", "out", "--only", "head"]) == DONE
    (line,) = [one for one in capfd.readouterr().out.splitlines() if one.startswith("left out")]
    assert "and" in line
    assert line.endswith("more (not selected)")


def test_a_failed_proof_is_an_exit_code(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    from inspector_app.backend.session import Session

    failed = m.Proof(state="failed", sentence="A fresh model does not load it")
    export = Session.export

    def unproven(self, *given, **named):
        return m.Exported(**{**_fields(export(self, *given, **named)), "proof": failed})

    monkeypatch.setattr(Session, "export", unproven)
    assert main(["export", "sample:mlp", "out"]) == FAILED
    assert "A fresh model does not load it" in capfd.readouterr().out


def _fields(report) -> dict:
    return {name: getattr(report, name) for name in report.__struct_fields__}
