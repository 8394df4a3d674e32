"""The mirror of the records, read by series and by step."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from inspector_app.gui.views.history import METRICS, curve_of, history_of, newest_of


def test_the_history_of_one_series(store):
    history = history_of(store.answers, 2)
    assert history.steps.tolist() == list(range(12))
    assert history.counts.shape == (12, 64)
    assert history_of(store.answers, 99).counts.shape == (0, 64)


def test_the_newest_record_and_the_one_at_a_step(store):
    newest = newest_of(store, {0, 3, 99})
    steps = {key: int(answer.step[place]) for key, (answer, place) in newest.items()}
    assert steps == {0: 11, 3: 11}
    before = newest_of(store, {0, 3}, step=4)
    assert {int(answer.step[place]) for answer, place in before.values()} == {4}
    assert newest_of(store, {0}, step=-1) == {}


@pytest.mark.parametrize(
    ("metric", "value"),
    [("Norm", 12.0), ("Mean", 0.0), ("Deviation", 0.7), ("Largest magnitude", 3.0)],
)
def test_curves(store, metric, value):
    steps, values = curve_of(store.answers, 0, metric)
    assert steps.tolist() == list(range(12))
    assert np.all(values == value)


def test_shares_and_counts_of_what_is_not_finite(store):
    answer = store.answers[0]
    broken = msgspec.structs.replace(
        answer, nan=answer.nan + 2, positive_infinity=answer.nan + 3, zeros=answer.sampled // 2
    )
    assert curve_of([broken], 0, "NaN and Inf, elements")[1].tolist() == [5.0] * 12
    assert curve_of([broken], 0, "Zeros, share")[1][0] == pytest.approx(0.5, abs=1e-3)
    assert set(METRICS) >= {"Dead units, share", "Saturated, share", "Root mean square"}
