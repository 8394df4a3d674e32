import math

import pytest

from inspector_app.gui.models.watch_words import Level, Levels, is_trouble, watch_line, watch_text
from inspector_app.protocol.messages import ProbeState


@pytest.mark.parametrize(
    ("value", "share"),
    [(0.0, 0.0), (1e-9, 0.0), (1e-8, 0.0), (1e-3, 0.5), (1.0, 0.8), (1e2, 1.0), (1e30, 1.0)],
)
def test_bars_are_logarithmic_and_bounded(value, share):
    assert Level("output", value, 1).share == pytest.approx(share)


def test_what_is_not_finite_has_no_length():
    assert math.isnan(Level("output", math.nan, 1).share)


def test_sentences_say_how_a_probe_stands():
    assert watch_text(None, None) == "Watched."
    fired = ProbeState(row=1, state="fired", fired=1200)
    assert watch_text(fired, None) == "Watched: fired 1,200 times."
    assert watch_text(ProbeState(row=1, state="fired", fired=1), None).endswith("1 time.")
    assert "armed" in watch_text(ProbeState(row=1, state="armed"), None)
    never = ProbeState(row=1, state="never fired", reason="Compiled: recompile the model.")
    assert watch_text(never, None) == "Watched: never fired.\nCompiled: recompile the model."
    assert [is_trouble(state) for state in (fired, never)] == [False, True]
    levels = Levels((Level("output", 0.5, 1234), Level("gradient", math.nan, 1234)))
    assert watch_text(fired, levels).splitlines()[1:] == [
        "Root mean square in step 1,234:",
        "    output 0.5",
        "    gradient NaN or Inf",
    ]


def test_a_gradient_that_came_last_in_a_step_before_says_in_which():
    levels = Levels((Level("output", 0.5, 1234), Level("gradient", 0.0, 1000)))
    assert watch_text(None, levels).splitlines()[1:] == [
        "Root mean square in step 1,234:",
        "    output 0.5",
        "    gradient 0 (step 1,000)",
    ]


def test_sentences_say_what_a_probe_takes_and_that_it_is_exact():
    state = ProbeState(row=1, state="fired", fired=2, exact=True, share=0.0123, reason="No.")
    assert watch_text(state, None).splitlines() == [
        "Watched: fired 2 times.",
        "Exact statistics: all elements are measured.",
        "Takes 1.2% of a step.",
        "No.",
    ]
    assert watch_line(state) == ("Watched: fired 2 times, exact statistics, takes 1.2% of a step")
    little = ProbeState(row=1, state="armed", share=0.00001)
    assert watch_line(little) == "Watched: armed, takes less than 0.01% of a step"
