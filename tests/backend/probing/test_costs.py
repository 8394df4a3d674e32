"""What each probe is said to take of a step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from inspector_app.backend.probing import probe_set
from inspector_app.backend.probing.costs import Costs
from inspector_app.backend.probing.probe_set import ProbeSet
from inspector_app.protocol.messages import Series

SERIES = [
    Series(key=0, row=5, leaf=""),
    Series(key=1, row=5, leaf="", kind="gradient"),
    Series(key=200, row=6, leaf=""),
    Series(key=3, row=-1, leaf="loss", kind="scalar"),
]


def keys(*found: int) -> np.ndarray:
    return np.array(found, np.int32)


def test_records_share_their_time_equally():
    costs = Costs()
    assert costs.shares({5: 1.0, 6: 2.0}, SERIES) == {}
    costs.bare = 100.0
    costs.add(keys(0, 1, 200, 3), 8.0)
    assert costs.shares({5: 1.0, 6: 2.0}, SERIES) == pytest.approx({5: 0.05, 6: 0.04})


def test_shares_are_those_since_the_last_look():
    costs = Costs()
    costs.bare = 10.0
    assert costs.shares({5: 1.0}, SERIES) == {5: 0.1}
    costs.bare = 10.1
    assert costs.shares({5: 1.1}, SERIES) == {5: 0.1}  # too little to tell
    costs.bare = 20.0
    costs.add(keys(0), 0.5)
    assert costs.shares({5: 3.0}, SERIES) == {5: 0.25}
    costs.bare = 30.0
    assert costs.shares({5: 0.0}, SERIES) == {5: 0.0}  # watched anew: its hook began again


class Clock:
    """Each look at it takes a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def test_hooks_and_flushes_are_counted_and_steps_without_them(monkeypatch):
    from inspector_app.backend.probing import probes as hooks

    clock = Clock()
    monkeypatch.setattr(hooks, "perf_counter", clock)
    monkeypatch.setattr(probe_set, "perf_counter", clock)
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    with ProbeSet() as probes:
        probes.watch(1, model[0], kinds=("output", "gradient"))
        probes.watch(2, model[1])
        for _ in range(3):
            probes.begin_step()
            model(torch.ones(1, 2)).sum().backward()
            probes.end_step()
        shares = {state.row: state.share for state in probes.states}
    # The first row measures an output and a gradient, the second one an output.
    assert shares[1] == pytest.approx(2 * shares[2])
    total = sum(shares.values()) * probes.costs.bare
    assert total <= probes.spent
    assert probes.spent == pytest.approx(total, abs=3 * 3)  # a flush looks at the clock as well


def test_a_full_batch_is_not_put_down_to_the_hook_that_met_it(monkeypatch):
    model = nn.ReLU()
    with ProbeSet() as probes:
        probes.watch(1, model)
        probes.begin_step()
        for _ in range(300):
            model(torch.ones(3))
        probes.end_step()
        (state,) = probes.states
    assert state.share is not None
    assert state.share * probes.costs.bare <= probes.spent * 1.001


def test_states_say_what_is_exact_and_it_stays_with_a_row():
    model = nn.ReLU()
    with ProbeSet() as probes:
        probes.watch(1, model)
        probes.set_exact(1, True)
        assert [state.exact for state in probes.states] == [True]
        probes.unwatch(1)
        probes.watch(1, model)
        assert [state.exact for state in probes.states] == [True]
        probes.set_exact(1, False)
        assert [state.exact for state in probes.states] == [False]
