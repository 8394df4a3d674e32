"""Directories of zip archives, against those that Python's own library writes."""

import io
import struct
import zipfile

import pytest

from inspector_app.backend.formats import zip_directory
from inspector_app.backend.formats.zip_directory import data_start, read_directory


def archive(members, **options):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as made:
        for name, data in members:
            made.writestr(name, data)
    return buffer.getvalue()


def reader(content):
    return lambda offset, size: content[offset : offset + size]


def directory_of(content):
    return read_directory(reader(content), len(content))


MEMBERS = [("a/data.pkl", b"x" * 7), ("a/data/0", b""), ("a/é", b"123"), ("a/data/1", b"yy")]


def content_of(content, found, name):
    place = found.places[name]
    header, size = found.headers[place], found.sizes[place]
    start = data_start(reader(content), name, header, size, found.start)
    return content[start : start + size]


def test_members_are_those_that_were_written():
    content = archive(MEMBERS)
    found = directory_of(content)
    assert list(found.places) == [name for name, _ in MEMBERS]
    for name, data in MEMBERS:
        assert content_of(content, found, name) == data
        assert found.size(name) == len(data)


def test_a_name_that_holds_the_mark_of_an_entry():
    members = [*MEMBERS, ("a/PK\1\2" * 9, b"odd"), ("a/z", b"last")]
    content = archive(members)
    found = directory_of(content)
    for name, data in members:
        assert content_of(content, found, name) == data


def test_large_archives_use_the_wide_fields(monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 20)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    content = archive(MEMBERS)
    assert b"PK\6\6" in content
    found = directory_of(content)
    for name, data in MEMBERS:
        assert content_of(content, found, name) == data


def test_an_empty_archive():
    assert directory_of(archive([])).places == {}


def changed(content, offset, form, value):
    """The last entry of the directory with another value in one field."""
    at = content.rindex(b"PK\1\2") + offset
    return content[:at] + struct.pack(form, value) + content[at + struct.calcsize(form) :]


CONTENT = archive(MEMBERS)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no directory"),
        (CONTENT[:-30], "no directory"),
        (changed(CONTENT, 42, "<I", 1), "overlap"),
        (changed(CONTENT, 42, "<I", 2**31), "reaches into its directory"),
        (changed(changed(CONTENT, 24, "<I", 2**31), 20, "<I", 2**31), "reaches into"),
        (changed(changed(CONTENT, 24, "<I", 60), 20, "<I", 60), "reaches into"),
        (changed(CONTENT, 28, "<H", 9), "directory is broken"),
        (changed(CONTENT, 0, "<I", 0), "directory is broken"),
        (CONTENT.replace(b"a/data/1", b"a/data/0"), "twice"),
        (CONTENT.replace("é".encode(), b"\xff\xff"), "directory is broken"),
    ],
)
def test_what_breaks_a_rule_is_told(content, words):
    with pytest.raises(ValueError, match=words):
        directory_of(content)


@pytest.mark.parametrize(
    "content",
    [
        archive(MEMBERS, compression=zipfile.ZIP_DEFLATED),
        changed(CONTENT, 10, "<H", 8),
        changed(CONTENT, 8, "<H", 1),
        changed(CONTENT, 24, "<I", 3),
    ],
)
def test_members_that_are_not_stored_as_they_are(content):
    found = directory_of(content)
    assert found.places["a/data/1"] in found.sealed
    for ask in (found.place, found.size):
        with pytest.raises(ValueError, match="compressed or encrypted"):
            ask("a/data/1")


def test_a_header_of_its_own_that_contradicts_the_directory():
    for old, new in ((b"PK\3\4", b"PK\3\5"), (b"a/data/0", b"a/data/9")):
        content = CONTENT.replace(old, new, 2 if old == b"PK\3\4" else 1)
        found = directory_of(content)
        with pytest.raises(ValueError, match="contradicts its directory"):
            content_of(content, found, "a/data/0")


def test_a_long_directory_is_not_read(monkeypatch):
    monkeypatch.setattr(zip_directory, "DIRECTORY_LIMIT", 50)
    with pytest.raises(ValueError, match="50 are read"):
        directory_of(CONTENT)
