from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as replaced

from inspector_app.protocol import framing
from inspector_app.protocol.changes import RowsChange, apply, change_of_rows, difference
from tests.protocol.trees import Node, names, rows, table_of, trees


@st.composite
def altered(draw: st.DrawFn, node: Node, fresh: list[int]) -> Node:
    """The tree with some rows gone, some come, some changed, some renamed, some in new places."""
    below = [draw(altered(child, fresh)) for child in node.below if draw(st.integers(0, 4))]
    if draw(st.integers(0, 3)) == 0:
        below.insert(
            draw(st.integers(0, len(below))), Node(fresh.pop(), "new", class_name="New", tie=2)
        )
    if draw(st.integers(0, 9)) == 0:
        below = draw(st.permutations(below))
    if len(below) > 1 and draw(st.integers(0, 9)) == 0:
        below[0].below.append(below.pop())  # the same row, in the same place, below another one
    changes: dict = {"below": below}
    if draw(st.booleans()):
        changes |= {"flags": draw(st.integers(0, 3)), "count": draw(st.integers(0, 3))}
        changes |= {"class_name": draw(st.sampled_from("ABXY")), "shape": (5,), "device": None}
    if draw(st.integers(0, 9)) == 0:
        changes["name"] = draw(names)
    return replace(node, **changes)


@given(trees(), st.data())
def test_applying_the_difference_gives_the_new_table(tree, data):
    old = table_of(tree)
    new = table_of(data.draw(altered(tree, list(range(100, 200)))))
    assert rows(apply(old, difference(old, new))) == rows(new)


@given(trees(), trees())
def test_any_table_can_become_any_other(one, other):
    old, new = table_of(one), table_of(other)
    assert rows(apply(old, difference(old, new))) == rows(new)


@given(trees())
def test_equal_tables_differ_in_nothing(tree):
    change = difference(table_of(tree), table_of(tree))
    assert change.empty
    assert not change.structural


@given(trees())
def test_from_nothing_and_to_nothing(tree):
    table, nothing = table_of(tree), table_of(None)
    assert rows(apply(nothing, difference(nothing, table))) == rows(table)
    assert rows(apply(table, difference(table, nothing))) == []


@given(trees(), st.data())
def test_a_difference_survives_the_wire(tree, data):
    old = table_of(tree)
    new = table_of(data.draw(altered(tree, list(range(100, 200)))))
    sent = b"".join(framing.encode(difference(old, new)))
    (body,) = framing.FrameReader().feed(sent)
    assert rows(apply(old, framing.decode(body, RowsChange))) == rows(new)


def test_a_small_edit_makes_a_small_change():
    old = table_of(Node(0, below=[Node(i, str(i)) for i in range(1, 50)]))
    new = table_of(Node(0, below=[Node(i, str(i), flags=int(i == 7)) for i in range(1, 50)]))
    change = difference(old, new)
    assert change.changed.ids.tolist() == [7]
    assert not change.structural


def test_a_removed_row_takes_those_below_with_it():
    below = [Node(1, "a", below=[Node(2, "b")]), Node(3, "c")]
    change = difference(table_of(Node(0, below=below)), table_of(Node(0, below=below[1:])))
    assert sorted(change.removed.tolist()) == [1, 2]
    assert len(change.inserted) == 0


def test_the_old_table_is_left_alone():
    old = table_of(Node(0, below=[Node(1, "a")]))
    before = rows(old)
    apply(old, difference(old, table_of(Node(0, flags=2, below=[Node(1, "a", flags=1)]))))
    assert rows(old) == before


def test_change_of_rows_tells_new_values_only():
    table = table_of(Node(0, below=[Node(1, "a", flags=4), Node(2, "b")]))
    change = change_of_rows(table, np.asarray([1], np.int32))
    assert change.changed.ids.tolist() == [1]
    assert change.changed.flags.tolist() == [4]
    assert not change.structural
    assert rows(apply(table, change)) == rows(table)


def test_a_change_of_unknown_rows_is_a_key_error():
    table = table_of(Node(0, below=[Node(1, "a")]))
    with pytest.raises(KeyError, match="5"):
        apply(table, change_of_rows(table_of(Node(5)), np.asarray([0], np.int32)))
    gone = replaced(difference(table, table), removed=np.asarray([8], np.int32))
    with pytest.raises(KeyError, match="8"):
        apply(table, gone)
