"""An export from its plan to the report: drafts, all proven, that take their places together."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from inspector_app.backend.exporting.facts import ExportFacts, notes_of
from inspector_app.backend.exporting.pen import Pen, Progress
from inspector_app.backend.exporting.planning import Plan, make_plan, refuse
from inspector_app.backend.exporting.safetensors_writer import SafetensorsForm, Sealed
from inspector_app.backend.exporting.sharding import (
    INDEX,
    base_of,
    index_text,
    others_beside,
    payload_of_index,
    shard_path,
)
from inspector_app.backend.exporting.torch_form import TorchForm
from inspector_app.backend.exporting.torch_pickle import versions_of
from inspector_app.backend.failures import spoken
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.backend.notes import FILES, INDEX_PREFIX, PAYLOAD
from inspector_app.backend.replacing import Draft, Drafts, destination
from inspector_app.backend.states import StateSource
from inspector_app.protocol.errors import RefusedError, RequestError, TargetError
from inspector_app.protocol.messages import Exported, ExportOptions, ExportPlan, Proof

Prove = Callable[[Plan, list[str]], Proof]


class _Export:
    """One export on its way."""

    def __init__(
        self,
        plan: Plan,
        path: str,
        options: ExportOptions,
        facts: ExportFacts,
        versions: Any,
        job: Job,
    ) -> None:
        self._plan = plan
        self._path = path
        self._options = options
        self._facts = facts
        self._versions = versions
        self._base = base_of(path)
        self._sharded = len(plan.parts) > 1 or self._base != path
        if self._base != path and not options.shard_bytes:
            raise RequestError(
                f"{path} is the name of an index of several files: say how large they may be, or "
                f"name the file, as in {self._base}."
            )
        self._forms = [self._form(names) for names in plan.parts]
        total = sum(form.size for form in self._forms)
        passes = 1 if options.format == "torch" and not options.from_disk else 2
        self._progress = Progress(job, passes * total)
        self._from_pens: list[str] = []

    def _notes(self, names: list[str]) -> dict[str, str]:
        """What a file with these names carries."""
        plan = self._plan
        here = set(names)
        here |= {name for name, kept in plan.aliases.items() if kept in here}
        return notes_of(
            self._facts,
            {name: trains for name, trains in plan.trains.items() if name in here},
            [group for group in plan.ties if group[0] in here],
            {name: kept for name, kept in plan.aliases.items() if kept in here},
        )

    def _form(self, names: list[str]) -> SafetensorsForm | TorchForm:
        written = self._plan.written
        if self._options.format == "safetensors":
            return SafetensorsForm(written, names, self._notes(names))
        try:
            return TorchForm(written, names, self._notes(names), self._versions)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - pickling runs code of the values' classes
            why = spoken(error)
        raise RefusedError(f"The values cannot be described for torch.load: {why}.")

    def paths(self) -> list[str]:
        """Where the values go; the index is not among them."""
        if not self._sharded:
            return [self._base]
        total = len(self._forms)
        return [shard_path(self._base, number + 1, total) for number in range(total)]

    def carry_out(self) -> tuple[list[Sealed], list[str], list[str]]:
        """Write, prove and put in place: what each file is, the files, notes."""
        paths = self.paths()
        files = [self._base + INDEX, *paths] if self._sharded else paths
        for path in files:
            destination(path)  # before anything is written
        with Drafts() as drafts:
            sealed = [
                self._write(drafts.open(path), form)
                for path, form in zip(paths, self._forms, strict=True)
            ]
            if self._sharded:
                sealed.insert(0, self._write_index(drafts.open(files[0]), paths, sealed))
            drafts.put_in_place()
            notes = drafts.notes + self._from_pens
        beside = others_beside(self._base, files)
        if beside:
            notes.append(
                "files of another export of this name stay beside it: "
                + ", ".join(beside[:5])
                + (", ..." if len(beside) > 5 else "")
            )
        return sealed, files, notes

    def _write(self, draft: Draft, form: SafetensorsForm | TorchForm) -> Sealed:
        pen = Pen(draft)
        try:
            return form.write(pen, self._progress, from_disk=self._options.from_disk)
        except TargetError:
            raise _unreadable(draft) from None
        finally:
            self._from_pens += pen.notes

    def _write_index(self, draft: Draft, paths: list[str], sealed: list[Sealed]) -> Sealed:
        """The index of several files."""
        plan = self._plan
        names = [os.path.basename(path) for path in paths]
        weight_map = {
            name: file for file, part in zip(names, plan.parts, strict=True) for name in part
        }
        digests = {file: one.sha256 for file, one in zip(names, sealed, strict=True)}
        metadata: dict[str, Any] = {
            "total_size": plan.report.bytes,
            **self._notes(plan.names),
            FILES: msgspec.json.encode(digests).decode(),
        }
        payload = payload_of_index(metadata, weight_map)
        metadata[PAYLOAD] = INDEX_PREFIX + payload
        text = index_text(metadata, weight_map)
        pen = Pen(draft)
        pen.put(text, 0)
        pen.sync()
        if os.pread(draft.descriptor, len(text) + 1, 0) != text:
            raise _unreadable(draft)
        return Sealed(hashlib.sha256(text).hexdigest(), payload, len(text))


def _unreadable(draft: Draft) -> RefusedError:
    return RefusedError(
        f"What was written for {draft.asked} cannot be read again: the disk is faulty, or its "
        "folder has gone meanwhile. Nothing was changed."
    )


def plan_export(
    source: StateSource,
    options: ExportOptions | None = None,
    *,
    only: list[str] | None = None,
    facts: ExportFacts | None = None,
    job: Job = NO_JOB,
) -> ExportPlan:
    """What :func:`export` would write, leave out and refuse; ``only`` empty or None means all.

    Raises RequestError naming a pattern, renaming or data type that fits nothing.
    """
    return make_plan(source, options or ExportOptions(), only=only, facts=facts, job=job).report


def export(
    source: StateSource,
    path: str,
    options: ExportOptions | None = None,
    *,
    only: list[str] | None = None,
    facts: ExportFacts | None = None,
    prove: Prove | None = None,
    job: Job = NO_JOB,
) -> Exported:
    """Write verified files to ``path``, whatever its ending, and say what they are.

    ``only`` and the options' ``skip`` are patterns as
    :func:`~inspector_app.backend.exporting.choosing.keys_matching` takes them; ``only`` empty or
    None means all.  ``prove`` is called with the plan and the files in their places.  On any error
    and on cancel, whatever was at ``path`` is still there, untouched.

    Raises RefusedError naming what the format cannot hold, or if what was read back is not what the
    source holds; RequestError if ``path`` cannot be written or an option fits nothing.
    """
    began = time.perf_counter()
    options = options or ExportOptions()
    facts = facts or ExportFacts()
    plan = make_plan(source, options, only=only, facts=facts, job=job)
    refuse(plan.report, options.format)
    if not plan.names and plan.report.left_out:
        raise RequestError(
            f"Nothing is left to be written: all {len(plan.report.left_out):,} keys of the state "
            "dict are left out."
        )
    versions: Mapping[str, Any] | None = versions_of(
        getattr(source, "versions", None), options.renames
    )
    work = _Export(plan, path, options, facts, versions, job)
    sealed, files, notes = work.carry_out()
    seconds = time.perf_counter() - began
    proof = Proof(state="not tried", sentence="")
    if prove is not None:
        job.progress(0, 0, "Trying it on a fresh model")
        proof = prove(plan, work.paths())
    return Exported(
        path=files[0],
        tensors=plan.report.tensors,
        bytes=sum(one.size for one in sealed),
        sha256=sealed[0].sha256,
        payload_sha256=sealed[0].payload,
        ties=plan.report.ties,
        left_out=plan.report.left_out,
        seconds=seconds,
        files=files if len(files) > 1 else [],
        proof=proof,
        notes=plan.report.notes + notes,
    )
