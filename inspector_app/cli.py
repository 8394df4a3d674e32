"""The command line: the window, and the same ``Session`` without a screen.

Imports neither torch nor Qt until a command needs it.  Exit codes: 0 done, 1 verification failed,
2 the target or the call is wrong, with one clear line on stderr.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from inspector_app import __version__
from inspector_app.protocol.errors import InspectorError, RequestError

if TYPE_CHECKING:
    from inspector_app.backend.session import Session
    from inspector_app.protocol import messages as m

DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130

_TARGETS = """\
TARGET is one of
  sample:NAME                a model that comes with the program (sample:resnet)
  path/to/file.py:factory    a function or class in a file that makes the model
  package.module:factory     the same in an installed or local package
  weights.safetensors        a checkpoint on its own; .pt archives of torch.save as well
"""
_PATTERNS = """\
PATTERN is the path of a row or a glob over paths (* crosses dots); a module means its subtree.
For --freeze and --init it may also be class:NAME (modules of that class or one derived from it) or
  preset:body        all but the last module that has parameters
  preset:norms       normalisation layers
  preset:biases      biases
  preset:embeddings  embeddings
"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _add_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--arg",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="keyword argument of the factory (--arg hidden=128)",
    )
    parser.add_argument(
        "--device",
        choices=("cpu", "meta"),
        default="cpu",
        help="where the factory makes its tensors; meta: shapes only, no memory",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of all random numbers, set before the factory runs"
    )


def _parser() -> _Parser:
    parser = _Parser(
        prog="inspector-app",
        description="See what is inside a PyTorch model, change it safely, watch it run.",
        epilog=f"{_TARGETS}\nWithout a command the window opens.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"inspector-app {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, summary: str, epilog: str = _TARGETS) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    window = command("window", "open the window (the word may be left out)")
    window.add_argument("target", nargs="?", metavar="TARGET")
    window.add_argument(
        "--tour",
        type=Path,
        metavar="PICTURE",
        help="do the main job by itself, save a screenshot as PICTURE and end",
    )
    _add_target(window)

    summary = command("summary", "print the tree and its totals")
    summary.add_argument("target", metavar="TARGET")
    summary.add_argument("--json", action="store_true", help="print one JSON object")
    summary.add_argument("--depth", type=int, metavar="N", help="levels below the root to print")
    _add_target(summary)

    export = command(
        "export", "write a verified state_dict as safetensors", f"{_TARGETS}\n{_PATTERNS}"
    )
    export.add_argument("target", metavar="TARGET")
    export.add_argument("out", metavar="OUT", help="the file to write")
    many: dict[str, Any] = {"action": "append", "default": []}
    export.add_argument("--freeze", metavar="PATTERN", help="freeze first", **many)
    export.add_argument(
        "--init",
        metavar="PATTERN=SCHEME",
        help="initialise first, e.g. 'head=normal_(std=0.02)'",
        **many,
    )
    export.add_argument("--only", metavar="PATTERN", help="write these keys only", **many)
    export.add_argument("--skip", metavar="PATTERN", help="leave these keys out", **many)
    export.add_argument("--json", action="store_true", help="print the report as JSON")
    _add_target(export)

    verify = command("verify", "check that an exported file is what was written")
    verify.add_argument("file", metavar="FILE")
    verify.add_argument("--against", metavar="TARGET", help="compare with a model bit by bit")
    verify.add_argument("--json", action="store_true", help="print the report as JSON")
    _add_target(verify)
    return parser


_COMMANDS = ("window", "summary", "export", "verify")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not any(word in _COMMANDS or word in ("-h", "--help", "--version") for word in words[:1]):
        words.insert(0, "window")
    chosen = _parser().parse_args(words)
    if chosen.command == "window":
        return _window(chosen)
    with _own_output(to_the_end=arguments is None) as output:
        try:
            run = {"summary": _summary, "export": _export, "verify": _verify}[chosen.command]
            code = run(chosen, output)
            output.flush()
        except InspectorError as error:
            print(f"inspector-app: {_one_line(error.sentence)}", file=sys.stderr)
            return WRONG
        except KeyboardInterrupt:
            print("inspector-app: interrupted", file=sys.stderr)
            return INTERRUPTED
        except BrokenPipeError:
            return DONE  # the reader has seen enough
        except OSError as error:
            why = error.strerror or str(error)
            print(f"inspector-app: {_one_line(why)}", file=sys.stderr)
            return WRONG
        return code


def _one_line(sentence: str) -> str:
    return " ".join(sentence.split())


@contextlib.contextmanager
def _own_output(*, to_the_end: bool) -> Iterator[TextIO]:
    """Our stdout, while all that a model prints goes to stderr, from C as well.

    ``to_the_end`` of the process: threads and exit handlers of the model may still print after us.
    """
    sys.stdout.flush()
    kept = os.dup(1)
    output = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="backslashreplace")
    os.dup2(2, 1)
    try:
        yield output
    finally:
        with contextlib.suppress(Exception):  # the model may have closed or replaced it
            sys.stdout.flush()
        if not to_the_end:
            os.dup2(kept, 1)
        os.close(kept)
        with contextlib.suppress(OSError):
            output.close()


