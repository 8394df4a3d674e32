"""What tests of train steps compare with."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import torch
from torch import nn

from inspector_app.backend.running import private_random
from inspector_app.backend.session import Session

STEPS = 5


def write(folder: Path, text: str) -> str:
    file = folder / "model_file.py"
    file.write_text("import torch\nfrom torch import nn\n" + text)
    return str(file)


def seeded(seed: int) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def plain_losses(opened, make_optimizer, *, seed=3, mode="train", dry=False) -> list[float]:
    """What a loop in plain torch comes to, on a fresh model of the same target."""
    with private_random(opened.seed):
        model = opened.namespace.build_model()
        seeded(seed)
        inputs = opened.namespace.example_inputs()
        if dry:
            seeded(seed)
            with torch.no_grad():
                model.eval()(*inputs)
        seeded(seed)
        model.train(mode == "train")
        optimizer = make_optimizer(model.parameters())
        losses = []
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss = opened.namespace.loss(model(*inputs))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses


def recorded(session: Session, name: str = "loss") -> list[float]:
    """A scalar series as the ring holds it."""
    records = session.get_records()
    key = next(one.key for one in records.series if (one.kind, one.leaf) == ("scalar", name))
    return records.mean[records.key == key].tolist()


def kinds_of(session: Session, row: int) -> set[str]:
    records = session.get_records()
    fired = set(records.key.tolist())
    return {one.kind for one in records.series if one.row == row and one.key in fired}


def everything(model: nn.Module) -> list:
    """All that a run on a copy must leave alone."""
    tensors = [*model.parameters(), *model.buffers()]
    return [
        [module.training for module in model.modules()],
        [id(tensor) for tensor in tensors],
        [tensor.requires_grad for tensor in tensors],
        [id(tensor.grad) for tensor in tensors],
        [tensor._version for tensor in tensors],
        [tensor.detach().clone().flatten().view(torch.uint8).tolist() for tensor in tensors],
        [len(module._forward_hooks) for module in model.modules()],
        [len(parameter._backward_hooks or ()) for parameter in model.parameters()],
        torch.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),
        random.getstate(),
    ]
