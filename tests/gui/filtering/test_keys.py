from __future__ import annotations

import pytest

from inspector_app.gui.filtering.keys import KEYS, ValueProblem
from inspector_app.protocol.table import Flag, Role, RowTable
from tests.gui.filtering.test_query import hits, kept
from tests.gui.tables import EVAL, Row, buffer, module, small_table, table_of


def tensor(name: str, *shape: int, dtype: str = "float32", flags: int = 0, **more) -> Row:
    return Row(name, Role.PARAMETER, Flag.TENSOR | flags, "Parameter", shape, dtype, "cpu", **more)


def strange_table() -> RowTable:
    """Ids: 0 root, 1 conv in eval mode, 2-4 its tensors, 5 a hooked one, 6-8 its rows, 9 list."""
    item = Row("[0]", Role.ATTRIBUTE, Flag.TENSOR | Flag.ITEM, "Tensor", (), "int64", "cuda:1")
    return table_of(
        module(
            "",
            "Net",
            module(
                "conv",
                "Conv2d",
                tensor("weight", 8, 3, 3, 3, dtype="bfloat16", flags=Flag.CAN_TRAIN),
                tensor("bias", 8, dtype="float16", flags=Flag.CAN_TRAIN | Flag.REQUIRES_GRAD),
                buffer("mask", 8, persistent=False),
                flags=EVAL,
            ),
            module(
                "head",
                "LazyLinear",
                Row(
                    "weight", Role.PARAMETER, Flag.TENSOR | Flag.LAZY, "Parameter", None, "float32"
                ),
                tensor("bias", 5, flags=Flag.META | Flag.INITIAL | Flag.UNUSUAL),
                tensor("scale", flags=Flag.QUANTIZED | Flag.OVERLAPS | Flag.REPEATED),
                flags=Flag.HOOKED | Flag.PARAMETRIZED,
            ),
            Row("many", Role.ATTRIBUTE, Flag.CONTAINER, "list", below=[item]),
        )
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("class:conv2d", [1]),
        ("class:Conv*|Net", [0, 1]),
        ("class:Linear", []),
        ("class:*Linear -bias", [5]),
        ("dtype:bf16", [2]),
        ("dtype:half|bf16", [2, 3]),
        ("dtype:*float16", [2, 3]),
        ("type:long", [10]),
        ("device:cuda", [10]),
        ("device:cuda:1", [10]),
        ("device:cuda:0", []),
        ("device:cpu -conv", [7, 8]),
        ("shape:8x*x3x3", [2]),
        ("shape:...,3", [2]),
        ("shape:(8,)", [3, 4]),
        ("shape:scalar", [8, 10]),
        ("role:buffer", [4]),
        ("role:param", [2, 3, 6, 7, 8]),
        ("held:attr", [9, 10]),
        ("plain:yes", [9, 10]),
        ("trainable:no", [2, 6, 7, 8]),
        ("requires_grad:yes", [3]),
        ("frozen:yes", [2]),
        ("frozen:no", [3]),
        ("saved:no", [2, 3, 4, 6, 7, 8, 10]),
        ("registered:no conv", [2, 3]),
        ("registered:no role:module", []),
        ("lazy:yes", [6]),
        ("meta:yes", [7]),
        ("initial:yes", [7]),
        ("strided:no", [7]),
        ("quantized:yes", [8]),
        ("overlaps:yes", [8]),
        ("repeated:yes", [8]),
        ("mode:eval", [1]),
        ("mode:eval dtype:bf16", [2]),
        ("mode:train role:module", [0, 5]),
        ("hooks:yes", [5]),
        ("hooks:yes meta:yes", [7]),
        ("hooks:no", [0, 1, 2, 3, 4, 6, 7, 8, 10]),
        ("parametrized:on", [5]),
        (">8", [2]),
        (">=8", [2, 3, 4]),
        ("=8 role:buffer", [4]),
        ("count<8", [7, 8, 10]),
        ("bytes>=864", [2]),
        (">500B", [2]),
        ("depth<=1", [0, 1, 5, 9]),
        ("-depth>1", [0, 1, 5, 9]),
    ],
)
def test_facts(text, found):
    assert hits(strange_table(), text) == found


def test_ties():
    assert hits(small_table(), "tied:yes") == [2, 13]
    assert len(hits(small_table(), "tied:no")) == 7


def test_a_word_of_modules_holds_for_their_own_tensors_only():
    """The root is in train mode, and yet not everything below it."""
    assert 2 not in kept(strange_table(), "mode:train")
    assert kept(strange_table(), "mode:eval") == [1, 2, 3, 4]


def test_every_key_completes_what_it_reads():
    table = strange_table()
    for key in KEYS.values():
        key.read([key.example.split("|")[0]])
        for value in key.values(table):
            if value:
                key.read([value])


def test_a_problem_says_whether_it_may_still_become_right():
    with pytest.raises(ValueProblem) as caught:
        KEYS["dtype"].read(["floa"])
    assert caught.value.unfinished
    with pytest.raises(ValueProblem) as caught:
        KEYS["dtype"].read(["floot"])
    assert not caught.value.unfinished
