"""Data from files: read as it is stored, and never run."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from inspector_app.backend.inputs import Inputs
from inspector_app.backend.reading_inputs import (
    Batches,
    describe_data_file,
    from_pictures,
    given_tensors,
    read_field,
)
from inspector_app.protocol.errors import RequestError, TargetError
from inspector_app.protocol.messages import InputField


def field(path, key="", dtype="float32", name="x") -> InputField:
    return InputField(name=name, distribution="file", path=str(path), key=key, dtype=dtype)


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("a pickle was executed",)


def test_numpy_files(tmp_path):
    path = tmp_path / "data.npy"
    for array in (
        np.arange(6, dtype=">f8").reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
        np.arange(6).reshape(2, 3) > 2,
    ):
        np.save(path, array)
        assert read_field(field(path)).tolist() == array.astype(float).tolist()
    assert describe_data_file(str(path)).tensors[0].dtype == "bool"
    assert read_field(field(path, dtype="bool")).dtype == torch.bool


def test_files_of_torch_and_safetensors(tmp_path):
    tensors = {"x": torch.randn(4, 3), "labels": torch.arange(4)}
    save_file(tensors, tmp_path / "data.safetensors")
    torch.save(tensors, tmp_path / "data.pt")
    torch.save(tensors["x"], tmp_path / "one.pt")
    for name in ("data.safetensors", "data.pt"):
        described = describe_data_file(str(tmp_path / name))
        assert {(one.key, one.shape, one.dtype) for one in described.tensors} == {
            ("x", (4, 3), "float32"),
            ("labels", (4,), "int64"),
        }
        assert torch.equal(read_field(field(tmp_path / name)), tensors["x"])  # by its name
        labels = read_field(field(tmp_path / name, "labels", "int64"))
        assert torch.equal(labels, tensors["labels"])
        labels.add_(1)  # a copy, which may be written to
        with pytest.raises(RequestError, match="holds no y"):
            read_field(field(tmp_path / name, "y"))
        with pytest.raises(RequestError, match="choose one of the tensors"):
            read_field(field(tmp_path / name, name="other"))
    assert torch.equal(read_field(field(tmp_path / "one.pt", name="any")), tensors["x"])


def test_no_pickle_is_executed(tmp_path):
    for name, content in (("a.pt", Bomb()), ("b.pt", {"x": torch.ones(2), "y": Bomb()})):
        torch.save(content, tmp_path / name)
    (tmp_path / "c.pkl").write_bytes(pickle.dumps(Bomb()))
    np.save(tmp_path / "d.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(RequestError, match="holds no tensor"):
        describe_data_file(str(tmp_path / "a.pt"))
    assert read_field(field(tmp_path / "b.pt")).tolist() == [1, 1]
    with pytest.raises(TargetError, match="may hold anything"):
        read_field(field(tmp_path / "c.pkl"))
    with pytest.raises(RequestError, match="cannot be read"):
        read_field(field(tmp_path / "d.npy"))


def test_files_that_cannot_be_used(tmp_path):
    np.save(tmp_path / "text.npy", np.array(["a"]))
    (tmp_path / "cut.npy").write_bytes(b"\x93NUMPY\x01\x00")
    np.save(tmp_path / "floats.npy", np.ones(2))
    for path, error, words in (
        ("text.npy", RequestError, "not numbers"),
        ("cut.npy", RequestError, "cannot be read"),
        ("none.npy", TargetError, "cannot be read"),
    ):
        with pytest.raises(error, match=words):
            read_field(field(tmp_path / path))
    with pytest.raises(RequestError, match="would lose parts; choose float64"):
        read_field(field(tmp_path / "floats.npy", dtype="int64"))
    with pytest.raises(RequestError, match="choose the file"):
        read_field(field(""))


def test_pictures():
    pixels = np.zeros((2, 3, 4, 5), np.uint8)
    pixels[1] = 255
    wanted = InputField(name="x", distribution="pictures", dtype="bfloat16")
    tensors = given_tensors([wanted], {"x": pixels}, torch.device("cpu"))
    assert tensors["x"].shape == (2, 3, 4, 5)
    assert tensors["x"].dtype == torch.bfloat16
    assert tensors["x"].flatten(1).amax(1).tolist() == [0, 1]
    for wrong in ({}, {"x": pixels[0]}, {"x": pixels[:0]}):
        with pytest.raises(RequestError, match="choose the pictures"):
            from_pictures(wanted, wrong)
    with pytest.raises(RequestError, match="floating point"):
        from_pictures(InputField(name="x", dtype="int64"), {"x": pixels})


def test_pixels_are_scaled_as_asked_for():
    pixels = np.array([0, 51, 255], np.uint8).reshape(1, 3, 1, 1)

    def scaled(scaling) -> list[float]:
        field = InputField(name="x", distribution="pictures", scaling=scaling)
        return from_pictures(field, {"x": pixels}).flatten().tolist()

    assert scaled("unit") == pytest.approx([0, 0.2, 1])
    assert scaled("signed") == pytest.approx([-1, -0.6, 1])
    # What torchvision's Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]) gives.
    assert scaled("imagenet") == pytest.approx([-0.485 / 0.229, -0.256 / 0.224, 0.594 / 0.225])
    grey = InputField(name="x", distribution="pictures", scaling="imagenet")
    with pytest.raises(RequestError, match="three channels, not 1"):
        from_pictures(grey, {"x": pixels[:, :1]})


def test_batches():
    images, labels, fixed = torch.arange(10), torch.arange(10) * 10, torch.ones(3)
    batches = Batches(Inputs((images, fixed), {"labels": labels}), [images, labels], 4)
    step = batches.at(2)
    assert step.args[0].tolist() == [8, 9, 0, 1]
    assert step.kwargs["labels"].tolist() == [80, 90, 0, 10]
    assert step.args[1] is fixed
    with pytest.raises(RequestError, match="more than the 10 examples"):
        Batches(Inputs((images,), {}), [images], 11)
    with pytest.raises(RequestError, match="3 and 10 examples"):
        Batches(Inputs((images, fixed), {}), [images, fixed], 2)
