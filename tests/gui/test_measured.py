"""Kinds that a person wants measured, remembered for loops and for runs."""

from __future__ import annotations

import pytest

from inspector_app.gui.measured import OF_MODULES, OF_PARAMETERS, Measured
from inspector_app.gui.settings import Settings


@pytest.fixture
def settings(tmp_path):
    return Settings(tmp_path / "settings.ini")


@pytest.fixture
def loop(settings):
    measured = Measured(settings)
    measured.begin(live=True)
    return measured


def test_at_first_all_but_inputs(loop):
    assert loop.kinds == tuple(kind for kind in (*OF_MODULES, *OF_PARAMETERS) if kind != "input")
    assert loop.modules
    assert loop.parameters
    assert not any(map(loop.reason, (*OF_MODULES, *OF_PARAMETERS)))


def test_a_run_of_forwards_has_outputs_and_says_why_it_has_no_more(settings):
    measured = Measured(settings)
    measured.begin(live=False)
    assert measured.kinds == ("output",)
    assert not measured.parameters
    assert {kind for kind in OF_MODULES if not measured.reason(kind)} == {"input", "output"}
    measured.steps = True
    assert len(measured.kinds) == 6


def test_one_kind_stays(loop):
    for kind in loop.kinds[:-1]:
        assert loop.choose(kind, False)
    assert not loop.choose("update", False)
    assert loop.kinds == ("update",)
    assert not loop.modules
    assert "update" not in loop.dropped
    assert loop.choose("output", True)
    assert "output" not in loop.dropped


def test_where_nothing_of_what_is_wanted_exists_outputs_are_measured(settings):
    measured = Measured(settings)
    measured.begin(live=False)
    measured.steps = True
    for kind in measured.kinds[:-1]:
        measured.choose(kind, False)
    measured.begin(live=False)
    assert measured.kinds == ("output",)
    assert measured.dropped == frozenset()


def test_it_is_remembered_and_what_cannot_be_read_is_not_believed(settings, loop):
    loop.choose("input", True)
    loop.choose("value", False)
    settings.set_measured("run", "nonsense,,7")
    again = Measured(settings)
    again.begin(live=True)
    assert again.kinds == loop.kinds
    again.begin(live=False)
    again.steps = True
    assert "value" in again.kinds


def test_a_loop_without_its_optimizer_has_nothing_that_comes_with_its_steps(settings):
    loop = Measured(settings)
    loop.begin(live=True, no_updates="It was not given.")
    assert loop.kinds == ("output", "gradient", "parameter gradient")
    refused = {kind for kind in OF_PARAMETERS if loop.reason(kind) == "It was not given."}
    assert refused == {"value", "optimizer gradient", "update"}
    loop.begin(live=True)
    assert not any(map(loop.reason, OF_PARAMETERS))
    loop.begin(live=False, no_updates="It was not given.")
    assert "Run settings" in loop.reason("value")
