"""Checkpoints of Hugging Face models, laid on models that were built from a configuration.

What ``from_pretrained`` makes of the same folder is what is to come out.
"""

from __future__ import annotations

import functools
import os
from typing import Any

import pytest
import torch
from torch import nn

os.environ["HF_HUB_OFFLINE"] = "1"
transformers: Any = pytest.importorskip("transformers")

from inspector_app.backend.session import Session  # noqa: E402
from inspector_app.protocol.table import Flag  # noqa: E402
from tests.backend.edit_models import raw  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # those of another package

_SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "vocab_size": 31,
}


def bert() -> Any:
    """A tiny encoder."""
    return transformers.BertConfig(**_SIZES, max_position_embeddings=16)


def gpt2() -> Any:
    """A tiny decoder, its output tied to its embedding."""
    return transformers.GPT2Config(vocab_size=31, n_positions=16, n_embd=16, n_layer=2, n_head=2)


def llama() -> Any:
    """A tiny decoder whose output is not tied."""
    return transformers.LlamaConfig(
        **_SIZES, num_key_value_heads=1, max_position_embeddings=16, tie_word_embeddings=False
    )


def t5() -> Any:
    """A tiny encoder and decoder with one embedding."""
    return transformers.T5Config(
        vocab_size=31, d_model=16, d_kv=8, d_ff=24, num_layers=1, num_heads=2
    )


def vit() -> Any:
    """A tiny transformer of pictures."""
    sizes = {key: value for key, value in _SIZES.items() if key != "vocab_size"}
    return transformers.ViTConfig(**sizes, image_size=8, patch_size=4)


def mixtral() -> Any:
    """A tiny mixture of experts, which files hold apart and the model as one tensor."""
    return transformers.MixtralConfig(**_SIZES, num_key_value_heads=1, num_local_experts=3)


def build(config: str, name: str) -> nn.Module:
    """A model of a class of transformers, with values of its own."""
    model: nn.Module = getattr(transformers, name)(globals()[config]())
    return model


def opened(session: Session, config: str, name: str, monkeypatch) -> nn.Module:
    """The same as the open target."""
    monkeypatch.setitem(globals(), "build_it", functools.partial(build, config, name))
    session.open("tests.backend.test_loading_transformers:build_it", seed=5)
    return session._opened.model


def values(model: nn.Module) -> dict[str, bytes]:
    return {key: raw(value) for key, value in model.state_dict().items()}


@pytest.mark.parametrize(
    ("config", "saved_as", "opened_as", "prefix"),
    [
        ("bert", "BertForMaskedLM", "BertForMaskedLM", ""),
        ("bert", "BertForSequenceClassification", "BertModel", "bert."),
        ("bert", "BertModel", "BertForTokenClassification", "+bert."),
        ("gpt2", "GPT2LMHeadModel", "GPT2LMHeadModel", ""),
        ("gpt2", "GPT2Model", "GPT2LMHeadModel", "+transformer."),
        ("gpt2", "GPT2LMHeadModel", "GPT2Model", "transformer."),
        ("llama", "LlamaForCausalLM", "LlamaForCausalLM", ""),
        ("llama", "LlamaForCausalLM", "LlamaModel", "model."),
        ("llama", "LlamaModel", "LlamaForSequenceClassification", "+model."),
        ("t5", "T5ForConditionalGeneration", "T5ForConditionalGeneration", ""),
        ("vit", "ViTForImageClassification", "ViTForImageClassification", ""),
        ("vit", "ViTForImageClassification", "ViTModel", "vit."),
        ("mixtral", "MixtralForCausalLM", "MixtralForCausalLM", ""),
        ("mixtral", "MixtralForCausalLM", "MixtralModel", "model."),
        ("mixtral", "MixtralModel", "MixtralForSequenceClassification", "+model."),
    ],
)
def test_it_is_what_from_pretrained_makes_of_it(
    tmp_path, monkeypatch, config, saved_as, opened_as, prefix
):
    torch.manual_seed(1)
    build(config, saved_as).save_pretrained(tmp_path)
    with Session() as session:
        model = opened(session, config, opened_as, monkeypatch)
        before = values(model)
        path = str(tmp_path / "model.safetensors")
        plan = session.plan_state(path)
        assert plan.prefix == prefix
        missing = {one.name for one in plan.differences if one.kind == "missing"}
        assert all(one.kind in ("missing", "unexpected") for one in plan.differences)
        session.load_state(path, fit=True)
        theirs, info = getattr(transformers, opened_as).from_pretrained(
            tmp_path, output_loading_info=True
        )
        assert missing == info["missing_keys"]
        after, wanted = values(model), values(theirs)
        assert after.keys() == wanted.keys()
        for key in after:
            assert after[key] == (before[key] if key in missing else wanted[key]), key
        table = session.tree.table
        marked = {table.path(row) for row in range(len(table)) if table.has(row, Flag.INITIAL)}
        assert missing <= marked
        session.undo()
        assert values(model) == before


def test_half_precision_is_converted_and_said_so(tmp_path, monkeypatch):
    build("llama", "LlamaForCausalLM").bfloat16().save_pretrained(tmp_path)
    with Session() as session:
        model = opened(session, "llama", "LlamaForCausalLM", monkeypatch)
        path = str(tmp_path / "model.safetensors")
        plan = session.plan_state(path)
        assert plan.complete
        assert plan.notes == [
            f"{plan.tensors} tensors are converted from bfloat16 to float32 without loss"
        ]
        session.load_state(path)
        wanted = transformers.LlamaForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
        assert values(model) == values(wanted)
