import random
import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune
from torch.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm

from inspector_app.backend.initialization import initialize, plan_initialize
from inspector_app.protocol.errors import RefusedError, RequestError
from inspector_app.protocol.messages import Scheme
from inspector_app.protocol.schemes import all_arguments, parse_scheme
from tests.backend.edit_models import (
    Mixed,
    everything,
    init_plan,
    initialized,
    paths,
    raw,
    refused,
    state,
    tree_of,
)


@pytest.fixture
def model():
    return Mixed()


def global_state():
    numpy_state = np.random.get_state()
    return (
        torch.get_rng_state().tolist(),
        random.getstate(),
        (numpy_state[0], numpy_state[1].tolist(), *numpy_state[2:]),
    )


SCHEMES = [
    "kaiming_uniform_(mode=fan_out)",
    "kaiming_normal_(a=0.1, nonlinearity=leaky_relu)",
    "xavier_uniform_(2)",
    "xavier_normal_",
    "normal_(1, 0.1)",
    "trunc_normal_(0, 0.02)",
    "uniform_(-3, -1)",
    "constant_(0.3)",
    "orthogonal_(gain=1.5)",
    "sparse_(0.7, 2)",
    "eye_",
    "ones_",
    "zeros_",
]


def as_torch_does(scheme, tensor):
    """What torch.nn.init itself does, on the global generator."""
    arguments = all_arguments(scheme)
    if "groups" in arguments:
        arguments["groups"] = int(arguments["groups"])
    getattr(nn.init, scheme.name)(tensor, **arguments)


class TestValues:
    @pytest.mark.parametrize("text", SCHEMES)
    @pytest.mark.parametrize(
        "dtype",
        [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.complex64],
        ids=str,
    )
    @pytest.mark.parametrize("layout", ["contiguous", "transposed", "columns"])
    def test_are_those_of_torch_after_the_same_seed(self, text, dtype, layout, store):
        def build():
            values = torch.ones(24, 40, dtype=dtype)
            views = {"contiguous": values, "transposed": values.t(), "columns": values[:, ::2]}
            layer = nn.Module()
            layer.first = nn.Parameter(views[layout])
            layer.second = nn.Parameter(torch.ones(9, 7, dtype=dtype))
            return layer

        ours, theirs = build(), build()
        scheme = parse_scheme(text)
        with torch.random.fork_rng():
            torch.manual_seed(7)
            try:
                for tensor in theirs.parameters():
                    as_torch_does(scheme, tensor)
            except RuntimeError:
                # orthogonal_ knows neither 16 bits nor complex, trunc_normal_ no complex numbers.
                assert dtype not in (torch.float32, torch.float64)
                return
        initialized(ours, [], text, store, seed=7)
        assert raw(ours.first) == raw(theirs.first)
        assert raw(ours.second) == raw(theirs.second)

    def test_of_a_conjugated_view_are_those_of_torch(self, store):
        ours, theirs = nn.Module(), nn.Module()
        for layer in (ours, theirs):
            layer.wave = nn.Parameter(torch.ones(5, 8, dtype=torch.complex64).conj())
        initialized(ours, [], "normal_", store, seed=3)
        with torch.random.fork_rng():
            torch.manual_seed(3)
            nn.init.normal_(theirs.wave)
        assert torch.equal(ours.wave, theirs.wave)

    def test_depend_on_the_seed_only(self, store):
        values = []
        for seed, noise in ((1, 5), (1, 6), (2, 5)):
            torch.manual_seed(noise)
            layer = nn.Linear(4, 4)
            initialized(layer, [], "normal_", store, seed=seed)
            values.append(raw(layer.weight))
        assert values[0] == values[1] != values[2]

    def test_of_any_seed_never_touch_the_global_random_state(self, model, store):
        before = global_state()
        for text in ["normal_", "xavier_uniform_", "reset_parameters"]:
            init_plan(model, [], text, store)
            initialized(model, [], text, store, seed=11).undo()
        assert global_state() == before

    def test_count_as_a_change_for_autograd(self, store):
        layer = nn.Linear(3, 3)
        loss = layer(torch.ones(1, 3, requires_grad=True)).sum()
        initialized(layer, [], "normal_", store)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()

    def test_that_overflow_are_refused_and_nothing_changes(self, model, store):
        before = state(model)
        with pytest.raises(RefusedError, match="float16 cannot hold") as error:
            initialized(model, ["embed", "float16"], "normal_(std=100000)", store)
        assert "float16" in error.value.sentence
        assert state(model) == before

    def test_keep_flags_objects_and_gradients(self, model, store):
        model.float16.requires_grad_(False)
        model.wave.grad = torch.ones_like(model.wave)
        before = state(model)
        initialized(model, [], "zeros_", store)
        after = state(model)
        assert {n: (v[0], v[1], v[3]) for n, v in after.items()} == {
            n: (v[0], v[1], v[3]) for n, v in before.items()
        }

    def test_of_an_lstm_reach_its_flat_weights(self, store):
        layer = nn.LSTM(3, 4)
        initialized(layer, [], "zeros_", store)
        assert not layer(torch.ones(2, 1, 3))[0].any()


