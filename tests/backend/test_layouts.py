import math

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from inspector_app.backend.layouts import ONE, layout_of
from inspector_app.backend.snapshots import SnapshotStore
from tests.backend.edit_models import init_plan, initialized

# Layer, name, and what one output unit sums over and one input unit feeds, counted by hand.
FANS = [
    (lambda: nn.Linear(3, 5), "weight", 3, 5),
    (lambda: nn.Conv2d(4, 6, 3), "weight", 36, 54),
    (lambda: nn.Conv2d(32, 32, 3, groups=32), "weight", 9, 9),
    (lambda: nn.Conv1d(8, 4, 5, groups=2), "weight", 20, 10),
    (lambda: nn.ConvTranspose2d(8, 2, 3), "weight", 72, 18),
    (lambda: nn.ConvTranspose2d(8, 4, 3, groups=2), "weight", 36, 18),
    (lambda: nn.MultiheadAttention(8, 2), "in_proj_weight", 8, 8),
    (lambda: nn.MultiheadAttention(8, 2, kdim=3, vdim=3), "k_proj_weight", 3, 8),
    (lambda: nn.LSTM(3, 4), "weight_ih_l0", 3, 4),
    (lambda: nn.LSTM(3, 4, bidirectional=True), "weight_hh_l0_reverse", 4, 4),
    (lambda: nn.LSTM(3, 4, proj_size=2), "weight_hr_l0", 4, 2),
    (lambda: nn.GRU(3, 4), "weight_hh_l0", 4, 4),
    (lambda: nn.RNN(3, 4), "weight_ih_l0", 3, 4),
    (lambda: nn.LSTMCell(3, 4), "weight_ih", 3, 4),
    (lambda: nn.GRUCell(3, 4), "weight_hh", 4, 4),
]


@pytest.mark.parametrize(("build", "name", "fan_in", "fan_out"), FANS)
def test_fans_are_those_of_the_layer(build, name, fan_in, fan_out):
    layer = build()
    shape = tuple(getattr(layer, name).shape)
    assert layout_of(layer, name, shape).fans(shape) == {"fan_in": fan_in, "fan_out": fan_out}


class Attention(nn.Module):
    """Query, key and value in one plain layer, as most transformers are written."""

    def __init__(self, width=8, outputs=24):
        super().__init__()
        self.query_key_value = nn.Linear(width, outputs, bias=False)


@pytest.mark.parametrize("build", [Attention, lambda: weight_norm_of(Attention())])
def test_fused_projections_are_known_by_their_name(build, store):
    model = build()
    (note,) = (n for n in init_plan(model, [], "xavier_normal_", store).notes if "its name" in n)
    assert "(3 projections going by its name, each on its own, fan_out 8, not 24)" in note
    initialized(model, [], "orthogonal_", store)
    for part in model.query_key_value.weight.detach().chunk(3):
        assert torch.allclose(part @ part.T, torch.eye(8), atol=1e-5)


def weight_norm_of(model):
    weight_norm(model.query_key_value)
    return model


def test_a_fused_name_with_another_shape_is_one_matrix():
    assert layout_of(nn.Linear(8, 16), "weight", (16, 8), "query_key_value") == ONE
    assert layout_of(nn.Linear(8, 24), "weight", (24, 8), "head") == ONE
    assert layout_of(nn.Embedding(24, 8), "weight", (24, 8), "qkv") == ONE


@pytest.mark.parametrize(
    ("called", "outputs", "blocks", "fan_out"), [("c_attn", 12, 3, 4), ("c_fc", 12, 1, 12)]
)
def test_the_transposed_linear_of_gpt2(called, outputs, blocks, fan_out):
    layer = pytest.importorskip("transformers.pytorch_utils").Conv1D(outputs, 4)
    layout = layout_of(layer, "weight", (4, outputs), called)
    assert layout.fans((4, outputs)) == {"fan_in": 4, "fan_out": fan_out}
    matrices = layout.matrices(layer.weight.detach())
    assert len(matrices) == blocks
    image = torch.randn(2, 4)
    whole = torch.cat([image @ matrix.T for matrix in matrices], 1)
    assert torch.allclose(whole, layer(image) - layer.bias, atol=1e-6)


def test_matrices_are_views_of_the_weight():
    layer = nn.ConvTranspose2d(8, 4, 3, groups=2)
    weight = layer.weight.detach()
    first, second = layout_of(layer, "weight", tuple(weight.shape)).matrices(weight)
    assert first.shape == second.shape == (2, 4, 3, 3)
    first.zero_()
    second.fill_(1)
    assert torch.equal(weight, torch.cat((torch.zeros(4, 2, 3, 3), torch.ones(4, 2, 3, 3))))


def test_a_weight_that_does_not_fit_its_layer_is_taken_as_it_is():
    assert layout_of(nn.LSTM(3, 4), "weight_hh_l0", (7, 3)) == ONE
    assert layout_of(nn.Conv2d(4, 4, 3, groups=4), "weight", (4,)) == ONE


def run(model, text):
    store = SnapshotStore()
    initialized(model, [], text, store)
    store.close()
    return model


@pytest.mark.parametrize(
    ("text", "spread"),
    [
        ("kaiming_normal_", math.sqrt(2 / (64 * 9))),
        ("kaiming_normal_(mode=fan_out)", math.sqrt(2 / (16 * 9))),
        ("kaiming_uniform_", math.sqrt(2 / (64 * 9))),
        ("xavier_normal_", math.sqrt(2 / (80 * 9))),
    ],
)
def test_a_transposed_convolution_spreads_by_its_true_fans(text, spread):
    weight = run(nn.ConvTranspose2d(64, 16, 3, bias=False), text).weight
    assert weight.std().item() == pytest.approx(spread, rel=0.03)


def test_a_depthwise_convolution_spreads_by_its_true_fans():
    layer = run(nn.Conv2d(512, 512, 5, groups=512, bias=False), "kaiming_normal_(mode=fan_out)")
    assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / 25), rel=0.03)


@pytest.mark.parametrize(("build", "blocks"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
def test_each_gate_is_orthogonal_on_its_own(build, blocks):
    layer = run(build(6, 6), "orthogonal_")
    for weight in (layer.weight_ih_l0, layer.weight_hh_l0):
        gates = weight.detach().chunk(blocks)
        assert len({gate.sum().item() for gate in gates}) == blocks
        for gate in gates:
            assert torch.allclose(gate @ gate.T, torch.eye(6), atol=1e-5)


def test_each_projection_of_attention_is_orthogonal_on_its_own():
    layer = run(nn.MultiheadAttention(8, 2), "orthogonal_")
    for part in layer.in_proj_weight.detach().chunk(3):
        assert torch.allclose(part @ part.T, torch.eye(8), atol=1e-5)


def test_each_gate_is_an_identity():
    layer = run(nn.GRU(4, 4), "eye_")
    assert torch.equal(layer.weight_hh_l0, torch.eye(4).repeat(3, 1))


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_a_dirac_convolution_passes_its_input_on(groups):
    layer = run(nn.Conv2d(8, 8, 3, padding=1, groups=groups, bias=False), "dirac_")
    image = torch.randn(2, 8, 5, 5)
    assert torch.equal(layer(image), image)
    transposed = nn.ConvTranspose2d(8, 8, 3, padding=1, groups=groups, bias=False)
    assert torch.equal(run(transposed, "dirac_")(image), image)
