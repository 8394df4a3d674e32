"""Keeping what watching costs below a share of the training step.

Three things are measured: how long a step takes, how much of it the probes' own code took, and what
answering windows took beside it.  Thinned out is first how often a window may draw, then the size
of samples, then whole steps: every second one, every third, and so on; all of it is undone in the
reverse order.  A change is made only when it is needed for some steps on end, and taken back only
where there is room to spare, so that the picture does not flicker.
"""

from __future__ import annotations

import math

from inspector_app.protocol.sampling import SAMPLES

_MEMORY = 16  # steps that the averages look back
_WARM_UP = 4  # steps before anything is judged: the first ones allocate
_TRIED = 2  # steps that are measured before the effect of a change is judged
_SLACK = 0.8  # thinned out less only where that would take this share of the budget
_SPAN = 2.0  # seconds that the average of answers looks back at least: they come as they like
_MOST_ANSWERS = 0.9  # share of the budget that answers can leave no room to probes by
_MOST_SPENT = 0.95  # share of a step that probes are thought to take at most: steps without them
# tell better, and seconds of several threads can be more than the step had
_DEARER = 8.0  # times the cost of a small sample that a large one is thought to have, at most

RATES = (30, 10, 3)
"""How often a second a window may ask for records, from the most to the least."""


class Budget:
    """Decides what is measured, and how often it may be drawn.

    ``share`` is the part of a step that probes may take, None for no limit.  With ``doubling`` one
    of 2, 4, 8... steps is measured: ranks that train together, each with a budget of its own, then
    measure the same steps, but for those that only one of them leaves out.
    """

    def __init__(self, share: float | None = 0.05, *, doubling: bool = False) -> None:
        self._steps = 0
        self._bare = 0.0  # seconds of a step without probes
        self._cost = 0.0  # seconds of probes in a step that is measured
        self._answers = 0.0  # seconds of answers, of late
        self._passed = 0.0  # seconds in which these were given
        self._measured = 0  # steps since ``rate`` or ``sample`` was changed
        self._large = 0.0  # ``_cost`` of large samples, when there were any
        self._dearer = 1.0  # that by the cost of small ones
        self._thin_nothing()
        self.share: float | None = None
        self._doubling = doubling
        self.set_share(share)

    def _thin_nothing(self) -> None:
        self.rate = RATES[0]
        self.sample = SAMPLES[0]
        self.every = 1  # one of so many steps is measured

    def set_share(self, share: float | None) -> None:
        """Set the limit; raises ValueError where it is not between 0 and 1, TypeError for text."""
        try:
            sensible = share is None or 0 < share <= 1
        except TypeError:
            raise TypeError(
                f"The budget is a share between 0 and 1 or None, not {share!r}."
            ) from None
        if not sensible:
            raise ValueError(f"The budget {share} is not between 0 and 1.")
        self.share = share
        if share is None:
            self._thin_nothing()

    @property
    def step_seconds(self) -> float:
        """Seconds of a step without probes, on average; 0 before it is known."""
        return self._bare

    @property
    def cost(self) -> float:
        """Seconds that probes take in a step that is measured, on average."""
        return self._cost

    @property
    def answering(self) -> float:
        """Share of all time that answers to windows take now."""
        return self._answers / max(self._passed, _SPAN / 2)

    @property
    def overhead(self) -> float:
        """Share of all time that probes and answers take now."""
        return self._cost / self.every / self._bare + self.answering if self._bare else 0.0

    @property
    def sentence(self) -> str:
        """What is thinned out, what bears most on the picture first; "" where nothing is."""
        parts = []
        if self.every > 1:
            parts.append(f"checked every {_ordinal(self.every)} step")
        if self.sample < SAMPLES[0]:
            parts.append(f"samples of {self.sample}")
        if self.rate < RATES[0]:
            parts.append(f"drawn at most {self.rate} times a second")
        if not parts:
            return ""
        text = ", ".join(parts)
        return f"{text[0].upper()}{text[1:]}: to take less than {self.share:.0%}."

    def step(self, seconds: float, spent: float, *, measured: bool, answers: float = 0.0) -> bool:
        """A step is over; returns whether the next one is measured.

        ``seconds`` it took, of which ``spent`` were those of probes, as far as that is known;
        answers to windows took ``answers`` beside it.
        """
        spent = min(spent, _MOST_SPENT * seconds)
        self._steps += 1
        known = self._steps - _WARM_UP
        if known > 0 and seconds > 0:
            self._bare = _moved(self._bare, seconds - spent, known)
            kept = math.exp(-seconds / max(_SPAN, _MEMORY * self._bare))
            self._answers = kept * self._answers + answers
            self._passed = kept * self._passed + seconds
            if measured:
                self._measured += 1
                self._cost = _moved(self._cost, spent, self._measured)
                self._judge()
        return self._steps % self.every == 0

    # -- judging ---------------------------------------------------------------------------------

    def _judge(self) -> None:
        thinned = self.rate != RATES[0]
        if self.share is None or self._measured < (_TRIED if thinned else _WARM_UP):
            return
        cost, rooms = self._cost / self._bare, self._measured > _MEMORY
        if self.sample == SAMPLES[-1]:
            if self._measured == _MEMORY:
                self._dearer = min(max(1.0, self._large / max(self._cost, 1e-12)), _DEARER)
            self._thin_steps(cost)
            large = cost * self._dearer + self.answering
            if rooms and self.every == 1 and large <= _SLACK * self.share:
                self._change(self.rate, SAMPLES[0])
        elif cost + self.answering > self.share:
            self._thin_more(cost)
        elif rooms and thinned:
            rate = RATES[RATES.index(self.rate) - 1]
            if cost + self.answering * rate / self.rate <= _SLACK * self.share:
                self._change(rate, self.sample)

    def _thin_more(self, cost: float) -> None:
        """Draw less often; where that cannot be enough, take smaller samples as well."""
        assert self.share is not None
        for rate in RATES[RATES.index(self.rate) + 1 :]:
            if cost + self.answering * rate / self.rate <= self.share:
                self._change(rate, self.sample)
                return
        self._large = self._cost
        self._change(RATES[-1], SAMPLES[-1])

    def _thin_steps(self, cost: float) -> None:
        """Leave out as many steps as it takes; one fewer only with room to spare."""
        assert self.share is not None
        room = self.share - min(self.answering, _MOST_ANSWERS * self.share)
        needed = self._one_of(cost / room)
        if needed > self.every:
            self.every = needed
        elif needed < self.every:
            self.every = min(self.every, self._one_of(cost / (_SLACK * room)))

    def _one_of(self, least: float) -> int:
        """Steps of which one is measured, so that at least ``least`` share its cost."""
        number = max(1, math.ceil(least))
        return 1 << (number - 1).bit_length() if self._doubling else number

    def _change(self, rate: int, sample: int) -> None:
        self._answers *= rate / self.rate  # as it will be
        self.rate, self.sample = rate, sample
        self._measured = 0


def _moved(average: float, value: float, count: int) -> float:
    """An average of ``count`` values that forgets.

    A single slow step (an evaluation, a checkpoint) counts little.
    """
    if count == 1 or not average:
        return value
    return average + (min(value, 4 * average) - average) / min(count, _MEMORY)


def _ordinal(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"
