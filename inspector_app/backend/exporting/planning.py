"""What an export would write, leave out and refuse; nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from inspector_app.backend.conversion import word
from inspector_app.backend.exporting.choosing import (
    check_renames,
    collisions,
    keys_matching,
    renamed,
)
from inspector_app.backend.exporting.facts import ExportFacts
from inspector_app.backend.exporting.probing import why_not_for_torch
from inspector_app.backend.exporting.sharding import shards
from inspector_app.backend.exporting.transforming import Written, dtype_named, lossy
from inspector_app.backend.formats.safetensors_file import CODES, KINDS, METADATA
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.backend.states import Spec, StateSource
from inspector_app.protocol.errors import RefusedError, RequestError
from inspector_app.protocol.messages import ExportOptions, ExportPlan, LeftOut, Tie

_NAMED = 5  # names told in one sentence


@dataclass
class Plan:
    """What is written.

    ``names`` are those in the file, ``aliases`` the names that are left out in favour of another
    one, ``ties`` groups of names that are one tensor, the one that is kept first, ``parts`` the
    names of each file, ``trains`` requires_grad of parameters by name.
    """

    report: ExportPlan
    written: Written
    names: list[str]
    aliases: dict[str, str]
    ties: list[list[str]]
    parts: list[list[str]]
    trains: dict[str, bool] = field(default_factory=dict)


def _reason_against(name: str, spec: Spec, torch_format: Callable[[], str] | None) -> str:
    """Why the format cannot hold a value under this name; "" where it can."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return "its name is not valid text"
    if torch_format is not None:
        if not spec.reason and not isinstance(getattr(torch, spec.dtype, None), torch.dtype):
            return f"{spec.dtype}, which torch {torch.__version__} does not know"
        return torch_format() if spec.reason else ""
    if name == METADATA:
        return "the format keeps this name for itself"
    if spec.reason:
        return spec.reason
    if spec.dtype not in CODES:
        return f"{spec.dtype}, which the format does not know"
    if not spec.shape and KINDS[CODES[spec.dtype]].bits < 8:
        return f"a scalar of {spec.dtype}, which the format holds only in pairs along a dimension"
    return ""


