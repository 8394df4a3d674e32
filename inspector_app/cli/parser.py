"""What several commands take: a target and how it is opened, edits in their order, patterns."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from inspector_app.cli.output import WRONG, one_line

Commands = Any  # argparse names these classes privately: of subparsers, ...
Options = Any  # ... and of a parser or a group of its options

TARGETS = """\
TARGET is one of
  sample:NAME                a model that comes with the program (sample:resnet)
  path/to/file.py:factory    a function or class in a file that makes the model
  package.module:factory     the same in an installed or local package
  path/to/folder             a Hugging Face folder with config.json
  weights.safetensors        a checkpoint on its own; files of torch.save (.pt, .bin) and
                             model.safetensors.index.json as well
"""
PATTERNS = """\
PATTERN is the path of a row or a glob over paths (* crosses dots); a module means its subtree.
It may also be class:NAME (modules of that class or one derived from it) or
  preset:body        all but the last module that has parameters
  preset:norms       normalisation layers
  preset:biases      biases
  preset:embeddings  embeddings
  preset:initial     what --state --fit did not load
"""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; knows no abbreviations, which would change their meaning."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(
            allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **settings
        )

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        self.exit(WRONG, f"{self.prog}: {one_line(message)} (see {self.prog} --help)\n")


def add_command(
    commands: Commands, name: str, summary: str, epilog: str = TARGETS
) -> argparse.ArgumentParser:
    """A parser for one command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=summary, epilog=epilog
    )
    return parser


def add_json(parser: argparse.ArgumentParser, what: str = "print one JSON object") -> None:
    """``--json``."""
    parser.add_argument("--json", action="store_true", help=what)


def add_opening(parser: argparse.ArgumentParser) -> None:
    """How the target is opened."""
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
    parser.add_argument(
        "--trust",
        action="store_true",
        help="unpickle a whole pickled model, which runs whatever code the file names",
    )


def add_state(parser: argparse.ArgumentParser) -> None:
    """A checkpoint that is laid onto the model."""
    parser.add_argument(
        "--state", metavar="FILE", help="load this checkpoint into the model, wholly or not at all"
    )
    parser.add_argument(
        "--fit", action="store_true", help="load what fits of --state and leave the rest as it is"
    )
    add_prefix(parser)


def add_prefix(parser: argparse.ArgumentParser) -> None:
    """What is taken off a checkpoint's keys."""
    parser.add_argument(
        "--prefix",
        metavar="P",
        help="taken off the keys of the checkpoint, or with + put before them (--prefix +model.); "
        "found by itself where it is not given",
    )


class _InOrder(argparse.Action):
    """Options of several names in one list, in the order in which they stand."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        listed: list[tuple[str, str]] = getattr(namespace, self.dest)
        setattr(namespace, self.dest, [*listed, (self.const, values)])


def add_in_order(parser: Options, dest: str, options: Sequence[tuple[str, str, str]]) -> None:
    """Options (name, value's name, help) that come out as ``dest``: pairs of name and value."""
    for name, metavar, text in options:
        parser.add_argument(
            f"--{name}",
            action=_InOrder,
            const=name,
            dest=dest,
            default=[],
            metavar=metavar,
            help=text,
        )
