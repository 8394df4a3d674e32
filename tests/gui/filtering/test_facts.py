from __future__ import annotations

import numpy as np

from inspector_app.gui.filtering.facts import Facts
from inspector_app.gui.models.row_values import RowValues
from tests.gui.filtering.test_keys import strange_table
from tests.gui.tables import small_table


def test_facts_of_an_edited_table_keep_what_is_known_of_the_names():
    table = small_table()
    before = Facts.of(RowValues(table))
    after = Facts.of(RowValues(table), before)
    assert after.names is before.names
    assert after.paths is before.paths
    other = Facts.of(RowValues(strange_table()), before)
    assert other.names is not before.names
    assert np.array_equal(other.none(), np.zeros(11, bool))
