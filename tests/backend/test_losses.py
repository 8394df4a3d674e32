"""Losses against their definitions."""

from __future__ import annotations

from collections import namedtuple
from types import ModuleType

import pytest
import torch
from torch.nn import functional as F

from inspector_app.backend.losses import checked, make_loss, own_loss
from inspector_app.protocol.errors import ModelError, RequestError


def seeded(seed=0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_files_own():
    module = ModuleType("file")
    with pytest.raises(RequestError, match="no loss"):
        make_loss("own", module, 0)
    module.loss = lambda output: output.sum()
    assert own_loss(module) is module.loss
    assert make_loss("own", module, 0)(torch.ones(3)) == 3
    assert own_loss(None) is None


def test_mean_square_of_all_that_can_have_gradients():
    output = {"a": torch.full((2, 2), 2.0), "b": (torch.full((3,), 3 + 4j), torch.ones(2).long())}
    assert make_loss("mean_square", None, 0)(output) == 4 + 25


@pytest.mark.parametrize("seed", [0, 5])
def test_mean_squared_error_on_targets_of_the_seed(seed):
    state = torch.get_rng_state()
    loss = make_loss("mse", None, seed)
    output = torch.ones(4, 3, dtype=torch.float64)
    expected = F.mse_loss(output, torch.randn(4, 3, generator=seeded(seed)).double())
    assert loss(output) == loss(output) == expected
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("shape", "targets", "classes"),
    [((4, 3), (4,), 3), ((2, 5, 7), (10,), 7), ((2, 3, 4, 5), (2, 4, 5), 3)],
)
def test_cross_entropy_finds_the_classes(shape, targets, classes):
    logits = torch.randn(shape, generator=seeded(1))
    expected = F.cross_entropy(
        logits.flatten(0, 1) if len(shape) == 3 else logits,
        torch.randint(classes, targets, generator=seeded(3)),
    )
    assert make_loss("cross_entropy", None, 3)(logits) == expected


def test_logits_come_first_wherever_they_stand():
    output = namedtuple("Output", ["state", "logits"])(torch.ones(1, 2, 3), torch.zeros(4, 2))
    assert make_loss("cross_entropy", None, 0)(output) == pytest.approx(0.6931, abs=1e-4)
    assert make_loss("cross_entropy", None, 0)({"x": torch.ones(2, 3), "logits": output.logits})


@pytest.mark.parametrize(
    ("kind", "output", "words"),
    [
        ("mse", None, "puts out no tensor"),
        ("mse", torch.ones(2, dtype=torch.int64), "2 of int64, from which no gradient"),
        ("cross_entropy", torch.ones(3), "needs logits"),
        ("cross_entropy", torch.ones(3, 2) * 1j, "needs logits"),
    ],
)
def test_outputs_that_do_not_fit(kind, output, words):
    with pytest.raises(ModelError, match=words):
        make_loss(kind, None, 0)(output)


def test_what_a_backward_can_begin_at():
    weight = torch.ones(2, requires_grad=True)
    assert checked(weight.sum(), weight) is not None
    for value, output, words in (
        (1.0, weight, "returned float"),
        (weight, weight, "must be one real number"),
        ((weight * 1j).sum(), weight, "must be one real number"),
        (torch.ones(()), weight, "not depend on a trainable parameter"),
        (torch.ones(()), weight.long(), "whole numbers"),
        (torch.ones(()), weight.detach(), "the model's output does not depend"),
    ):
        with pytest.raises(ModelError, match=words):
            checked(value, output)
