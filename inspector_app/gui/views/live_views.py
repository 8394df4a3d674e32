"""The live views as tabs over one mirror of the records, with a way back in time."""

from __future__ import annotations

from typing import Literal

import numpy as np
from PySide6.QtCore import QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QMenu,
    QSlider,
    QStackedWidget,
    QTabBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from inspector_app.gui.client.choice import Choice
from inspector_app.gui.client.records_store import KEPT, RecordsStore
from inspector_app.gui.panels.tone_label import ToneLabel
from inspector_app.gui.views.alarms import AlarmsView
from inspector_app.gui.views.captured import CapturedView
from inspector_app.gui.views.choosing import ChoiceButton
from inspector_app.gui.views.curves import CurvesView
from inspector_app.gui.views.depth import DepthView
from inspector_app.gui.views.grid import GridView
from inspector_app.gui.views.names import NamedSeries, variants_of
from inspector_app.gui.views.over_time import OverTimeView
from inspector_app.gui.views.view import View
from inspector_app.protocol.messages import Alarm, AlarmRules
from widgets.icons import icon
from widgets.numbers import count_text
from widgets.theme import GRID

SaveKind = Literal["png", "svg", "csv", "events"]
_SAVED: dict[SaveKind, str] = {
    "png": "Picture as PNG…",
    "svg": "Picture as SVG…",
    "csv": "Records as CSV…",
    "events": "Records for TensorBoard…",
}
_HELD = "Hold the picture while records go on arriving"
_BACK = "Step that is drawn: drag to look back in what is mirrored"


