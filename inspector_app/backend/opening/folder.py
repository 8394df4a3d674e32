"""What a folder means as a target: a model of Hugging Face form, or the one checkpoint in it."""

from __future__ import annotations

from pathlib import Path

from inspector_app.backend.checkpoint import Checkpoint
from inspector_app.backend.formats.content import open_file
from inspector_app.backend.formats.values import Check
from inspector_app.backend.opening.hugging_face import (
    CONFIG,
    open_hugging_face,
    read_config,
    weights_in,
)
from inspector_app.backend.opening.model import OpenModel
from inspector_app.protocol.errors import TargetError

_INDEX = ".index.json"
_ENDINGS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
_NAMED = 5


def _checkpoint(folder: Path) -> Path:
    """The one checkpoint of a folder, or the index of its shards; raises TargetError."""
    try:
        names = sorted(path.name for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise TargetError(f"{folder} cannot be read: {error.strerror or error}.") from None
    if ".metadata" in names and any(name.endswith(".distcp") for name in names):
        raise TargetError(
            f"{folder} is a checkpoint of torch.distributed, which is not read yet. Convert it "
            "with 'python -m torch.distributed.checkpoint.format_utils dcp_to_torch'."
        )
    weights = weights_in(folder) if CONFIG in names else None
    if weights is not None:
        return weights  # an optimizer's state and the like stand beside it
    indexes = [name for name in names if name.endswith(_INDEX)]
    found = indexes or [name for name in names if name.endswith(_ENDINGS)]
    if len(found) == 1:
        return folder / found[0]
    others = [name for name in names if name.endswith(".py")]
    listed = found or others
    inside = ""
    if listed:
        more = "…" if len(listed) > _NAMED else ""
        inside = f" It holds {', '.join(listed[:_NAMED])}{more}."
    raise TargetError(f"{folder} is a folder: name a file in it.{inside}")


def checkpoint_of_folder(folder: Path, target: str, check: Check) -> Checkpoint:
    """The one checkpoint in a folder; raises TargetError where it holds none or several."""
    return Checkpoint(open_file(_checkpoint(folder), check), target)


def open_folder(
    folder: Path, target: str, device: str, seed: int, check: Check
) -> OpenModel | Checkpoint:
    """The model or checkpoint that a folder holds; raises TargetError."""
    config = read_config(folder)
    if config is None:
        return checkpoint_of_folder(folder, target, check)
    if config.of_transformers:
        return open_hugging_face(folder.resolve(), config, target, device, seed)
    opened = checkpoint_of_folder(folder, target, check)
    opened.add_note(f"Its {CONFIG} is not one of transformers: only the weights are shown.")
    return opened
