"""What is said of a tensor's gradient and data type."""

from __future__ import annotations

import torch
from torch import nn

from inspector_app.backend.describing import describe_row
from inspector_app.backend.tree import build_tree
from tests.backend.tree_models import rows, told


def hook(gradient: torch.Tensor) -> None:
    """A hook."""


def test_gradient() -> None:
    model = nn.Linear(2, 3)
    assert told(model, "weight")["Gradient"] == "none"
    model(torch.ones(1, 2)).sum().backward()
    assert told(model, "weight")["Gradient"] == "of shape 3 × 2"


def test_result_of_an_operation() -> None:
    model = nn.Linear(2, 2)
    model.scaled = model.weight * 2
    tree = build_tree(model)
    facts = describe_row(tree, int(tree.table.ids[rows(tree)["scaled"]])).facts
    assert next(fact for fact in facts if fact.label == "Leaf").tone == "warning"


def test_hooks_of_a_backward_pass() -> None:
    model = nn.Linear(2, 2)
    model.weight.register_hook(hook)
    model.weight.register_post_accumulate_grad_hook(hook)
    assert told(model, "weight")["Hooks"] == (
        "1 gradient hook (hook); 1 hook after the gradient (hook)"
    )
    assert "Hooks" not in told(model, "bias")


def test_the_numbers_of_a_data_type() -> None:
    model = nn.Module()
    model.small = nn.Parameter(torch.ones(2).to(torch.float8_e4m3fn))
    model.codes = torch.ones(2, dtype=torch.int8)
    tree = build_tree(model)

    def exact(path: str) -> str:
        facts = describe_row(tree, int(tree.table.ids[rows(tree)[path]])).facts
        return next(fact.exact for fact in facts if fact.label == "Data type")

    assert exact("small") == "up to 448, relative step 0.125"
    assert exact("codes") == "from -128 to 127"


def test_lazy_on_top_of_nothing() -> None:
    facts = told(nn.LazyLinear(3), "weight")
    assert facts["Shape"] == "known after the first forward (lazy)"
    assert "Elements" not in facts
