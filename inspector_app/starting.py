"""How a process of ours is started: with our packages, whatever the current folder holds."""

from __future__ import annotations

import sys
from pathlib import Path

# The current folder must not shadow our packages while they are imported.  The folder that holds
# our package, the last word of the command line, stands last on the path, or first where another
# copy of the package would be found before it.
FIND_OURS = """
import importlib.util, os, sys
folder, here = sys.argv.pop(), os.path.realpath(os.getcwd())
sys.path[:] = [p for p in sys.path if p and os.path.realpath(p) != here]
found = importlib.util.find_spec("inspector_app")
if found is None or not found.origin:
    sys.path.append(folder)
elif os.path.realpath(os.path.dirname(os.path.dirname(found.origin))) != os.path.realpath(folder):
    sys.path.insert(0, folder)
"""


def python_command(program: str, *words: str) -> list[str]:
    """The command that runs a Python program which may import our packages; ``words`` it gets.

    Raises FileNotFoundError where no Python is known: the executable of a frozen program is that
    program, and would begin once more.
    """
    if getattr(sys, "frozen", False) or not sys.executable:
        raise FileNotFoundError("this program has no Python interpreter to start")
    folder = Path(__file__).resolve().parents[1]
    alone = ["-I"] if sys.flags.isolated else []
    return [sys.executable, *alone, "-c", FIND_OURS + program, *words, str(folder)]
