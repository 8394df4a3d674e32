"""Files of torch.save from before its archives: what only they have, and damaged ones."""

import pickle
import struct

import pytest
import torch

from inspector_app.backend.formats import torch_legacy
from inspector_app.backend.formats.torch_legacy import LegacyTorchFile, begins_like_legacy
from inspector_app.backend.opening import open_checkpoint
from inspector_app.protocol.errors import TargetError
from tests.backend.torch_files import archive_of, legacy_of, written


class Net(torch.nn.Module):
    """A class whose source goes into the file."""

    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(2, 2)


def test_it_is_known_by_its_content():
    for protocol in (2, 3, 4, 5):
        assert begins_like_legacy(legacy_of([1], protocol)[:64])
    assert not begins_like_legacy(archive_of([1])[:64])
    assert not begins_like_legacy(pickle.dumps([1]))
    assert not begins_like_legacy(b"")


def test_the_source_of_classes_comes_along(tmp_path):
    checkpoint = open_checkpoint(written(tmp_path, legacy_of(Net())))
    assert checkpoint.trust is not None
    known = {name.name: name.known for name in checkpoint.trust.imports}
    own = f"{Net.__module__}.Net"
    assert known == {own: False, "torch.nn.modules.linear.Linear": True}
    assert checkpoint.trust.source[own].startswith("class Net(torch.nn.Module):")
    checkpoint.close()


def test_a_class_without_source_is_listed_all_the_same(tmp_path):
    made = type("Made", (torch.nn.Linear,), {"__module__": __name__})
    globals()["Made"] = made
    try:
        content = legacy_of(made(2, 2))
    finally:
        del globals()["Made"]
    checkpoint = open_checkpoint(written(tmp_path, content))
    assert checkpoint.names() == ["weight", "bias"]
    assert checkpoint.trust is not None
    assert checkpoint.trust.source == {}
    checkpoint.close()


def test_long_descriptions_are_read_in_larger_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(torch_legacy, "_FIRST_READ", 100)
    monkeypatch.setattr(torch_legacy, "SIZE_LIMIT", 26_000)
    state = {f"layer.{number}": torch.full((3,), float(number)) for number in range(200)}
    file = LegacyTorchFile(written(tmp_path, legacy_of(state)))
    assert list(file.entries) == list(state)
    for name, value in state.items():
        assert torch.equal(file.tensor(name), value)
    file.close()


def view_of_old_torch():
    """A file whose tensor lies in a view of a storage, as torch 0.4 wrote them."""
    content = legacy_of({"a": torch.arange(6.0)})
    at = content.index(b"K\x06Nt")
    return content[: at + 2] + b"X\x01\x00\x00\x00vK\x02K\x03\x87" + content[at + 3 :]


def test_views_of_old_torch(tmp_path):
    content = view_of_old_torch().replace(b"K\x06\x85", b"K\x03\x85")
    path = written(tmp_path, content)
    theirs = torch.load(path, weights_only=False)["a"]
    assert theirs.tolist() == [2.0, 3.0, 4.0]
    file = LegacyTorchFile(path)
    assert torch.equal(file.tensor("a"), theirs)
    assert file.entries["a"].start == 8
    file.close()
    with pytest.raises(TargetError, match="beyond its record"):
        LegacyTorchFile(written(tmp_path, view_of_old_torch()))
    with pytest.raises(TargetError, match="beyond its storage"):
        LegacyTorchFile(written(tmp_path, view_of_old_torch().replace(b"vK\x02", b"vK\x05")))


def with_other_size(content, size):
    """The one storage announces another number of elements."""
    at = content.rindex(struct.pack("<q", 6))
    return content[:at] + struct.pack("<q", size) + content[at + 8 :]


CONTENT = legacy_of({"a": torch.arange(6.0)})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (CONTENT.replace(b"little_endianq\x02\x88", b"little_endianq\x02\x89"), "big-endian"),
        (CONTENT.replace(b"\x4d\xe9\x03", b"\x4d\xe8\x03"), "goes on unlike one"),
        (with_other_size(CONTENT, 5), "has 20 of 24 bytes"),
        (with_other_size(CONTENT, -1), "has -4 of 24 bytes"),
        (with_other_size(CONTENT, 7), "inside of a storage"),
        (with_other_size(CONTENT, 2**60), "inside of a storage"),
        (CONTENT[:-1], "inside of a storage"),
        (CONTENT[:-26], "before its last storage"),
        (CONTENT[:-40], "cannot be read"),
        (CONTENT[:20], "cannot be read"),
    ],
)
def test_damaged_files_are_told(tmp_path, content, words):
    path = written(tmp_path, content)
    with pytest.raises(TargetError, match=words) as raised:
        LegacyTorchFile(path)
    assert str(path) in raised.value.sentence


def test_lists_of_storages_that_lie_are_told(tmp_path):
    head, tail = CONTENT[: CONTENT.rindex(b"\x80\x02")], CONTENT[-32:]
    keys = pickle.loads(CONTENT[CONTENT.rindex(b"\x80\x02") :])
    assert len(keys) == 1
    for listed, words in (
        ([], "is missing"),
        (keys * 2, "not that of its description"),
        (["other"], "not that of its description"),
        ([3], "not that of its description"),
        ("text", "no list of its storages"),
    ):
        with pytest.raises(TargetError, match=words):
            LegacyTorchFile(written(tmp_path, head + pickle.dumps(listed, 2) + tail))
