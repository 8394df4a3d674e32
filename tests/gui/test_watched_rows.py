"""Bars and probe states of watched rows in the tree."""

from __future__ import annotations

import math

import msgspec
import numpy as np
from PySide6.QtCore import Qt

from inspector_app.gui.client.choice import Choice
from inspector_app.protocol.messages import GetProbeStates, Phase, ProbeState
from inspector_app.protocol.phases import EVALUATION
from tests.gui.fake_backend import make_records
from tests.gui.windows import asked
from widgets.tree_row import TreeRole


def look(window, row):
    return window.tree_model.index_of(row).data(TreeRole.LOOK)


def test_rows_in_sight_get_a_bar_for_values_and_one_for_the_gradient(qtbot, joined):
    assert look(joined, 1).live
    joined.session.backend.steps = 2
    qtbot.waitUntil(lambda: len(look(joined, 1).levels) == 2)
    assert all(0 < share < 1 for share in look(joined, 1).levels)
    assert look(joined, 2).levels == ()
    tip = joined.tree_model.index_of(1).data(Qt.ItemDataRole.ToolTipRole)
    assert "Root mean square in step 1:" in tip


def test_what_is_not_finite_is_told(qtbot, joined):
    store = joined.live_panel.views.store
    series = joined.session.backend.series
    records = make_records(series, np.arange(4, dtype=np.int64))
    store.add(msgspec.structs.replace(records, nan=np.ones(4, np.int64)))
    joined.watched_rows.draw()
    assert all(math.isnan(share) for share in look(joined, 1).levels)
    assert not joined.tree_panel.view.grab().isNull()


def test_bars_stand_for_what_is_chosen_also_while_nothing_comes(joined):
    views, series = joined.live_panel.views, joined.session.backend.series
    records = make_records(series, np.arange(8, dtype=np.int64))
    evaluated = records.key == series[0].key
    phase = np.where(evaluated & (records.step == 0), Phase.EVALUATION, Phase.TRAIN)
    norm = np.where(phase == Phase.EVALUATION, 1000.0, records.norm)
    views.store.add(msgspec.structs.replace(records, phase=phase.astype(np.uint8), norm=norm))
    joined.watched_rows.draw()
    (of_training, gradient), other = look(joined, 1).levels, look(joined, 3).levels
    assert other
    views.store.choose(Choice(phase=EVALUATION))
    joined.watched_rows.draw()
    (of_evaluation,) = look(joined, 1).levels
    assert of_evaluation > of_training
    assert look(joined, 3).levels == ()  # nothing of it was evaluated
    views.store.choose(Choice())
    joined.watched_rows.draw()
    assert (look(joined, 1).levels, look(joined, 3).levels) == ((of_training, gradient), other)


def test_a_probe_that_never_fired_says_why(qtbot, joined):
    joined.session.backend.probe_states = [
        ProbeState(row=1, state="never fired", reason="Compiled: recompile it."),
        ProbeState(row=3, state="fired", fired=12),
    ]
    qtbot.waitUntil(lambda: look(joined, 1).troubled)
    assert asked(joined, GetProbeStates)
    assert not look(joined, 3).troubled

    def tip(row: int) -> str:
        return str(joined.tree_model.index_of(row).data(Qt.ItemDataRole.ToolTipRole))

    assert tip(1).endswith("Watched: never fired.\nCompiled: recompile it.")
    assert "fired 12 times" in tip(3)
    joined.session.backend.probe_states = []
    qtbot.waitUntil(lambda: not look(joined, 1).troubled)


def test_nothing_is_asked_for_while_nothing_is_watched(qtbot, joined):
    assert joined.watched_rows._states.isActive()
    joined.registry.action("model.unwatch_all").trigger()
    qtbot.waitUntil(lambda: not joined.watched_rows._states.isActive())
    assert not joined.watched_rows._bars.isActive()
