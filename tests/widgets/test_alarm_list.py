from dataclasses import replace

import pytest
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtGui import QAccessible
from PySide6.QtTest import QAbstractItemModelTester

from tests.widgets.conftest import count_colour, image_of
from widgets.alarm_list import Alarm, AlarmList, AlarmModel
from widgets.theme import DARK, HIGH_CONTRAST, LIGHT

VANISHING = Alarm(1, "warning", "encoder.0", "Gradient vanishes.", 5, 9, 3)
EXPLODING = Alarm(2, "danger", "decoder.head", "Gradient explodes.", 7, 7)
DEAD = Alarm(3, "info", "encoder.1.relu", "All units are dead.", 1, 20, 12)


@pytest.fixture
def alarms(qtbot):
    alarms = AlarmList()
    qtbot.addWidget(alarms)
    alarms.resize(420, 240)
    alarms.show()
    return alarms


def titles(alarms):
    return [alarm.title for alarm in alarms.model.alarms]


def place_of(alarms, row):
    return alarms.view.visualRect(alarms.model.index(row)).center()


def test_empty_until_there_is_an_alarm(alarms):
    assert alarms.empty.isVisible()
    assert "No alarm" in alarms.empty.sentence
    alarms.set_alarms([VANISHING])
    assert alarms.view.isVisible()
    alarms.set_alarms([])
    assert alarms.empty.isVisible()
    assert alarms.current is None


def test_the_newest_comes_first(alarms):
    alarms.set_alarms([VANISHING, EXPLODING, DEAD])
    assert titles(alarms) == ["encoder.1.relu", "encoder.0", "decoder.head"]


def test_what_was_selected_stays_selected(alarms):
    alarms.set_alarms([VANISHING, EXPLODING])
    alarms.view.setCurrentIndex(alarms.model.index(1))
    assert alarms.current == EXPLODING
    again = replace(EXPLODING, last_step=30, count=2)
    alarms.set_alarms([VANISHING, again, DEAD])
    assert alarms.current == again
    assert alarms.view.currentIndex().row() == 0
    alarms.set_alarms([VANISHING, DEAD])
    assert alarms.current is None


def test_click_and_keys_tell_the_key(alarms, qtbot):
    alarms.set_alarms([VANISHING, EXPLODING, DEAD])
    with qtbot.waitSignal(alarms.alarm_activated) as told:
        qtbot.mouseClick(alarms.view.viewport(), Qt.MouseButton.LeftButton, pos=place_of(alarms, 2))
    assert told.args == [2]
    alarms.view.setFocus()
    for key, wanted in ((Qt.Key.Key_Return, 1), (Qt.Key.Key_Space, 3)):
        qtbot.keyClick(alarms.view, Qt.Key.Key_Up)
        with qtbot.waitSignal(alarms.alarm_activated) as told:
            qtbot.keyClick(alarms.view, key)
        assert told.args == [wanted]
    alarms.view.setCurrentIndex(QModelIndex())
    with qtbot.assertNotEmitted(alarms.alarm_activated):
        qtbot.keyClick(alarms.view, Qt.Key.Key_Return)


def test_each_tone_has_its_colour_in_every_theme(alarms, manager):
    alarms.set_alarms([VANISHING, EXPLODING, DEAD])
    for name, theme in (("light", LIGHT), ("dark", DARK), ("high contrast", HIGH_CONTRAST)):
        manager.choose(name)
        image = image_of(alarms)
        for tone in (theme.warning, theme.danger, theme.accent):
            assert count_colour(image, tone.name()) > 100, (name, tone)


@pytest.mark.parametrize("size", [(1, 1), (80, 60), (1600, 900)])
def test_any_size(alarms, size):
    alarms.set_alarms([replace(VANISHING, title="very_long." * 40, sentence="Long. " * 90)])
    alarms.resize(*size)
    assert not image_of(alarms).isNull()


def test_steps_in_words():
    assert EXPLODING.when == "step 7"
    assert replace(EXPLODING, count=2).when == "2×, step 7"
    assert replace(DEAD, last_step=12_345).when == "12×, steps 1–12,345"


def test_it_reads_itself_out(alarms):
    alarms.set_alarms([EXPLODING])
    index = alarms.model.index(0)
    spoken = index.data(Qt.ItemDataRole.AccessibleTextRole)
    assert spoken == "danger: decoder.head. Gradient explodes. step 7"
    assert "Gradient explodes." in index.data(Qt.ItemDataRole.ToolTipRole)
    assert alarms.view.accessibleName() == "Alarms"
    interface = QAccessible.queryAccessibleInterface(alarms.view)
    assert interface.child(0).text(QAccessible.Text.Name) == spoken
    assert alarms.model.data(QModelIndex()) is None


def test_the_model_keeps_qts_rules():
    model = AlarmModel()
    tester = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    changes = []
    model.dataChanged.connect(lambda first, last: changes.append((first.row(), last.row())))
    for alarms in ([VANISHING], [EXPLODING, VANISHING, DEAD], [EXPLODING, DEAD], [DEAD, DEAD], []):
        model.set_alarms(alarms)
        assert model.alarms == alarms
        assert model.rowCount() == len(alarms)
    assert changes == [(0, 0), (1, 1), (0, 0)]
    tester.deleteLater()
