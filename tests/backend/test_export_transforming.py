"""Other names and other data types in the file than in the model."""

import json
import math
import os

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file

from inspector_app.backend.exporting import ExportFacts, export, plan_export
from inspector_app.backend.exporting.transforming import FLOATS, typed_blocks
from inspector_app.backend.hashing import PIECE
from inspector_app.backend.states import StateDict, tensor_blocks
from inspector_app.protocol.errors import RefusedError, RequestError
from inspector_app.protocol.messages import ExportOptions, Rename
from tests.backend.exports import Tied, bits

# -- data types ------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["safetensors", "torch"])
@pytest.mark.parametrize("target", FLOATS)
def test_floating_point_tensors_are_converted_as_torch_does(tmp_path, target, form):
    generator = torch.Generator().manual_seed(0)
    values = {
        "w": torch.randn(PIECE // 4 + 3, generator=generator),
        "turned": torch.randn(7, 5, generator=generator, dtype=torch.float64).t(),
        "half": torch.randn(9, generator=generator).half(),
        "nan": torch.tensor([float("nan"), -0.0]),
        "count": torch.tensor(3),
        "complex": torch.tensor([1 + 2j]),
        "flag": torch.tensor([True]),
        "empty": torch.empty(0),
    }
    word = str(target).removeprefix("torch.")
    path = str(tmp_path / "x")
    report = export(StateDict(values), path, ExportOptions(format=form, dtype=word))
    read = load_file(path) if form == "safetensors" else torch.load(path, weights_only=True)
    for name, value in values.items():
        wanted = value.to(target) if value.is_floating_point() else value
        assert read[name].dtype == wanted.dtype
        assert bits(read[name]) == bits(wanted)
    planned = plan_export(StateDict(values), ExportOptions(format=form, dtype=word))
    converted = [v for v in values.values() if v.is_floating_point() and v.dtype != target]
    assert planned.converted == len(converted)
    assert planned.notes == report.notes


def test_the_notes_say_what_is_lost():
    values = {
        "a": torch.ones(2),
        "b": torch.ones(3),
        "d": torch.ones(1).double(),
        "n": torch.ones(2).long(),
    }

    def notes(word):
        return plan_export(StateDict(values), ExportOptions(dtype=word)).notes

    assert notes("bfloat16") == [
        "float32 becomes bfloat16 in 2 tensors: digits are lost, "
        "and what is smaller than 9e-41 becomes 0",
        "float64 becomes bfloat16 in 1 tensor: digits are lost, "
        "and what is smaller than 9e-41 becomes 0",
    ]
    assert notes("torch.float64") == ["float32 becomes float64 in 2 tensors: without loss"]
    assert plan_export(
        StateDict({"n": torch.ones(1).long()}), ExportOptions(dtype="float16")
    ).notes == ["no tensor became float16: none that is written is floating-point"]
    half = StateDict({"h": torch.ones(1).half()})
    assert plan_export(half, ExportOptions(dtype="float16")).notes == []


def test_values_that_would_become_infinite_are_refused_by_name(tmp_path):
    large = torch.ones(PIECE)
    large[-5] = 70_000.0
    values = {"good": torch.ones(2), "layer.large": large, "inf": torch.tensor([math.inf, 1.0])}
    values["tied"] = large.detach()
    options = ExportOptions(dtype="float16")
    with pytest.raises(RefusedError, match=r'"layer\.large" \(converting would overflow') as raised:
        export(StateDict(values), str(tmp_path / "x"), options)
    assert "it holds 7e+04, and float16 ends at 6.55e+04" in raised.value.sentence
    assert '"tied"' in raised.value.sentence
    assert "--skip" in raised.value.sentence
    assert os.listdir(tmp_path) == []
    options = ExportOptions(dtype="float16", skip=["layer", "tied"])
    export(StateDict(values), str(tmp_path / "x"), options)
    assert load_file(tmp_path / "x")["inf"].tolist() == [math.inf, 1.0]


@pytest.mark.parametrize("word", ["int8", "float", "complex64", "float8_e8m0fnu", "torch.int8"])
def test_data_types_that_nothing_is_converted_to(tmp_path, word):
    source = StateDict({"w": torch.ones(1)})
    with pytest.raises(RequestError, match=rf'as "{word}": choose float64, .* or float8_e5m2fnuz'):
        plan_export(source, ExportOptions(dtype=word))


def test_ties_stay_ties_when_they_are_converted(tmp_path):
    options = ExportOptions(dtype="bfloat16", ties="alias")
    report = export(StateDict(Tied().state_dict()), str(tmp_path / "x"), options)
    assert [tie.names for tie in report.ties] == [["embedding.weight", "head.weight"]]
    assert report.tensors == len(Tied().state_dict()) - 1


@given(st.lists(st.integers(1, 9)), st.sampled_from([torch.uint8, torch.float32, torch.complex64]))
def test_values_are_whole_however_their_bytes_are_cut(sizes, dtype):
    tensor = torch.arange(1, 1 + sum(sizes)).to(dtype)
    whole = next(tensor_blocks(tensor), None)
    blocks, position = [], 0
    for size in sizes:
        blocks.append(whole[position : position + size])
        position += size
    blocks.append(whole[position:] if whole is not None else [])
    blocks = [block for block in blocks if len(block)]
    found = list(typed_blocks(iter(blocks), dtype))
    assert torch.equal(torch.cat(found) if found else tensor, tensor)


# -- names -----------------------------------------------------------------------------------------


def names_after(keys, *renames, **options):
    source = StateDict({key: torch.zeros(1) for key in keys})
    rules = [Rename(old=old, new=new) for old, new in renames]
    plan = plan_export(source, ExportOptions(renames=rules, **options))
    return plan


@pytest.mark.parametrize(
    ("renames", "expected"),
    [
        ([("module.", "")], ["a.w", "b.w", "c"]),
        ([("", "x.")], ["x.module.a.w", "x.module.b.w", "x.c"]),
        ([("module.a.", "first."), ("module.", "")], ["first.w", "b.w", "c"]),
        ([("c", "d")], ["module.a.w", "module.b.w", "d"]),
    ],
)
@pytest.mark.parametrize("form", ["safetensors", "torch"])
def test_the_first_renaming_that_fits_a_key_is_carried_out(tmp_path, renames, expected, form):
    keys = ["module.a.w", "module.b.w", "c"]
    values = {key: torch.full((2,), float(n)) for n, key in enumerate(keys)}
    rules = [Rename(old=old, new=new) for old, new in renames]
    options = ExportOptions(renames=rules, format=form)
    report = export(StateDict(values), str(tmp_path / "x"), options)
    read = load_file(tmp_path / "x") if form == "safetensors" else torch.load(tmp_path / "x")
    assert {name: value[0].item() for name, value in read.items()} == {
        name: float(n) for n, name in enumerate(expected)
    }
    planned = plan_export(StateDict(values), options)
    assert planned.renamed == sum(a != b for a, b in zip(keys, expected, strict=True))
    assert report.left_out == []


def test_names_that_would_collide_are_refused_by_name(tmp_path):
    plan = names_after(["a.w", "b.w", "c"], ("a.", ""), ("b.", ""))
    assert [(left.name, left.reason) for left in plan.refused] == [
        ("b.w", 'it would be named "w", and so would "a.w"'),
        ("a.w", 'it would be named "w", and so would "b.w"'),
    ]
    assert plan.tensors == 1
    plan = names_after(["a.w", "b.w"], ("a.", "b."))
    assert {left.name for left in plan.refused} == {"a.w", "b.w"}
    plan = names_after(["a.w", "b.w"], ("a.", "b."), skip=["b"])
    assert plan.refused == []
    plan = names_after(["abc", "d"], ("abc", ""))
    assert [(left.name, left.reason) for left in plan.refused] == [
        ("abc", "nothing is left of its name")
    ]
    plan = names_after(["a", "d"], ("a", "__metadata__"))
    assert [left.name for left in plan.refused] == ["a"]


def test_a_renaming_that_fits_nothing_is_an_error_that_names_it():
    with pytest.raises(RequestError, match=r'begins with "module\."'):
        names_after(["a.w"], ("module.", ""))
    with pytest.raises(RequestError, match=r'begins with "a\."'):
        names_after(["a.w", "b.w"], ("a.", ""), skip=["a"])


def test_the_notes_of_the_file_are_by_its_own_names(tmp_path):
    facts = ExportFacts(requires_grad={"embedding.weight": True, "norm.bias": False})
    options = ExportOptions(renames=[Rename(old="", new="net.")])
    path = str(tmp_path / "x")
    report = export(StateDict(Tied().state_dict()), path, options, facts=facts)
    with safe_open(path, "pt") as file:
        notes = file.metadata()
    assert json.loads(notes["model_inspector.requires_grad"]) == {
        "net.embedding.weight": True,
        "net.norm.bias": False,
    }
    assert json.loads(notes["model_inspector.ties"]) == [
        ["net.embedding.weight", "net.head.weight"]
    ]
    assert report.ties[0].names == ["net.embedding.weight", "net.head.weight"]
