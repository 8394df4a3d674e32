"""Where the fans that ``torch.nn.init`` takes are not those of the layer.

``torch.nn.init`` reads them off the shape of a weight: (out, in, ...).  That is wrong for weights
that are laid out otherwise or hold several matrices.  We write what torch writes, and say so.
"""

from __future__ import annotations

from torch import nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from inspector_app.backend import planning
from inspector_app.backend.tree import Tree
from inspector_app.protocol.messages import Scheme
from inspector_app.protocol.schemes import all_arguments
from inspector_app.protocol.table import Int32


def _wrong(owner: object, name: str, shape: tuple[int, ...]) -> dict[str, tuple[int, int]]:
    """Fans as torch takes them and as they are, where the two differ."""
    field = 1
    for size in shape[2:]:
        field *= size
    taken = {"fan_in": shape[1] * field, "fan_out": shape[0] * field}
    true = dict(taken)
    if isinstance(owner, _ConvTransposeNd) and name == "weight":
        groups = owner.__dict__["groups"]  # the weight is (in, out / groups, ...)
        true = {"fan_in": shape[0] // groups * field, "fan_out": shape[1] * field}
    elif isinstance(owner, _ConvNd) and name == "weight":
        true["fan_out"] = shape[0] // owner.__dict__["groups"] * field
    elif isinstance(owner, nn.MultiheadAttention) and name == "in_proj_weight":
        true["fan_out"] = shape[0] // 3  # query, key and value in one
    elif isinstance(owner, nn.RNNBase) and name.startswith("weight_"):
        gates = {"LSTM": 4, "GRU": 3}.get(str(owner.__dict__["mode"]), 1)
        if not name.startswith("weight_hr"):
            true["fan_out"] = shape[0] // gates
    return {fan: (taken[fan], true[fan]) for fan in taken if taken[fan] != true[fan]}


def notes(tree: Tree, positions: Int32, scheme: Scheme) -> list[str]:
    """A note that names the weights among ``positions`` for which ``scheme`` takes a wrong fan."""
    used = {"fan_in", "fan_out"}
    if scheme.name == "kaiming_uniform_":
        used = {str(all_arguments(scheme)["mode"])}
    table = tree.table
    found = []
    for row in positions.tolist():
        owner = tree.objects[table.parent[row]]
        wrong = _wrong(owner, table.name(row), table.shape(row) or (0, 0))
        words = [
            f"{fan} {taken:,} for {true:,}" for fan, (taken, true) in wrong.items() if fan in used
        ]
        if words:
            found.append(f"{planning.path_of(table, row)} ({', '.join(words)})")
    if not found:
        return []
    return [
        "torch.nn.init reads the fans off the shape, which these layers lay out otherwise: "
        f"{planning.name_list(found, len(found))}"
    ]
