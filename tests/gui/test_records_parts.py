"""Records taken apart and put together again are the same."""

from __future__ import annotations

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.gui.client.records_parts import columns_of, cut, joined
from inspector_app.protocol.messages import BINS, Series
from tests.gui.fake_backend import make_records

SERIES = [Series(key=key, row=4, leaf=f"[{key}]") for key in range(3)]
WHOLE = make_records(SERIES, np.arange(10))


def test_columns_have_one_value_for_each_record():
    columns = columns_of(WHOLE)
    assert {column.shape[0] for column in columns.values()} == {10}
    assert columns["counts"].shape == (10, BINS)
    assert not {"series", "first", "next", "training"} & set(columns)


@given(st.lists(st.booleans(), min_size=10, max_size=10))
def test_chosen_ones_and_the_others(chosen):
    mask = np.asarray(chosen)
    parts = [cut(WHOLE, mask), cut(WHOLE, ~mask)]
    again = joined(parts)
    order = np.argsort(again.sequence)
    for name, column in columns_of(WHOLE).items():
        np.testing.assert_array_equal(getattr(again, name)[order], column, name)


def test_what_stands_beside_them_is_of_the_last():
    newer = msgspec.structs.replace(WHOLE, next=77, failures=["It failed."])
    again = joined([WHOLE, cut(newer, slice(0, 0))])
    assert (len(again.step), again.next, again.failures) == (10, 77, ["It failed."])
    assert joined([WHOLE]) is WHOLE
