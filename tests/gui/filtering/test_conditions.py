from __future__ import annotations

import numpy as np
import pytest

from inspector_app.gui.filtering import conditions
from inspector_app.gui.filtering.conditions import DTYPE_ALIASES, is_glob, path_has
from inspector_app.gui.filtering.facts import Facts
from inspector_app.gui.models.row_values import ITEM_BYTES, RowValues
from inspector_app.protocol.table import Flag
from tests.gui.tables import small_table


@pytest.fixture
def facts() -> Facts:
    return Facts.of(RowValues(small_table()))


def test_globs_are_told_from_texts():
    assert [is_glob(text) for text in ("a*", "a?", "a[0]", "a.b")] == [True, True, True, False]


def test_aliases_mean_types_there_are():
    plain = {alias for alias in DTYPE_ALIASES.values() if not is_glob(alias)}
    assert plain <= set(ITEM_BYTES)


def test_a_text_that_may_not_be_a_glob_is_taken_as_it_is(facts):
    assert path_has([("weigh*", True)])(facts).direct.any()
    assert not path_has([("weigh*", False)])(facts).direct.any()
    assert path_has([("weight", False)])(facts).direct.any()


def test_looking_within_names_finds_what_looking_through_paths_does(facts):
    for text in ("weight", "od", "0", "x", "small"):
        within = path_has([(text, True)])(facts)
        through = conditions.path_matches(conditions.path_node([(text, True)]))(facts)
        assert np.array_equal(within.inside, through.inside)
        assert np.array_equal(within.direct, through.direct)


def test_what_is_said_of_a_module_holds_for_its_own_rows(facts):
    found = conditions.module_flagged(Flag.TRAINING, True)(facts)
    assert found.direct.tolist() == (facts.table.flags & Flag.TRAINING != 0).tolist()
    assert found.inside[5]  # a weight in a module that is in train mode
    assert not found.direct[5]
