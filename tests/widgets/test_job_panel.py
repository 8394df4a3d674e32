import pytest
from PySide6.QtWidgets import QLabel, QProgressBar, QToolButton

from widgets.elided_label import ElidedLabel
from widgets.job_panel import PATIENCE, JobPanel
from widgets.theme import GRID


@pytest.fixture
def panel(qtbot):
    panel = JobPanel()
    qtbot.addWidget(panel)
    panel.resize(500, 24)
    panel.show()
    return panel


def test_quick_jobs_are_never_seen(panel, qtbot):
    panel.start(1, "Opening")
    panel.finish(1)
    qtbot.wait(PATIENCE + 60)
    assert not panel.showing


def test_slow_jobs_appear_without_a_jump(panel, qtbot):
    size = panel.sizeHint(), panel.size(), panel.minimumSizeHint()
    panel.start(1, "Exporting")
    assert not panel.showing
    qtbot.waitUntil(lambda: panel.showing)
    assert (panel.sizeHint(), panel.size(), panel.minimumSizeHint()) == size
    panel.finish(1)
    assert not panel.showing
    assert (panel.sizeHint(), panel.size(), panel.minimumSizeHint()) == size


def test_progress_of_huge_totals(panel):
    panel.start(1, "Exporting")
    panel.show_now()
    bar = panel.findChild(QProgressBar)
    assert bar.maximum() == 0, "the end is not known yet"
    panel.update_job(1, 3 * 10**12, 4 * 10**12, "Writing fc1.weight")
    assert bar.value() / bar.maximum() == 0.75
    assert panel.findChild(QLabel).text() == "Writing fc1.weight"
    panel.update_job(1, 9 * 10**12, 4 * 10**12, "")
    assert bar.value() == bar.maximum()
    assert panel.findChild(QLabel).text() == "Writing fc1.weight"


def test_the_newest_of_several_is_shown(panel):
    panel.start(1, "One")
    panel.start(2, "Two")
    panel.show_now()
    label = panel.findChild(QLabel)
    assert label.text() == "Two (+1 more)"
    panel.finish(2)
    assert label.text() == "One"
    assert panel.showing


def test_cancel_is_asked_once_for_the_job_shown(panel, qtbot):
    panel.start(1, "One")
    panel.start(2, "Two")
    panel.show_now()
    with qtbot.waitSignal(panel.cancel_requested) as asked:
        panel.findChild(QToolButton).click()
    assert asked.args == [2]
    assert panel.findChild(QLabel).text().startswith("Cancelling: Two")
    with qtbot.assertNotEmitted(panel.cancel_requested):
        panel.findChild(QToolButton).click()
    panel.finish(2)
    assert panel.findChild(QToolButton).isEnabled()


def test_a_long_label_loses_its_middle(panel):
    panel.start(1, "Comparing " + "encoder." * 30 + "weight")
    panel.show_now()
    text = panel.findChild(ElidedLabel).shown_text()
    assert text.startswith("Comparing")
    assert text.endswith("weight")
    assert "…" in text


def test_a_loss_can_be_read_in_the_narrowest_panel(panel):
    panel.setMinimumWidth(36 * GRID)  # as in the main window
    panel.resize(36 * GRID, 24)
    panel.start(1, "Loss -0.0001234")
    panel.show_now()
    assert panel.findChild(ElidedLabel).shown_text() == "Loss -0.0001234"


def test_unknown_jobs_are_passed_over(panel):
    panel.update_job(7, 1, 2, "late")
    panel.finish(7)
    panel.show_now()
    assert not panel.showing
