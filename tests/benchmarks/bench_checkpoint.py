"""Checkpoints: opening a large one, and a verified export against the format's own library.

``python tests/benchmarks/bench_checkpoint.py [--gigabytes 4] [--small 46000] [--export 1.0]``

Opening reads a header only, so the large file is sparse; memory is what the process really holds
(bytes of its own and of mapped files).  An export is compared with ``save_file`` and ``fsync`` of
the same tensors, in turn, and prints the median ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from inspector_app.backend.exporting import export
from inspector_app.backend.opening import open_checkpoint
from inspector_app.backend.states import StateDict
from inspector_app.backend.statistics import measure
from inspector_app.backend.verifying import verify

ROUNDS = 3


def resident() -> float:
    """Megabytes that this process holds now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def sparse_checkpoint(path: str, names: list[str], size: int) -> None:
    """A valid file of ``len(names)`` float32 tensors of ``size`` elements, all zero."""
    entries = {
        name: {"dtype": "F32", "shape": [size], "data_offsets": [4 * size * n, 4 * size * (n + 1)]}
        for n, name in enumerate(names)
    }
    header = json.dumps(entries, separators=(",", ":")).encode()
    with open(path, "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 4 * size * len(names))


def seconds(step: Callable[[], object]) -> float:
    """Duration of one call."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def opening(path: str, label: str) -> None:
    """Time and memory of the header, the rows and the fingerprint."""
    floor = statistics.median(seconds(lambda: safe_open(path, "pt").keys()) for _ in range(ROUNDS))
    before = resident()
    opens, trees, marks = [], [], []
    for _ in range(ROUNDS):
        checkpoint = None
        start = time.perf_counter()
        checkpoint = open_checkpoint(path)
        opens.append(time.perf_counter() - start)
        trees.append(seconds(lambda opened=checkpoint: opened.tree))
        marks.append(seconds(checkpoint.fingerprint))
    ours = statistics.median(opens)
    print(
        f"{label}: open {1e3 * ours:.1f} ms ({ours / floor:.2f}x of safe_open), "
        f"rows {1e3 * statistics.median(trees):.1f} ms, "
        f"fingerprint {1e3 * statistics.median(marks):.1f} ms, "
        f"memory +{resident() - before:.0f} MB"
    )


def streaming(path: str) -> None:
    """Memory while a large file is measured and verified."""
    before = resident()
    checkpoint = open_checkpoint(path)
    peak = 0.0
    for name in checkpoint.names():
        measure(checkpoint.tensor(name))
        checkpoint.file.release()
        peak = max(peak, resident() - before)
    measured = peak
    verify(path, against=checkpoint)
    print(f"measured whole: +{measured:.0f} MB; compared whole: +{resident() - before:.0f} MB")


def exporting(folder: str, gigabytes: float) -> None:
    """A verified export and the library's save with fsync, in turn."""
    count = 64
    elements = max(1, int(gigabytes * 1e9 / 4 / count))
    state = {f"layer.{number}.weight": torch.randn(elements) for number in range(count)}
    theirs, ours = os.path.join(folder, "theirs"), os.path.join(folder, "ours")

    def save() -> None:
        save_file(state, theirs)
        descriptor = os.open(theirs, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)

    ratios = []
    for _ in range(ROUNDS):
        floor = seconds(save)
        taken = seconds(lambda: export(StateDict(state), ours))
        checked = seconds(lambda: verify(ours))
        ratios.append(taken / floor)
        print(
            f"  save_file + fsync {floor:.2f} s, verified export {taken:.2f} s "
            f"({taken / floor:.2f}x), verify {checked:.2f} s ({checked / floor:.2f}x)"
        )
    print(f"export of {gigabytes:g} GB: {statistics.median(ratios):.2f}x of save_file + fsync")


def main() -> None:
    """Run all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--gigabytes", type=float, default=4.0, help="size of the large file")
    parser.add_argument("--small", type=int, default=46_000, help="number of small tensors")
    parser.add_argument("--export", type=float, default=1.0, help="gigabytes to export")
    sizes = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        large, small = os.path.join(folder, "large"), os.path.join(folder, "small")
        blocks = [f"model.layers.{n // 8}.part_{n % 8}.weight" for n in range(1000)]
        sparse_checkpoint(large, blocks, int(sizes.gigabytes * 1e6 / 4))
        opening(large, f"{sizes.gigabytes:g} GB in 1,000 tensors")
        experts = [
            f"model.layers.{n // 768}.mlp.experts.{n // 3 % 256}.{n % 3}.weight"
            for n in range(sizes.small)
        ]
        sparse_checkpoint(small, experts, 128)
        opening(small, f"{sizes.small:,} small tensors")
        streaming(large)
        exporting(folder, sizes.export)


if __name__ == "__main__":
    main()
