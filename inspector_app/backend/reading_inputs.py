"""Inputs that a person gives: tensors of a file, or pictures; nothing of a file is ever run.

Files of safetensors and torch.save go through our own readers
(:mod:`inspector_app.backend.formats`), which unpickle nothing; ``.npy`` through numpy's, which is
told to refuse objects.  Pictures come as pixels: the window has decoded them.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from inspector_app.backend.formats.content import open_file
from inspector_app.backend.inputs import MAX_ELEMENTS, Inputs, dtype_of
from inspector_app.protocol.errors import RequestError
from inspector_app.protocol.messages import DataFile, FileTensor, InputField, Pictures

_NPY = b"\x93NUMPY"
_NAMED = 5  # keys that a sentence names
# Red, green, blue of the pictures of ILSVRC 2012, as torchvision's pretrained models take them.
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


# -- files ---------------------------------------------------------------------------------------


def describe_data_file(path: str) -> DataFile:
    """The tensors of a file whose values can be read.

    Raises TargetError where it is no file of tensors, RequestError where it holds none.
    """
    if _is_numpy(path):
        array = _mapped(path)
        tensors = [FileTensor(key="", shape=array.shape, dtype=array.dtype.name)]
    else:
        with closing(open_file(path)) as file:
            tensors = [
                FileTensor(key=key, shape=entry.shape or (), dtype=entry.dtype)
                for key, entry in file.entries.items()
                if not entry.reason
            ]
    if not tensors:
        raise RequestError(f"{path} holds no tensor that can be read here.")
    return DataFile(path=path, tensors=tensors)


def read_field(field: InputField) -> torch.Tensor:
    """The tensor that a field of "file" names, in the dtype that it asks for.

    Raises TargetError where there is no such file, RequestError where it lacks the tensor.
    """
    if not field.path:
        raise RequestError(f"{field.name}: choose the file that it is read from.")
    if _is_numpy(field.path):
        return _as_asked(_from_numpy(_mapped(field.path)), field)
    with closing(open_file(field.path)) as file:
        key = _key(field, list(file.entries))
        if file.entries[key].count > MAX_ELEMENTS:
            raise RequestError(f"{field.name}: {key} has too many elements for an example.")
        # What is mapped must not be written to, and the file may change: a copy.
        return _as_asked(file.tensor(key).clone(), field)


def _key(field: InputField, keys: Sequence[str]) -> str:
    """Which tensor of a file is meant."""
    name = os.path.basename(field.path)
    if field.key in keys:
        return field.key
    if not field.key and len(keys) == 1:
        return keys[0]
    if not field.key and field.name in keys:
        return field.name
    listed = ", ".join(keys[:_NAMED]) + (", ..." if len(keys) > _NAMED else "")
    if not keys:
        raise RequestError(f"{field.name}: {name} holds no tensor.")
    if field.key:
        raise RequestError(f"{field.name}: {name} holds no {field.key}; it holds {listed}.")
    raise RequestError(f"{field.name}: choose one of the tensors in {name}: {listed}.")


def _is_numpy(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(_NPY)) == _NPY
    except (OSError, ValueError):
        return False  # who opens it next tells what is wrong with it


def _mapped(path: str) -> NDArray[Any]:
    """An array of a .npy file, of which nothing is read yet."""
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        reason = str(error).strip().split("\n", 1)[0].rstrip(".")
        raise RequestError(f"{path} cannot be read: {reason}.") from None
    if array.dtype.kind not in "biufc":
        raise RequestError(f"{path} holds {array.dtype}, not numbers.")
    if array.size > MAX_ELEMENTS:
        raise RequestError(f"{path} has {array.size:,} elements: too many for an example.")
    return array


def _from_numpy(array: NDArray[Any]) -> torch.Tensor:
    native = np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
    try:
        return torch.from_numpy(native)
    except TypeError:
        raise RequestError(f"torch has no dtype for the file's {array.dtype}.") from None


def _as_asked(tensor: torch.Tensor, field: InputField) -> torch.Tensor:
    """In the dtype of the field, where that loses no more than digits."""
    dtype = dtype_of(field)
    whole = not (dtype.is_floating_point or dtype.is_complex)
    if (whole and (tensor.is_floating_point() or tensor.is_complex())) or (
        tensor.is_complex() and not dtype.is_complex
    ):
        held = str(tensor.dtype).removeprefix("torch.")
        raise RequestError(
            f"{field.name}: the file holds {held}, of which {field.dtype} would lose parts; "
            f"choose {held}."
        )
    return tensor.to(dtype)


# -- pictures ------------------------------------------------------------------------------------


def from_pictures(field: InputField, pictures: Mapping[str, Pictures]) -> torch.Tensor:
    """(examples, channels, height, width) of a field of "pictures", scaled as it says.

    Raises RequestError where no pixels came for it, its dtype holds no fractions, or there are
    other than three channels to be scaled as those of ImageNet.
    """
    pixels = pictures.get(field.name)
    if pixels is None or pixels.ndim != 4 or not pixels.size:
        raise RequestError(f"{field.name}: choose the pictures that it is made of.")
    dtype = dtype_of(field)
    if not dtype.is_floating_point:
        raise RequestError(f"{field.name}: pictures need a floating point dtype.")
    values = torch.from_numpy(pixels.copy()).to(torch.float32) / 255
    if field.scaling == "signed":
        values = 2 * values - 1
    elif field.scaling == "imagenet":
        if values.shape[1] != 3:
            raise RequestError(
                f"{field.name}: ImageNet's mean and deviation are those of three channels, "
                f"not {values.shape[1]}."
            )
        mean, deviation = (values.new_tensor(part).view(3, 1, 1) for part in _IMAGENET)
        values = (values - mean) / deviation
    return values.to(dtype)


def given_tensors(
    fields: Sequence[InputField], pictures: Mapping[str, Pictures], device: torch.device
) -> dict[str, torch.Tensor]:
    """The tensors, by name, of all fields that are used and come from a file or from pictures."""
    tensors: dict[str, torch.Tensor] = {}
    for field in fields:
        if field.used and field.distribution == "file":
            tensors[field.name] = read_field(field).to(device)
        elif field.used and field.distribution == "pictures":
            tensors[field.name] = from_pictures(field, pictures).to(device)
    return tensors


# -- batches -------------------------------------------------------------------------------------


class Batches:
    """Arguments of which some hold many examples: so many of them a step, over and over.

    Raises RequestError where there are too few, or not equally many in each.
    """

    def __init__(self, inputs: Inputs, given: Collection[torch.Tensor], size: int) -> None:
        self._inputs = inputs
        self._given = {id(tensor) for tensor in given}
        lengths = {tensor.shape[0] if tensor.dim() else 0 for tensor in given}
        if len(lengths) > 1:
            listed = " and ".join(f"{length:,}" for length in sorted(lengths))
            raise RequestError(
                f"The files hold {listed} examples: batches need equally many in each."
            )
        self._length = lengths.pop()
        if size > self._length:
            raise RequestError(
                f"A batch of {size:,} is more than the {self._length:,} examples given."
            )
        self._size = size

    def at(self, step: int) -> Inputs:
        """The examples of one step, in the order in which they were given."""
        first = step * self._size
        places = torch.arange(first, first + self._size) % self._length

        def part(value: Any) -> Any:
            return value[places.to(value.device)] if id(value) in self._given else value

        args = tuple(part(value) for value in self._inputs.args)
        return Inputs(args, {name: part(value) for name, value in self._inputs.kwargs.items()})
