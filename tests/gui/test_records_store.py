"""The mirror of the records: bounded, with gaps, and in memory that is used again."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.gui.client.records_store import Gap, RecordsStore
from inspector_app.protocol.messages import Records, Series
from tests.gui.fake_backend import make_records

SERIES = [Series(key=key, row=4, leaf=f"[{key}]") for key in range(3)]


def records(start: int, stop: int, first: int = 0) -> Records:
    return make_records(SERIES, np.arange(start, stop, dtype=np.int64), first=first)


def sequences(store: RecordsStore) -> list[int]:
    return [number for part in store.answers for number in part.sequence.tolist()]


def test_it_is_bounded_and_knows_its_gaps():
    store = RecordsStore(kept=12)
    store.add(records(0, 4))
    store.add(records(6, 9, first=6))
    assert store.gaps == [Gap(4, 6)]
    assert (store.next, store.size, list(store.series)) == (9, 7, [0, 1, 2])
    store.add(records(9, 20))
    assert store.size == len(sequences(store)) <= 12
    assert sequences(store)[-9:] == list(range(11, 20))
    assert store.gaps == []  # what it parted is gone
    store.clear()
    assert (store.next, store.size, sequences(store)) == (0, 0, [])
    assert store.newest(0) is None


@given(st.lists(st.integers(0, 30), max_size=30), st.integers(1, 40))
def test_as_many_as_wanted_and_at_least_three_quarters_of_them(sizes, kept):
    store = RecordsStore(kept)
    start = 0
    for size in sizes:
        store.add(records(start, start + size))
        start += size
    held = sequences(store)
    assert held == list(range(start))[start - len(held) :]
    assert len(held) == store.size <= kept
    assert len(held) >= min(start, kept - kept // 4)
    for key in range(3):
        of_key = [number for number in held if number % 3 == key]
        found = store.newest(key)
        assert (found is not None) == bool(of_key)
        if found is not None:
            part, place = found
            assert part.sequence[place] == of_key[-1]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(0, 120))
def test_what_came_since_a_number(sizes, since):
    store = RecordsStore(kept=40)
    start = 0
    for size in sizes:
        store.add(records(start, start + size))
        start += size
    told = [number for part in store.since(since) for number in part.sequence.tolist()]
    assert told == [number for number in sequences(store) if number >= since]


def test_memory_is_taken_once():
    store = RecordsStore(kept=4096)
    seen = set()
    for start in range(0, 40_000, 97):
        store.add(records(start, start + 97))
        seen |= {part.counts.__array_interface__["data"][0] for part in store.answers}
    assert len(seen) <= 9
    values = store.answers[0]
    assert values.norm.tolist() == [12.0] * len(values.norm)


def test_what_is_lent_stays_as_it_was():
    store = RecordsStore(kept=4096)
    store.add(records(0, 3000))
    lent = store.lend()
    for start in range(3000, 20_000, 500):
        store.add(records(start, start + 500))
    store.clear()
    for start in range(0, 20_000, 500):
        store.add(records(start + 100_000, start + 100_500))
    assert [number for part in lent for number in part.sequence.tolist()] == list(range(3000))
