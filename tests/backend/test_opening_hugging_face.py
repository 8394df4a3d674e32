"""Folders of Hugging Face form: built offline, from the library's own classes."""

import builtins
import json
import os
import socket
import sys

import pytest
import torch

from inspector_app.backend.opening import OpenModel, open_target
from inspector_app.backend.session import Session
from inspector_app.protocol.errors import TargetError
from inspector_app.protocol.table import Flag

transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.filterwarnings("ignore")  # of the library itself


def gpt2(**options):
    config = transformers.GPT2Config(
        n_layer=1, n_embd=8, n_head=2, vocab_size=30, n_positions=12, **options
    )
    torch.manual_seed(1)
    return transformers.GPT2LMHeadModel(config)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(self, address):
        raise AssertionError(f"a connection to {address} was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def same_values(one, other):
    theirs = other.state_dict()
    assert one.state_dict().keys() == theirs.keys()
    return all(torch.equal(value, theirs[name]) for name, value in one.state_dict().items())


@pytest.mark.parametrize("shards", ["5MB", "1KB"])
def test_a_folder_with_weights_is_the_model_that_was_saved(tmp_path, shards):
    saved = gpt2()
    saved.save_pretrained(tmp_path, max_shard_size=shards)
    with Session() as session:
        opened = session.open(str(tmp_path))
        assert (opened.kind, opened.title) == ("model", tmp_path.name)
        model = session.tree.objects[0]
        assert type(model) is transformers.GPT2LMHeadModel
        assert same_values(model, saved)
        assert not model.training
        assert opened.totals.parameters == sum(p.numel() for p in saved.parameters())
        assert not (session.tree.table.flags & Flag.INITIAL).any()
        assert session.run().forwards == 1  # on inputs made from the configuration


def test_pickled_weights_are_laid_on_without_running_them(tmp_path):
    saved = gpt2()
    saved.config.architectures = ["GPT2LMHeadModel"]
    saved.config.save_pretrained(tmp_path)
    torch.save(saved.state_dict(), tmp_path / "pytorch_model.bin")
    with Session() as session:
        session.open(str(tmp_path))
        assert same_values(session.tree.objects[0], saved)


def test_a_folder_without_weights_is_freshly_built_by_seed(tmp_path):
    config = gpt2().config
    config.architectures = ["GPT2LMHeadModel"]
    config.save_pretrained(tmp_path)
    first, again, other = (open_target(str(tmp_path), seed=seed) for seed in (3, 3, 4))
    assert same_values(first.model, again.model)
    assert not same_values(first.model, other.model)
    assert first.notes == ["The folder holds no weights: all values are initial ones."]
    assert first.state_path == ""
    with pytest.raises(TargetError, match="too large"):
        open_target(str(tmp_path), seed=2**64)


def test_on_meta_nothing_is_loaded(tmp_path):
    gpt2().save_pretrained(tmp_path)
    opened = open_target(str(tmp_path), device="meta")
    assert isinstance(opened, OpenModel)
    assert all(parameter.is_meta for parameter in opened.model.parameters())
    assert opened.notes == ["model.safetensors was not loaded: on meta, tensors hold no values."]


def test_the_data_type_is_that_of_the_folder(tmp_path):
    gpt2().to(torch.bfloat16).save_pretrained(tmp_path)
    with Session() as session:
        session.open(str(tmp_path))
        assert next(session.tree.objects[0].parameters()).dtype == torch.bfloat16
    assert torch.get_default_dtype() == torch.float32


def test_weights_of_other_names_are_converted_by_the_library(tmp_path):
    """ViT's modules were renamed in version 5, its files were not."""
    config = transformers.ViTConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        image_size=8,
        patch_size=4,
    )
    saved = transformers.ViTForImageClassification(config)
    saved.save_pretrained(tmp_path)
    with Session() as session:
        opened = session.open(str(tmp_path))
        assert same_values(session.tree.objects[0], saved)
        table = session.tree.table
        assert not (table.flags & Flag.INITIAL).any()
        assert session.run().forwards == 1
        assert opened.totals.parameters == sum(p.numel() for p in saved.parameters())


def test_what_the_file_lacks_is_told_and_marked(tmp_path):
    saved = gpt2()
    saved.save_pretrained(tmp_path)
    config = transformers.AutoConfig.from_pretrained(tmp_path)
    config.architectures = ["GPT2ForSequenceClassification"]
    config.num_labels, config.pad_token_id = 2, 0
    config.save_pretrained(tmp_path)
    with Session() as session:
        opened = session.open(str(tmp_path))
        table = session.tree.table
        initial = [table.path(row) for row in range(len(table)) if table.has(row, Flag.INITIAL)]
        assert initial == ["score.weight"]
        assert any("score.weight" in note for note in opened.notes)


