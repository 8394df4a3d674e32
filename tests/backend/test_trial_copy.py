"""Copies of models that ``copy.deepcopy`` alone would refuse or tear apart."""

from __future__ import annotations

import copy
import threading
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from inspector_app.backend.modules import modules_of, tensors_of
from inspector_app.backend.probing.probe_set import ProbeSet
from inspector_app.backend.tree import build_tree
from inspector_app.backend.trial_copy import CopyLoan, OriginalReachedError, TrialCopy, escaped
from inspector_app.protocol.errors import CopyError


def copied(model: nn.Module) -> TrialCopy:
    return TrialCopy(model, build_tree(model).objects)


def stands_for_all(trial: TrialCopy) -> bool:
    """Whether everything in the model has a counterpart of its own in the copy, and back."""
    pairs = [
        (thing, trial.copy_of(thing))
        for walk in (modules_of, tensors_of)
        for _, thing in walk(trial.original)
    ]
    return all(one is not two and trial.original_of(two) is one for one, two in pairs)


def test_what_a_forward_left_behind_is_copied_without_its_graph():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        model = nn.Sequential(torch.nn.utils.weight_norm(nn.Linear(2, 2)))
    model.last = model(torch.ones(1, 2))
    model.kept = {"list": [model.last * 2]}
    with pytest.raises(RuntimeError):
        copy.deepcopy(model)
    trial = copied(model)
    assert stands_for_all(trial)
    assert torch.equal(trial.model.last, model.last)
    assert trial.model.last.grad_fn is None
    assert torch.equal(trial.model(torch.ones(1, 2)), model.last)


def test_parameters_on_one_storage_stay_on_one():
    base = torch.arange(12.0).reshape(3, 4)
    model = nn.Module()
    model.whole = nn.Parameter(base)
    model.part = nn.Parameter(base[1:, ::2])
    model.turned = nn.Parameter(base.T, requires_grad=False)
    model.turned.note = "kept"
    model.register_buffer("view", base[0])
    trial = copied(model)
    other = trial.model
    assert stands_for_all(trial)
    with torch.no_grad():
        other.whole.zero_()
    assert not any(tensor.any() for tensor in (other.part, other.turned, other.view))
    assert model.whole.sum() == 66
    assert other.part.stride() == model.part.stride()
    assert (other.turned.requires_grad, other.turned.note) == (False, "kept")


def test_scripted_and_compiled_parts():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted = torch.jit.script(nn.Linear(2, 2))
    model = nn.Sequential(scripted, nn.Linear(2, 2))
    trial = copied(model)
    assert stands_for_all(trial)
    assert torch.equal(trial.model(torch.ones(2)), model(torch.ones(2)))
    compiled = torch.compile(nn.Sequential(nn.Linear(2, 2)), backend="eager")
    assert stands_for_all(copied(compiled))


class Locked(nn.Module):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


class Same(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)

    def __deepcopy__(self, memo):
        other = nn.Module()
        other.linear = self.linear
        return other


def nested(levels: int) -> nn.Module:
    model = nn.Sequential()
    for _ in range(levels):
        model = nn.Sequential(model)
    return model


@pytest.mark.parametrize(
    ("model", "words"),
    [(Locked(), "cannot pickle"), (Same(), "the same tensors"), (nested(2000), "too deeply")],
)
def test_models_that_cannot_be_copied(model, words):
    with pytest.raises(CopyError, match=words) as error:
        copied(model)
    assert "Train the model itself" in error.value.sentence


def test_a_loan_moves_the_probes_and_takes_all_back():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    np_array = np.ones(2, np.float32)
    model.register_buffer("lent", torch.from_numpy(np_array))
    trial = copied(model)
    with ProbeSet() as probes:
        probes.watch(1, model[0], "0", ["output"])
        probes.watch_parameter(2, model[0].weight, "0.weight", ["parameter gradient"])
        loan = CopyLoan(trial, "train", 0, probes)
        for _ in range(2):
            loan.take()
            assert not model[0]._forward_hooks
            assert len(trial.model[0]._forward_hooks) == 1
            probes.begin_step()
            trial.model(torch.randn(3, 2)).square().sum().backward()
            loan.give_back()
            assert len(model[0]._forward_hooks) == 1
            assert not trial.model[0]._forward_hooks
            assert not model[0].weight._backward_hooks
        assert (probes.fired(1), probes.fired(2)) == (2, 2)
    assert all(tensor.grad is None for tensor in model.parameters())


def test_a_backward_that_reaches_the_model_adds_nothing():
    model = nn.Sequential(nn.Linear(2, 2))
    held = model[0]
    model.forward = lambda x: held(x)
    trial = copied(model)
    loan = CopyLoan(trial, "train", 0, ProbeSet())
    loan.take()
    with pytest.raises(OriginalReachedError) as error:
        trial.model(torch.ones(1, 2)).sum().backward()
    assert "closure" in escaped(error.value).sentence
    assert escaped(ValueError()) is None
    loan.give_back()
    assert held.weight.grad is None
    held(torch.ones(1, 2)).sum().backward()  # the guards are gone
    assert held.weight.grad is not None


def test_frozen_as_the_model_is():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    trial = copied(model)
    trial.model(torch.ones(1, 2)).sum().backward()
    model[0].weight.requires_grad_(False)
    trial.follow_flags()
    assert not trial.model[0].weight.requires_grad
    assert trial.model[0].weight.grad is None
    model[0].weight.requires_grad_(True)
    trial.follow_flags()
    assert trial.model[0].weight.requires_grad