class _TerminalJob:
    """Shows progress in a terminal's last line, says nothing elsewhere."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()

    def progress(self, done: int, total: int, label: str) -> None:
        if self._shown:
            share = f" {done / total:4.0%}" if total else ""
            sys.stderr.write(f"\r\x1b[K{label}{share}")
            if total and done >= total:
                sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def check(self) -> None: ...

    def waiting(self) -> bool:
        return False

    def safe_point(self) -> None: ...


def _arguments(chosen: argparse.Namespace) -> dict[str, Any]:
    from inspector_app.protocol.factory_arguments import parse_argument

    return dict(parse_argument(text) for text in chosen.arg)


def _open(chosen: argparse.Namespace, target: str) -> Session:
    from inspector_app.backend.session import Session

    session = Session()
    session.open(
        target,
        arguments=_arguments(chosen),
        device=chosen.device,
        seed=chosen.seed,
        job=_TerminalJob(),
    )
    return session


def _forget_current_folder() -> None:
    """Keep packages in the current folder from shadowing ours; the window needs nothing there."""
    ours = Path(__file__).resolve().parent.parent
    here = Path.cwd()
    if here != ours:
        sys.path[:] = [entry for entry in sys.path if entry and Path(entry).resolve() != here]


def _window(chosen: argparse.Namespace) -> int:
    _forget_current_folder()
    try:
        arguments = _arguments(chosen)
    except InspectorError as error:
        print(f"inspector-app: {_one_line(error.sentence)}", file=sys.stderr)
        return WRONG
    if chosen.tour is not None:
        from inspector_app.gui.tour import run_tour

        return run_tour(chosen.target or "sample:resnet", str(chosen.tour))
    from inspector_app.gui.app import run

    return run(chosen.target, arguments, chosen.device, chosen.seed)


def _summary(chosen: argparse.Namespace, output: TextIO) -> int:
    if chosen.depth is not None and chosen.depth < 0:
        raise RequestError("--depth is a number of levels, 0 or more.")
    session = _open(chosen, chosen.target)
    if chosen.json:
        json.dump(session.summary_json(depth=chosen.depth), output)
        output.write("\n")
    else:
        output.write(session.summary_text(depth=chosen.depth))
    return DONE


def _export(chosen: argparse.Namespace, output: TextIO) -> int:
    from inspector_app.protocol import messages as m
    from inspector_app.protocol.schemes import parse_scheme

    # An unset shell variable must not mean everything: the root is named "*".
    for option in ("freeze", "only", "skip"):
        if "" in getattr(chosen, option):
            raise RequestError(f'--{option} has an empty pattern; "*" means everything.')
    schemes = []
    for text in chosen.init:
        pattern, equals, scheme = text.partition("=")
        if not equals or not pattern:
            raise RequestError(f"--init takes PATTERN=SCHEME, for example head=zeros_; got {text}.")
        schemes.append((pattern, parse_scheme(scheme)))
    session = _open(chosen, chosen.target)
    job = _TerminalJob()
    done: list[m.Edited] = []
    for pattern, scheme in schemes:
        selection = m.Selection(patterns=[pattern])
        done.append(session.initialize(selection, scheme, seed=chosen.seed, job=job))
    done += [
        session.freeze(m.Selection(patterns=[pattern]), frozen=True, job=job)
        for pattern in chosen.freeze
    ]
    refused = [refusal for edited in done for refusal in edited.refused]
    notes = list(dict.fromkeys(note for edited in done for note in edited.notes))
    only = m.Selection(patterns=chosen.only) if chosen.only else None
    report = session.export(chosen.out, m.ExportOptions(only=only, skip=chosen.skip), job=job)
    if chosen.json:
        _print_json(output, report, refused=_plain(refused), notes=notes)
        return DONE
    output.write(
        f"{report.path}: {report.tensors:,} tensors, {report.bytes:,} bytes, written and compared "
        f"bit by bit in {report.seconds:.1f} s\nsha256 {report.sha256}\n"
    )
    for tie in report.ties:
        output.write(f"tied: {', '.join(tie.names)} ({tie.kept})\n")
    for left_out in report.left_out:
        output.write(f"left out: {left_out.name} ({left_out.reason})\n")
    for note in notes:
        output.write(f"note: {note}\n")
    for refusal in refused:
        output.write(f"not edited: {', '.join(refusal.examples)} ({refusal.reason})\n")
    return DONE


def _verify(chosen: argparse.Namespace, output: TextIO) -> int:
    from inspector_app.backend.session import Session

    if chosen.arg and not chosen.against:
        raise RequestError("--arg belongs to the factory that --against names; there is none.")
    session = _open(chosen, chosen.against) if chosen.against else Session()
    report = session.verify(chosen.file, against="." if chosen.against else "", job=_TerminalJob())
    if chosen.json:
        _print_json(output, report)
    else:
        compared = f", equal to {report.against}" if report.against else ""
        verdict = "verified" if report.ok else "NOT verified"
        if not report.ok:
            compared = f", compared with {report.against}" if report.against else ""
        output.write(
            f"{report.path}: {verdict}, {report.tensors:,} tensors, {report.bytes:,} bytes"
            f"{compared}\nsha256 {report.sha256}\n"
        )
        if report.recorded != "absent":
            output.write(f"recorded hash {report.recorded}\n")
        for difference in report.differences:
            about = f"{difference.name}: " if difference.name else ""  # else the file as a whole
            output.write(f"{about}{difference.what}\n")
    return DONE if report.ok else FAILED


def _plain(value: object) -> Any:
    import msgspec

    return msgspec.to_builtins(value)


def _print_json(output: TextIO, report: m.Result, **more: object) -> None:
    fields = _plain(report)
    fields.pop("type")
    json.dump({**fields, **more}, output)
    output.write("\n")
