"""``factories``: what a Python file offers to build a model with."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, TextIO

from inspector_app.cli.output import DONE, print_json
from inspector_app.cli.parser import Commands, add_command, add_json

if TYPE_CHECKING:
    from inspector_app.factories import Factory


def add(commands: Commands) -> None:
    """The command's own options."""
    parser = add_command(
        commands, "factories", "list the factories of a Python file; nothing in it is run", ""
    )
    parser.add_argument("file", metavar="FILE", help="or PACKAGE.MODULE, or sample:NAME")
    add_json(parser)


def run(chosen: argparse.Namespace, output: TextIO) -> int:
    """Print them, the likeliest first."""
    import dataclasses

    from inspector_app.factories import list_factories

    found = list_factories(chosen.file)
    if chosen.json:
        print_json(output, {"factories": [dataclasses.asdict(one) for one in found]})
        return DONE
    for factory in found:
        output.write(f"{chosen.file}:{factory.name}{_signature(factory)}\n")
        if factory.summary:
            output.write(f"    {factory.summary}\n")
    if not found:
        output.write(f"{chosen.file}: nothing in it builds a model\n")
    return DONE


def _signature(factory: Factory) -> str:
    """Its arguments as Python writes them."""
    words = []
    for one in factory.arguments:
        if one.keyword_only and "*" not in words:
            words.append("*")
        annotation = f": {one.annotation}" if one.annotation else ""
        equals = " = " if one.annotation else "="
        words.append(f"{one.name}{annotation}{equals + one.default if one.default else ''}")
    return f"({', '.join([*words, '...'] if factory.more else words)})"