def test_damaged_weights_are_told(tmp_path):
    gpt2().save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    assert "model.safetensors is damaged" in sentence(tmp_path)


def config_of(folder, **facts):
    (folder / "config.json").write_text(json.dumps(facts))
    return folder


TINY = {"model_type": "gpt2", "n_embd": 8, "n_head": 2, "n_layer": 1, "vocab_size": 9}


def sentence(folder):
    with pytest.raises(TargetError) as raised:
        open_target(str(folder))
    assert raised.value.sentence.endswith(".")
    return raised.value.sentence


def test_code_of_the_folder_is_never_run(tmp_path):
    proof = tmp_path / "proof"
    (tmp_path / "modeling_own.py").write_text(f"open({str(proof)!r}, 'w')")
    own = {"AutoConfig": "modeling_own.C", "AutoModel": "modeling_own.M"}
    said = sentence(config_of(tmp_path, model_type="own_model", auto_map=own))
    assert "Python code that comes with the folder" in said
    assert "does not know" in sentence(config_of(tmp_path, model_type="own_model"))
    assert "a model of no type" in sentence(config_of(tmp_path, architectures=["X"]))
    opened = open_target(str(config_of(tmp_path, **TINY, auto_map=own)))
    assert type(opened.model) is transformers.GPT2Model  # the library's own of that type
    assert not proof.exists()


def test_kernels_of_the_hub_are_refused(tmp_path):
    said = sentence(config_of(tmp_path, **TINY, attn_implementation="someone/fast-kernel"))
    assert "asks for the kernel 'someone/fast-kernel'" in said


def test_names_of_classes_that_are_none_are_passed_over(tmp_path):
    names = ["no such class", "pipeline", "GPT2Config", "__path__", "GPT2LMHeadModel"]
    opened = open_target(str(config_of(tmp_path, **TINY, architectures=names)))
    assert type(opened.model) is transformers.GPT2LMHeadModel


def test_a_configuration_that_cannot_be_built_is_told(tmp_path):
    said = sentence(config_of(tmp_path, model_type="gpt2", n_embd=7, n_head=2, n_layer=1))
    assert "Building the model of" in said
    assert "config.json" in said
    assert "ValueError" in said


def test_without_the_library_it_is_told_how_to_get_it(tmp_path, monkeypatch):
    gpt2().save_pretrained(tmp_path)
    real = builtins.__import__

    def missing(name, *more, **options):
        if name == "transformers":
            raise ModuleNotFoundError("No module named 'transformers'", name=name)
        return real(name, *more, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    monkeypatch.delitem(sys.modules, "transformers", raising=False)
    said = sentence(tmp_path)
    assert "pip install transformers" in said
    assert str(tmp_path / "model.safetensors") in said


def test_the_environment_is_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
    config_of(tmp_path, **TINY)
    verbosity = transformers.utils.logging.get_verbosity()
    online = sys.modules["huggingface_hub.constants"].HF_HUB_OFFLINE
    open_target(str(tmp_path))
    assert os.environ["HF_HUB_OFFLINE"] == "0"
    assert "TRANSFORMERS_OFFLINE" not in os.environ
    assert transformers.utils.logging.get_verbosity() == verbosity
    assert online == sys.modules["huggingface_hub.constants"].HF_HUB_OFFLINE


def test_what_the_configuration_asks_for_in_vain_is_told(tmp_path):
    own = {"AutoModel": "modeling_own.M"}
    opened = open_target(str(config_of(tmp_path, **TINY, architectures=["OwnModel"])))
    assert opened.notes[0] == (
        "config.json names OwnModel: transformers has no such class, so this is a GPT2Model."
    )
    folder = config_of(tmp_path, **TINY, architectures=["OwnModel"], auto_map=own)
    assert (
        "its code comes with the folder, which is not run here" in open_target(str(folder)).notes[0]
    )
    folder = config_of(tmp_path, **TINY, architectures=["GPT2Model"], auto_map=own)
    assert "auto_map" in open_target(str(folder)).notes[0]
    folder = config_of(tmp_path, **TINY, architectures=["GPT2Model"])
    assert [note for note in open_target(str(folder)).notes if "config.json" in note] == []


def test_tied_weights_that_the_file_names_twice_need_no_conversion(tmp_path):
    model = gpt2(architectures=["GPT2LMHeadModel"])
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    notes = open_target(str(tmp_path)).notes
    assert not any("unlike this version" in note for note in notes)


def test_a_field_of_the_wrong_kind_is_told_to_the_end(tmp_path):
    said = sentence(config_of(tmp_path, model_type="bert", hidden_size="x"))
    assert "hidden_size" in said
    assert not said.endswith(":.")
