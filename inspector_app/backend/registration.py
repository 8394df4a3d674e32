"""The three facts of registration in words, each with what to do where it does not hold."""

from __future__ import annotations

from inspector_app.protocol.messages import Fact
from inspector_app.protocol.table import Flag, Role, RowTable

_PART = "Part of the model"
_REGISTERED = Flag.IN_PARAMETERS | Flag.MOVED | Flag.SAVED


def _optimizer_fact(flags: Flag, role: Role, owner: str) -> Fact:
    seen = Flag.IN_PARAMETERS in flags
    if seen:
        return Fact(
            label="Optimizer",
            value="An optimizer built from model.parameters() sees it.",
            tone="good",
        )
    if role == Role.BUFFER:
        value = "No optimizer sees it: it is a buffer, which the forward itself may change."
        return Fact(label="Optimizer", value=value)
    if role == Role.PARAMETER:
        value = (
            "No optimizer sees it: its module is not registered. Hold the module in an attribute "
            "of its own or in nn.ModuleList or nn.ModuleDict."
        )
    else:
        value = (
            "No optimizer sees it: it is a plain attribute. To train it, assign an nn.Parameter "
            f"to {owner} or put it into nn.ParameterList or nn.ParameterDict."
        )
    return Fact(label="Optimizer", value=value, tone="warning")


def _moved_fact(flags: Flag, role: Role) -> Fact:
    if Flag.MOVED in flags:
        return Fact(label="Moving", value="model.to() moves it.", tone="good")
    cure = (
        "Register its module."
        if role in (Role.PARAMETER, Role.BUFFER)
        else "Register it with register_buffer, or as a parameter."
    )
    return Fact(label="Moving", value=f"model.to() leaves it where it is. {cure}", tone="warning")


def _saved_fact(flags: Flag, role: Role) -> Fact:
    if Flag.SAVED in flags:
        return Fact(label="Saving", value="model.state_dict() saves it.", tone="good")
    if role == Role.BUFFER and Flag.PERSISTENT not in flags:
        value = (
            "model.state_dict() leaves it out: it is registered with persistent=False, so it has "
            "to be computed anew after loading."
        )
        return Fact(label="Saving", value=value)
    cure = (
        "Register its module."
        if role in (Role.PARAMETER, Role.BUFFER)
        else "Register it as a parameter or buffer."
    )
    value = f"model.state_dict() leaves it out. {cure}"
    return Fact(label="Saving", value=value, tone="warning")


def registration_facts(table: RowTable, position: int, *, is_module: bool) -> list[Fact]:
    """The three facts of a tensor: the optimizer, ``.to()``, ``state_dict()``.

    One fact of a module, a plain container or a tensor computed from others, none of a number, None
    or a checkpoint's group.
    """
    flags = Flag(int(table.flags[position]))
    role = Role(int(table.role[position]))
    if role == Role.TENSOR and Flag.SAVED not in flags:
        value = "It stands beside the state dict, so an export leaves it out."
        return [Fact(label="Saving", value=value)]
    if role == Role.TENSOR:
        return [
            Fact(label="Saving", value="It is an entry of this checkpoint, under exactly its path.")
        ]
    if Flag.TENSOR in flags and Flag.PARAMETRIZED in flags and not flags & _REGISTERED:
        value = (
            "It is computed from other tensors before each forward: those are trained, moved and "
            "saved, and it follows them."
        )
        return [Fact(label="Registration", value=value)]
    if Flag.TENSOR in flags:
        owner = table.path(int(table.parent[position])) or "the model"
        return [
            _optimizer_fact(flags, role, owner),
            _moved_fact(flags, role),
            _saved_fact(flags, role),
        ]
    if Flag.CONTAINER in flags:
        value = (
            "A plain container registers nothing: what it holds is seen, moved and saved only "
            "where it is registered as well. nn.ModuleList, nn.ModuleDict, nn.ParameterList and "
            "nn.ParameterDict register."
        )
        return [Fact(label=_PART, value=value, tone="warning")]
    if not is_module:
        return []
    if Flag.IN_MODEL in flags:
        value = (
            "Registered: model.modules() yields it, so the parameters and buffers registered on it "
            "are trained, moved and saved with the model."
        )
        return [Fact(label=_PART, value=value, tone="good")]
    value = (
        "model.modules() does not yield it: none of its parameters is trained, moved or saved. "
        "Hold it in an attribute of its own or in nn.ModuleList or nn.ModuleDict."
    )
    return [Fact(label=_PART, value=value, tone="warning")]
