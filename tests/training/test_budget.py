"""Thinning out keeps to the budget, in its order and without flickering."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inspector_app.backend.training.budget import RATES, Budget
from inspector_app.protocol.sampling import SAMPLES

LARGE, SMALL = SAMPLES


@dataclass
class Loop:
    """A training loop of which every cost is known, in seconds.

    A window asks for records as often as it may.
    """

    budget: Budget
    bare: float = 0.1  # of a step
    cost: float = 0.0  # of the probes of a step that is measured, but for what samples cost
    sampling: float = 0.0  # of large samples
    answer: float = 0.0  # of one
    now: float = 0.0
    asked: float = 0.0
    measured: bool = True
    seen: list[tuple[int, int, int]] = field(default_factory=list)  # what was thinned out, by turns

    def run(self, steps: int) -> tuple[float, int]:
        """Share that watching took of some steps, and how many of them were measured."""
        began, taken, count = self.now, 0.0, 0
        for _ in range(steps):
            probes = self.cost + self.sampling * self.budget.sample / LARGE
            spent = probes if self.measured else 0.0
            self.now += self.bare + spent
            due = int((self.now - self.asked) * self.budget.rate)
            self.asked += due / self.budget.rate
            answers = due * self.answer
            taken += spent + answers
            count += self.measured
            self.measured = self.budget.step(
                self.bare + spent, spent, measured=self.measured, answers=answers
            )
            state = (self.budget.rate, self.budget.sample, self.budget.every)
            if not self.seen or self.seen[-1] != state:
                self.seen.append(state)
        return taken / (self.now - began), count


def thinned(rate: int, sample: int, every: int) -> tuple[int, int, int]:
    """How far each of the three is thinned out."""
    return RATES.index(rate), SAMPLES.index(sample), every - 1


SHARES = st.floats(0.01, 0.5)
COSTS = st.floats(0.0, 3.0)
BARE = st.floats(1e-4, 1.0)


@given(st.floats(0.005, 1.0), COSTS, COSTS, st.floats(0.0, 0.25), SHARES)
@example(bare=1.0, cost=1.5, sampling=0.0, answer=0.25, share=0.25)
def test_keeps_to_the_share(bare, cost, sampling, answer, share):
    loop = Loop(Budget(share), bare, cost * bare, sampling * bare, answer * share)
    loop.run(400 + int(5 / bare + 30 * (cost + sampling) / share))
    steps = max(4_000, 40 * loop.budget.every)
    taken, measured = loop.run(steps)
    assert taken <= share * 1.25  # answers come in lumps of their own, up to 3/4 of the share
    assert measured >= steps // (loop.budget.every + 1)


@given(BARE, COSTS, COSTS, SHARES)
def test_thins_out_in_its_order_and_then_stands(bare, cost, sampling, share):
    loop = Loop(Budget(share), bare, cost * bare, sampling * bare)
    loop.run(600)
    for state in loop.seen:
        drawing, samples, steps = thinned(*state)
        assert not samples or drawing == len(RATES) - 1
        assert not steps or samples
    found = list(loop.seen)
    loop.run(2_000)
    assert loop.seen == found
    if cost + sampling < share * 0.7:
        assert found == [(RATES[0], LARGE, 1)]
        assert loop.budget.sentence == ""


def test_drawing_less_often_can_be_enough():
    loop = Loop(Budget(0.05), bare=0.02, cost=0.0002, answer=0.003)
    taken, _ = loop.run(1_000)
    assert loop.seen == [(30, LARGE, 1), (10, LARGE, 1)]
    assert taken < 0.05
    assert loop.budget.sentence == "Drawn at most 10 times a second: to take less than 5%."


def test_smaller_samples_can_be_enough():
    loop = Loop(Budget(0.05), cost=0.001, sampling=0.006)
    taken, measured = loop.run(200)
    assert loop.seen == [(30, LARGE, 1), (3, SMALL, 1)]
    assert measured == 200
    assert taken < 0.05
    assert loop.budget.sentence == (
        "Samples of 512, drawn at most 3 times a second: to take less than 5%."
    )


def test_is_undone_in_the_reverse_order():
    loop = Loop(Budget(0.05), cost=0.02, sampling=0.01, answer=0.001)
    loop.run(400)
    assert loop.seen[-1] == (3, SMALL, 5)
    loop.seen.clear()
    loop.cost, loop.sampling = 0.0002, 0.0001
    loop.run(4_000)
    states = [thinned(*state) for state in loop.seen]
    assert states == sorted(states, key=lambda state: state[::-1], reverse=True)
    assert states[-1] == (0, 0, 0)
    assert (2, 1, 0) in states  # whole steps first, then samples, then drawing
    assert (2, 0, 0) in states


def test_is_not_undone_where_there_is_no_room_to_spare():
    loop = Loop(Budget(0.05), cost=0.001, sampling=0.006)
    loop.run(200)
    loop.sampling = 0.0035  # large samples would take 4.5 % of a step
    loop.run(1_000)
    assert loop.seen[-1] == (3, SMALL, 1)
    loop.sampling = 0.0015
    loop.run(1_000)
    assert loop.seen[-1] == (30, LARGE, 1)


def test_without_a_limit_nothing_is_thinned_out():
    loop = Loop(Budget(None), bare=0.001, cost=1.0, answer=0.1)
    _, measured = loop.run(100)
    assert measured == 100
    assert loop.seen == [(30, LARGE, 1)]


def test_a_limit_that_is_lifted_leaves_nothing_thinned_out():
    loop = Loop(Budget(0.05), cost=0.05)
    loop.run(100)
    assert loop.budget.every == 10
    loop.budget.set_share(None)
    assert (loop.budget.rate, loop.budget.sample, loop.budget.every) == (30, LARGE, 1)


def test_says_what_it_does():
    loop = Loop(Budget(0.05), cost=0.0179)
    loop.run(200)
    assert loop.budget.every == 4
    assert loop.budget.sentence == (
        "Checked every 4th step, samples of 512, drawn at most 3 times a second: "
        "to take less than 5%."
    )
    assert loop.budget.overhead == pytest.approx(0.0179 / 4 / 0.1, rel=0.1)


def test_ranks_measure_steps_in_common_whatever_each_of_them_needs():
    ranks = [Loop(Budget(0.05, doubling=True), cost=cost) for cost in (0.0279, 0.0379)]
    for loop in ranks:
        loop.run(200)
    assert [loop.budget.every for loop in ranks] == [8, 8]
    ranks[0].cost = 0.0119
    ranks[0].run(400)
    assert [loop.budget.every for loop in ranks] == [4, 8]
    ranks[0].cost = 0.001
    ranks[0].run(2_000)
    assert ranks[0].budget.every == 1


@pytest.mark.parametrize("told", [0.9, 1.0, 5.0])
def test_probes_that_are_said_to_take_all_of_a_step_are_measured_again(told):
    """As where the steps are short, and what is not seen of the cost is guessed too high."""
    budget, seconds, cost = Budget(0.05), 1e-4, 0.9
    measured, count = True, 0
    for _ in range(4_000):
        count += measured
        spent = told * seconds if measured else 0.0
        took = seconds if measured else (1 - cost) * seconds
        measured = budget.step(took, spent, measured=measured)
    assert budget.step_seconds == pytest.approx((1 - cost) * seconds, rel=0.1)
    assert count > 20
    assert 0.02 < budget.overhead <= 0.05


def test_the_overhead_that_is_told_is_one_that_can_be():
    budget = Budget(None)
    for _ in range(100):
        budget.step(1e-4, 1e-3, measured=True)
    assert budget.overhead <= 20


def test_one_slow_step_changes_little():
    loop = Loop(Budget(0.05), cost=0.006)
    loop.run(200)
    before = loop.budget.every
    loop.budget.step(60.0, 0.0, measured=False)  # an evaluation
    loop.run(4)
    assert loop.budget.every == before


def test_an_answer_now_and_then_is_not_taken_for_many():
    loop = Loop(Budget(0.05), bare=0.002, answer=0.001)
    loop.run(3_000)
    assert loop.seen == [(30, LARGE, 1)]
    assert loop.budget.overhead == pytest.approx(0.03, rel=0.2)


@pytest.mark.parametrize("share", [0, -0.1, 1.5])
def test_nonsense_is_refused(share):
    with pytest.raises(ValueError, match="not between 0 and 1"):
        Budget(share)
