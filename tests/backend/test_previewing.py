"""Values tried on copies are those that the edit writes, and nothing else moves."""

from __future__ import annotations

import gc
import random
import weakref

import numpy as np
import pytest
import torch
from torch import nn

from inspector_app.backend import previewing
from inspector_app.backend.initialization import plan_initialize
from inspector_app.backend.previewing import preview_initialize, trials
from inspector_app.backend.session import Session
from inspector_app.backend.statistics import measure_both
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import Cancelled, ModelError, RefusedError, RequestError
from inspector_app.protocol.schemes import SCHEMES, parse_scheme
from tests.backend.edit_models import (
    Computed,
    Mixed,
    initialized,
    raw,
    selected,
    state,
    tree_of,
)

EVERYTHING = m.Selection(patterns=[""])


def layers():
    """Layers that hold several matrices in one, and the convolutions that dirac_ is for."""
    return nn.ModuleDict(
        {
            "attention": nn.MultiheadAttention(8, 2),
            "gru": nn.GRUCell(4, 4),
            "groups": nn.Conv2d(4, 4, 3, groups=2),
            "norm": nn.BatchNorm2d(4),
            "padded": nn.Embedding(5, 4, padding_idx=2),
        }
    )


def tried(model, text, where=(), seed=0, limit=100):
    tree = tree_of(model)
    _, found = trials(tree, selected(tree, where), parse_scheme(text), seed, limit)
    return {tree.table.path(trial.row): (raw(trial.before), raw(trial.after)) for trial in found}


def generators():
    words, numbers, *rest = np.random.get_state()
    return torch.get_rng_state().tolist(), random.getstate(), (words, numbers.tolist(), *rest)


def versions(model):
    return [tensor._version for tensor in model.state_dict(keep_vars=True).values()]


SCHEME_TEXTS = [*SCHEMES, "trunc_normal_(1, 0.1, 0.9)", "dirac_(2)", "sparse_(0.5, 2)"]


@pytest.mark.parametrize("text", SCHEME_TEXTS)
@pytest.mark.parametrize("build", [Mixed, Computed, layers])
def test_values_are_those_that_the_edit_writes(build, text, store):
    model = build()
    before = state(model)
    counted, moved = versions(model), generators()
    found = tried(model, text, seed=7)
    assert state(model) == before
    assert versions(model) == counted
    assert generators() == moved
    if build is Mixed and text.startswith("dirac_"):  # it has no convolution
        assert not found
        return
    initialized(model, [], text, store, seed=7)
    after = state(model)
    changed = {name for name in before if after[name][2] != before[name][2]}
    ties = {"head.weight", "body.0.weight", "twin", "part"} if build is Mixed else set()
    assert changed <= found.keys() | ties
    for path, (old, new) in found.items():
        assert old == before[path][2]
        if path != "part":  # a part of body.2.weight, which is written after it
            assert new == after[path][2], path


@pytest.mark.parametrize("text", ["normal_", "orthogonal_", "reset_parameters"])
def test_the_first_few_are_the_same_however_many_are_asked_for(text):
    whole = tried(layers(), text, seed=3)
    few = tried(layers(), text, seed=3, limit=2)
    assert len(few) == 2
    assert [new for _, new in few.values()] == [new for _, new in list(whole.values())[:2]]


def test_the_padding_row_keeps_its_values():
    model = layers()
    with torch.no_grad():
        model["padded"].weight[2] = 5.0
    ((old, new),) = tried(model, "normal_", ["padded"]).values()
    row = slice(2 * 16, 3 * 16)
    assert old[row] == new[row]
    assert old != new


