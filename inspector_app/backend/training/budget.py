"""Keeping what watching costs below a share of the training step.

Two things are measured: how long a step takes, and how much of it the probes' own code took.  What
is thinned out first is the sample, then whole steps: every second one, every third, and so on.  A
change is made only when it is needed for some steps on end, so that the picture does not flicker.
"""

from __future__ import annotations

import math

_MEMORY = 16  # steps that the averages look back
_WARM_UP = 4  # steps before anything is judged: the first ones allocate
_SLACK = 0.8  # thinned out less only where that would take this share of the budget


class Budget:
    """Decides which steps are measured.

    ``share`` is the part of a step that probes may take, None for no limit.  With ``doubling`` one
    of 2, 4, 8... steps is measured: ranks that train together, each with a budget of its own, then
    measure the same steps, but for those that only one of them leaves out.
    """

    def __init__(self, share: float | None = 0.05, *, doubling: bool = False) -> None:
        self.share: float | None = None
        self._doubling = doubling
        self.set_share(share)
        self.every = 1  # one of so many steps is measured
        self._steps = 0
        self._cost = 0.0  # seconds of probes in a step that is measured
        self._bare = 0.0  # seconds of a step without them
        self._measured = 0

    def set_share(self, share: float | None) -> None:
        """Set the limit; raises ValueError where it is not between 0 and 1."""
        if share is not None and not 0 < share <= 1:
            raise ValueError(f"The budget {share} is not between 0 and 1.")
        self.share = share
        if share is None:
            self.every = 1

    @property
    def step_seconds(self) -> float:
        """Seconds of a step without probes, on average; 0 before it is known."""
        return self._bare

    @property
    def cost(self) -> float:
        """Seconds that probes take in a step that is measured, on average."""
        return self._cost

    @property
    def overhead(self) -> float:
        """Share of all time that probes take now."""
        return self._cost / self.every / self._bare if self._bare else 0.0

    @property
    def sentence(self) -> str:
        """What is thinned out, in words; "" where nothing is."""
        if self.every == 1:
            return ""
        return f"Checked every {_ordinal(self.every)} step, to take less than {self.share:.0%}."

    def step(self, seconds: float, spent: float, *, measured: bool) -> bool:
        """A step is over; returns whether the next one is measured.

        ``seconds`` it took, of which ``spent`` were those of probes.
        """
        self._steps += 1
        if self._steps > _WARM_UP and seconds > 0:
            self._bare = _moved(self._bare, max(seconds - spent, 1e-9))
            if measured:
                self._measured += 1
                self._cost = _moved(self._cost, spent)
                self._judge()
        return self._steps % self.every == 0

    def _judge(self) -> None:
        if self.share is None or self._measured < _WARM_UP:
            return
        needed = self._one_of(self._cost / (self.share * self._bare))
        if needed > self.every:
            self.every = needed
        elif needed < self.every:
            roomy = self._one_of(self._cost / (_SLACK * self.share * self._bare))
            self.every = min(self.every, roomy)

    def _one_of(self, least: float) -> int:
        """Steps of which one is measured, so that at least ``least`` share its cost."""
        number = max(1, math.ceil(least))
        return 1 << (number - 1).bit_length() if self._doubling else number


def _moved(average: float, value: float) -> float:
    """An average that forgets; a single slow step (an evaluation, a checkpoint) counts little."""
    if not average:
        return value
    return average + (min(value, 4 * average) - average) / _MEMORY


def _ordinal(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"