class TestWhatIsWritten:
    def test_the_plan_is_what_happens(self, model, store):
        told = init_plan(model, [], "normal_", store)
        before = state(model)
        edit = initialized(model, [], "normal_", store)
        changed = {name for name, value in state(model).items() if value[2] != before[name][2]}
        assert set(paths(tree_of(model), told.changes)) == changed
        assert sorted(edit.rows) == sorted(told.changes)
        assert (told.tensors, told.notes, told.refused) == (edit.touched, edit.notes, edit.refused)
        assert told.undoable

    def test_planning_changes_nothing(self, model, store):
        before = state(model)
        for text in [*SCHEMES, "reset_parameters"]:
            init_plan(model, [], text, store)
        assert state(model) == before

    def test_the_padding_row_stays(self, model, store):
        told = init_plan(model, ["head"], "normal_", store)  # tied to an embedding
        assert "the padding row keeps its values: head.weight" in told.notes
        with torch.no_grad():
            model.embed.weight[1] = 3.0
        before = model.embed.weight.detach().clone()
        initialized(model, ["head"], "normal_", store)
        assert torch.equal(model.head.weight[1], before[1])
        assert (model.head.weight[[0, 2, 3, 4, 5]] != before[[0, 2, 3, 4, 5]]).all()

    def test_a_tied_tensor_is_written_once_and_all_names_told(self, model, store):
        told = init_plan(model, ["embed", "head"], "normal_", store)
        assert told.tensors == 1
        assert "tied: embed.weight is also known as head.weight" in told.notes
        assert sorted(paths(tree_of(model), told.changes)) == ["embed.weight", "head.weight"]

    def test_what_shares_memory_in_part_is_told(self, model, store):
        told = init_plan(model, ["body.2"], "normal_", store)
        assert any("shares" in note and "part" in note for note in told.notes)
        assert "part" in paths(tree_of(model), told.changes)

    def test_what_is_filled_otherwise_than_it_reads_is_told(self, store):
        model = nn.ModuleDict(
            {
                "up": nn.ConvTranspose2d(8, 2, 3),
                "depth": nn.Conv2d(32, 32, 3, groups=32),
                "attention": nn.MultiheadAttention(8, 2),
                "lstm": nn.LSTM(3, 4),
                "plain": nn.Conv2d(3, 4, 3),
            }
        )
        (both,) = init_plan(model, [], "xavier_uniform_", store).notes
        assert "depth.weight (32 groups, each on its own, fan_out 9, not 288)" in both
        assert "attention.in_proj_weight (3 projections, each on its own, fan_out 8" in both
        assert "lstm.weight_hh_l0 (4 gates, each on its own, fan_out 4, not 16)" in both
        assert "plain" not in both
        assert "up.weight" not in both  # the sum is the same
        (inward,) = init_plan(model, [], "kaiming_uniform_", store).notes
        assert "up.weight (fan_in 72, not 18)" in inward
        assert "depth" not in inward
        (square,) = init_plan(model, [], "orthogonal_", store).notes
        assert "lstm.weight_ih_l0 (4 gates, each on its own)" in square
        assert "up.weight (inputs first)" in square
        assert init_plan(model, [], "normal_", store).notes == []


def expanded():
    layer = nn.Linear(3, 3)
    layer.weight = nn.Parameter(torch.ones(3, 1).expand(3, 3))
    return layer


def made_in_inference_mode():
    with torch.inference_mode():
        return nn.Linear(3, 3)


