"""The mirror of the records, read by series and by step."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.gui.client.records_store import RecordsStore
from inspector_app.gui.views.history import (
    METRICS,
    curve_of,
    history_of,
    newest_of,
    newest_steps,
    root_mean_square_of,
)
from tests.gui.fake_backend import make_records


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


def test_the_root_mean_square_is_that_of_the_finite_elements(store):
    answer = store.answers[0]
    few = msgspec.structs.replace(
        answer,
        count=np.full_like(answer.count, 16),
        nan=np.full_like(answer.nan, 4),
        positive_infinity=np.full_like(answer.nan, 2),
        negative_infinity=np.full_like(answer.nan, 1),
    )
    assert root_mean_square_of(few) == pytest.approx(12.0 / 3.0)
    assert np.isnan(root_mean_square_of(msgspec.structs.replace(few, nan=few.count - 3))).all()


firings = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=60)


def store_of(fired: list[tuple[int, int]]) -> RecordsStore:
    """Records of some keys, at steps that rise, in several parts; each with a norm of its own."""
    store = RecordsStore(kept=1000)
    steps = np.cumsum([more == 9 for _, more in fired], dtype=np.int64)
    for first in range(0, len(fired), 7):
        numbers = np.arange(first, min(first + 7, len(fired)), dtype=np.int64)
        keys = np.array([fired[number][0] for number in numbers], np.int32)
        store.add(
            msgspec.structs.replace(
                make_records([], numbers),
                key=keys,
                step=steps[numbers],
                norm=numbers + 1.0,
                nan=numbers % 2,
                count=np.full(len(numbers), 2, np.int64),
            )
        )
    return store


@given(firings, st.integers(-1, 12))
def test_newest_records_are_those_that_a_search_from_behind_finds(fired, step):
    store = store_of(fired)
    expected = {}
    for answer in store.answers:
        for place, key in enumerate(answer.key.tolist()):
            if answer.step[place] <= step and key in {0, 2}:
                expected[key] = int(answer.sequence[place])
    found = newest_of(store, {0, 2, -7, 99}, step)
    assert {key: int(part.sequence[place]) for key, (part, place) in found.items()} == expected


@given(firings, st.integers(1, 5), st.none() | st.integers(-1, 12))
def test_the_newest_steps_as_a_table(fired, most, step):
    store = store_of(fired)
    keys = [2, 7, 0]
    expected: dict[int, dict[int, int]] = {}
    for answer in store.answers:
        for place, key in enumerate(answer.key.tolist()):
            at = int(answer.step[place])
            if key in keys and (step is None or at <= step):
                expected.setdefault(at, {})[key] = int(answer.sequence[place])
    table = newest_steps(store, keys, most, step)
    assert table.steps.tolist() == sorted(expected)[-most:]
    for row, at in enumerate(table.steps.tolist()):
        for column, key in enumerate(keys):
            number = expected[at].get(key)
            rms = table.root_mean_square[row, column]
            if number is None:
                assert np.isnan(rms)
                assert not table.broken[row, column]
            else:
                assert rms == pytest.approx((number + 1) / np.sqrt(2 - number % 2))
                assert table.broken[row, column] == bool(number % 2)
