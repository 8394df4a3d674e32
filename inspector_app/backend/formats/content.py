"""Which format a file has, by what is in it; its ending says nothing."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from inspector_app.backend.formats.safetensors_file import HEADER_LIMIT, SafetensorsFile
from inspector_app.backend.formats.sharded_file import ShardedFile, begins_like_index
from inspector_app.backend.formats.torch_archive import BEGINNING, TorchArchive
from inspector_app.backend.formats.torch_legacy import LegacyTorchFile, begins_like_legacy
from inspector_app.backend.formats.values import Check, TensorFile, unchecked
from inspector_app.protocol.errors import TargetError

KNOWN = "a Python file with a factory (FILE.py:FACTORY) or a checkpoint (safetensors, torch.save)"
_LATER = (
    "that is not read yet. Convert it to safetensors, or open a Python file with a factory that "
    "loads it"
)
_START = 4096  # bytes that are looked at
_TAR = 257  # where a tar archive says so


def _is_text(start: bytes) -> bool:
    try:
        start[:-4].decode("utf-8")  # the cut may fall inside a character
    except UnicodeDecodeError:
        return False
    return b"\0" not in start


def _what_it_is(start: bytes) -> str:
    """Words for a file that is none of tensors."""
    text = start.lstrip()[:64].lower()
    if not start:
        return "is empty: a download or a copy may have been cut short"
    if start.startswith(b"version https://git-lfs"):
        return (
            "is a git-lfs pointer, not the file itself. Fetch the content with 'git lfs pull', "
            "then open it again"
        )
    if text.startswith((b"<!doctype html", b"<html", b"<?xml")):
        return "is a web page, not a model: the download went to a page. Download the raw file"
    if len(start) > 1 and start[0] == 0x80 and 2 <= start[1] <= 5:
        return (
            "is a pickle, but none that torch.save wrote, so it may hold anything. Open a Python "
            "file with a factory that loads it"
        )
    if start.startswith(b"GGUF"):
        return f"is a GGUF file; {_LATER}"
    if start.startswith(b"\x89HDF"):
        return f"is an HDF5 file; {_LATER}"
    if start[_TAR:].startswith(b"ustar"):
        return (
            "is a tar archive. If torch before 0.1.12 wrote it, load and save it again with a "
            "newer torch; else unpack it and open the checkpoint in it"
        )
    kind = "is a text file" if _is_text(start) else "has unknown content"
    return f"{kind}. What can be opened is {KNOWN}"


def _beginning(path: Path) -> bytes:
    try:
        if path.is_fifo():  # reading it would wait for a writer
            raise TargetError(f"{path} is a pipe, not a file: save what comes out of it first.")
        with open(path, "rb") as file:
            return file.read(_START)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise TargetError(f"{path} cannot be read: {reason}.") from None
    except ValueError as error:  # a NUL character
        raise TargetError(f"{path!s} cannot be read: {error}.") from None


def is_torch_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as torch.save writes one; raises TargetError where it has no such."""
    start = _beginning(Path(path))
    return start.startswith(BEGINNING) or begins_like_legacy(start)


def _of_one(path: Path, start: bytes, check: Check) -> TensorFile | None:
    """The format of one file that holds values itself."""
    if start.startswith(BEGINNING):
        return TorchArchive(path, check)
    if begins_like_legacy(start):
        return LegacyTorchFile(path, check)
    # u64 length of the header, then a JSON object.
    length = struct.unpack("<Q", start[:8])[0] if len(start) >= 9 else 0
    if start[8:9] == b"{" and (length <= HEADER_LIMIT or not _is_text(start)):
        return SafetensorsFile(path)
    if path.suffix == ".safetensors" and start and not _is_text(start):
        return SafetensorsFile(path)  # which tells what is damaged
    return None


def _shard(path: str, check: Check) -> TensorFile:
    """One file of a sharded checkpoint."""
    where = Path(path)
    start = _beginning(where)
    found = _of_one(where, start, check)
    if found is None:
        raise TargetError(f"{path} {_what_it_is(start).rstrip('.')}.")
    return found


def open_file(path: str | os.PathLike[str], check: Check = unchecked) -> TensorFile:
    """The file of tensors at a path, by its content; raises TargetError.  Close it after use.

    ``check`` is called now and then, and may raise to end the work.
    """
    where = Path(path)
    start = _beginning(where)
    if begins_like_index(start, where.suffix):
        return ShardedFile(where, lambda shard: _shard(shard, check))
    found = _of_one(where, start, check)
    if found is None:
        raise TargetError(f"{where} {_what_it_is(start).rstrip('.')}.")
    return found
