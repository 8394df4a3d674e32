"""What an edit did to which rows, so that a script can be written that does the same.

A recipe speaks of positions in the tree as it was when the edit was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inspector_app.backend.tree import Tree
from inspector_app.protocol.messages import Scheme
from inspector_app.protocol.table import Int32

if TYPE_CHECKING:
    from inspector_app.backend.init_targets import Target


@dataclass(frozen=True)
class FreezeRecipe:
    """``requires_grad`` of parameters was set, and gradients were taken off those frozen."""

    tree: Tree
    rows: Int32  # of the parameters, those included that were so already
    frozen: bool


@dataclass(frozen=True)
class HoldRecipe:
    """The training flag of modules was set."""

    tree: Tree
    rows: Sequence[int]  # of the modules
    held: bool


@dataclass(frozen=True)
class InitializeRecipe:
    """Weights were filled by a scheme, in this order, from one generator for each device."""

    tree: Tree
    targets: Sequence[Target]
    scheme: Scheme
    seed: int


@dataclass(frozen=True)
class ResetRecipe:
    """Methods of modules were called in this order, from one seed of all global generators."""

    tree: Tree
    calls: Sequence[tuple[int, str]]  # position of the module, name of its method
    seed: int
    rejoined: Sequence[int]  # rows that got other memory, whose values were brought into their own


@dataclass(frozen=True)
class LoadRecipe:
    """Tensors of a file were written into those of ``model.state_dict()``, in this order.

    Lazy ones (``torch.nn.parameter.is_lazy``) got the shape of the file's tensor first.
    """

    path: str
    keys: Sequence[tuple[str, str]]  # key in the file, key of the state dict; each tensor once
    lazy: bool = False  # whether some were lazy
    part: str = ""  # leads to the state dict in the file, where it is not the one found by itself
    complete: bool = False  # whether file and model have the same keys, in shapes that fit


@dataclass(frozen=True)
class GradientsRecipe:
    """``requires_grad`` was set as a file notes it: parameters frozen, and parameters unfrozen."""

    parts: Sequence[FreezeRecipe]


@dataclass(frozen=True)
class TrainRecipe:
    """Steps of training were made, which a script does not repeat."""


Recipe = (
    FreezeRecipe
    | HoldRecipe
    | InitializeRecipe
    | ResetRecipe
    | LoadRecipe
    | GradientsRecipe
    | TrainRecipe
)
