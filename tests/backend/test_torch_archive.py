"""Archives of torch.save: other kinds of them, and damaged ones."""

import struct
import zipfile

import pytest
import torch
from torch.package import PackageExporter

from inspector_app.backend.formats.torch_archive import TorchArchive
from inspector_app.backend.opening import open_checkpoint
from inspector_app.protocol.errors import TargetError
from tests.backend.torch_files import archive_of, description_of, with_members, written


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"byteorder": b"big"}, "big-endian"),
        ({"data_0": None}, "record 0 is missing"),
        ({"data_0": b"123"}, "has 3 of 24 bytes"),
        ({"data_pkl": b"\x80\x02"}, "cannot be read"),
        ({"data_pkl": None}, "none of torch.save"),
        ({"constants_pkl": b""}, "TorchScript"),
    ],
)
def test_other_and_damaged_archives_are_told(tmp_path, changed, words):
    path = written(tmp_path, with_members(archive_of({"a": torch.ones(2, 3)}), **changed))
    with pytest.raises(TargetError, match=words) as raised:
        TorchArchive(path)
    assert str(path) in raised.value.sentence


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"K\x02K\x03\x86", b"K\x02K\x04\x86", "beyond its record"),
        (b"K\x03K\x01\x86", b"K\xffK\x01\x86", "beyond its record"),
        (b"QK\x00", b"QK\x01", "beyond its record"),
        (b"K\x02K\x03\x86", b"K\x02N\x86", "something else than a size"),
        (b"K\x02K\x03\x86", b"K\x02\x85", "as many strides"),
        (b"K\x02K\x03\x86", b"\x8a\x08" + struct.pack("<q", 10**18) + b"K\x03\x86", "beyond"),
    ],
)
def test_tensors_beyond_their_record_do_not_pass(tmp_path, old, new, words):
    content = archive_of({"a": torch.ones(2, 3)})
    description = description_of({"a": torch.ones(2, 3)})
    assert description.count(old) == 1
    path = written(tmp_path, with_members(content, data_pkl=description.replace(old, new)))
    with pytest.raises(TargetError, match=words):
        TorchArchive(path)


def test_a_tensor_repeated_without_end_does_not_pass(tmp_path):
    value = {"a": torch.ones(1).expand(5)}
    assert torch.equal(TorchArchive(written(tmp_path, value)).tensor("a"), value["a"])
    description = description_of(value)
    old = b"K\x05\x85"
    assert description.count(old) == 1
    huge = description.replace(old, b"\x8a\x08" + struct.pack("<q", 10**18) + b"\x85")
    path = written(tmp_path, with_members(archive_of(value), data_pkl=huge))
    with pytest.raises(TargetError, match="repeated from a few bytes"):
        TorchArchive(path)


def test_compressed_and_cut_archives_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "c", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"x" * 1000)
    with pytest.raises(TargetError, match="compressed"):
        TorchArchive(tmp_path / "c")
    content = archive_of({"a": torch.ones(2, 3)})
    for size in range(4, len(content) - 1, 37):
        with pytest.raises(TargetError):
            TorchArchive(written(tmp_path, content[:size]))


def test_what_holds_itself_is_listed(tmp_path):
    loop = {"a": torch.ones(1)}
    loop["more"] = {"up": loop}
    checkpoint = open_checkpoint(written(tmp_path, {"root": loop}))
    assert any("holds itself" in value.text for value in checkpoint.file.values.values())
    checkpoint.close()


@pytest.mark.filterwarnings("ignore")  # of the writers
def test_other_archives_of_torch_are_named(tmp_path):
    model = torch.nn.Linear(2, 2)
    torch.jit.script(model).save(tmp_path / "scripted.pt")
    torch.jit.trace(model, torch.ones(1, 2)).save(tmp_path / "traced.pt")
    torch.export.save(torch.export.export(model, (torch.ones(1, 2),)), tmp_path / "exported.pt2")
    with PackageExporter(tmp_path / "packaged.pt") as exporter:
        exporter.extern("torch.**")
        exporter.save_pickle("model", "model.pkl", model)
    for name, word in (
        ("scripted.pt", "TorchScript"),
        ("traced.pt", "TorchScript"),
        ("exported.pt2", "torch.export"),
        ("packaged.pt", "torch.package"),
    ):
        with pytest.raises(TargetError, match=word) as raised:
            open_checkpoint(tmp_path / name)
        assert str(tmp_path / name) in raised.value.sentence


def test_a_compressed_archive_is_no_damage_and_told_with_the_cure(tmp_path):
    plain = written(tmp_path, {"w": torch.ones(3)})
    packed = tmp_path / "packed.pt"
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            new.writestr(member.filename, old.read(member))
    with pytest.raises(TargetError, match=r"compressed.*pack it again without compression") as told:
        open_checkpoint(packed)
    assert "damaged" not in told.value.sentence
