"""Runs of the open model: forwards and steps of training, and the data for them."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inspector_app.protocol.changes import RowsChange
from inspector_app.protocol.messages.base import Plain, Request, Result, Totals
from inspector_app.protocol.messages.editing import JournalEntry

Distribution = Literal["normal", "uniform", "zeros", "ones", "integers", "file", "pictures"]
PixelScaling = Literal["unit", "signed", "imagenet"]
"""Values of pixels: from 0 to 1; from -1 to 1; by mean and deviation of ImageNet's channels."""
LossKind = Literal["own", "cross_entropy", "mse", "mean_square"]
RunMode = Literal["eval", "train"]
Pictures = NDArray[np.uint8]  # (examples, channels, height, width)


class InputField(Plain, frozen=True, kw_only=True):
    """How to make one argument of ``forward``.

    "file" reads a tensor as it is stored and gives it this ``dtype``; "pictures" takes pixels that
    come with the request, as ``scaling`` says.  Both leave ``shape`` aside.
    """

    name: str
    shape: tuple[int, ...] = (1,)
    dtype: str = "float32"
    distribution: Distribution = "normal"
    high: int = 2  # exclusive bound of "integers"
    required: bool = True
    used: bool = True
    path: str = ""  # of "file"
    key: str = ""  # of the tensor in the file; "" where it holds one, or one of this name
    scaling: PixelScaling = "unit"  # of "pictures"


class InputForm(Result, frozen=True, kw_only=True):
    """How example inputs can be had; ``provided`` says that the model file makes its own."""

    provided: bool
    fields: list[InputField]
    reason: str = ""  # why no form can be made
    own_loss: bool = False  # whether the model file has a loss(output)
    optimizers: list[str] = []  # names in torch.optim


class TrainSteps(Plain, frozen=True, kw_only=True):
    """How a run trains.

    ``loss`` "own" is the model file's ``loss(output)``; "cross_entropy" and "mse" go against
    random targets that stay the same for the whole run, "mean_square" needs none.
    """

    optimizer: str = "SGD"  # a class in torch.optim
    learning_rate: float = 0.01
    momentum: float = 0.0  # of SGD and RMSprop
    weight_decay: float | None = None  # None: the optimizer's own
    loss: LossKind = "own"
    on_copy: bool = True  # False changes the open model, as an edit


class Ran(Result, frozen=True, kw_only=True):
    """A finished run; ``change`` tells of rows that it changed."""

    forwards: int  # steps, where it trained
    seconds: float
    change: RowsChange
    totals: Totals
    first_loss: float | None = None
    last_loss: float | None = None
    note: str = ""  # a sentence about why it ended before its time
    history: list[JournalEntry] | None = None  # where it was an edit: the journal as it is now


class FileTensor(Plain, frozen=True, kw_only=True):
    """One tensor that a file of data holds."""

    key: str
    shape: tuple[int, ...]
    dtype: str  # "float32"


class DataFile(Result, frozen=True, kw_only=True):
    """Tensors that a file of data holds."""

    path: str
    tensors: list[FileTensor]


class DescribeInputs(Request, frozen=True, kw_only=True):
    """-> InputForm."""


class DescribeDataFile(Request, frozen=True, kw_only=True):
    """Tensors in a .npy, .safetensors or torch.save file; no value is read -> DataFile."""

    path: str


class Run(Request, frozen=True, kw_only=True):
    """Run forwards, or with ``training`` steps of training -> Ran.

    ``fields`` None takes the file's example_inputs(); ``repeat`` 0: until cancelled.  In "eval"
    mode each module's training flag is restored afterwards; in "train" mode buffers are as well,
    so that watching never changes the model.  A run that trains does so on a copy, unless it is
    told otherwise.
    """

    fields: list[InputField] | None = None
    repeat: int = 1
    mode: RunMode = "eval"
    seed: int = 0
    pause: float = 0.0  # seconds between two forwards
    batch: int = 0  # examples a forward takes of files and pictures, in order; 0: all of them
    pictures: dict[str, Pictures] = {}  # by the field's name
    training: TrainSteps | None = None
    resume: bool = False  # go on with the copy of the run before, if it was run in the same way