def holding(tensor, **kwargs):
    layer = nn.Module()
    layer.weight = nn.Parameter(tensor, **kwargs)
    return layer


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    ("build", "text", "path", "word"),
    [
        (lambda: nn.LayerNorm(3), "xavier_uniform_", "weight", "1-dimensional: has no fans"),
        (lambda: holding(torch.tensor(1.0)), "kaiming_uniform_", "weight", "0-dimensional"),
        (
            lambda: holding(torch.zeros(2, 2).int(), requires_grad=False),
            "normal_",
            "weight",
            "int32",
        ),
        (
            lambda: holding(torch.zeros(2, 2).bool(), requires_grad=False),
            "normal_",
            "weight",
            "bool",
        ),
        (
            lambda: holding(torch.zeros(2, 2).to(torch.float8_e4m3fn), requires_grad=False),
            *("normal_", "weight", "float8_e4m3fn"),
        ),
        (lambda: nn.Linear(3, 3, device="meta"), "normal_", "weight", "has no data"),
        (lambda: nn.LazyLinear(3), "normal_", "weight", "lazy"),
        (expanded, "normal_", "weight", "expanded"),
        (made_in_inference_mode, "normal_", "weight", "inference"),
        (lambda: holding(torch.zeros(0, 3)), "xavier_uniform_", "weight", "no elements"),
        (lambda: holding(torch.eye(3).to_sparse()), "normal_", "weight", "sparse"),
        (
            lambda: weight_norm(nn.Linear(3, 3)),
            *("zeros_", "parametrizations.weight.original1", "parametrized"),
        ),
        (
            lambda: orthogonal(nn.Linear(3, 3)),
            *("normal_", "parametrizations.weight.original", "would make other values"),
        ),
        (
            lambda: spectral_norm(nn.Linear(3, 3)),
            *("normal_", "parametrizations.weight.original", "would make other values"),
        ),
        (lambda: holding(torch.zeros(3, 3, 3)), "eye_", "weight", "for matrices"),
        (lambda: holding(torch.zeros(3)), "sparse_", "weight", "for matrices"),
        (lambda: holding(torch.zeros(3)), "orthogonal_", "weight", "not a matrix"),
        (
            lambda: holding(torch.zeros(2, 2).to(torch.float8_e4m3fn), requires_grad=False),
            *("orthogonal_", "weight", "float8_e4m3fn"),
        ),
        (
            lambda: holding(torch.zeros(2, 2).long(), requires_grad=False),
            *("constant_(0.5)", "weight", "int64: cannot hold 0.5"),
        ),
        (
            lambda: holding(torch.zeros(2, 2).half()),
            *("constant_(1e6)", "weight", "float16: cannot hold 1e+06"),
        ),
        (
            lambda: holding(torch.zeros(2, 2, dtype=torch.complex64)),
            *("trunc_normal_", "weight", "complex64: trunc_normal_ is not defined"),
        ),
        (lambda: nn.utils.weight_norm(nn.Linear(3, 3)), "zeros_", "weight_v", "weight_norm"),
        (lambda: nn.utils.weight_norm(nn.Linear(3, 3)), "zeros_", "weight_g", "weight_norm"),
        (lambda: nn.utils.spectral_norm(nn.Linear(3, 3)), "zeros_", "weight_orig", "spectral_norm"),
    ],
)
def test_refused_with_the_reason(build, text, path, word, store):
    model = nn.ModuleDict({"odd": build(), "good": nn.Linear(3, 3)})
    told = init_plan(model, [], text, store)
    assert word in refused(told)[f"odd.{path}"]
    assert "good.weight" in paths(tree_of(model), told.changes)
    assert f"odd.{path}" not in paths(tree_of(model), told.changes)
    initialized(model, [], text, store)  # the rest goes through
    with pytest.raises(RefusedError, match=re.escape(word)):
        initialized(model, [f"odd.{path}"], text, store)


@pytest.mark.parametrize("dtype", [torch.int8, torch.bool, torch.float8_e4m3fn], ids=str)
def test_constants_are_written_to_any_type(dtype, store):
    layer = holding(torch.ones(2, 3).to(dtype), requires_grad=False)
    edit = initialized(layer, [], "zeros_", store)
    assert not layer.weight.view(torch.uint8).any()
    edit.undo()
    assert layer.weight.float().eq(1).all()


def test_buffers_and_attributes_are_refused_when_pointed_at(model, store):
    told = refused(init_plan(model, ["seen", "plain", "head"], "normal_", store))
    assert "buffer" in told["seen"]
    assert "plain attribute" in told["plain"]
    assert refused(init_plan(model, ["body"], "normal_", store)) == {}
    with pytest.raises(RefusedError, match="buffer"):
        initialized(model, ["seen"], "normal_", store)


def test_under_a_pruning_mask(store):
    layer = prune.random_unstructured(nn.Linear(4, 4), "weight", amount=0.5)
    assert "pruned" in " ".join(init_plan(layer, [], "normal_", store).notes)
    initialized(layer, [], "normal_(5, 0.1)", store)
    layer(torch.ones(1, 4))
    assert int((layer.weight == 0).sum()) == 8
    assert (layer.weight[layer.weight != 0] > 3).all()


def test_a_wrong_scheme_is_a_wrong_request(model, store):
    tree = tree_of(model)
    for function in (
        lambda s: plan_initialize(tree, everything(tree), s, "", store),
        lambda s: initialize(tree, everything(tree), s, 0, store),
    ):
        with pytest.raises(RequestError):
            function(Scheme(name="twos_"))
        with pytest.raises(RequestError):
            function(Scheme(name="normal_", arguments={"std": -1.0}))
