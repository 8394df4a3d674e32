"""Rows of a checkpoint from its keys."""

from hypothesis import given, settings
from hypothesis import strategies as st

from inspector_app.backend.checkpoint_tree import checkpoint_tree
from inspector_app.backend.describing import describe_row
from inspector_app.backend.formats.safetensors_file import TensorEntry
from inspector_app.backend.formats.values import PlainValue
from inspector_app.protocol.sums import SubtreeSums
from inspector_app.protocol.table import Flag, Role


def entries_of(keys):
    return {
        key: TensorEntry(key, "float32", (2, 3), 24 * number, 24 * number + 24)
        for number, key in enumerate(keys)
    }


def rows(tree):
    table = tree.table
    return [(table.path(p), Role(int(table.role[p])).word) for p in range(len(table))]


def test_groups_stand_above_tensors():
    tree = checkpoint_tree(entries_of(["layer.10.w", "layer.9.w", "head", "layer.9.b"]))
    assert rows(tree) == [
        ("", "group"),
        ("head", "tensor"),
        ("layer", "group"),
        ("layer.9", "group"),
        ("layer.9.b", "tensor"),
        ("layer.9.w", "tensor"),
        ("layer.10", "group"),
        ("layer.10.w", "tensor"),
    ]
    table = tree.table
    at = table.paths.index("layer.9.w")
    assert table.shape(at) == (2, 3)
    assert (table.dtype(at), table.device(at)) == ("float32", "cpu")
    assert (table.class_name(at), table.class_name(at - 2)) == ("Tensor", "Group")
    assert table.class_name(0) == "Checkpoint"
    assert (table.count[at], table.bytes[at]) == (6, 24)
    assert table.flags[at] == Flag.TENSOR | Flag.SAVED
    assert table.shape(0) is None
    assert SubtreeSums(table).bytes(0) == 96
    assert SubtreeSums(table).bytes(table.paths.index("layer.9")) == 48


def test_what_overlaps_or_is_quantized_is_flagged():
    entries = {
        "a": TensorEntry("a", "float32", (2, 3), 0, 24),
        "same": TensorEntry("same", "float32", (6,), 0, 24),
        "part": TensorEntry("part", "float32", (3,), 12, 24),
        "beside": TensorEntry("beside", "qint8", (4,), 24, 28),
    }
    tree = checkpoint_tree(entries)
    table = tree.table
    at = {table.path(p): p for p in range(1, len(table))}
    assert {name for name in at if table.has(at[name], Flag.OVERLAPS)} == {"a", "same", "part"}
    assert {name for name in at if table.has(at[name], Flag.QUANTIZED)} == {"beside"}
    assert [fact.value for fact in describe_row(tree, at["part"]).facts][-1].startswith("a (12 B)")


KEYS = st.lists(st.text(st.sampled_from("ab1.é[] "), max_size=8), unique=True, max_size=12)


@settings(max_examples=200, deadline=None)
@given(KEYS)
def test_every_key_is_the_path_of_its_row(keys):
    entries = entries_of(keys)
    tree = checkpoint_tree(entries)
    table = tree.table
    found = {}
    for position, value in enumerate(tree.objects):
        assert (value is not None) == (table.role[position] == Role.TENSOR)
        if value is not None:
            assert table.path(position) == table.paths[position] == value.name
            found[value.name] = value
    assert found == entries
    assert len(set(table.paths[1:])) == len(table) - 1
    for position in range(1, len(table)):
        above = int(table.parent[position])
        assert above < position < table.end[position] <= table.end[above]


def test_a_key_that_is_a_prefix_of_others_has_them_below_it():
    tree = checkpoint_tree(entries_of(["a", "a.b", "a.c.d"]))
    assert rows(tree) == [
        ("", "group"),
        ("a", "tensor"),
        ("a.b", "tensor"),
        ("a.c", "group"),
        ("a.c.d", "tensor"),
    ]


def test_endless_dots_make_no_endless_tree():
    key = "." * 10_000
    tree = checkpoint_tree(entries_of([key]))
    assert len(tree.table) < 50
    assert tree.table.paths[-1] == key


def natural(name):
    number = name.isdecimal()
    return not number, int(name) if number else 0, name


@settings(max_examples=200, deadline=None)
@given(KEYS)
def test_rows_stand_in_natural_order_of_their_parts(keys):
    table = checkpoint_tree(entries_of(keys)).table
    found = [path for row, path in enumerate(table.paths) if table.role[row] == Role.TENSOR]
    assert found == sorted(keys, key=lambda key: [natural(part) for part in key.split(".")])


def test_values_and_what_stands_beside_the_state():
    values = {
        "epoch": PlainValue("epoch", "int", "3", 3),
        "a.extra": PlainValue("a.extra", "dict", "0 items"),
    }
    tree = checkpoint_tree(entries_of(["a.b", "optimizer.a"]), values, ["optimizer.a", "nothing"])
    assert rows(tree) == [
        ("", "group"),
        ("a", "group"),
        ("a.b", "tensor"),
        ("a.extra", "attribute"),
        ("epoch", "attribute"),
        ("optimizer", "group"),
        ("optimizer.a", "tensor"),
    ]
    table = tree.table
    assert tree.objects[4] is values["epoch"]
    assert [table.class_name(row) for row in (3, 4)] == ["dict", "int"]
    assert table.has(2, Flag.SAVED)
    assert not table.has(6, Flag.SAVED)
    assert table.has(6, Flag.TENSOR)


def test_nothing_at_all():
    tree = checkpoint_tree({})
    assert rows(tree) == [("", "group")]
    assert tree.objects == [None]
