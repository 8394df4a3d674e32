"""The samples do what their docstrings say, on the CPU, in a moment."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from inspector_app.backend.tree import build_tree
from inspector_app.protocol.table import Flag
from inspector_app.resources import sample_names
from sample_models import (
    attention_temperature,
    batchnorm_lite,
    language_model,
    lazy,
    mlp,
    multi_task,
    pitfalls,
    recurrent,
    resnet,
    shared_scalar,
)

SAMPLES = [
    mlp,
    resnet,
    language_model,
    batchnorm_lite,
    multi_task,
    attention_temperature,
    recurrent,
    shared_scalar,
]
EVERY = [*SAMPLES, lazy, pitfalls]  # these two have tensors that do not do what others do


def test_every_sample_is_tested() -> None:
    assert sorted(sample.__name__.rpartition(".")[2] for sample in EVERY) == sample_names()


@pytest.mark.parametrize("sample", SAMPLES)
def test_runs_and_every_parameter_learns(sample: object) -> None:
    torch.manual_seed(0)
    model = sample.build_model()
    loss = sample.loss(model(*sample.example_inputs()))
    assert loss.ndim == 0
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize("sample", EVERY)
def test_loss_falls_in_training(sample: object) -> None:
    torch.manual_seed(0)
    model = sample.build_model()
    inputs = sample.example_inputs()
    model(*inputs)  # settles the shapes of lazy layers, which an optimizer must know
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
    first, second = model(*inputs), other(*inputs)
    if isinstance(first, torch.Tensor):
        first, second = {"": first}, {"": second}
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
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


def test_batchnorm_lite_is_batch_norm() -> None:
    ours, theirs = batchnorm_lite.BatchNormLite(6, eps=0.01), nn.BatchNorm1d(6, eps=0.01)
    for _ in range(3):
        x = 5 + 3 * torch.randn(20, 6)
        assert torch.allclose(ours(x), theirs(x), atol=1e-5)
    assert torch.allclose(ours.running_mean, theirs.running_mean, atol=1e-6)
    assert torch.allclose(ours.running_var, theirs.running_var, atol=1e-5)
    ours.eval()
    theirs.eval()
    assert torch.allclose(ours(x), theirs(x), atol=1e-5)
    assert dict(ours.named_buffers()).keys() == {"running_mean", "running_var"}


def test_multi_task_has_a_head_for_each_task() -> None:
    model = multi_task.build_model(tasks={"size": 1, "colour": 7})
    output = model(*multi_task.example_inputs(batch=5))
    assert {name: tuple(value.shape) for name, value in output.items()} == {
        "size": (5, 1),
        "colour": (5, 7),
    }
    assert "heads.colour.weight" in model.state_dict()


def test_attention_temperature_sets_how_sharply_a_head_looks() -> None:
    torch.manual_seed(0)
    attention = attention_temperature.TemperatureAttention(8, 2).eval()
    x = torch.randn(1, 5, 8)
    with torch.no_grad():
        attention.log_temperature.fill_(50.0)  # as good as infinite: all tokens alike
        even = attention(x)
        assert torch.allclose(even, even[:, :1].expand_as(even), atol=1e-5)
        attention.log_temperature.fill_(-10.0)
        assert not torch.allclose(attention(x), even, atol=1e-2)
    with pytest.raises(ValueError, match="9 cannot be divided among 2 heads"):
        attention_temperature.build_model(width=9, heads=2)


def test_recurrent_pads_and_remembers() -> None:
    model = recurrent.build_model()
    (tokens,) = recurrent.example_inputs()
    assert model(tokens).shape == (8, 12, 5)
    assert not model.embed(tokens)[tokens == recurrent.PADDING].any()
    for layer in ("l0", "l1", "l0_reverse", "l1_reverse"):
        forget = getattr(model.lstm, f"bias_ih_{layer}").chunk(4)[1]
        assert (forget == 1).all()


def test_lazy_settles_with_its_first_forward() -> None:
    model = lazy.build_model()
    lazies = [torch.nn.parameter.is_lazy(p) for p in model.parameters()]
    assert all(lazies)
    model(*lazy.example_inputs(size=10))
    assert model.head.weight.shape == (3, 8 * 5 * 5)
    assert not any(torch.nn.parameter.is_lazy(p) for p in model.parameters())


def test_shared_scalar_is_one_parameter_with_two_uses() -> None:
    model = shared_scalar.build_model()
    assert model.first.scale is model.second.scale
    assert model.first.scale.shape == ()
    assert len(model.state_dict()) == len(list(model.parameters())) + 1
    shared_scalar.loss(model(*shared_scalar.example_inputs())).backward()
    assert model.first.scale.grad is not None


# Path, and which of the three an optimizer, .to() and state_dict() miss.
PITFALLS = [
    ("layers[0].weight", "optimizer moving saving"),
    ('branches["left"].weight', "optimizer moving saving"),
    ("shifts[0]", "optimizer moving saving"),
    ("scale", "optimizer moving saving"),
    ("gain", "optimizer moving saving"),
    ("offset", "optimizer moving saving"),
    ("weights", "optimizer"),
    ("seen", "optimizer saving"),
    ("forth.weight", ""),
    ("back.weight", ""),
    ("unused.weight", ""),
    ("head.weight", ""),
]


@pytest.mark.parametrize(("path", "missed"), PITFALLS)
def test_pitfalls_are_what_their_comments_say(path: str, missed: str) -> None:
    table = build_tree(pitfalls.build_model()).table
    row = table.paths.index(path)
    facts = {"optimizer": Flag.IN_PARAMETERS, "moving": Flag.MOVED, "saving": Flag.SAVED}
    assert [word for word, flag in facts.items() if not table.has(row, flag)] == missed.split()


def test_pitfalls_that_show_in_training() -> None:
    model = pitfalls.build_model()
    assert model.back.weight.data_ptr() == model.forth.weight.data_ptr()
    assert model.back.weight is not model.forth.weight
    assert not model.gain.is_leaf
    pitfalls.loss(model(*pitfalls.example_inputs(batch=7))).backward()
    assert model.unused.weight.grad is None
    assert model.seen == 7
    assert "seen" not in model.state_dict()
    assert model.to(torch.float64).offset.dtype is torch.float32
