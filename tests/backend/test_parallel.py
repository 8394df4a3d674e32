import numpy as np
import pytest
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from inspector_app.backend.freezing import freeze, plan_freeze
from inspector_app.backend.parallel import OTHERS_KEEP, PASSES_OVER, WAITS, wrapped
from inspector_app.protocol.errors import RefusedError
from tests.backend.edit_models import at, everything, init_plan, refused, tree_of


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    """A group of one process; the first of them keeps a socket for as long as that lives."""
    place = tmp_path_factory.mktemp("group") / "group"
    distributed.init_process_group("gloo", init_method=f"file://{place}", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def distributed_model(**options):
    layers = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    return nn.ModuleDict({"net": DistributedDataParallel(layers, **options)})


def steps(model):
    for _ in range(2):
        model["net"](torch.ones(2, 3)).sum().backward()


@pytest.mark.usefixtures("group")
def test_freezing_is_refused_after_wrapping_since_the_second_step_would_fail(store):
    model = distributed_model()
    tree = tree_of(model)
    told = refused(plan_freeze(tree, at(tree, "net.module.0"), True, ""))
    assert told == dict.fromkeys(["net.module.0.weight", "net.module.0.bias"], WAITS)
    with pytest.raises(RefusedError, match="freeze it before wrapping"):
        freeze(tree, at(tree, "net.module.0"), True)
    for parameter in model["net"].module[0].parameters():
        parameter.requires_grad_(False)  # what would have been
    with pytest.raises(RuntimeError, match="finished reduction"):
        steps(model)
    plan = init_plan(model, ["net.module.1"], "normal_", store)
    assert OTHERS_KEEP in plan.notes


@pytest.mark.usefixtures("group")
def test_freezing_works_where_the_wrapper_looks_for_unused_ones():
    model = distributed_model(find_unused_parameters=True)
    tree = tree_of(model)
    freeze(tree, at(tree, "net.module.0"), True)
    steps(model)
    told = refused(plan_freeze(tree, at(tree, "net.module.0"), False, ""))
    assert told == dict.fromkeys(["net.module.0.weight", "net.module.0.bias"], PASSES_OVER)


@pytest.mark.usefixtures("group")
def test_what_the_wrapper_ignores_is_free():
    layers = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    ignored = ["0.weight", "0.bias"]
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(layers, ignored)
    tree = tree_of(DistributedDataParallel(layers))
    edit = freeze(tree, everything(tree), True)
    assert refused(edit) == dict.fromkeys(["module.1.weight", "module.1.bias"], WAITS)
    assert edit.touched == 2


def test_a_model_without_a_wrapper_has_none():
    tree = tree_of(nn.DataParallel(nn.Linear(2, 2)))
    assert not wrapped(tree).any()


@pytest.mark.usefixtures("group")
def test_what_is_tied_to_a_wrapped_one_is_exchanged_too():
    model = distributed_model()
    model["alias"] = nn.Linear(3, 3)
    model["alias"].weight = model["net"].module[0].weight
    tree = tree_of(model)
    names = [tree.table.path(row) for row in np.flatnonzero(wrapped(tree))]
    assert "alias.weight" in names
    assert "alias.bias" not in names
