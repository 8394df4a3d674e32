"""Hooks, their kinds and names; probes of ours are none."""

from __future__ import annotations

import functools

import torch
from torch import nn

from inspector_app.backend.hooks import callable_name, hooks_of, hooks_of_tensor
from inspector_app.backend.probing.probe_set import ProbeSet
from inspector_app.backend.walking import HOOKS


def hook(*args: object) -> None:
    """A hook."""


class Watcher:
    """An object that is a hook, with a method that is one."""

    def __call__(self, *args: object) -> None:
        raise AssertionError("called")

    def method(self, *args: object) -> None:
        raise AssertionError("called")

    def __repr__(self) -> str:
        raise AssertionError("asked for repr")


def test_every_kind_is_found() -> None:
    model = nn.Linear(1, 1)
    model.register_forward_pre_hook(hook)
    model.register_forward_hook(hook)
    model.register_full_backward_pre_hook(hook)
    model.register_full_backward_hook(hook)
    model.register_state_dict_post_hook(hook)
    model.register_state_dict_pre_hook(hook)
    model.register_load_state_dict_pre_hook(hook)
    model.register_load_state_dict_post_hook(hook)
    assert [(found.kind, found.name) for found in hooks_of(model)] == [
        (kind, "hook")
        for kind in (
            *("forward pre-hook", "forward hook", "backward pre-hook", "backward hook"),
            *("state_dict hook", "state_dict pre-hook"),
            *("load_state_dict pre-hook", "load_state_dict post-hook"),
        )
    ]


def test_no_dictionary_of_hooks_is_forgotten() -> None:
    held = {name for name, value in vars(nn.Module()).items() if name.endswith("_hooks")}
    assert held == set(HOOKS)


def test_names() -> None:
    watcher = Watcher()
    assert callable_name(hook) == "hook"
    assert callable_name(watcher) == "Watcher"
    assert callable_name(watcher.method) == "Watcher.method"
    assert callable_name(functools.partial(hook, 1)) == "partial of hook"
    assert callable_name(print) == "print"


def test_probes_are_not_counted() -> None:
    model = nn.ReLU()
    with ProbeSet() as probes:
        probes.watch(0, model)
        assert list(hooks_of(model)) == []
        model.register_forward_hook(hook)
        assert len(list(hooks_of(model))) == 1


def test_hooks_of_tensors() -> None:
    tensor = torch.ones(1, requires_grad=True)
    assert list(hooks_of_tensor(tensor)) == []
    tensor.register_hook(hook)
    tensor.register_post_accumulate_grad_hook(hook)
    assert [found.kind for found in hooks_of_tensor(tensor)] == [
        "gradient hook",
        "hook after the gradient",
    ]
