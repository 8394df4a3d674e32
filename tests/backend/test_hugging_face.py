"""Sixty architectures of transformers, tiny and built offline: totals, export, undo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from inspector_app.backend.session import Session
from inspector_app.protocol.messages import Selection
from inspector_app.protocol.schemes import parse_scheme
from tests.backend import hugging_face_models
from tests.backend.edit_models import raw, state
from tests.backend.hugging_face_models import MODELS, build
from tests.backend.tree_models import check_against_torch

pytest.importorskip("transformers")

DECODERS = (
    "gpt2 gpt_neo gpt_neox gptj opt bloom llama mistral qwen2 qwen3 gemma2 phi phi3 falcon "
    "stablelm starcoder2 olmo2 cohere granite"
)
EXPERTS = "mixtral qwen2_moe olmoe deepseek_v3 switch_transformers"
STATES = "mamba mamba2 falcon_mamba jamba recurrent_gemma"
ENCODERS = (
    "bert roberta albert distilbert electra deberta_v2 mpnet fnet modernbert longformer xlnet "
    "roformer"
)
BOTH = "t5 umt5 bart pegasus marian led"
VISION = "vit beit dinov2 swin convnext resnet segformer"
SOUND = "wav2vec2 hubert whisper encodec"
SENSES = "clip siglip vilt llava lxmert"
NAMES = " ".join((DECODERS, EXPERTS, STATES, ENCODERS, BOTH, VISION, SOUND, SENSES)).split()

# What transformers and torch say about their own past is no fault of ours.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def session() -> Iterator[Session]:
    with Session() as session:
        yield session


def test_the_list_is_of_sixty() -> None:
    assert len(NAMES) == len(set(NAMES)) >= 60
    assert set(NAMES) == set(MODELS)


@pytest.mark.parametrize("name", NAMES)
def test_architecture(name: str, session: Session, tmp_path: Path) -> None:
    file = hugging_face_models.__file__
    opened = session.open(f"{file}:build", arguments={"name": name})
    model = session.tree.objects[0]
    assert isinstance(model, nn.Module)

    # Totals and rows are torch's own.
    tree = check_against_torch(model)
    parameters = list(model.parameters())
    assert opened.totals.modules == len(list(model.modules()))
    assert opened.totals.parameters == sum(p.numel() for p in parameters)
    assert opened.totals.trainable == sum(p.numel() for p in parameters if p.requires_grad)
    assert opened.totals.buffers == sum(b.numel() for b in model.buffers())
    assert opened.table.paths == tree.table.paths

    # Undo of freeze and of init brings every bit back.
    before = state(model)
    everything = Selection(patterns=["*"])
    assert session.freeze(everything).totals.trainable == 0
    assert not any(p.requires_grad for p in model.parameters() if p.is_floating_point())
    assert state(model) != before
    session.undo()
    assert state(model) == before
    session.initialize(everything, parse_scheme("normal_(std=0.5)"), seed=3)
    assert state(model) != before
    session.undo()
    assert state(model) == before

    # The file loads strictly into a fresh model, bit by bit.
    session.redo()
    out = tmp_path / "out.safetensors"
    report = session.export(str(out))
    assert report.proof.state == "proven", report.proof.sentence
    with torch.device("cpu"):
        fresh = build(name)
    loaded = load_file(out)
    result = fresh.load_state_dict(loaded, strict=True)
    assert not result.missing_keys
    assert not result.unexpected_keys
    ours, theirs = model.state_dict(), fresh.state_dict()
    assert ours.keys() == theirs.keys() == loaded.keys()
    assert all(raw(ours[key]) == raw(theirs[key]) for key in ours)
