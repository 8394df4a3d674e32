"""Export and verification of files."""

from __future__ import annotations

from typing import Literal

from inspector_app.protocol.messages.base import Difference, Plain, Request, Result, Selection


class LeftOut(Plain, frozen=True, kw_only=True):
    """A key that an export does not write, and why."""

    name: str
    reason: str


class Tie(Plain, frozen=True, kw_only=True):
    """Keys that are one tensor, and how the file keeps them."""

    names: list[str]
    kept: str


class Rename(Plain, frozen=True, kw_only=True):
    """Keys that begin with ``old`` begin with ``new`` in the file; "" takes off or puts before."""

    old: str
    new: str = ""


class ExportOptions(Plain, frozen=True, kw_only=True):
    """What is written, and how."""

    format: Literal["safetensors", "torch"] = "safetensors"
    only: Selection | None = None
    skip: list[str] = []
    trainable: bool = False  # only parameters with requires_grad
    dtype: str = ""  # floating-point tensors become this ("bfloat16"); "" as they are
    renames: list[Rename] = []  # the first that fits a key is carried out
    shard_bytes: int = 0  # largest file; 0 writes one file, else an index beside the files
    ties: Literal["every name", "alias"] = "every name"  # one tensor under several names
    from_disk: bool = False  # read back from the disk itself, not from the page cache
    prove: bool = True  # load the file strictly into a fresh model, where the factory allows


class Proof(Plain, frozen=True, kw_only=True):
    """Whether a fresh model has loaded the file strictly."""

    state: Literal["proven", "failed", "not tried"]
    sentence: str  # "A fresh model loads it strictly", "... : only part of the keys was written"
    seconds: float = 0.0


class ExportPlan(Result, frozen=True, kw_only=True):
    """What an export would write."""

    tensors: int
    bytes: int
    ties: list[Tie]
    left_out: list[LeftOut]
    refused: list[LeftOut]  # cannot be held by the format: must be named in ``skip``
    files: int = 1
    renamed: int = 0  # keys that have another name in the file
    converted: int = 0  # tensors that have another data type in the file
    notes: list[str] = []  # "float32 becomes bfloat16 in 40 tensors: digits are lost"


class Exported(Result, frozen=True, kw_only=True):
    """The report of a verified export."""

    path: str
    tensors: int
    bytes: int  # of the file
    sha256: str  # of the file
    payload_sha256: str  # of its contents, as recorded in the file
    ties: list[Tie]
    left_out: list[LeftOut]
    seconds: float  # of writing and verifying; the proof has its own
    files: list[str] = []  # all that was written, the index first, where there are several
    proof: Proof = Proof(state="not tried", sentence="")
    notes: list[str] = []


class Verified(Result, frozen=True, kw_only=True):
    """Whether a file is what was written, and equals a model where one was given."""

    ok: bool
    path: str
    tensors: int
    bytes: int
    sha256: str
    recorded: Literal["matches", "differs", "absent"]  # the payload's hash in the metadata
    against: str  # target compared with, "" for none
    differences: list[Difference]


class PlanExport(Request, frozen=True, kw_only=True):
    """-> ExportPlan."""

    options: ExportOptions = ExportOptions()


class Export(Request, frozen=True, kw_only=True):
    """Write a verified file -> Exported."""

    path: str
    options: ExportOptions = ExportOptions()


class Verify(Request, frozen=True, kw_only=True):
    """Check a file; ``against`` "" compares with nothing, "." with the open target -> Verified."""

    path: str
    against: str = ""
