"""How long until the window can be seen, against ``import torch``: whole processes, same run.

``python -m tests.benchmarks.bench_window [--rounds N]``.  Bar: under 0.7x.  Needs a screen; without
one Qt draws off screen.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

# The program as it is, ended once its window was painted for the first time.
SHOWN = """
import sys
from PySide6.QtWidgets import QApplication
from inspector_app.gui import app
app.after_first_paint, begin = (lambda window, then: begin(window, QApplication.quit)), (
    app.after_first_paint
)
from inspector_app.cli import main
code = main(["sample:resnet"])
assert "torch" not in sys.modules
sys.exit(code)
"""


def seconds(code: str, environment: dict[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    environment = dict(os.environ)
    if not environment.get("DISPLAY") and not environment.get("WAYLAND_DISPLAY"):
        environment["QT_QPA_PLATFORM"] = "offscreen"
    with tempfile.TemporaryDirectory() as folder:
        environment["XDG_CONFIG_HOME"] = folder
        shown, imported = [], []
        for number in range(rounds + 1):
            window = seconds(SHOWN, environment)
            torch = seconds("import torch", environment)
            if number:  # the first round warms the disk's cache
                shown.append(window)
                imported.append(torch)
    window, torch = statistics.median(shown), statistics.median(imported)
    print(f"window shown {window:.2f} s, import torch {torch:.2f} s: {window / torch:.2f}x (0.7x)")


if __name__ == "__main__":
    main()
