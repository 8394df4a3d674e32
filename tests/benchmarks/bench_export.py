"""A verified export against what the format's own library needs to save the same tensors.

``python tests/benchmarks/bench_export.py [--gigabytes 1] [--rounds 5] [--folder DIR]``

An export writes, reads back, compares bit by bit and computes two sha256: of the file, and of the
contents as the file notes it.  The floor is ``safetensors.torch.save_file`` and ``fsync``; with
``from_disk`` also dropping the page cache and reading the file.  Both go in turns, and the medians
of the same run are compared.  The proof on a fresh model comes afterwards and is not counted.  The
memory is the growth of the peak while one export runs in a process of its own.

The folder must be on a disk, not in memory.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch
from safetensors.torch import save_file

from inspector_app.backend.exporting import export
from inspector_app.backend.states import StateDict
from inspector_app.protocol.messages import ExportOptions

TENSORS = 64
_MEMORY = r"""
import re, sys, torch
from inspector_app.backend.exporting import export
from inspector_app.backend.states import StateDict
from inspector_app.protocol.messages import ExportOptions
path, count, elements, form = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
state = {f"layer.{n}.weight": torch.ones(elements) for n in range(count)}
export(StateDict({"w": torch.ones(3)}), path, ExportOptions(format=form))
def peak():  # of this program alone: ru_maxrss begins with that of the one that started it
    with open("/proc/self/status") as file:
        return int(re.search(r"VmHWM:\s+(\d+)", file.read())[1])
before = peak()
export(StateDict(state), path, ExportOptions(format=form))
print(peak() - before)
"""


def seconds(step: Callable[[], object]) -> float:
    """Duration of one call."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def _sync(path: str, *, read: bool) -> None:
    """fsync, and with ``read`` drop the file from memory and read it from the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        if read:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            buffer, offset = memoryview(bytearray(1 << 22)), 0
            while count := os.preadv(descriptor, [buffer], offset):
                offset += count
    finally:
        os.close(descriptor)


def compare(
    what: str,
    rounds: int,
    floor: Callable[[], object],
    ours: Callable[[], object],
    bar: float,
) -> None:
    """Both in turns; the ratio of their medians."""
    floors, times = [], []
    floor()  # both replace a file, from the first round on
    ours()
    for _ in range(rounds):
        floors.append(seconds(floor))
        times.append(seconds(ours))
    low, high = statistics.median(floors), statistics.median(times)
    print(
        f"{what}: {high:.2f} s, floor {low:.2f} s: {high / low:.2f}x (bar {bar:.1f}x); "
        f"rounds {', '.join(f'{b / a:.2f}' for a, b in zip(floors, times, strict=True))}"
    )


def main() -> None:
    """Run all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", help="where to write; by default where temporary files go")
    chosen = parser.parse_args()
    elements = max(1, int(chosen.gigabytes * 1e9 / 4 / TENSORS))
    state = {f"layer.{number}.weight": torch.randn(elements) for number in range(TENSORS)}
    source = StateDict(state)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        theirs, ours = os.path.join(folder, "theirs"), os.path.join(folder, "ours")

        def save(*, read: bool) -> None:
            save_file(state, theirs)
            _sync(theirs, read=read)

        def save_torch() -> None:
            torch.save(state, theirs)
            _sync(theirs, read=False)

        compare(
            f"safetensors, {chosen.gigabytes:g} GB",
            chosen.rounds,
            lambda: save(read=False),
            lambda: export(source, ours),
            1.6,
        )
        compare(
            "  read back from the disk",
            chosen.rounds,
            lambda: save(read=True),
            lambda: export(source, ours, ExportOptions(from_disk=True)),
            1.2,
        )
        compare(
            "for torch.load, against torch.save and fsync",
            chosen.rounds,
            save_torch,
            lambda: export(source, ours, ExportOptions(format="torch")),
            1.6,
        )
        for form in ("safetensors", "torch"):
            grown = subprocess.run(
                [sys.executable, "-c", _MEMORY, ours, str(TENSORS), str(elements), form],
                capture_output=True,
                text=True,
                check=True,
                cwd=Path(__file__).parents[2],
            )
            print(f"memory above the model, {form}: {int(grown.stdout) / 1024:.0f} MB (bar 64 MB)")


if __name__ == "__main__":
    main()