class _Planner:
    """Goes through the keys of a state dict once."""

    def __init__(
        self,
        source: StateSource,
        options: ExportOptions,
        only: list[str] | None,
        facts: ExportFacts,
        job: Job,
    ) -> None:
        self._source = source
        self._options = options
        self._only = only
        self._facts = facts
        self._job = job
        self._target = dtype_named(options.dtype)
        self._left_out: list[LeftOut] = []
        self._refused: list[LeftOut] = []
        self._notes: list[str] = list(facts.told)
        self._specs: dict[str, Spec] = {}  # by key, of all that could be written

    def plan(self) -> Plan:
        """The plan; raises RequestError where the options fit nothing, Cancelled."""
        names = self._choose()
        keys = {name: key for key, name in names.items()}
        specs = {name: self._specs[key] for name, key in keys.items()}
        written = Written(self._source, keys, specs, self._target)
        self._refuse_overflow(written, specs)
        for refused in self._refused:
            name = names.get(refused.name)
            if name is not None:
                keys.pop(name, None)
                specs.pop(name, None)
        written = Written(self._source, keys, specs, self._target)
        ties = self._ties(written)
        written.tie(ties)
        aliases = {}
        if self._options.format == "safetensors" and self._options.ties == "alias":
            aliases = {name: group[0] for group in ties for name in group[1:]}
        kept = [name for name in keys if name not in aliases]
        parts = shards(written, kept, ties, self._options, self._facts)
        self._tell(written, specs)
        if self._options.shard_bytes:
            self._tell_large(written, parts)
        report = ExportPlan(
            tensors=len(kept),
            bytes=_bytes(written, kept, self._options.format),
            ties=[Tie(names=group, kept=self._how_kept(group)) for group in ties],
            left_out=self._left_out,
            refused=self._refused,
            files=len(parts),
            renamed=sum(name != key for name, key in keys.items()),
            converted=sum(written.converts(name) for name in kept),
            notes=self._notes,
        )
        trains = self._facts.trains or {}
        return Plan(
            report,
            written,
            kept,
            aliases,
            ties,
            parts,
            {name: trains[key] for name, key in keys.items() if key in trains},
        )

    def _choose(self) -> dict[str, str]:
        """The name in the file of each key that is written."""
        options = self._options
        names = self._source.names()
        wanted = keys_matching(names, self._only) if self._only else set(names)
        unwanted = keys_matching(names, options.skip) if options.skip else set()
        trains = self._facts.trains
        if options.trainable and trains is None:
            raise RequestError(
                "Nothing tells which tensors of this checkpoint are trained, so they cannot be "
                "exported alone: open the model, or name the keys (--only PATTERN)."
            )
        chosen: dict[str, str] = {}
        written = []  # all that would be, whether the format holds it or not
        for key in names:
            self._job.check()
            if key not in wanted:
                self._left_out.append(LeftOut(name=key, reason="not selected"))
                continue
            if options.trainable and not (trains or {}).get(key, False):
                why = "frozen" if key in (trains or {}) else "not a parameter"
                self._left_out.append(LeftOut(name=key, reason=why))
                continue
            name = renamed(key, options.renames)
            reason = self._reason(key, name)
            if key in unwanted:
                why = f"skipped as asked ({reason})" if reason else "skipped as asked"
                self._left_out.append(LeftOut(name=key, reason=why))
                continue
            written.append(key)
            if reason:
                self._refused.append(LeftOut(name=key, reason=reason))
            else:
                chosen[key] = name
        check_renames(written, options.renames)
        for key, reason in collisions(chosen).items():
            self._refused.append(LeftOut(name=key, reason=reason))
            del chosen[key]
        return chosen

    def _reason(self, key: str, name: str) -> str:
        spec = self._specs[key] = self._source.spec(key)
        probe = None
        if self._options.format == "torch":

            def probe() -> str:
                return why_not_for_torch(self._source, key, spec)

        return _reason_against(name, spec, probe)

    def _refuse_overflow(self, written: Written, specs: Mapping[str, Spec]) -> None:
        """Refuse tensors with finite values that the new data type would make infinite."""
        names = lossy(specs, self._target)
        total = sum(specs[name].nbytes for name in names)
        done = 0
        told: dict[Hashable, str] = {}
        for name in names:
            self._job.check()
            memory = specs[name].memory or name
            if memory not in told:
                told[memory] = written.problem(name)
            done += specs[name].nbytes
            self._job.progress(done, total, "Looking for values that would overflow")
            if told[memory]:
                self._refused.append(LeftOut(name=written.key(name), reason=told[memory]))

    def _ties(self, written: Written) -> list[list[str]]:
        """Groups of names that are one tensor."""
        by_memory: dict[Hashable, list[str]] = {}
        for name in written.names():
            memory = written.spec(name).memory
            if memory is not None:
                by_memory.setdefault(memory, []).append(name)
        ties = []
        for group in by_memory.values():
            if len(group) > 1:
                ties += [names for names in self._really(written, group) if len(names) > 1]
        return ties

    def _really(self, written: Written, group: list[str]) -> list[list[str]]:
        """The group; where it was only noted, those of it that hold the same bytes."""
        if all(written.spec(name).sure for name in group):
            return [group]
        found: list[list[str]] = []
        for name in group:
            for other in found:
                if _equal(written, other[0], name, self._job):
                    other.append(name)
                    break
            else:
                found.append([name])
        return found

    def _how_kept(self, group: list[str]) -> str:
        if self._options.format == "torch":
            return f"one storage under each of the {len(group)} names"
        if self._options.ties == "alias":
            return (
                f'written once, as "{group[0]}"; the metadata lead there from the other names. '
                "safetensors.torch.load_model loads such a file, load_state_dict alone does not"
            )
        return (
            f"written under each of the {len(group)} names, so that the file loads strictly; "
            "its metadata notes that they are one tensor"
        )

    def _tell(self, written: Written, specs: Mapping[str, Spec]) -> None:
        """Notes on conversions and on memory that is shared otherwise than by ties."""
        target = self._target
        if target is not None:
            loses = set(lossy(specs, target))
            counts = Counter(
                (specs[name].dtype, name in loses) for name in specs if written.converts(name)
            )
            for (dtype, lost), count in counts.items():
                what = "1 tensor" if count == 1 else f"{count:,} tensors"
                how = "digits are lost" if lost else "without loss"
                if lost and _smallest(target) > _smallest(getattr(torch, dtype)):
                    how += f", and what is smaller than {_smallest(target):.0e} becomes 0"
                self._notes.append(f"{dtype} becomes {word(target)} in {what}: {how}")
            if not counts and not any(spec.dtype == word(target) for spec in specs.values()):
                self._notes.append(
                    f"no tensor became {word(target)}: none that is written is floating-point"
                )
        shared = _overlapping(specs)
        if shared:
            self._notes.append(
                f"{len(shared):,} keys lie in the same memory as others, in part or in another "
                f"form ({_listed(shared)}): the file holds the values of each and nothing of that"
            )

    def _tell_large(self, written: Written, parts: list[list[str]]) -> None:
        limit = self._options.shard_bytes
        large = [name for part in parts for name in part if written.spec(name).nbytes > limit]
        if large:
            self._notes.append(
                f"larger than {limit:,} bytes by themselves, so in files of their own: "
                f"{_listed(large)}"
            )


