"""Thinning out keeps to the budget, without flickering."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.backend.training.budget import Budget


def run(budget: Budget, steps: int, bare: float, cost: float) -> tuple[float, int]:
    """Share that probes took of some steps, and how many of them were measured."""
    total = spent = 0.0
    measured = True
    count = 0
    for _ in range(steps):
        now = cost if measured else 0.0
        total += bare
        spent += now
        count += measured
        measured = budget.step(bare + now, now, measured=measured)
    return spent / total, count


@given(st.floats(1e-4, 1.0), st.floats(0.001, 3.0), st.floats(0.01, 0.5))
def test_keeps_to_the_share(bare, relative, share):
    budget = Budget(share)
    run(budget, 400, bare, relative * bare)
    taken, measured = run(budget, 6_000, bare, relative * bare)
    assert taken <= share * 1.1
    assert measured >= 6_000 // (budget.every + 1)
    if relative < share * 0.7:
        assert budget.every == 1
        assert budget.sentence == ""


def test_without_a_limit_nothing_is_thinned_out():
    budget = Budget(None)
    _, measured = run(budget, 100, 0.001, 1.0)
    assert measured == 100


def test_says_what_it_does():
    budget = Budget(0.05)
    run(budget, 200, 0.1, 0.0179)
    assert budget.every == 4
    assert budget.sentence == "Checked every 4th step, to take less than 5%."
    assert budget.overhead == pytest.approx(0.0179 / 4 / 0.1, rel=0.1)


def test_ranks_measure_steps_in_common_whatever_each_of_them_needs():
    ranks = [Budget(0.05, doubling=True) for _ in range(2)]
    for budget, cost in zip(ranks, (0.0279, 0.0379), strict=True):
        run(budget, 200, 0.1, cost)
    assert [budget.every for budget in ranks] == [8, 8]
    run(ranks[0], 200, 0.1, 0.0119)
    assert [budget.every for budget in ranks] == [4, 8]
    run(ranks[0], 2_000, 0.1, 0.001)
    assert ranks[0].every == 1


def test_becomes_dense_again_when_there_is_room():
    budget = Budget(0.05)
    run(budget, 100, 0.1, 0.05)
    assert budget.every == 10
    run(budget, 2_000, 0.1, 0.001)
    assert budget.every == 1


def test_one_slow_step_changes_little():
    budget = Budget(0.05)
    run(budget, 200, 0.1, 0.006)
    before = budget.every
    budget.step(60.0, 0.0, measured=False)  # an evaluation
    run(budget, 4, 0.1, 0.006)
    assert budget.every == before


@pytest.mark.parametrize("share", [0, -0.1, 1.5])
def test_nonsense_is_refused(share):
    with pytest.raises(ValueError, match="not between 0 and 1"):
        Budget(share)
