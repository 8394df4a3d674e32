"""Errors of a person's own code, as sentences."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from inspector_app.backend.failures import model_error, spoken
from inspector_app.backend.inputs import Inputs
from inspector_app.backend.running import run
from inspector_app.protocol.errors import ModelError


def raised_by(model: nn.Module, *args: object) -> ModelError:
    with pytest.raises(ModelError) as caught:
        run(model, Inputs(args, {}))
    return caught.value


class Picky(nn.Module):
    def forward(self, x):
        return self.check(x)

    def check(self, x):
        raise ValueError("expected tokens.\nand much more")


def test_the_innermost_module_is_named():
    model = nn.Sequential(nn.Linear(2, 3), nn.ModuleDict({"b": nn.Linear(5, 1)})["b"])
    error = raised_by(model, torch.ones(1, 2))
    assert error.sentence.startswith("The model raised RuntimeError: mat1 and mat2")
    assert error.sentence.endswith("in 1 (Linear).")
    error = raised_by(nn.Sequential(nn.Sequential(Picky())), 1)
    assert error.sentence == "The model raised ValueError: expected tokens in 0.0 (Picky)."


def test_the_root_and_unregistered_modules_are_named_by_class():
    assert raised_by(Picky(), 1).sentence.endswith("in Picky.")

    class Holder(nn.Module):
        def __init__(self):
            super().__init__()
            self.plain = [Picky()]

        def forward(self, x):
            return self.plain[0](x)

    assert raised_by(Holder(), 1).sentence.endswith("in Picky.")


def test_a_call_that_does_not_fit_the_signature():
    error = raised_by(nn.Linear(2, 2), 1, 2, 3)
    assert "TypeError" in error.sentence
    assert "takes 2 positional arguments" in error.sentence


def test_the_detail_shows_the_persons_frames():
    error = raised_by(nn.Sequential(Picky()), 1)
    assert "test_failures.py" in error.detail
    assert "in check" in error.detail
    assert "module.py" not in error.detail
    assert "running.py" not in error.detail
    assert error.detail.rstrip().endswith("and much more")


def test_torchs_frames_where_there_are_no_others():
    assert "linear.py" in raised_by(nn.Linear(2, 2), torch.ones(1, 9)).detail


def test_out_of_memory():
    class Huge(nn.Module):
        def forward(self, x):
            return torch.empty(1 << 60)

    error = raised_by(nn.Sequential(Huge()), 1)
    assert "ran out of memory in 0 (Huge): use a smaller shape" in error.sentence
    assert "ran out of memory" in model_error(MemoryError(), "example_inputs()").sentence


def test_long_texts_are_cut():
    sentence = model_error(RuntimeError("x" * 5_000), "The model").sentence
    assert len(sentence) < 400
    assert "…" in sentence


def test_an_error_without_text():
    assert model_error(KeyError(), "The model").sentence == "The model raised KeyError."


def test_the_failed_call_keeps_nothing_alive():
    error = raised_by(nn.Sequential(Picky()), 1)
    assert error.__context__ is None
    assert error.__cause__ is None


def test_an_exception_that_cannot_describe_itself() -> None:
    class Mute(RuntimeError):
        def __str__(self) -> str:
            raise ValueError

    assert model_error(Mute(), "The model").sentence == "The model raised Mute."


def test_a_line_that_announces_the_next_one_is_told_with_it():
    assert spoken(ValueError("Bad field 'x':\n    expected int\nmore")) == (
        "ValueError: Bad field 'x': expected int"
    )
