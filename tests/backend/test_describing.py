from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from inspector_app.backend.describing import describe_row
from inspector_app.backend.opening import open_checkpoint
from inspector_app.backend.tree import build_tree
from inspector_app.protocol.errors import RequestError
from inspector_app.protocol.messages import Detail, Fact
from tests.backend.strange_tensors import distributed_tensor, holding, strange_tensors, two_ranks


def describe(model: nn.Module, path: str) -> Detail:
    tree = build_tree(model)
    return describe_row(tree, int(tree.table.ids[tree.table.paths.index(path)]))


def values(facts: list[Fact]) -> dict[str, str]:
    return {fact.label: fact.value for fact in facts}


class Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 4)
        self.head = nn.Linear(4, 5, bias=False)
        self.head.weight = self.embed.weight
        self.norm = nn.BatchNorm1d(4)
        self.lost = [nn.Linear(1, 1)]
        self.mask = torch.ones(3)
        self.register_buffer("passing", torch.zeros(6).reshape(2, 3).t(), persistent=False)
        self.width = 12

    def extra_repr(self) -> str:
        raise AssertionError("a person's code ran")


def test_parameter() -> None:
    detail = describe(Mixed(), "embed.weight")
    facts = values(detail.facts)
    assert facts["Class"] == "Parameter"
    assert facts["Shape"] == "5 × 4"
    assert facts["Data type"] == "float32"
    assert facts["Size"] == "80 B"
    assert facts["Strides"] == "(4, 1), contiguous"
    assert facts["Requires grad"] == "yes"
    assert facts["Gradient"] == "none"
    assert facts["Tied to"] == "head.weight: the same object"
    assert detail.has_values
    assert [fact.tone for fact in detail.registration] == ["good"] * 3
    assert (
        values(detail.registration)["Optimizer"]
        == "An optimizer built from model.parameters() sees it."
    )


@pytest.mark.parametrize(
    ("path", "words", "cure"),
    [
        (
            "mask",
            ["No optimizer sees it", "leaves it where it is", "leaves it out"],
            "nn.Parameter",
        ),
        (
            "lost[0].weight",
            ["No optimizer sees it", "leaves it where", "leaves it out"],
            "ModuleList",
        ),
        ("norm.running_mean", ["it is a buffer", "moves it", "saves it"], ""),
        ("passing", ["it is a buffer", "moves it", "persistent=False"], ""),
    ],
)
def test_registration_in_words(path: str, words: list[str], cure: str) -> None:
    facts = describe(Mixed(), path).registration
    assert [fact.label for fact in facts] == ["Optimizer", "Moving", "Saving"]
    for fact, word in zip(facts, words, strict=True):
        assert word in fact.value
    assert cure in facts[0].value


@pytest.mark.filterwarnings("ignore")
def test_registration_of_a_computed_weight() -> None:
    detail = describe(nn.utils.weight_norm(nn.Linear(2, 2)), "weight")
    assert [fact.label for fact in detail.registration] == ["Registration"]
    assert "computed from other tensors" in detail.registration[0].value
    assert detail.registration[0].tone == "plain"


def test_module() -> None:
    detail = describe(Mixed(), "norm")
    facts = values(detail.facts)
    assert facts["Class"] == "BatchNorm1d"
    assert facts["Made with"].startswith("4, eps=1e-05")
    assert facts["Mode"] == "train"
    assert facts["Parameters"] == "8"
    assert facts["momentum"] == "0.1"  # a number of torch's own class: no row, but told
    assert "training" not in facts
    assert detail.source is not None
    assert "class BatchNorm1d" in detail.source.text
    assert not detail.has_values


def test_absent_slots_of_torch_are_told() -> None:
    assert values(describe(Mixed(), "head").facts)["bias"] == "None"


def test_source_of_a_persons_class() -> None:
    source = describe(Mixed(), "").source
    assert source is not None
    assert Path(source.file) == Path(__file__)
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    assert lines[source.line - 1] == "class Mixed(nn.Module):"
    assert source.text.startswith("class Mixed")


def test_class_without_source() -> None:
    made: dict[str, type[nn.Module]] = {}
    exec("import torch\nclass Made(torch.nn.Module): pass", made)
    assert describe(made["Made"](), "").source is None


def test_number_container_and_lost_module() -> None:
    assert values(describe(Mixed(), "width").facts)["Value"] == "12"
    listed = describe(Mixed(), "lost")
    assert values(listed.facts)["Items"] == "1"
    assert "registers nothing" in listed.registration[0].value
    model = Mixed()
    model.lost.append(nn.ReLU())
    for path in ("lost[0]", "lost[1]"):
        lost = describe(model, path).registration[0]
        assert "does not yield it" in lost.value
        assert lost.tone == "warning"
    assert describe(model, "width").registration == []


def test_lazy_and_meta() -> None:
    lazy = describe(nn.LazyLinear(3), "weight")
    assert "after the first forward" in values(lazy.facts)["Shape"]
    assert not lazy.has_values
    meta = describe(nn.Linear(2, 2, device="meta"), "weight")
    assert values(meta.facts)["Device"].startswith("meta")
    assert not meta.has_values


def test_parametrized_code_never_runs() -> None:
    runs: list[int] = []

    class Counting(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            runs.append(1)
            return x

    model = nn.Linear(2, 2)
    parametrize.register_parametrization(model, "bias", Counting())  # extra_repr reads the bias
    runs.clear()
    detail = describe(model, "")
    assert not runs
    assert detail.source is not None
    assert "class Linear" in detail.source.text


def test_repeated_and_reference() -> None:
    shared = nn.Linear(1, 1)
    model = nn.Sequential(shared, shared)
    assert "Repeated" in values(describe(model, "1").facts)
    model.add_module("loop", model)
    assert "Reference" in values(describe(model, "loop").facts)


def test_without_super_init() -> None:
    class Forgot(nn.Module):
        def __init__(self) -> None:
            self.scale = 3

    assert "has not been called" in values(describe(Forgot(), "").facts)["Not initialised"]


@pytest.mark.filterwarnings("ignore")
def test_every_row_of_strange_models_can_be_described() -> None:
    with two_ranks():
        model = holding(strange_tensors() | {"spread": distributed_tensor()})
        model.script = torch.jit.script(nn.Linear(2, 2))
        model.trace = torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2))
        model.pair = {"a": (torch.ones(1), {"b": [torch.ones(1)]}), frozenset(): {torch.ones(1)}}
        tree = build_tree(model)
        for row in tree.table.ids.tolist():
            detail = describe_row(tree, row)
            assert detail.path == tree.table.path(tree.table.position(row))
            assert detail.facts


def test_checkpoint(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"layer.weight": torch.ones(2, 3)}, tmp_path / "w.safetensors")
    checkpoint = open_checkpoint(tmp_path / "w.safetensors")
    checkpoint.close()
    tree = checkpoint.tree
    details = [describe_row(tree, row) for row in tree.table.ids.tolist()]
    facts = values(details[-1].facts)
    assert (facts["Shape"], facts["Size"]) == ("2 × 3", "24 B")
    assert details[-1].has_values
    assert values(details[0].facts)["Tensors"] == "1"


def test_row_that_is_gone() -> None:
    with pytest.raises(RequestError, match="Row 99 "):
        describe_row(build_tree(nn.ReLU()), 99)
