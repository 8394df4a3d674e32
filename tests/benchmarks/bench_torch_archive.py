"""Files of torch.save: opening a large one, and ones of many small tensors in both forms.

``python tests/benchmarks/bench_torch_archive.py [--gigabytes 4] [--small 46000]``

The large archive is written by torch.save of storages that were never touched, so it is made of
zeros; memory is what the process holds after opening, more than before.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch

from inspector_app.backend.opening import open_checkpoint

ROUNDS = 5


def resident() -> float:
    """Megabytes that this process holds now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def opening(path: str, label: str, *, mmap: bool = True) -> None:
    """Time and memory of the description, the rows and the fingerprint."""
    start = time.perf_counter()
    loaded = torch.load(path, mmap=mmap, weights_only=True)
    theirs = time.perf_counter() - start
    del loaded
    before = resident()
    opens, wholes = [], []
    for _ in range(ROUNDS):
        checkpoint = None
        start = time.perf_counter()
        checkpoint = open_checkpoint(path)
        opens.append(time.perf_counter() - start)
        rows = len(checkpoint.tree.table)
        checkpoint.fingerprint()
        checkpoint.totals()
        wholes.append(time.perf_counter() - start)
    print(
        f"{label}: {rows:,} rows in {statistics.median(wholes):.2f} s, of which the description "
        f"{statistics.median(opens):.2f} s; memory +{resident() - before:.0f} MB "
        f"(torch.load{' with mmap' if mmap else ''}: {theirs:.2f} s)"
    )


def main() -> None:
    """Run both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--gigabytes", type=float, default=4.0, help="size of the large archive")
    parser.add_argument("--small", type=int, default=46_000, help="number of small tensors")
    sizes = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "large.pt")
        elements = int(sizes.gigabytes * 1e6 / 4)
        names = [f"model.layers.{n // 8}.part_{n % 8}.weight" for n in range(1000)]
        torch.save({name: torch.zeros(elements) for name in names}, path)
        opening(path, f"{sizes.gigabytes:g} GB in 1,000 tensors")
        os.remove(path)
        names = [
            f"model.layers.{n // 768}.mlp.experts.{n // 3 % 256}.{n % 3}.weight"
            for n in range(sizes.small)
        ]
        shapes = (128,), (16, 8), (4, 32)
        small = {name: torch.ones(shapes[n % 3]) for n, name in enumerate(names)}
        torch.save(small, path)
        opening(path, f"{sizes.small:,} small tensors")
        torch.save(small, path, _use_new_zipfile_serialization=False)
        opening(path, f"{sizes.small:,} small tensors in the older form", mmap=False)


if __name__ == "__main__":
    main()
