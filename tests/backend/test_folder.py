"""What a folder means as a target."""

import pytest
import torch
from safetensors.torch import save_file

from inspector_app.backend.checkpoint import Checkpoint
from inspector_app.backend.opening import open_checkpoint, open_target
from inspector_app.protocol.errors import TargetError


def sentence(folder, **options):
    with pytest.raises(TargetError) as raised:
        open_target(str(folder), **options)
    return raised.value.sentence


def test_the_one_checkpoint_of_a_folder(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "adapter_model.safetensors")
    (tmp_path / "README.md").touch()
    opened = open_target(str(tmp_path))
    assert isinstance(opened, Checkpoint)
    assert opened.names() == ["a"]
    assert opened.target == str(tmp_path)
    assert opened.path == str(tmp_path / "adapter_model.safetensors")


def test_several_checkpoints_are_named(tmp_path):
    for name in ("one.pt", "two.safetensors"):
        (tmp_path / name).touch()
    said = sentence(tmp_path)
    assert "name a file in it" in said
    assert "one.pt, two.safetensors" in said
    with pytest.raises(TargetError, match=r"one\.pt, two\.safetensors"):
        open_checkpoint(tmp_path)


def test_other_folders_are_told(tmp_path):
    assert sentence(tmp_path).endswith("is a folder: name a file in it.")
    (tmp_path / "net.py").touch()
    assert "It holds net.py." in sentence(tmp_path)
    (tmp_path / ".metadata").touch()
    (tmp_path / "__0_0.distcp").touch()
    assert "torch.distributed" in sentence(tmp_path)


def test_a_config_of_another_library_does_not_hide_the_weights(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "diffusion_model.safetensors")
    (tmp_path / "config.json").write_text('{"_class_name": "UNet2DModel"}')
    opened = open_target(str(tmp_path))
    assert isinstance(opened, Checkpoint)
    assert "not one of transformers" in opened.notes[0]
    assert any("not one of transformers" in fact.value for fact in opened.facts)


def test_folders_take_no_arguments_and_no_trust(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "x.safetensors")
    assert "takes no arguments" in sentence(tmp_path, arguments={"a": 1})
    assert "nothing in it to trust" in sentence(tmp_path, trusted=True)


@pytest.mark.parametrize("text", ["[]", "{", '{"model_type": 3}', "[" * 100_000])
def test_a_config_that_is_none(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    assert "is no config of a model" in sentence(tmp_path)


def test_beside_a_config_the_weights_have_a_name(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "model.safetensors")
    torch.save({"step": 3}, tmp_path / "optimizer.pt")
    with pytest.raises(TargetError, match=r"model\.safetensors, optimizer\.pt"):
        open_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    assert open_checkpoint(tmp_path).names() == ["a"]


def test_a_config_opened_itself_leads_to_its_folder(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    assert f"open its folder, {tmp_path}." in sentence(tmp_path / "config.json")
