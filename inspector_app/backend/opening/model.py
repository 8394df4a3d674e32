"""A model that was built or loaded, and how it came about."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Literal

from torch import nn

from inspector_app.backend.recipes import Recipe


@dataclass
class OpenModel:
    """A model and how it came about.

    ``kind``: built by a person's factory, unpickled from a file on their word, built from a folder
    of Hugging Face form, or live in a program that runs.
    """

    model: nn.Module
    target: str  # as it was asked for
    title: str  # "resnet"
    path: str  # of the file behind it, "" where there is none
    arguments: dict[str, Any]
    device: str
    seed: int
    namespace: ModuleType | None = None  # of the factory's file: example_inputs() and loss()
    factory_name: str = ""  # of a trusted file: the key under which the model was found
    kind: Literal["factory", "trusted", "hugging_face", "live"] = "factory"
    state_path: str = ""  # of weights that are still to be laid onto it, "" for none
    laid: Recipe | None = None  # how they were laid onto it
    initial: list[str] | None = None  # keys that loading left as they were; None where none loaded
    notes: list[str] = field(default_factory=list)  # sentences for the person
    inputs: ModuleType | None = None  # has example_inputs(), where no file of the person's does

    @property
    def provider(self) -> ModuleType | None:
        """Where ``example_inputs()`` may be found."""
        return self.inputs if self.namespace is None else self.namespace
