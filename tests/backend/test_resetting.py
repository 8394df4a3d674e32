import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune
from torch.nn.utils.parametrizations import weight_norm

from inspector_app.backend.snapshots import SnapshotStore
from inspector_app.protocol.errors import ModelError, RefusedError
from inspector_app.protocol.messages import Scheme
from tests.backend.edit_models import (
    Mixed,
    init_plan,
    initialized,
    paths,
    raw,
    refused,
    state,
    tree_of,
)

RESET = Scheme(name="reset_parameters")


def plan(model, store, *where):
    return init_plan(model, where, "reset_parameters", store)


def reset(model, store, *where, seed=0):
    return initialized(model, where, "reset_parameters", store, seed)


def expected(model, seed, order):
    """What torch's own modules write when called in this order after the seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for path in order:
            module = model.get_submodule(path)
            getattr(module, "reset_parameters", getattr(module, "_reset_parameters", None))()
    return {name: raw(tensor) for name, tensor in model.state_dict().items()}


class Block(nn.Module):
    """A residual block whose last scale starts at zero, set from outside its layers."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, bias=False)
        self.norm = nn.BatchNorm2d(2)

    def reset_parameters(self):
        nn.init.zeros_(self.norm.weight)


class Residual(nn.Module):
    """As a ResNet: its own scheme for what its children set otherwise."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(Block(), nn.Identity(), Block())
        self.head = nn.Linear(2, 3)

    def reset_parameters(self):
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.constant_(module.weight, 7.0)


class TestOrder:
    def test_outer_modules_have_the_last_word(self, store):
        model = Residual()
        nn.init.ones_(model.blocks[0].norm.weight)
        model.blocks[0].norm.running_mean.fill_(3.0)
        before = state(model)
        edit = reset(model, store)
        assert (model.blocks[0].conv.weight == 7).all()
        assert not model.blocks[0].norm.weight.any()
        assert not model.blocks[0].norm.running_mean.any()
        edit.undo()
        assert state(model) == before

    @pytest.mark.parametrize(
        ("build", "order"),
        [
            (lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), ["0", "1"]),
            (lambda: nn.LSTM(3, 4, num_layers=2), [""]),
            # Its own reset skips out_proj.weight; the layer inside does that one.
            (lambda: nn.MultiheadAttention(4, 2), ["out_proj", ""]),
            (lambda: nn.Embedding(5, 3, padding_idx=2), [""]),
            (
                lambda: nn.TransformerEncoderLayer(4, 2, 8),
                ["self_attn.out_proj", "self_attn", "linear1", "linear2", "norm1", "norm2"],
            ),
        ],
    )
    def test_values_are_those_of_torchs_own_modules(self, build, order, store):
        ours, theirs = build(), build()
        edit = reset(ours, store, seed=4)
        wanted = expected(theirs, 4, order)
        assert {name: raw(tensor) for name, tensor in ours.state_dict().items()} == wanted
        assert edit.refused == []

    def test_of_tied_owners_the_last_stays_and_is_named(self, store):
        model = nn.Module()
        model.embed = nn.Embedding(50, 40)
        model.head = nn.Linear(40, 50, bias=False)
        model.head.weight = model.embed.weight
        told = plan(model, store)
        assert told.tensors == 1
        assert (
            "tied: of the modules that own embed.weight, head resets it last, so its values stay"
            in told.notes
        )
        edit = reset(model, store)
        assert model.embed.weight.abs().max() <= 1 / 40**0.5  # Linear's bound, not a normal's
        assert edit.touched == 1
        assert set(paths(tree_of(model), edit.rows)) == {"embed.weight", "head.weight"}

    def test_a_module_reached_twice_is_reset_once(self, store):
        class Counting(nn.Linear):
            calls = 0

            def reset_parameters(self):
                type(self).calls += 1
                super().reset_parameters()

        layer = Counting(2, 2)
        Counting.calls = 0
        reset(nn.ModuleList([layer, layer]), store)
        assert Counting.calls == 1


class TestPlan:
    def test_tells_what_happens(self, store):
        model = Residual()
        model.blocks[2].norm.weight.data.fill_(5)
        told = plan(model, store, "blocks.2")
        assert set(paths(tree_of(model), told.changes)) == {
            f"blocks.2.{name}"
            for name in (
                *("conv.weight", "norm.weight", "norm.bias"),
                *("norm.running_mean", "norm.running_var", "norm.num_batches_tracked"),
            )
        }
        edit = reset(model, store, "blocks.2")
        assert set(edit.rows) == set(told.changes)
        assert (told.tensors, told.undoable, told.refused) == (edit.touched, True, [])

    def test_parameters_that_no_module_covers_are_refused(self, store):
        model = Mixed()
        told = refused(plan(model, store))
        assert "no module selected" in told["twin"]
        assert "embed.weight" not in told
        assert "no module selected" in refused(plan(model, store, "head.weight"))["head.weight"]
        with pytest.raises(RefusedError, match=r"head\.weight"):
            reset(model, store, "head.weight")

    def test_what_cannot_be_kept_is_not_begun(self):
        store = SnapshotStore(10, 0)
        model = nn.Linear(4, 4)
        told = plan(model, store)
        assert "set aside" in told.refused[-1].reason
        assert len(told.changes) == 0
        before = state(model)
        with pytest.raises(RefusedError, match="set aside"):
            reset(model, store)
        assert state(model) == before

    def test_what_a_reset_leaves_alone_is_told_afterwards(self, store):
        class Half(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))

            def reset_parameters(self):
                self.a.data.normal_()  # counts as no change for autograd

        model = Half()
        edit = reset(model, store)
        assert refused(edit) == {"b": "left as it was: no reset_parameters wrote it"}
        assert paths(tree_of(model), edit.rows) == ["a"]
        assert edit.touched == 1

    @pytest.mark.filterwarnings("ignore::FutureWarning")
    @pytest.mark.parametrize(
        ("build", "path", "word"),
        [
            (lambda: weight_norm(nn.Linear(3, 3)), "bias", "parametrized"),
            (lambda: nn.utils.weight_norm(nn.Linear(3, 3)), "weight_g", "weight_norm"),
            (lambda: nn.utils.spectral_norm(nn.Linear(3, 3)), "weight_orig", "spectral_norm"),
            (
                lambda: prune.random_unstructured(nn.Linear(4, 4), "weight", amount=0.5),
                *("weight_orig", "pruning"),
            ),
            (lambda: nn.Linear(3, 3, device="meta"), "weight", "has no data"),
            (lambda: nn.LazyLinear(3), "weight", "lazy"),
        ],
    )
    def test_modules_that_would_not_be_reset_are_refused(self, build, path, word, store):
        model = nn.ModuleDict({"odd": build(), "good": nn.Linear(3, 3)})
        told = plan(model, store)
        assert word in refused(told)[f"odd.{path}"]
        assert set(paths(tree_of(model), told.changes)) == {"good.weight", "good.bias"}
        edit = reset(model, store)
        assert set(paths(tree_of(model), edit.rows)) == {"good.weight", "good.bias"}

    def test_a_method_that_asks_for_arguments(self, store):
        class Asking(nn.Linear):
            def reset_parameters(self, gain=None):
                super().reset_parameters()

            def _reset(self):
                pass

        class Demanding(Asking):
            def __init__(self):
                nn.Module.__init__(self)
                self.weight = nn.Parameter(torch.zeros(2))

            def reset_parameters(self, gain):
                raise AssertionError

        told = plan(nn.ModuleList([Asking(2, 2), Demanding()]), store)
        assert refused(told) == {"1.weight": "Demanding.reset_parameters asks for arguments"}

    def test_no_code_of_a_module_runs_while_planning(self, store):
        class Loud(nn.Linear):
            def __getattr__(self, name):
                if name in ("weight", "reset_parameters", "_reset_parameters"):
                    raise AssertionError(name)
                return super().__getattr__(name)

        with torch.no_grad():
            model = nn.Sequential(nn.Linear(2, 2))
            model[0].__class__ = Loud
        assert plan(model, store).tensors == 2


class Failing(nn.Module):
    """Writes, sets, and then raises."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3))
        self.register_buffer("count", torch.tensor(1))
        self.scale = 1.0

    def reset_parameters(self):
        nn.init.zeros_(self.weight)
        self.count += 1
        self.scale = 2.0
        self.extra = torch.zeros(1)
        self.weight.data = torch.ones(3)
        raise ValueError("no more")


