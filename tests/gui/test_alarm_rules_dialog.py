"""Thresholds of alarms."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QDialogButtonBox

from inspector_app.gui.panels.alarm_rules_dialog import AlarmRulesDialog
from inspector_app.protocol.messages import AlarmRules


@pytest.fixture
def dialog(qtbot):
    dialog = AlarmRulesDialog(AlarmRules(vanishing=1e-6, dead=None, pause=("nan",)))
    qtbot.addWidget(dialog)
    return dialog


def test_what_is_shown_is_what_comes_back(dialog):
    dialog.accept()
    assert dialog.rules == AlarmRules(vanishing=1e-6, dead=None, pause=("nan",))
    assert dialog.limit["vanishing"].text() == "1e-06"
    assert not dialog.limit["dead"].isEnabled()


def test_shares_are_typed_in_percent(dialog):
    dialog.on["dead"].setChecked(True)
    dialog.limit["dead"].setText("75")
    dialog.pauses["dead"].setChecked(True)
    dialog.accept()
    assert dialog.rules.dead == 0.75
    assert dialog.rules.pause == ("nan", "dead")


@pytest.mark.parametrize("text", ["", "-1", "many", "nan"])
def test_what_is_no_threshold_cannot_be_accepted(dialog, text):
    dialog.limit["exploding"].setText(text)
    assert not dialog.ok.isEnabled()
    assert "no threshold" in dialog.hint.text()
    dialog.accept()
    assert not dialog.result()


def test_defaults_come_back(dialog):
    dialog.limit["vanishing"].setText("many")
    buttons = dialog.findChild(QDialogButtonBox)
    buttons.button(QDialogButtonBox.StandardButton.RestoreDefaults).click()
    dialog.accept()
    assert dialog.rules == AlarmRules()


def test_where_nothing_can_pause_the_reason_is_told(qtbot):
    dialog = AlarmRulesDialog(AlarmRules(), "No training loop runs here.")
    qtbot.addWidget(dialog)
    assert not dialog.pauses["nan"].isEnabled()
    assert dialog.pauses["nan"].toolTip() == "No training loop runs here."


def test_a_share_of_more_than_all_is_refused_with_the_reason(dialog):
    dialog.limit["saturated"].setText("500")
    assert dialog.hint.text() == "“500” is no threshold: a number from 0 to 100 is."
    assert not dialog.ok.isEnabled()