class TestAnswer:
    @pytest.fixture
    def session(self):
        with Session() as session:
            session.open("sample:resnet")
            yield session

    @pytest.mark.parametrize("name", ["kaiming_normal_", "constant_", "reset_parameters"])
    def test_statistics_are_those_of_the_tensors(self, session, name):
        model = session._opened.model
        old = {path: tensor.detach().clone() for path, tensor in model.state_dict().items()}
        scheme = m.Scheme(name=name)
        found = session.preview_initialize(EVERYTHING, scheme, seed=5, limit=3)
        assert all(torch.equal(old[path], now) for path, now in model.state_dict().items())
        planned = session.plan_initialize(EVERYTHING, scheme)
        assert len(found.tensors) == 3
        assert len(found.tensors) + found.more == planned.tensors
        assert {one.row for one in found.tensors} <= set(planned.changes.tolist())
        session.initialize(EVERYTHING, scheme, seed=5)
        for one in found.tensors:
            now = model.state_dict()[one.path]
            before, after = measure_both(old[one.path], now, row=one.row)
            for mine, true in ((one.before, before), (one.after, after)):
                assert mine.counts.tolist() == true.counts.tolist()
                assert (mine.mean, mine.deviation, mine.low, mine.high) == (
                    (true.mean, true.deviation, true.low, true.high)
                )
            assert (one.before.low, one.before.high) == (one.after.low, one.after.high)

    def test_large_tensors_leave_the_rest_for_later(self, session, monkeypatch):
        monkeypatch.setattr(previewing, "ELEMENTS", 1)
        found = session.preview_initialize(EVERYTHING, m.Scheme(name="zeros_"))
        planned = session.plan_initialize(EVERYTHING, m.Scheme(name="zeros_"))
        assert (len(found.tensors), found.more) == (1, planned.tensors - 1)

    def test_a_tensor_too_large_to_try_is_refused_with_its_name(self, session, monkeypatch):
        monkeypatch.setattr(previewing, "LARGEST", 100)
        with pytest.raises(
            RefusedError, match=r"^stem\.0\.weight holds 432 elements, more than the 1"
        ):
            session.preview_initialize(EVERYTHING, m.Scheme(name="normal_"))
        small = session.preview_initialize(
            m.Selection(patterns=["*.bias"]), m.Scheme(name="zeros_")
        )
        assert small.tensors
        monkeypatch.setattr(previewing, "ELEMENTS", 50)
        with pytest.raises(RefusedError, match="more than the 50"):
            session.preview_initialize(EVERYTHING, m.Scheme(name="orthogonal_"))

    def test_nothing_to_change_is_an_empty_answer(self, session):
        relu = m.Selection(patterns=["class:ReLU"])
        for name in ("normal_", "reset_parameters"):
            found = session.preview_initialize(relu, m.Scheme(name=name))
            assert (found.tensors, found.more) == ([], 0)

    def test_wrong_requests(self, session):
        with pytest.raises(RequestError, match="not 0"):
            session.preview_initialize(EVERYTHING, m.Scheme(name="zeros_"), limit=0)
        with pytest.raises(RequestError, match="no init scheme"):
            session.preview_initialize(EVERYTHING, m.Scheme(name="twos_"))
        session.open("sample:mlp", device="meta")
        with pytest.raises(RefusedError, match="nothing to write to"):
            session.preview_initialize(EVERYTHING, m.Scheme(name="zeros_"))

    def test_what_cannot_be_held_is_refused_as_by_the_edit(self, store):
        model = Mixed()
        with pytest.raises(RefusedError, match="float16 cannot hold"):
            tried(model, "normal_(std=100000)")

    @pytest.mark.parametrize("name", ["normal_", "reset_parameters"])
    def test_a_cancel_ends_it(self, name):
        class Impatient:
            def check(self):
                raise Cancelled()

            def progress(self, done, total, label):
                raise AssertionError

        model = layers()
        tree = tree_of(model)
        before = state(model)
        with pytest.raises(Cancelled):
            preview_initialize(tree, selected(tree, []), m.Scheme(name=name), 0, 8, Impatient())
        assert state(model) == before


class TestResetOnCopies:
    def test_attributes_that_a_reset_sets_stay_on_the_copy(self):
        class Counting(nn.Linear):
            def reset_parameters(self):
                super().reset_parameters()
                self.count = getattr(self, "count", 0) + 1

        model = Counting(3, 3)
        tried(model, "reset_parameters")
        assert model.count == 1

    def test_an_outer_module_has_the_last_word(self, store):
        class Outer(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = nn.Linear(4, 4)

            def reset_parameters(self):
                nn.init.normal_(self.inner.weight)

        model = Outer()
        new = tried(model, "reset_parameters", seed=2)["inner.weight"][1]
        initialized(model, [], "reset_parameters", store, seed=2)
        assert raw(model.inner.weight) == new

    def test_ties_hold_on_the_copy(self):
        model = nn.Module()
        model.embed, model.head = nn.Embedding(6, 4), nn.Linear(4, 6, bias=False)
        model.head.weight = model.embed.weight
        assert list(tried(model, "reset_parameters")) == ["embed.weight"]

    def test_hooks_do_no_harm(self):
        model = nn.Linear(2, 2)
        model.register_forward_hook(lambda module, inputs, output: None)
        assert len(tried(model, "reset_parameters")) == 2

    def test_what_cannot_be_copied_is_refused_with_the_reason(self):
        model = nn.Linear(2, 2)
        model.weak = (part for part in "generators cannot be copied")
        with pytest.raises(RefusedError, match=r"cannot be copied: TypeError: .*generator"):
            tried(model, "reset_parameters")

    def test_what_hands_out_itself_for_a_copy_is_refused(self):
        class Single(nn.Linear):
            def __deepcopy__(self, memo):
                memo[id(self)] = self
                return self

        model = nn.Sequential(Single(2, 2))
        before = state(model)
        with pytest.raises(RefusedError, match="0 gives none of itself"):
            tried(model, "reset_parameters")
        assert state(model) == before

    def test_too_much_to_copy_is_refused(self, monkeypatch):
        monkeypatch.setattr(previewing, "COPIED", 20)
        with pytest.raises(RefusedError, match="hold 24 bytes, more than the 20"):
            tried(nn.Linear(2, 2), "reset_parameters")
        monkeypatch.setattr(previewing, "COPIED_ROWS", 2)
        with pytest.raises(RefusedError, match="are 3 rows, more than the 2"):
            tried(nn.Linear(2, 2), "reset_parameters")

    def test_a_failing_reset_is_told_as_by_the_edit(self):
        class Failing(nn.Linear):
            ready = False

            def reset_parameters(self):
                if self.ready:
                    raise ValueError("not today")

        model = Failing(2, 2)
        model.ready = True
        with pytest.raises(ModelError, match="not today"):
            tried(model, "reset_parameters")

    def test_copies_are_let_go(self):
        seen = weakref.WeakSet()

        class Seen(nn.Linear):
            def reset_parameters(self):
                super().reset_parameters()
                seen.add(self)

        model = Seen(2, 2)
        tried(model, "reset_parameters")
        gc.collect()
        assert list(seen) == [model]


def test_a_plan_agrees_on_how_many_there_are(store):
    for build in (Mixed, Computed, layers):
        tree = tree_of(build())
        for text in ("normal_", "xavier_uniform_", "zeros_"):
            scheme, rows = parse_scheme(text), selected(tree, [])
            total, _ = trials(tree, rows, scheme, 0, 1)
            assert total == plan_initialize(tree, rows, scheme, "", store).tensors
