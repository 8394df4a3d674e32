from __future__ import annotations

from inspector_app.gui.filtering.guide import guide
from inspector_app.gui.filtering.keys import KEYS
from tests.gui.filtering.test_query import find
from tests.gui.tables import small_table


def test_every_example_of_the_guide_can_be_typed():
    table = small_table()
    for _, examples in guide():
        for example in examples:
            assert find(table, example.text).kept.shape == (len(table),)
            assert example.meaning
    told = {text for _, examples in guide() for text, _ in examples}
    for key in {key.name for key in KEYS.values()}:
        assert any(text.startswith(f"{key}:") for text in told), key