def _bytes(written: Written, names: Iterable[str], form: str) -> int:
    """Bytes of all values; in torch's format a tie takes its bytes once."""
    seen: set[Any] = set()
    total = 0
    for name in names:
        spec = written.spec(name)
        if form == "torch" and spec.memory is not None:
            if spec.memory in seen:
                continue
            seen.add(spec.memory)
        total += spec.nbytes
    return total


def _equal(written: Written, one: str, other: str, job: Job) -> bool:
    """Whether two values of one source hold the same bytes."""
    first, second = written.spec(one), written.spec(other)
    if (first.dtype, first.shape) != (second.dtype, second.shape):
        return False
    for left, right in zip(written.blocks(one), written.blocks(other), strict=True):
        job.check()
        if left.tobytes() != right.tobytes():
            return False
    return True


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")


def _smallest(dtype: torch.dtype) -> float:
    """The smallest positive number of a floating-point type."""
    return float(torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps)


def _overlapping(specs: Mapping[str, Spec]) -> list[str]:
    """Names that lie in the same memory as another one without being the same tensor."""
    placed = sorted((spec.reach, name) for name, spec in specs.items() if spec.reach is not None)
    found: list[str] = []
    together: list[str] = []
    device, end = "", 0
    for reach, name in [*placed, (("", -1, -1), "")]:
        assert reach is not None
        if not together or reach[0] != device or reach[1] >= end:
            if len({specs[other].memory for other in together}) > 1:
                found += together
            together, (device, _, end) = [], reach
        together.append(name)
        end = max(end, reach[2])
    return found


def refuse(plan: ExportPlan, form: str) -> None:
    """Raise RefusedError naming what the format cannot hold, where there is any."""
    if not plan.refused:
        return
    told = [f'"{value.name}" ({value.reason})' for value in plan.refused]
    more = f" and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
    what = "safetensors" if form == "safetensors" else "A file for torch.load"
    raise RefusedError(
        f"{what} cannot hold {', '.join(told[:_NAMED])}{more}: "
        "leave out what you can do without by naming it (--skip PATTERN).",
        detail="\n".join(told),
    )


def make_plan(
    source: StateSource,
    options: ExportOptions,
    *,
    only: list[str] | None = None,
    facts: ExportFacts | None = None,
    job: Job = NO_JOB,
) -> Plan:
    """What is written under these options; ``only`` empty or None means all.

    Raises RequestError naming a pattern, renaming or data type that fits nothing.
    """
    return _Planner(source, options, only, facts or ExportFacts(), job).plan()
