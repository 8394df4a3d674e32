"""The command line: the window, and the same ``Session`` without a screen.

Each module beside this one is a command.  Neither torch nor Qt is imported until one needs it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from inspector_app import __version__
from inspector_app.cli import attach, export, factories, script, state, summary, verify, window
from inspector_app.cli.guarding import guarded
from inspector_app.cli.output import (
    DONE,
    FAILED,
    INTERRUPTED,
    WRONG,
    complain,
    own_output,
)
from inspector_app.cli.parser import TARGETS, Parser
from inspector_app.protocol.errors import InspectorError

__all__ = ["DONE", "FAILED", "INTERRUPTED", "WRONG", "main"]

# In the order of the help. A window takes the whole process for itself, so these stand apart.
_WINDOWS = {"window": window, "attach": attach}
_COMMANDS = {
    "summary": summary,
    "export": export,
    "verify": verify,
    "state": state,
    "script": script,
    "factories": factories,
}
_NOT_A_TARGET = ("-h", "--help", "--version")


def _parser() -> Parser:
    parser = Parser(
        prog="inspector-app",
        description="See what is inside a PyTorch model, change it safely, watch it run.",
        epilog=f"{TARGETS}\nWithout a command the window opens.",
    )
    parser.add_argument("--version", action="version", version=f"inspector-app {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (*_WINDOWS.values(), *_COMMANDS.values()):
        command.add(commands)
    return parser


def _misspelt(word: str) -> str:
    """The command that was meant, where a word is no target either; "" where none is near."""
    import difflib

    if not word.isidentifier() or Path(word).exists():
        return ""
    near = difflib.get_close_matches(word.lower(), (*_WINDOWS, *_COMMANDS), n=1, cutoff=0.7)
    return near[0] if near else ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    first = words[0] if words else ""
    if first not in (*_WINDOWS, *_COMMANDS, *_NOT_A_TARGET):
        meant = _misspelt(first)
        if meant:
            complain(f"There is no command or file '{first}'. Did you mean '{meant}'?")
            return WRONG
        words.insert(0, "window")
    chosen = _parser().parse_args(words)
    if chosen.command in _WINDOWS:
        code: int = _WINDOWS[chosen.command].run(chosen)
        return code
    if arguments is not None:
        return _carried_out(chosen, to_the_end=False)
    target = getattr(chosen, "target", "") or getattr(chosen, "against", "") or chosen.command
    return guarded(lambda: _carried_out(chosen, to_the_end=True), target)


def _carried_out(chosen: argparse.Namespace, *, to_the_end: bool) -> int:
    """Run the command that was chosen; returns the exit code."""
    with own_output(to_the_end=to_the_end) as output:
        try:
            code: int = _COMMANDS[chosen.command].run(chosen, output)
            output.flush()
        except InspectorError as error:
            complain(error.sentence)
            return WRONG
        except KeyboardInterrupt:
            complain("interrupted")
            return INTERRUPTED
        except BrokenPipeError:
            return DONE  # the reader has seen enough
        except OSError as error:
            complain(error.strerror or str(error))
            return WRONG
        return code
