import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import orthogonal, weight_norm

from inspector_app.backend.selecting import resolve
from inspector_app.protocol.errors import RequestError
from inspector_app.protocol.messages import Selection
from inspector_app.protocol.presets import PRESETS, spoken
from inspector_app.protocol.table import Flag, Role
from sample_models import batchnorm_lite, language_model, recurrent, resnet
from tests.backend.edit_models import tree_of


def chosen(model, pattern):
    """Names of the parameters that a pattern means."""
    tree = tree_of(model)
    table = tree.table
    rows = resolve(tree, Selection(patterns=[pattern])).tolist()
    return {
        table.path(row)
        for row in rows
        if table.role[row] == Role.PARAMETER and table.has(row, Flag.TENSOR)
    }


def names(model):
    return {name for name, _ in model.named_parameters(remove_duplicate=False)}


def test_norms_are_those_of_torch_and_those_named_so():
    model = resnet.build_model()
    norms = {n for n, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    assert chosen(model, "preset:norms") == {
        f"{norm}.{part}" for norm in norms for part in ("weight", "bias")
    }
    assert chosen(batchnorm_lite.build_model(), "preset:norms") == {"norm.gamma", "norm.beta"}


def test_a_layer_under_weight_norm_is_no_norm_nor_is_a_wrapper():
    class PreNorm(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.GroupNorm(2, 4)
            self.inner = weight_norm(nn.Linear(4, 4))

    assert chosen(PreNorm(), "preset:norms") == {"norm.weight", "norm.bias"}


def test_biases_by_their_names():
    model = nn.ModuleDict({"a": nn.MultiheadAttention(4, 2), "r": nn.LSTM(3, 4)})
    assert chosen(model, "preset:biases") == {n for n in names(model) if "bias" in n}


def test_embeddings_and_what_is_derived_from_them():
    class Positions(nn.Embedding):
        pass

    model = nn.ModuleDict({"p": Positions(3, 2), "b": nn.EmbeddingBag(3, 2), "h": nn.Linear(2, 2)})
    assert chosen(model, "preset:embeddings") == {"p.weight", "b.weight"}


def test_body_is_all_but_the_last_module_that_has_parameters():
    for model in (recurrent.build_model(), nn.Sequential(resnet.build_model(), nn.ReLU())):
        kept = names(model) - chosen(model, "preset:body")
        assert {name.rpartition(".")[0].rpartition(".")[2] for name in kept} == {"head"}


def test_body_leaves_out_what_is_tied_to_the_head():
    model = language_model.build_model()
    kept = names(model) - chosen(model, "preset:body")
    assert kept == {"head.weight", "tokens.weight"}


def test_body_leaves_out_a_parametrized_head_as_a_whole():
    model = nn.Sequential(nn.Linear(2, 2), orthogonal(nn.Linear(2, 2)))
    assert chosen(model, "preset:body") == {"0.weight", "0.bias"}


def test_by_class_means_derived_ones_too():
    model = resnet.build_model()
    assert chosen(model, "class:Linear") == {"head.weight", "head.bias"}
    assert chosen(model, "class:_BatchNorm") == chosen(model, "preset:norms")
    assert chosen(model, "class:Batch*") == chosen(model, "preset:norms")
    assert chosen(model, "class:Module") == names(model)
    assert chosen(weight_norm(nn.Linear(2, 2)), "class:Linear")


def test_a_path_of_that_name_comes_first():
    model = nn.ModuleDict({"preset:norms": nn.Linear(2, 2), "norm": nn.LayerNorm(2)})
    assert chosen(model, "preset:norms") == {"preset:norms.weight", "preset:norms.bias"}


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("preset:heads", "There are: preset:body, preset:norms"),
        ("preset:norms", "no module is a normalisation layer"),
        ("preset:embeddings", "no module is an embedding"),
        ("preset:biases", "no parameter is named"),
        ("preset:body", "those of one module"),
        ("class:Conv2d", "no module is of such a class"),
    ],
)
def test_says_why_nothing_is_meant(pattern, told):
    with pytest.raises(RequestError, match=told):
        chosen(nn.Sequential(nn.Linear(2, 2, bias=False)), pattern)


def test_of_a_model_without_parameters():
    for pattern in PRESETS:
        with pytest.raises(RequestError, match="selects nothing"):
            chosen(nn.Sequential(nn.ReLU()), pattern)


def test_titles_say_what_is_meant():
    assert spoken("preset:body") == "all but the last module"
    assert spoken("class:Conv2d") == "every Conv2d"
    assert spoken("") == "the whole model"
    assert spoken("encoder.*") == "encoder.*"


def test_no_code_of_the_model_runs():
    class Loud(nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(torch.ones(1))

    def shout(self, name):
        raise AssertionError(name)

    model = nn.Sequential(nn.LayerNorm(2))
    model._modules["loud"] = Loud()
    Loud.__getattr__ = shout
    assert chosen(model, "preset:norms") == {"0.weight", "0.bias"}
