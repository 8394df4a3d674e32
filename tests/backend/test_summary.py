from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.ao.nn.quantized import dynamic

from inspector_app.backend.opening import open_checkpoint
from inspector_app.backend.summary import bytes_text, summary_json, summary_text
from inspector_app.backend.tree import build_tree, totals


class Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 4)
        self.head = nn.Linear(4, 5, bias=False)
        self.head.weight = self.embed.weight
        self.norm = nn.BatchNorm1d(4).requires_grad_(False)
        self.lost = [torch.ones(2)]
        self.register_buffer("passing", torch.zeros(3), persistent=False)
        self.rate = math.nan
        self.width = 12


def as_json(model: nn.Module, depth: int | None = None) -> dict[str, object]:
    tree = build_tree(model)
    made = summary_json(tree, totals(tree), target="t", kind="model", depth=depth)
    again: dict[str, object] = json.loads(json.dumps(made, allow_nan=False))
    assert again == made  # nothing that JSON would change
    return again


def as_text(model: nn.Module, depth: int | None = None) -> list[str]:
    tree = build_tree(model)
    text = summary_text(tree, totals(tree), title="name", kind="model", depth=depth)
    assert text.endswith("\n")
    return text.splitlines()


def test_json_has_what_was_promised() -> None:
    made = as_json(Mixed())
    assert list(made) == ["target", "kind", "totals", "rows"]
    assert made["totals"] == {
        "modules": 4,
        "parameters": 20 + 8,
        "trainable": 20,
        "buffers": 3 + 4 + 4 + 1,
        "bytes": 4 * (28 + 11) + 8,
    }
    rows = {row["path"]: row for row in made["rows"]}
    assert rows[""] == {
        "path": "",
        "name": "",
        "role": "module",
        "class": "Mixed",
        "marks": ["partly frozen"],
        "training": True,
    }
    assert rows["head.weight"] == {
        "path": "head.weight",
        "name": "weight",
        "role": "parameter",
        "class": "Parameter",
        "marks": ["tied"],
        "shape": [5, 4],
        "dtype": "float32",
        "device": "cpu",
        "requires_grad": True,
        "persistent": True,
        "bytes": 80,
        "tied": ["embed.weight"],
        "overlaps": [],
        "registration": {"optimizer": True, "moved": True, "saved": True},
    }
    assert rows["passing"]["persistent"] is False
    assert rows["passing"]["registration"] == {"optimizer": False, "moved": True, "saved": False}
    assert rows["lost[0]"]["role"] == "attribute"
    assert not any(rows["lost[0]"]["registration"].values())
    assert rows["width"]["value"] == 12
    assert rows["rate"]["value"] == "nan"


def test_depth_leaves_rows_out() -> None:
    assert [row["path"] for row in as_json(Mixed(), depth=0)["rows"]] == [""]
    paths = [row["path"] for row in as_json(Mixed(), depth=1)["rows"]]
    assert "norm" in paths
    assert "norm.weight" not in paths


def test_names_that_are_no_unicode() -> None:
    model = nn.Module()
    model._parameters["\ud800"] = nn.Parameter(torch.ones(1))
    assert as_json(model)["rows"][1]["path"] == "\ud800"


def test_lazy_parameter_has_no_shape() -> None:
    assert as_json(nn.LazyLinear(2))["rows"][1]["shape"] is None


def test_text_is_aligned_and_complete() -> None:
    lines = as_text(Mixed())
    tree = build_tree(Mixed())
    table = lines[: lines.index("")]
    assert len(table) == len(tree.table)
    assert table[0].startswith("M name ")
    starts = {line.index("float32") for line in table if "float32" in line}
    assert len(starts) == 1
    assert any("tied to embed.weight" in line for line in table)
    assert any(line.startswith("├─ b passing") and "not saved" in line for line in table)
    assert any("not registered" in line for line in table)
    assert any("norm" in line and "BatchNorm1d" in line and "frozen" in line for line in table)
    assert "partly frozen" in table[0]
    assert lines[-2] == (
        "4 modules · 28 parameters (20 trainable, 8 frozen) · 12 buffer elements · 164 B"
    )
    assert lines[-1].startswith("1 tensor is not registered")


def test_branches() -> None:
    lines = as_text(nn.Sequential(nn.Sequential(nn.ReLU()), nn.ReLU()))
    names = [line.split("  ")[0].rstrip() for line in lines[:4]]
    assert names[1].startswith("├─ M 0")
    assert lines[2].startswith("│  └─ M 0")
    assert lines[3].startswith("└─ M 1")


def test_text_says_what_depth_hides() -> None:
    lines = as_text(Mixed(), depth=1)
    assert any("rows lie deeper than 1 level." in line for line in lines)
    assert not any("running_mean" in line for line in lines)
    shown = next(line for line in lines if "norm" in line)
    assert shown.startswith("├─ ")


def test_last_shown_child_closes_the_branch() -> None:
    model = nn.Sequential(nn.Linear(1, 1))
    assert as_text(model, depth=1)[1].startswith("└─ M 0")


def test_control_characters_do_not_reach_the_terminal() -> None:
    model = nn.Module()
    model._modules["a\x1b[31m\nb" + "x" * 500] = nn.ReLU()
    lines = as_text(model)
    assert all(line.isprintable() for line in lines)
    assert max(map(len, lines)) < 160


def test_frozen_tied_row_is_marked() -> None:
    model = Mixed()
    model.embed.requires_grad_(False)
    lines = as_text(model)
    row = next(line for line in lines if "tied to embed.weight" in line)
    assert "frozen, tied to" in row


def test_checkpoint(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"layer.weight": torch.ones(2, 3), "top": torch.ones(1)}, tmp_path / "w.safetensors")
    checkpoint = open_checkpoint(tmp_path / "w.safetensors")
    checkpoint.close()
    sums = checkpoint.totals()
    made = summary_json(checkpoint.tree, sums, target="w", kind="checkpoint")
    assert [row["path"] for row in made["rows"]] == ["layer.weight", "top"]
    assert {row["role"] for row in made["rows"]} == {"tensor"}
    text = summary_text(checkpoint.tree, sums, title="w", kind="checkpoint")
    assert "2 tensors · 7 elements · 28 B" in text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (999_600, "1 MB"), (4_200_000_000, "4.2 GB")],
)
def test_bytes_text(count: int, text: str) -> None:
    assert bytes_text(count) == text


class Hidden(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.BatchNorm1d(2)]


def test_every_tensor_outside_of_the_model_is_marked() -> None:
    lines = as_text(Hidden())
    marked = [line for line in lines if line.endswith("not registered")]
    assert len(marked) == 5
    assert lines[-1].startswith("5 tensors are not registered")
    assert lines[-2].startswith("1 module · 0 parameters ")


@pytest.mark.filterwarnings("ignore")
def test_packed_weights_are_told_beside_the_totals() -> None:
    model = nn.Sequential(dynamic.Linear(2, 2), dynamic.LSTM(2, 2), nn.Linear(1, 1))
    lines = as_text(model)
    assert lines[-2].startswith("7 modules · 2 parameters ")
    assert lines[-1] == (
        "2 modules hold packed quantized weights: no parameters, and not counted here."
    )


@pytest.mark.filterwarnings("ignore")
def test_a_computed_weight_is_no_mistake_of_registration() -> None:
    lines = as_text(nn.utils.weight_norm(nn.Linear(2, 2)))
    assert lines[-1].startswith("1 module · ")
    assert any(line.endswith("  computed") for line in lines)
