"""Time to read the large model, as a ratio to ``list(model.named_modules())`` of the same run.

Run with ``python -m tests.benchmarks.bench_tree``.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable

from inspector_app.backend.summary import summary_text
from inspector_app.backend.tree import build_tree, totals
from tests.benchmarks.models import build_model

REPEATS = 7


def main() -> None:
    """Print medians of interleaved runs."""
    model = build_model()
    tree = build_tree(model)
    sums = totals(tree)
    gc.collect()
    gc.freeze()  # as the worker does after opening
    runs: dict[str, Callable[[], object]] = {
        "list(named_modules())": lambda: list(model.named_modules()),
        "build_tree, first": lambda: build_tree(model),
        "build_tree, again": lambda: build_tree(model, tree),
        "totals": lambda: totals(tree),
        "summary_text, depth 2": lambda: summary_text(
            tree, sums, title="large", kind="model", depth=2
        ),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(REPEATS):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    floor = medians["list(named_modules())"]
    print(f"{sums.modules:,} modules, {len(tree.table):,} rows")
    for name, median in medians.items():
        print(f"{name:24s} {median * 1000:8.1f} ms  {median / floor:5.2f}x")


if __name__ == "__main__":
    main()
