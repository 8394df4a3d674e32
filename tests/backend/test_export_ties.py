"""One tensor under several names: written under each, or once with the others as aliases."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, load_model, save_file, save_model

from inspector_app.backend.exporting import export, plan_export
from inspector_app.backend.exporting.aliased import Aliased
from inspector_app.backend.exporting.facts import ExportFacts
from inspector_app.backend.notes import noted_aliases
from inspector_app.backend.opening import open_checkpoint
from inspector_app.backend.states import StateDict
from inspector_app.backend.verifying import verify
from inspector_app.protocol.messages import ExportOptions, Rename
from tests.backend.exports import Tied

ALIAS = ExportOptions(ties="alias")


@pytest.fixture
def aliased(tmp_path):
    """A file that leaves head.weight out."""
    path = str(tmp_path / "aliased")
    export(StateDict(Tied().state_dict()), path, ALIAS)
    return path


def facts_of(checkpoint):
    carried = Aliased(checkpoint).metadata
    return ExportFacts(requires_grad=checkpoint.requires_grad, carried=carried)


def test_an_alias_is_noted_as_the_library_does(tmp_path, aliased):
    save_model(Tied(), str(tmp_path / "theirs"))
    with safe_open(aliased, "pt") as ours, safe_open(tmp_path / "theirs", "pt") as theirs:
        assert set(ours.keys()) == set(theirs.keys())
        for key, value in theirs.metadata().items():
            assert ours.metadata()[key] == value
        assert ours.metadata()["head.weight"] == "embedding.weight"


def test_the_library_loads_it_strictly(aliased):
    model = Tied()
    load_model(model, aliased)
    assert torch.equal(model.head.weight, load_file(aliased)["embedding.weight"])


def test_the_report_says_how_it_is_kept(tmp_path):
    report = export(StateDict(Tied().state_dict()), str(tmp_path / "x"), ALIAS)
    assert report.tensors == 6
    assert [tie.names for tie in report.ties] == [["embedding.weight", "head.weight"]]
    assert 'written once, as "embedding.weight"' in report.ties[0].kept
    assert plan_export(StateDict(Tied().state_dict()), ALIAS).tensors == 6


def test_aliases_by_us_and_by_others_are_known(tmp_path, aliased):
    save_model(Tied(), str(tmp_path / "theirs"))
    for path in (aliased, str(tmp_path / "theirs")):
        with safe_open(path, "pt") as file:
            aliases = noted_aliases(file.metadata(), file.keys())
        assert aliases == {"head.weight": "embedding.weight"}
    names = ["a", "b"]
    assert noted_aliases({"format": "a", "c": "gone", "b": "a", "note": "text"}, names) == {}
    assert noted_aliases({"model_inspector.target": "a"}, names) == {}
    ties = json.dumps([["a", "b"], ["c", "b", "d"], ["x", "y"], []])
    assert noted_aliases({"model_inspector.ties": ties}, names) == {"c": "b", "d": "b"}


def test_names_in_the_metadata_never_hide_what_the_format_needs(tmp_path):
    held = torch.ones(2)
    values = {"a": held, "format": held.detach(), "model_inspector.target": held.detach()}
    path = str(tmp_path / "x")
    export(StateDict(values), path, ALIAS, facts=ExportFacts(target="m.py"))
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    assert (metadata["format"], metadata["model_inspector.target"]) == ("pt", "m.py")
    assert verify(path, against=StateDict(values)).ok
    found = verify(path, against=StateDict({**values, "format": torch.zeros(2)}))
    assert [difference.name for difference in found.differences] == ["format"]


def test_an_aliased_file_exported_again_has_all_its_names(tmp_path, aliased):
    state = Tied().state_dict()
    with_all, with_prefix = str(tmp_path / "all"), str(tmp_path / "prefix")
    checkpoint = open_checkpoint(aliased)
    source = Aliased(checkpoint)
    assert set(source.names()) == set(state)
    export(source, with_all, facts=facts_of(checkpoint))
    renamed = ExportOptions(ties="alias", renames=[Rename(old="", new="n.")])
    report = export(source, with_prefix, renamed, facts=facts_of(checkpoint))
    checkpoint.close()
    read = load_file(with_all)
    assert set(read) == set(state)
    assert torch.equal(read["head.weight"], read["embedding.weight"])
    with safe_open(with_all, "pt") as file:
        assert "head.weight" not in file.metadata()
    assert [tie.names for tie in report.ties] == [["n.embedding.weight", "n.head.weight"]]
    with safe_open(with_prefix, "pt") as file:
        assert file.metadata()["n.head.weight"] == "n.embedding.weight"
        assert "head.weight" not in file.metadata()
    again = open_checkpoint(aliased)
    assert verify(with_all, against=Aliased(again)).ok
    assert torch.equal(again.tensor("embedding.weight"), Aliased(again).value("head.weight"))
    again.close()


@pytest.mark.parametrize("options", [ALIAS, ExportOptions(format="torch")])
def test_a_note_of_ties_that_is_not_true_loses_nothing(tmp_path, options):
    """Somebody changed one of two tensors and kept the notes."""
    path = str(tmp_path / "x")
    held = torch.arange(5.0)
    notes = {"model_inspector.ties": '[["a","b","c","d"]]'}
    other = torch.zeros(5)
    values = {"a": held, "b": held.clone(), "c": other, "d": torch.zeros(3)}
    save_file(values, path, notes)
    checkpoint = open_checkpoint(path)
    out = str(tmp_path / "out")
    report = export(Aliased(checkpoint), out, options, facts=facts_of(checkpoint))
    checkpoint.close()
    assert [tie.names for tie in report.ties] == [["a", "b"]]
    assert verify(out, against=StateDict(values)).ok
