from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.gui.models import names as names_module
from inspector_app.gui.models.names import Names, natural_ranks
from inspector_app.protocol.table import RowTable
from tests.gui.tables import module, small_table, table_of


def named(names: list[str]) -> RowTable:
    return table_of(module("", "M", *(module(name, "M") for name in names)))


@given(st.lists(st.text(max_size=5), max_size=30))
def test_rows_have_their_own_names(texts):
    names = Names(named(texts))
    assert [names.distinct[code] for code in names.codes] == ["", *texts]
    assert len(set(names.distinct)) == len(names.distinct)
    assert names.lower == [name.lower() for name in names.distinct]


@pytest.mark.parametrize("hashes", ["same", "slow"])
def test_names_with_the_same_hash_are_told_apart(monkeypatch, hashes):
    if hashes == "same":
        zeros = lambda table, lengths: lengths.astype("u8") * 0  # noqa: E731
        monkeypatch.setattr(names_module, "_hashes", zeros)
    else:
        monkeypatch.setattr(names_module, "_ROUNDS", 0)
    texts = ["a", "b", "aa", "b", "a", ""]
    names = Names(named(texts))
    assert [names.distinct[code] for code in names.codes] == ["", *texts]


def test_an_edit_leaves_the_names_as_they_are():
    table = small_table()
    names = Names(table)
    assert names.fits(msgspec.structs.replace(table, flags=table.flags.copy()))
    assert not names.fits(small_table())


def test_numbers_in_names_count():
    texts = ["layer10", "layer2", "Layer2", "10", "9", "[2]", "[10]", "x", "", "layer2.bias"]
    ranks = natural_ranks(texts)
    order = sorted(texts, key=lambda text: ranks[texts.index(text)])
    assert order == [
        "",
        "9",
        "10",
        "[2]",
        "[10]",
        "Layer2",
        "layer2",
        "layer2.bias",
        "layer10",
        "x",
    ]


@given(st.lists(st.text("aB019²_", max_size=6) | st.text(max_size=3), unique=True))
def test_ranks_are_places(texts):
    ranks = natural_ranks(texts)
    assert sorted(ranks.tolist()) == list(range(len(texts)))


def test_very_long_numbers_are_no_trouble():
    assert natural_ranks(["9" * 10_000, "x", "1"]).tolist() == [1, 2, 0]
