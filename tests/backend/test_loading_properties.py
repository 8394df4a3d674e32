"""Any file of almost the right keys: what fits is loaded as torch loads it, all else stays."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from inspector_app.backend.session import Session
from inspector_app.protocol.errors import RefusedError
from inspector_app.protocol.table import Flag
from tests.backend import load_models
from tests.backend.edit_models import state
from tests.backend.load_models import randomised
from tests.backend.test_loading import opened, saved, values_of

KEYS = list(load_models.resnet().state_dict())
CHANGES = ["drop", "shape", "half", "exact", "double", "large", "kind", "rename"]


@st.composite
def files(draw) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """A state dict of resnet with some keys changed, and the kind of change by key."""
    state: dict[str, Any] = randomised(load_models.resnet(), draw(st.integers(0, 99)))
    changes = draw(st.dictionaries(st.sampled_from(KEYS), st.sampled_from(CHANGES), max_size=12))
    for key, change in changes.items():
        value = state[key]
        if change in ("drop", "rename"):
            del state[key]
        if change == "rename":
            state[f"{key}.other"] = value
        elif change == "shape":
            state[key] = torch.cat([value.reshape(-1), value.reshape(-1)])
        elif change == "half":
            state[key] = value.half() if value.is_floating_point() else value.to(torch.int16)
        elif change == "exact":
            wide = torch.float64 if value.is_floating_point() else torch.uint64
            state[key] = value.abs().to(wide)
        elif change == "double":
            # What float32 cannot hold; of integers there are none that lose digits only.
            whole = not value.is_floating_point()
            state[key] = value.clone() if whole else value.double().abs() + 1e-9
        elif change == "large":
            # Nothing of int64 is too large for int64, but uint64 is.
            wide, most = (
                (torch.float64, 1e300) if value.is_floating_point() else (torch.uint64, 2**64 - 1)
            )
            state[key] = torch.full(value.shape, most, dtype=wide)
        elif change == "kind":
            state[key] = value.to(torch.int64 if value.is_floating_point() else torch.float32)
    return state, changes


KIND = {
    "drop": "missing",
    "rename": "missing",
    "shape": "shape",
    "double": "dtype",
    "large": "value",
    "kind": "dtype",
}


@settings(max_examples=40, deadline=None)
@given(made=files(), front=st.sampled_from(["", "module.", "model._orig_mod.", "net.module."]))
def test_what_fits_is_loaded_and_all_else_stays(tmp_path_factory, made, front):
    new, changes = made
    path = saved(
        tmp_path_factory.mktemp("made") / "made.safetensors",
        {front + key: value for key, value in new.items()},
    )
    with Session() as session:
        model = opened(session, "resnet")
        before = state(model)
        plan = session.plan_state(path)
        told = {one.name: one for one in plan.differences if one.kind != "unexpected"}
        wanted = {key: KIND[change] for key, change in changes.items() if change in KIND}
        for key in KEYS:
            if changes.get(key) == "double" and not new[key].is_floating_point():
                del wanted[key]
        assert {key: one.kind for key, one in told.items()} == wanted
        unexpected = {one.name for one in plan.differences if one.kind == "unexpected"}
        renamed = [key for key, change in changes.items() if change == "rename"]
        assert unexpected == {f"{front}{key}.other" for key in renamed}
        stay = {key for key, one in told.items() if not one.fits}
        assert stay == {key for key in wanted if changes[key] != "double"}
        assert plan.fits == plan.tensors - len(stay)
        assert state(model) == before
        if not plan.complete:
            with pytest.raises(RefusedError):
                session.load_state(path)
            assert state(model) == before
        session.load_state(path, fit=True)
        theirs: nn.Module = load_models.resnet()
        theirs.load_state_dict(
            {key: new[key] for key in KEYS if key not in stay and key in new}, strict=False
        )
        after, loaded = values_of(model), values_of(theirs)
        for key in KEYS:
            assert after[key] == (before[key][2] if key in stay else loaded[key]), key
        table = session.tree.table
        initial = {table.path(row) for row in range(len(table)) if table.has(row, Flag.INITIAL)}
        assert initial == stay
        session.undo()
        assert state(model) == before
        session.redo()
        assert values_of(model) == after
