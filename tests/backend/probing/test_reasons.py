"""How probes stand, and why some never fire."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from inspector_app.backend.session import Session
from inspector_app.protocol.messages import ProbeState


def states_after(
    model: nn.Module, inputs: torch.Tensor, paths: list[str], kinds=("output",), steps: int = 1
) -> dict[str, ProbeState]:
    """States of these rows by path, after steps of forward and backward."""
    with Session() as session:
        session.adopt(model, "model")
        table = session.tree.table
        ids = {path: int(table.ids[table.paths.index(path)]) for path in paths}
        session.watch(list(ids.values()), kinds)
        for _ in range(steps):
            session.probes.begin_step()
            model(inputs)
            session.probes.end_step()
        states = {state.row: state for state in session.get_probe_states().states}
        return {path: states[row] for path, row in ids.items()}


class Uses(nn.Module):
    """Runs one of its parts in a way of its own."""

    def __init__(self, part: nn.Module, how) -> None:
        super().__init__()
        self.part = part
        self.how = how

    def forward(self, x):
        return self.how(self.part, x)


def test_armed_until_a_step_has_ended():
    (state,) = states_after(nn.Identity(), torch.ones(1), [""], steps=0).values()
    assert (state.state, state.fired, state.reason) == ("armed", 0, "")


def test_fired_so_many_times():
    (state,) = states_after(nn.Identity(), torch.ones(1), [""], steps=3).values()
    assert (state.state, state.fired, state.reason) == ("fired", 3, "")


@pytest.mark.parametrize(
    "how",
    [
        lambda part, x: part.forward(x),
        lambda part, x: nn.functional.linear(x, part.weight, part.bias),
        lambda part, x: x,
    ],
)
def test_what_is_not_called_is_told_so(how):
    (state,) = states_after(Uses(nn.Linear(2, 2), how), torch.ones(1, 2), ["part"]).values()
    assert state.state == "never fired"
    assert "without calling it" in state.reason


def test_a_list_of_modules_is_never_called():
    model = Uses(nn.ModuleList([nn.Linear(2, 2)]), lambda part, x: part[0](x))
    (state,) = states_after(model, torch.ones(1, 2), ["part"]).values()
    assert state.reason.startswith("A ModuleList is never called")


def test_attention_never_calls_its_projection():
    model = Uses(nn.MultiheadAttention(4, 2), lambda part, x: part(x, x, x)[0])
    states = states_after(model, torch.ones(3, 4), ["part", "part.out_proj"])
    assert states["part"].state == "fired"
    assert "MultiheadAttention" in states["part.out_proj"].reason


@pytest.mark.filterwarnings("ignore")
def test_a_compiled_module_never_fires_and_the_way_out_helps():
    model = nn.Sequential(nn.Linear(2, 2))
    model.compile(backend="eager")
    inputs = torch.ones(1, 2)
    model(inputs)
    (state,) = states_after(model, inputs, ["0"]).values()
    assert state.state == "never fired"
    assert "force_eager" in state.reason
    with torch.compiler.set_stance("force_eager"):
        (state,) = states_after(model, inputs, ["0"]).values()
    assert state.state == "fired"


@pytest.mark.filterwarnings("ignore")
def test_inside_of_a_wrapper_of_compile():
    model = torch.compile(nn.Sequential(nn.Linear(2, 2)), backend="eager")
    states = states_after(model, torch.ones(1, 2), ["_orig_mod.0"])
    assert "torch.compile" in states["_orig_mod.0"].reason


def test_frozen_and_untrained_parameters():
    model = nn.Linear(2, 2)
    model.weight.requires_grad_(False)
    kinds = ("parameter gradient",)
    states = states_after(model, torch.ones(1, 2), ["weight", "bias"], kinds)
    assert "frozen" in states["weight"].reason
    assert "No backward" in states["bias"].reason
    (state,) = states_after(model, torch.ones(1, 2), ["bias"], ("update",)).values()
    assert "No optimizer" in state.reason


def test_a_gradient_that_never_comes_is_told():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    states = states_after(model, torch.ones(1, 2), ["0", "1"], ("output", "gradient"))
    assert states["0"].state == states["1"].state == "fired"
    assert "needs no gradient" in states["0"].reason
    assert states["1"].reason == ""


def test_an_error_stops_a_probe():
    class Raises(dict):
        def items(self):
            raise RuntimeError("no")

    model = Uses(nn.Identity(), lambda part, x: Raises(x=x))
    (state,) = states_after(model, torch.ones(1), [""]).values()
    assert (state.state, state.fired) == ("stopped", 1)
    assert "no" in state.reason


def test_steps_that_were_not_measured_tell_nothing():
    model = nn.Identity()
    with Session() as session:
        session.adopt(model, "model")
        session.watch([0])
        session.probes.active = False
        session.probes.begin_step()
        model(torch.ones(1))
        session.probes.end_step()
        (state,) = session.get_probe_states().states
        assert state.state == "armed"
