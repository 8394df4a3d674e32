"""Which records are shown, where a series has more than one of a step."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from inspector_app.gui.client.choice import (
    ANY,
    EACH,
    LAST,
    Choice,
    Firing,
    Reading,
    Seen,
    without_call,
)
from inspector_app.gui.client.records_store import RecordsStore
from inspector_app.protocol.messages import Phase, Records, Series
from inspector_app.protocol.phases import EVALUATION, RECOMPUTE, TRAINING
from tests.gui.fake_backend import make_records

SERIES = [
    Series(key=0, row=1, leaf=""),
    Series(key=1, row=1, leaf="", kind="gradient"),
    Series(key=2, row=2, leaf="", kind="value"),
    Series(key=3, row=-1, leaf="loss", kind="scalar"),
]
TRAIN = int(Phase.TRAIN)
BACK = int(Phase.TRAIN | Phase.BACKWARD)
EVAL = int(Phase.EVALUATION)
AGAIN = int(Phase.TRAIN | Phase.RECOMPUTE)


def records(*rows: tuple[int, int, int, int, int], start: int = 0) -> Records:
    """Of (step, micro, key, call, phase)."""
    step, micro, key, call, phase = np.array(rows).T
    made = make_records(SERIES, np.arange(start, start + len(rows), dtype=np.int64))
    return msgspec.structs.replace(
        made,
        step=step.astype(np.int64),
        micro=micro.astype(np.int32),
        key=key.astype(np.int32),
        call=call.astype(np.int32),
        phase=phase.astype(np.uint8),
    )


#: A module called twice in each of two micro-steps, one batch evaluated before, an update after.
STEP = records(
    (1, 0, 0, 0, EVAL),
    (1, 0, 0, 1, EVAL),
    *((1, micro, 0, call, TRAIN) for micro in range(2) for call in range(2)),
    (1, 1, 1, 1, BACK),
    (1, 1, 1, 0, BACK),
    (1, 1, 2, 0, 0),
    (1, 1, 3, 0, 0),
)


@pytest.fixture
def seen() -> Seen:
    seen = Seen()
    seen.add(STEP)
    return seen


def shown(choice: Choice, seen: Seen, of: Records = STEP) -> list[int]:
    """Places of the records that are shown."""
    return np.flatnonzero(Reading(choice, seen).keys(of) >= 0).tolist()


def test_what_there_is(seen):
    assert seen.phases == [TRAINING, EVALUATION]
    assert seen.counts[TRAINING, 0] == (2, 0, 1)
    assert seen.counts[EVALUATION, 0] == (2, 0, 0)
    assert (TRAINING, 3) not in seen.counts  # what is logged has no phase
    reading = Reading(Choice(), seen)
    assert (reading.calls, reading.micro_steps) == (2, 2)
    version = seen.version
    seen.add(STEP)
    assert seen.version == version


def test_a_training_is_shown_without_what_is_evaluated_in_between(seen):
    assert shown(Choice(), seen) == list(range(2, 10))
    assert shown(Choice(phase=EVALUATION), seen) == [0, 1]
    assert [one.which for one in Reading(Choice(), seen).variants(0)] == [
        "training, last of 2 calls, last micro-step"
    ]
    assert Reading(Choice(phase=EVALUATION), seen).variants(2) == []


def test_one_phase_alone_is_shown_whatever_was_chosen():
    seen = Seen()
    only = records((1, 0, 0, 0, EVAL), (2, 0, 0, 0, EVAL))
    seen.add(only)
    reading = Reading(Choice(), seen)
    assert not reading.several
    assert reading.keys(only) is only.key
    assert reading.variants(0)[0].which == ""


def test_all_phases_are_series_of_their_own(seen):
    reading = Reading(Choice(phase=None), seen)
    training, evaluation = reading.variants(0)
    assert (training.key, training.words) == (0, "")
    assert (evaluation.words, evaluation.phase) == ("eval", EVALUATION)
    keys = reading.keys(STEP)
    assert (keys[:2] == evaluation.key).all()
    assert keys[2:].tolist() == STEP.key[2:].tolist()
    assert len(reading.variants(1)) == 1


def test_a_call_is_chosen_of_what_is_called_more_than_once(seen):
    assert shown(Choice(call=0), seen) == [2, 4, 7, 8, 9]
    assert shown(Choice(call=1), seen) == [3, 5, 6, 8, 9]
    assert [one.which for one in Reading(Choice(call=1), seen).variants(0)] == [
        "training, call 2 of 2, last micro-step"
    ]
    assert Reading(Choice(call=7), seen).call == LAST  # of another target


def test_each_call_is_a_series_of_its_own(seen):
    reading = Reading(Choice(call=EACH, phase=None), seen)
    variants = reading.variants(0)
    assert [one.words for one in variants] == ["call 1", "eval, call 1", "call 2", "eval, call 2"]
    keys = reading.keys(STEP)
    assert [int((keys == one.key).sum()) for one in variants] == [2, 1, 2, 1]
    assert {without_call(one.key) for one in variants[::2]} == {0}
    assert reading.variants(2)[0].key == 2
    assert max(one.key for one in variants) < 2**31  # signals carry them


def test_a_micro_step_is_chosen_of_what_has_several(seen):
    assert shown(Choice(micro=0), seen) == [2, 3, 6, 7, 8, 9]
    # A gradient of one micro-step alone, and values after the update, are not spoken of.
    assert shown(Choice(micro=1), seen) == list(range(4, 10))
    together = Choice(phase=None, micro=1)
    assert shown(together, seen) == [0, 1, *range(4, 10)]  # batches are no micro-steps


def test_what_is_recomputed_is_told_apart_and_its_gradient_is_not():
    seen = Seen()
    step = records((1, 0, 0, 0, TRAIN), (1, 0, 0, 0, AGAIN), (1, 0, 1, 0, AGAIN | BACK))
    seen.add(step)
    assert seen.phases == [TRAINING, RECOMPUTE]
    assert shown(Choice(), seen, step) == [0, 2]
    assert shown(Choice(phase=RECOMPUTE), seen, step) == [1]


def test_the_mirror_knows_the_newest_of_what_is_shown():
    store = RecordsStore()
    store.add(STEP)

    def newest(key: int) -> int | None:
        found = store.newest(key)
        return None if found is None else int(found[0].sequence[found[1]])

    store.add(records((2, 0, 0, 0, EVAL), start=10))
    assert [newest(key) for key in (0, 1, 2)] == [5, 7, 8]
    before = store.generation
    store.choose(Choice(phase=EVALUATION))
    assert store.generation == before + 1
    assert [newest(key) for key in (0, 1)] == [10, None]
    store.choose(Choice(phase=None, call=EACH))
    first, evaluated, second, _ = store.reading.variants(0)
    assert [newest(one.key) for one in (first, evaluated, second)] == [4, 10, 5]
    assert newest(0) == 5  # of all calls
    store.choose(store.choice)
    assert store.generation == before + 2


def test_a_rule_stays_while_only_numbers_grow(seen):
    rule = Reading(Choice(micro=0), seen).rule
    seen.add(records((2, 7, 0, 1, TRAIN)))
    assert Reading(Choice(micro=0), seen).micro_steps == 8
    assert Reading(Choice(micro=0), seen).rule == rule
    assert Reading(Choice(micro=1), seen).rule != rule


def test_what_is_shown_can_be_captured(seen):
    def firings(key, **choice):
        return Reading(Choice(**choice), seen).firings(key)

    assert firings(0) == [Firing(TRAINING, 1, 1)]  # the last call of the last micro-step
    assert firings(0, call=0, micro=0) == [Firing(TRAINING, 0, 0)]
    assert firings(0, call=EACH) == [Firing(TRAINING, 0, 1), Firing(TRAINING, 1, 1)]
    assert firings(0, phase=EVALUATION) == [Firing(EVALUATION, 1, -1)]
    assert firings(0, phase=None) == [Firing(TRAINING, 1, 1)]
    assert firings(2, phase=EVALUATION) == [ANY]  # it has none


def test_where_there_is_one_phase_any_is_captured():
    seen = Seen()
    assert Reading(Choice(), seen).firings(0) == [ANY]
    seen.add(records((1, 0, 0, 0, EVAL), (2, 0, 0, 0, EVAL)))
    assert Reading(Choice(), seen).firings(0) == [ANY]
