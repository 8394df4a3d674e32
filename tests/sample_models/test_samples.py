"""The samples do what their docstrings say, on the CPU, in a moment."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from sample_models import language_model, mlp, resnet

SAMPLES = [mlp, resnet, language_model]


@pytest.mark.parametrize("sample", SAMPLES)
def test_runs_and_every_parameter_learns(sample: object) -> None:
    torch.manual_seed(0)
    model = sample.build_model()
    loss = sample.loss(model(*sample.example_inputs()))
    assert loss.ndim == 0
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize("sample", SAMPLES)
def test_loss_falls_in_training(sample: object) -> None:
    torch.manual_seed(0)
    model = sample.build_model()
    inputs = sample.example_inputs()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        loss = sample.loss(model(*inputs))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("sample", SAMPLES)
def test_loads_its_own_state_dict_on_any_device(sample: object) -> None:
    model, other = sample.build_model(), sample.build_model()
    other.load_state_dict(model.state_dict())
    model.eval()
    other.eval()
    inputs = sample.example_inputs()
    assert torch.equal(model(*inputs), other(*inputs))
    with torch.device("meta"):
        assert all(p.is_meta for p in sample.build_model().parameters())


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_mlp_has_115_parameters() -> None:
    assert count(mlp.build_model()) == 115
    assert mlp.build_model(inputs=2, hidden=3, outputs=4)(torch.ones(5, 2)).shape == (5, 4)


def test_resnet_has_what_it_says() -> None:
    model = resnet.build_model()
    assert count(model) == 175_258
    convolutions = [
        m for n, m in model.named_modules() if isinstance(m, nn.Conv2d) and "skip" not in n
    ]
    assert len(convolutions) + 1 == 14
    skips = [m.skip for m in model.modules() if isinstance(m, resnet.BasicBlock)]
    assert sum(isinstance(skip, nn.Identity) for skip in skips) == 4
    assert model(torch.zeros(2, 3, 17, 23)).shape == (2, 10)


def test_resnet_starts_as_he_et_al() -> None:
    torch.manual_seed(0)
    weight = resnet.build_model(widths=(64, 128)).stages[1][1].conv1.weight
    assert weight.std().item() == pytest.approx(math.sqrt(2 / (128 * 9)), rel=0.02)


def test_resnet_with_other_parts() -> None:
    model = resnet.build_model(norm=lambda n: nn.GroupNorm(4, n), activation=nn.GELU)
    assert not any(isinstance(m, nn.BatchNorm2d | nn.ReLU) for m in model.modules())
    plain = resnet.build_model(norm=lambda n: nn.Identity(), zero_init_residual=True)
    assert plain(torch.zeros(1, 3, 8, 8)).shape == (1, 10)


def test_resnet_whose_blocks_start_as_their_skips() -> None:
    model = resnet.build_model(zero_init_residual=True, activation=nn.Identity).eval()
    block = model.stages[0][0]
    x = torch.randn(1, 16, 4, 4)
    assert torch.equal(block(x), x)


def test_resnet_reset_is_reproducible() -> None:
    model = resnet.build_model()
    torch.manual_seed(3)
    model.reset_parameters()
    first = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.manual_seed(3)
    model.reset_parameters()
    assert all(torch.equal(first[name], tensor) for name, tensor in model.state_dict().items())


def test_language_model_ties_its_head() -> None:
    model = language_model.build_model()
    assert model.head.weight is model.tokens.weight
    assert count(model) == 170_560


def test_language_model_never_looks_ahead() -> None:
    model = language_model.build_model().eval()
    tokens = torch.randint(256, (1, 12))
    changed = tokens.clone()
    changed[0, 7] = (changed[0, 7] + 1) % 256
    before, after = model(tokens), model(changed)
    assert torch.allclose(before[0, :7], after[0, :7], atol=1e-6)
    assert not torch.allclose(before[0, 7:], after[0, 7:], atol=1e-6)


def test_language_model_starts_near_uniform() -> None:
    torch.manual_seed(0)
    model = language_model.build_model()
    loss = language_model.loss(model(*language_model.example_inputs()))
    assert loss.item() == pytest.approx(math.log(256), rel=0.05)


def test_language_model_refuses_heads_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="10 cannot be divided among 4 heads"):
        language_model.build_model(width=10)