class TestForeignCode:
    def test_a_failure_restores_everything_and_says_where(self, store):
        model = nn.Sequential(nn.Linear(3, 3), Failing())
        before = state(model)
        memory = model[1].weight.data_ptr()
        with pytest.raises(ModelError) as error:
            reset(model, store)
        assert "Failing.reset_parameters failed at 1" in error.value.sentence
        assert "no more" in error.value.sentence
        assert "Traceback" in error.value.detail
        assert state(model) == before
        assert model[1].scale == 1.0
        assert not hasattr(model[1], "extra")
        assert model[1].weight.data_ptr() == memory

    def test_an_exit_is_a_failure_too(self, store):
        class Leaving(nn.Linear):
            def reset_parameters(self):
                nn.init.zeros_(self.weight)
                if hasattr(self, "ready"):
                    raise SystemExit(3)

        model = Leaving(2, 2)
        nn.init.ones_(model.weight)
        model.ready = True
        with pytest.raises(ModelError, match="SystemExit"):
            reset(model, store)
        assert (model.weight == 1).all()

    def test_replaced_parameters_are_put_back_and_refused(self, store):
        class Replacing(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = nn.Linear(2, 2)
                self.weight = nn.Parameter(torch.ones(2))

            def reset_parameters(self):
                nn.init.zeros_(self.inner.weight)
                self.weight = nn.Parameter(torch.zeros(2))

        model = nn.Sequential(Replacing(), nn.Linear(2, 2))
        before = state(model)
        edit = reset(model, store)
        assert "replaces parameters" in refused(edit)["0.weight"]
        assert state(model)["0.weight"] == before["0.weight"]
        assert state(model)["1.weight"] != before["1.weight"]
        assert model[0].inner.weight.any()  # reset by itself, not by the module that was put back
        edit.undo()
        assert state(model) == before

    def test_values_given_as_data_stay_in_the_tensors_own_memory(self, store):
        class Handing(nn.Module):
            def __init__(self):
                super().__init__()
                self.weight = nn.Parameter(torch.zeros(3))
                self.alias = self.weight.detach()

            def reset_parameters(self):
                self.weight.data = torch.ones(3)

        model = Handing()
        edit = reset(model, store)
        assert model.alias.tolist() == [1, 1, 1]
        edit.undo()
        assert model.weight.tolist() == model.alias.tolist() == [0, 0, 0]

    def test_another_shape_is_a_replacement(self, store):
        class Growing(nn.Module):
            def __init__(self):
                super().__init__()
                self.weight = nn.Parameter(torch.zeros(3))

            def reset_parameters(self):
                self.weight.data = torch.ones(4)

        model = Growing()
        with pytest.raises(RefusedError, match="replaces"):
            reset(model, store)
        assert model.weight.tolist() == [0, 0, 0]

    def test_attributes_follow_undo_and_redo(self, store):
        class Counting(nn.Linear):
            def reset_parameters(self):
                super().reset_parameters()
                self.table = torch.ones(2) if hasattr(self, "table") else None

        model = Counting(2, 2)
        edit = reset(model, store)
        assert model.table.tolist() == [1, 1]
        edit.undo()
        assert model.table is None
        edit.redo()
        assert model.table.tolist() == [1, 1]
        assert [change.name for change in edit.attributes] == ["table"]

    def test_draws_from_numpy_and_random_are_seeded_and_given_back(self, store):
        class Diverse(nn.Module):
            def __init__(self):
                super().__init__()
                self.weight = nn.Parameter(torch.zeros(3))

            def reset_parameters(self):
                values = [random.random(), float(np.random.rand()), float(torch.rand(()))]
                self.weight.copy_(torch.tensor(values))

        random_state, numpy_state = random.getstate(), np.random.get_state()[1].tolist()
        torch_state = torch.get_rng_state()
        models = [Diverse(), Diverse()]
        for model in models:
            reset(model, store, seed=9)
        assert models[0].weight.tolist() == models[1].weight.tolist()
        assert random.getstate() == random_state
        assert np.random.get_state()[1].tolist() == numpy_state
        assert torch.equal(torch.get_rng_state(), torch_state)