class LiveViews(QWidget):
    """Only the view in sight draws; the others catch up when they are shown.

    ``row_clicked(row)``: something of that row was clicked.  ``store`` is filled by whoever fetches
    the records, and :meth:`records_arrived` called then.  ``save_asked`` names a SaveKind;
    ``watch_asked``: all leaf modules are to be watched.
    """

    row_clicked = Signal(int)
    save_asked = Signal(str)
    watch_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("liveViews")
        self.store = RecordsStore()
        self.series: list[NamedSeries] = []
        self._shown: list[NamedSeries] = []  # the same as they are chosen
        self._known = (-1, -1)  # what the store had when they were
        self.grid = GridView(self.store)
        self.over_time = OverTimeView(self.store)
        self.layers = DepthView(self.store)
        self.curves = CurvesView(self.store)
        self.alarms = AlarmsView(self.store)
        self.captured = CapturedView(self.store)
        self.views: list[View] = [
            self.grid,
            self.over_time,
            self.layers,
            self.curves,
            self.alarms,
            self.captured,
        ]
        self.tabs = QTabBar()
        self.tabs.setObjectName("liveTabs")
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        self._pages = QStackedWidget()
        self._options = QStackedWidget()
        for view in self.views:
            self.tabs.addTab(view.title)
            self._pages.addWidget(view)
            self._options.addWidget(view.options)
            view.row_clicked.connect(self._clicked)
            view.step_clicked.connect(self.go_to)
        self._empty = (self.grid.empty, self.over_time.empty, self.layers.empty)
        for empty in self._empty:
            empty.clicked.connect(self.watch_asked)
        self._build_time()
        self.choice = ChoiceButton()
        self.choice.chosen.connect(self._choose)
        self._controls = QWidget()
        controls = QHBoxLayout(self._controls)
        controls.setContentsMargins(0, 0, 0, 0)
        controls.setSpacing(GRID)
        controls.addWidget(self._options, 1)
        controls.addWidget(self.step_line)
        controls.addWidget(self.slider, 100)  # as wide as it may be before the options are
        controls.addWidget(self.hold)
        controls.addWidget(self._save_button())
        self._top = QGridLayout()
        self._top.setContentsMargins(GRID, GRID // 4, GRID, GRID // 2)
        self._top.setHorizontalSpacing(2 * GRID)
        self._top.setVerticalSpacing(GRID // 2)
        self._top.setColumnStretch(1, 1)
        self._top.addWidget(self.tabs, 0, 0, Qt.AlignmentFlag.AlignLeft)
        self._top.addWidget(self.choice, 0, 1, 1, 2, Qt.AlignmentFlag.AlignRight)
        self._top.addWidget(self._controls, 1, 0, 1, 3)
        self._in_one_line = False
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(self._top)
        column.addWidget(self._pages, 1)
        self.tabs.currentChanged.connect(self._tab_changed)

    def _build_time(self) -> None:
        self.hold = QToolButton()
        self.hold.setObjectName("liveHold")
        self.hold.setCheckable(True)
        self.hold.setProperty("framed", True)
        self.hold.setText("Hold")
        self.hold.setIcon(icon("pause"))
        self.hold.setIconSize(QSize(2 * GRID, 2 * GRID))
        self.hold.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.hold.setToolTip(f"{_HELD} (the newest {count_text(KEPT)} records)")
        self.hold.toggled.connect(self._hold_toggled)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setObjectName("liveStep")
        self.slider.setAccessibleName("Step that is looked at")
        self.slider.setToolTip(_BACK)
        self.slider.setMinimumWidth(5 * GRID)
        self.slider.setMaximumWidth(16 * GRID)
        self.slider.setEnabled(False)
        self.slider.valueChanged.connect(self._slid)
        self.step_line = ToneLabel(tone="muted")
        self.step_line.setObjectName("liveStepLine")
        metrics = self.step_line.fontMetrics()  # it changes all the time, and nothing may move
        self.step_line.setFixedWidth(metrics.horizontalAdvance("held at 9,999,999"))
        self.step_line.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)

    def _save_button(self) -> QToolButton:
        button = QToolButton()
        button.setObjectName("liveSave")
        button.setProperty("framed", True)
        button.setText("Save")
        button.setIcon(icon("save"))
        button.setIconSize(QSize(2 * GRID, 2 * GRID))
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        button.setToolTip("Save what is shown, or all records that are mirrored")
        menu = QMenu(button)
        for kind, text in _SAVED.items():
            action = menu.addAction(text)
            action.setObjectName(f"liveSave.{kind}")
            action.triggered.connect(lambda _=False, kind=kind: self.save_asked.emit(kind))
        button.setMenu(menu)
        return button

    @property
    def view(self) -> View:
        """The one in sight."""
        return self.views[self.tabs.currentIndex()]

    @property
    def caption(self) -> str:
        """What was chosen of what is in sight, for a picture of it; "" where nothing can be."""
        whole = self.view in (self.alarms, self.captured) or self.choice.isHidden()
        logged = self.view is self.curves and self.curves.logged  # of no phase or micro-step
        return "" if whole or logged else self.choice.text()

    def show_view(self, view: View) -> None:
        """Bring a view to the front."""
        self.tabs.setCurrentIndex(self.views.index(view))

    # -- data ----------------------------------------------------------------------------------

    def set_series(self, series: list[NamedSeries]) -> None:
        """Which series there are now."""
        self.series = series
        self._read_anew()
        self._draw()

    def offer_watching(self, offered: bool) -> None:
        """Whether something can be watched."""
        for empty in self._empty:
            empty.button.setEnabled(offered)

    def records_arrived(self) -> None:
        """The store has more than before."""
        changed = self._known != (self.store.generation, self.store.seen.version)
        if changed:
            self._read_anew()
        if changed or not self.hold.isChecked():
            self._draw()

    def _choose(self, choice: Choice) -> None:
        """Another phase, call or micro-step."""
        self.store.choose(choice)
        self._read_anew()
        self._draw()
        self._follow()

    def _read_anew(self) -> None:
        """Give the views their series as they are chosen, of what there is now."""
        known = self.store.generation, self.store.seen.version
        if self._known[0] != known[0]:
            for view in self.views:
                view.read_anew()
        self._known = known
        self.choice.show_choice(self.store.choice, self.store.reading)
        self._arrange()
        watched = any(one.kind != "scalar" for one in self.series)
        for empty in self._empty:
            empty.set_watched(watched)
        shown = variants_of(self.series, self.store.reading)
        if shown != self._shown or not shown:
            self._shown = shown
            for view in self.views:
                view.set_series(shown)

    def alarms_told(self, alarms: list[Alarm], rules: AlarmRules) -> None:
        """Alarms that are new or have changed, and the thresholds in force."""
        if rules != self.layers.rules:
            self.layers.set_rules(rules)
        if alarms:
            self.alarms.add(alarms)
            self._count_alarms()
            if self.view is self.alarms and self.isVisible():
                self.alarms.draw()

    def forget(self) -> None:
        """Another session: its steps begin anew."""
        self.store.clear()
        self.store.choose(Choice())
        self.hold.setChecked(False)
        for view in (self.over_time, self.curves, self.alarms, self.captured):
            view.forget()
        self._count_alarms()

    def forget_alarms(self) -> None:
        """A person has seen them."""
        self.alarms.forget()
        self._count_alarms()

    def select(self, rows: set[int]) -> None:
        """Follow the selection of the tree."""
        for view in self.views:
            view.selected = rows
        if self.isVisible():
            self._follow()

    def _follow(self) -> None:
        view = self.view
        if isinstance(view, OverTimeView | DepthView | CurvesView):
            view.select(view.selected)

    def _count_alarms(self) -> None:
        number = len(self.alarms.alarms)
        place = self.views.index(self.alarms)
        self.tabs.setTabText(place, f"{self.alarms.title} ({number})" if number else "Alarms")
        self._arrange()

    # -- drawing -------------------------------------------------------------------------------

    def _draw(self) -> None:
        if self.isVisible():
            self.view.draw()
            self._show_step()

    def showEvent(self, event: object) -> None:
        """Catch up with what arrived while nothing could be seen."""
        super().showEvent(event)  # type: ignore[arg-type]
        self._draw()

    def _tab_changed(self, index: int) -> None:
        self._pages.setCurrentIndex(index)
        self._options.setCurrentIndex(index)
        self._draw()
        self._follow()

    def _clicked(self, row: int) -> None:
        if row >= 0:
            self.row_clicked.emit(row)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Another width."""
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self) -> None:
        """Options and time beside the tabs where there is room for the widest, else below them."""
        needed = self.tabs.sizeHint().width() + self._controls.sizeHint().width() + 4 * GRID
        if not self.choice.isHidden():
            needed += self.choice.sizeHint().width() + 2 * GRID
        in_one_line = self.width() >= needed
        if in_one_line != self._in_one_line:
            self._in_one_line = in_one_line
            self._top.removeWidget(self._controls)
            self._top.removeWidget(self.choice)
            columns = 1 if in_one_line else 2
            self._top.addWidget(self.choice, 0, 1, 1, columns, Qt.AlignmentFlag.AlignRight)
            if in_one_line:
                self._top.addWidget(self._controls, 0, 2)
            else:
                self._top.addWidget(self._controls, 1, 0, 1, 3)

    # -- time ----------------------------------------------------------------------------------

    def go_to(self, step: int) -> None:
        """Hold the picture of one step."""
        self.hold.setChecked(True)
        self.slider.setValue(step)

    @property
    def newest_step(self) -> int:
        """The newest step that is mirrored; 0 for none."""
        return self._span()[1]

    def _span(self) -> tuple[int, int]:
        """Oldest and newest step that are mirrored."""
        answers = self.store.answers
        if not answers:
            return 0, 0
        return int(answers[0].step[0]), int(np.max(answers[-1].step))

    def _hold_toggled(self, held: bool) -> None:
        if held:
            self._follow_newest()
            self._look_at(self.slider.value(), self.store.next)
        else:
            self._look_at(None, None)

    def _follow_newest(self) -> None:
        first, last = self._span()
        with QSignalBlocker(self.slider):
            self.slider.setEnabled(last > first)
            self.slider.setRange(first, last)
            self.slider.setValue(last)

    def _slid(self, step: int) -> None:
        if not self.hold.isChecked():  # a person moved it
            with QSignalBlocker(self.hold):
                self.hold.setChecked(True)
        self._look_at(step, self.view.until)

    def _look_at(self, step: int | None, until: int | None) -> None:
        for view in self.views:
            view.hold(step, until)
        self._draw()

    def _show_step(self) -> None:
        if self.hold.isChecked():
            text = f"held at {count_text(self.slider.value())}"
        else:
            self._follow_newest()
            last = self.newest_step
            text = f"step {count_text(last)}" if last else ""
        self.step_line.say(text, "warning" if self.hold.isChecked() else "muted")
