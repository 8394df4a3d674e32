"""What an exported file notes of its origin, under keys that begin with ``model_inspector.``.

Values that are not plain text are JSON:

``version``, ``torch`` of what wrote the file · ``target``, ``arguments``, ``device``, ``seed``,
``class`` of what was open · ``edits`` made since, as journal entries · ``requires_grad`` by name ·
``ties``, lists of names that are one tensor · ``payload``, a hash of all the file says and holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import torch

from inspector_app import __version__
from inspector_app.backend.notes import OURS, PAYLOAD, noted_requires_grad
from inspector_app.protocol.messages import JournalEntry

# Told anew by every export.
_OF_THE_FILE = {
    PAYLOAD,
    *(OURS + key for key in ("version", "torch", "requires_grad", "ties", "files")),
}


@dataclass(frozen=True)
class ExportFacts:
    """What the file says of its origin.

    ``requires_grad`` is that of each parameter by its key, None where it is not known.  ``carried``
    are the metadata of an open checkpoint.  They are kept; what they tell of the model behind the
    checkpoint goes before what is told here.  ``told`` are sentences for the plan.
    """

    target: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    device: str = ""
    seed: int = 0
    class_name: str = ""
    edits: list[JournalEntry] = field(default_factory=list)
    requires_grad: Mapping[str, bool] | None = None
    carried: Mapping[str, str] = field(default_factory=dict)
    told: Sequence[str] = ()

    @property
    def trains(self) -> Mapping[str, bool] | None:
        """``requires_grad`` by key, of the model behind a checkpoint where that was noted."""
        noted = noted_requires_grad(self.carried)
        return self.requires_grad if noted is None else noted


def _text(value: Any) -> str:
    return msgspec.json.encode(value, enc_hook=repr).decode()


def notes_of(
    facts: ExportFacts,
    trains: Mapping[str, bool],
    ties: Iterable[Iterable[str]],
    aliases: Mapping[str, str],
) -> dict[str, str]:
    """All strings that a file carries but for the hash of its contents, sorted by key.

    ``trains``, ``ties`` and ``aliases`` are by name in the file.  An alias is noted as
    ``safetensors.torch.save_model`` does: the name that was left out leads to the one that was
    kept.
    """
    ours = {
        "version": __version__,
        "torch": str(torch.__version__),
        "target": facts.target,
        "arguments": _text(facts.arguments),
        "device": facts.device,
        "seed": str(facts.seed),
        "class": facts.class_name,
        "edits": _text(facts.edits),
        "requires_grad": _text({name: trains[name] for name in sorted(trains)}),
        "ties": _text([list(names) for names in ties]),
    }
    carried = {key: value for key, value in facts.carried.items() if key not in _OF_THE_FILE}
    notes = {"format": "pt", **{OURS + key: value for key, value in ours.items()}, **carried}
    return dict(sorted({**aliases, **notes}.items()))
