"""Files of torch.save for tests: their description, with another one, and mutated."""

import io
import os
import warnings
import zipfile

import torch


class Canary:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def archive_of(value):
    """The bytes that torch.save writes."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def legacy_of(value, protocol=2):
    """The bytes that torch.save wrote before it wrote zip archives."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes whose source is not found
        torch.save(value, buffer, pickle_protocol=protocol, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def written(folder, content, name="x.pt"):
    """A file of these bytes, or of what torch.save makes of a value."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else archive_of(content))
    return path


def description_of(value):
    """The pickle in the archive."""
    with zipfile.ZipFile(io.BytesIO(archive_of(value))) as archive:
        return archive.read("archive/data.pkl")


def with_members(content, **changed):
    """An archive with some members replaced (None: left out), written anew."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        for info in old.infolist():
            word = info.filename.split("/", 1)[1].replace(".", "_").replace("/", "_")
            data = changed.pop(word, old.read(info))
            if data is not None:
                new.writestr(info.filename, data)
        for word, data in changed.items():
            new.writestr(f"archive/{word.replace('_', '.')}", data)
    return buffer.getvalue()
