import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm

from inspector_app.backend.initialization import plan_initialize
from inspector_app.protocol.errors import RefusedError
from inspector_app.protocol.schemes import parse_scheme
from tests.backend.edit_models import (
    everything,
    init_plan,
    initialized,
    paths,
    refused,
    state,
    tree_of,
)


def run(model, text, store, *where, seed=3):
    return initialized(model, where, text, store, seed)


def reasons(model, text, store):
    return refused(init_plan(model, [], text, store))


def drawn(scheme, like, seed=3):
    values = torch.empty_like(like)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        getattr(nn.init, scheme)(values)
    return values


WEIGHT_NORM = [
    lambda: weight_norm(nn.Linear(4, 6)),
    lambda: weight_norm(nn.Conv2d(2, 3, 3), dim=1),
    lambda: weight_norm(nn.Linear(4, 6).double()),
    lambda: weight_norm(nn.Linear(4, 6).train()),
]


@pytest.mark.parametrize("build", WEIGHT_NORM)
@pytest.mark.parametrize("scheme", ["normal_", "kaiming_uniform_", "xavier_normal_"])
def test_weight_norm_takes_the_values_of_torch(build, scheme, store):
    model = build()
    before = state(model)
    edit = run(model, scheme, store, "parametrizations.weight")
    assert torch.allclose(model.weight, drawn(scheme, model.weight), rtol=1e-5, atol=1e-7)
    assert [n for n, v in state(model).items() if v != before[n]] == [
        "parametrizations.weight.original0",
        "parametrizations.weight.original1",
    ]
    after = state(model)
    edit.undo()
    assert state(model) == before
    edit.redo()
    assert state(model) == after


@pytest.mark.parametrize("shape", [(4, 4), (6, 3), (3, 6)])
@pytest.mark.parametrize("kind", ["matrix_exp", "cayley", "householder"])
def test_an_orthogonal_weight_takes_an_orthogonal_one(shape, kind, store):
    model = orthogonal(nn.Linear(*shape), orthogonal_map=kind)
    old, before = model.weight.detach().clone(), state(model)
    random = torch.get_rng_state()
    edit = run(model, "orthogonal_", store, "parametrizations.weight")
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.allclose(model.weight, drawn("orthogonal_", model.weight), atol=1e-5)
    assert "parametrizations.weight.0.base" in paths(tree_of(model), edit.rows)
    edit.undo()
    assert state(model) == before
    assert torch.equal(model.weight, old)


@pytest.mark.parametrize(
    ("build", "scheme", "word"),
    [
        (lambda: weight_norm(nn.Linear(3, 3)), "zeros_", "would make NaN"),
        (lambda: orthogonal(nn.Linear(3, 3)), "normal_", "would make other values"),
        (lambda: spectral_norm(nn.Linear(3, 3)), "normal_", "would make other values"),
        (lambda: weight_norm(nn.Linear(3, 3)), "dirac_", "3- to 5-dimensional"),
        (lambda: weight_norm(nn.Linear(3, 3)), "normal_(std=1e39)", "cannot hold"),
        (
            lambda: orthogonal(nn.Linear(3, 3), orthogonal_map="cayley", use_trivialization=False),
            *("orthogonal_", "no right inverse"),
        ),
        (lambda: doubled(nn.Linear(3, 3)), "normal_", "no right inverse"),
    ],
)
def test_refused_with_the_reason(build, scheme, word, store):
    model = nn.ModuleDict({"odd": build(), "good": nn.Conv1d(3, 3, 3)})
    before = state(model)
    told = reasons(model, scheme, store)
    original = next(path for path in told if "original" in path)
    assert word in told[original]
    if "std" not in scheme:  # that one refuses the other layer as well
        run(model, scheme, store)
    after = state(model)
    assert {n for n in before if after[n] != before[n]} <= {"good.weight", "good.bias", "odd.bias"}


def test_refused_on_meta(store):
    told = reasons(weight_norm(nn.Linear(3, 3, device="meta")), "normal_", store)
    assert "has no data" in told["parametrizations.weight.original1"]


class Doubled(nn.Module):
    def forward(self, x):
        return 2 * x


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(4.0))

    def forward(self, x):
        return self.scale * x

    def right_inverse(self, x):
        return x / self.scale


def doubled(layer):
    parametrize.register_parametrization(layer, "weight", Doubled())
    return layer


def test_a_parametrization_of_ones_own_is_set_through_its_inverse(store):
    model = nn.Linear(3, 4)
    parametrize.register_parametrization(model, "weight", Scaled())
    parametrize.register_parametrization(model, "weight", Scaled())
    before = state(model)
    told = reasons(model, "normal_", store)
    assert "belongs to a parametrization" in told["parametrizations.weight.0.scale"]
    edit = run(model, "normal_", store, "parametrizations.weight")
    assert torch.allclose(model.weight, drawn("normal_", model.weight), rtol=1e-5)
    edit.undo()
    assert state(model) == before


def test_a_part_of_a_parametrization_is_not_set(store):
    model = weight_norm(nn.Linear(3, 3))
    with pytest.raises(RefusedError, match=r"select all of parametrizations\.weight"):
        run(model, "normal_", store, "parametrizations.weight.original1")


def test_a_failing_inverse_changes_nothing(store):
    class Failing(Scaled):
        def right_inverse(self, x):
            if x.max() > 4:
                raise KeyError("too large")
            return super().right_inverse(x)

    model = nn.Linear(3, 4)
    parametrize.register_parametrization(model, "weight", Failing())
    before = state(model)
    assert "too large" in reasons(model, "constant_(5)", store)["parametrizations.weight.original"]
    with pytest.raises(RefusedError, match="too large"):
        run(model, "constant_(5)", store, "parametrizations.weight")
    assert state(model) == before


def test_the_padding_row_of_a_parametrized_embedding_stays(store):
    model = weight_norm(nn.Embedding(5, 3, padding_idx=2))
    with torch.no_grad():
        padded = model.weight.clone()
        padded[2] = 0.25
        model.weight = padded.clone()
    run(model, "normal_", store)
    assert torch.allclose(model.weight[2], torch.full((3,), 0.25))
    assert not torch.allclose(model.weight[1], padded[1])


def test_gates_of_a_parametrized_lstm(store):
    model = weight_norm(nn.LSTM(4, 4), "weight_hh_l0")
    run(model, "orthogonal_", store, "parametrizations.weight_hh_l0")
    for gate in model.weight_hh_l0.detach().chunk(4):
        assert torch.allclose(gate @ gate.T, torch.eye(4), atol=1e-5)


def test_the_plan_is_what_happens(store):
    model = nn.Sequential(weight_norm(nn.Linear(4, 4)), orthogonal(nn.Linear(4, 4)))
    untouched = copy.deepcopy(state(model))
    tree = tree_of(model)
    told = plan_initialize(tree, everything(tree), parse_scheme("orthogonal_"), "", store)
    assert state(model) == untouched
    edit = run(model, "orthogonal_", store)
    assert sorted(told.changes) == sorted(edit.rows)
    assert (told.tensors, told.notes) == (edit.touched, edit.notes)
    assert any("right inverse" in note for note in told.notes)
