"""Whole tensors that were kept: a list, and what is known of the one chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from inspector_app.gui.client.choice import NAMES
from inspector_app.gui.client.records_store import RecordsStore
from inspector_app.gui.models.cells import shape_text
from inspector_app.gui.panels.values_panel import statistics_lines
from inspector_app.gui.views.view import View
from inspector_app.protocol.messages import Captured, CapturedValues, Statistics
from inspector_app.protocol.phases import TRAINING, phase_of
from widgets import plotting
from widgets.empty_state import EmptyState
from widgets.facts_view import FactLine, FactsView
from widgets.numbers import bytes_text, count_text, value_text
from widgets.theme import GRID

if TYPE_CHECKING:
    from widgets.histogram_view import HistogramView

SHOWN = 64  # values that are listed one by one
_NOTHING = (
    "Select a watched row and choose Capture output or Capture gradient in its menu: the next one, "
    "or that of a step you choose, is kept here as a whole."
)


class CapturedView(View):
    """``chosen(number)``: what is known of it is to be asked for; ``save_asked``, ``drop_asked``.

    ``name_of`` gives the path of a row.
    """

    title = "Captured"
    chosen = Signal(int)
    save_asked = Signal(int)
    drop_asked = Signal(int)

    def __init__(self, store: RecordsStore, parent: QWidget | None = None) -> None:
        super().__init__(store, parent)
        self.name_of: Callable[[int], str] = str
        self.captures: list[Captured] = []
        self._buttons: dict[str, QPushButton] = {}
        for name, text, asked in (
            ("captureSave", "Save…", self.save_asked),
            ("captureDrop", "Drop", self.drop_asked),
        ):
            button = QPushButton(text)
            button.setObjectName(name)
            button.setEnabled(False)
            button.clicked.connect(lambda _=False, asked=asked: asked.emit(self.current))
            self._buttons[name] = button
            self._add(button)
        self.list = QListWidget()
        self.list.setObjectName("captures")
        self.list.setAccessibleName("Captured tensors")
        self.list.setMinimumWidth(24 * GRID)
        self.list.currentRowChanged.connect(self._chosen)
        self.list.itemClicked.connect(lambda _: self._clicked())
        self.facts = FactsView()
        self.facts.setObjectName("captureFacts")
        self.told = EmptyState("chart", "")
        self._histogram: HistogramView | None = None
        self._page = QSplitter(Qt.Orientation.Horizontal)
        self._page.setChildrenCollapsible(False)
        self._page.addWidget(self.facts)
        self._side = QStackedWidget()
        self._side.addWidget(self.told)
        self._side.addWidget(self._page)
        self._all = QSplitter(Qt.Orientation.Horizontal)
        self._all.setChildrenCollapsible(False)
        self._all.addWidget(self.list)
        self._all.addWidget(self._side)
        self._all.setStretchFactor(1, 3)
        self._all.hide()
        self.empty = EmptyState("live", _NOTHING)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.empty)
        column.addWidget(self._all)

    @property
    def current(self) -> int:
        """Number of the capture that is chosen; -1 for none."""
        item = self.list.currentItem()
        return int(item.data(Qt.ItemDataRole.UserRole)) if item is not None else -1

    def show_captures(self, captures: list[Captured]) -> None:
        """All that are kept or waited for; the newest is chosen when it comes."""
        if captures == self.captures:
            return
        known = {one.number for one in self.captures}
        before = {one.number: one for one in self.captures}
        self.captures = captures
        current = self.current
        for one in captures:
            if one.number not in known:
                current = one.number
        with QSignalBlocker(self.list):
            self.list.clear()
            for one in captures:
                item = QListWidgetItem(self._line(one))
                item.setData(Qt.ItemDataRole.UserRole, one.number)
                item.setToolTip(f"{self._title(one)}\n{state_text(one)}")
                self.list.addItem(item)
                if one.number == current:
                    self.list.setCurrentItem(item)
        self.empty.setVisible(not captures)
        self._all.setVisible(bool(captures))
        now = self._capture()
        if now is None or before.get(now.number) != now:
            self._chosen()

    def show_values(self, statistics: Statistics, values: CapturedValues) -> None:
        """What the one chosen holds; an answer for another is dropped."""
        capture = self._capture()
        if capture is None or capture.number != values.number:
            return
        if self._histogram is None:
            plotting.ready()
            from widgets.histogram_view import HistogramView

            self._histogram = HistogramView()
            self._histogram.setObjectName("captureHistogram")
            self._page.addWidget(self._histogram)
        self._side.setCurrentWidget(self._page)  # first: a hidden text scrolls as it likes
        listed = "Values" if values.total <= len(values.values) else f"First {SHOWN} values"
        self.facts.set_sections(
            f"{self._title(capture)}  {_moment(capture)}",
            [
                ("Statistics of all elements", _lines(capture) + statistics_lines(statistics)),
                (listed, value_lines(capture.shape, values)),
            ],
        )
        self._histogram.set_histogram(
            self._title(capture), statistics.low, statistics.high, statistics.counts
        )

    def say(self, sentence: str) -> None:
        """In place of what the one chosen holds."""
        self.told.set_sentence(sentence)
        self._side.setCurrentWidget(self.told)

    def forget(self) -> None:
        """Another session."""
        self.show_captures([])

    def _capture(self) -> Captured | None:
        return next((one for one in self.captures if one.number == self.current), None)

    def _clicked(self) -> None:
        capture = self._capture()
        if capture is not None:
            self.row_clicked.emit(capture.row)

    def _chosen(self) -> None:
        capture = self._capture()
        kept = capture is not None and capture.state == "kept"
        self._buttons["captureSave"].setEnabled(kept)
        self._buttons["captureDrop"].setEnabled(capture is not None)
        if capture is None:
            return
        if kept:
            self.chosen.emit(capture.number)
        else:
            self.say(state_text(capture))

    def _title(self, capture: Captured) -> str:
        return f"{self.name_of(capture.row)}{capture.leaf}  {capture.kind}"

    def _line(self, capture: Captured) -> str:
        return f"{self._title(capture)}\n{_short(capture)}"


def state_text(capture: Captured) -> str:
    """How a capture stands, in a sentence."""
    if capture.state == "waiting":
        if capture.step:
            return f"Waiting for step {count_text(capture.step)}."
        return "Waiting for the next one: it comes when the model runs."
    if capture.state == "failed":
        return capture.sentence
    return f"Kept: {shape_text(capture.shape)} {capture.dtype}, of {_moment(capture)}."


def _short(capture: Captured) -> str:
    if capture.state == "kept":
        return f"{_moment(capture)} · {shape_text(capture.shape)} · {capture.dtype}"
    if capture.state == "waiting" and capture.step:
        return f"waiting for step {count_text(capture.step)}"
    return capture.state


def _moment(capture: Captured) -> str:
    """When it came: "step 1,234, evaluation, call 2"."""
    phase = phase_of(capture.phase)
    words = [f"step {count_text(capture.step)}"]
    words += [NAMES[phase]] * (phase != TRAINING)
    words += [f"call {capture.call + 1:,}"] * (capture.call > 0)
    words += [f"micro-step {capture.micro + 1:,}"] * (capture.micro > 0)
    return ", ".join(words)


def _lines(capture: Captured) -> list[FactLine]:
    phase = phase_of(capture.phase)
    return [
        FactLine("Step", count_text(capture.step)),
        *([FactLine("Phase", NAMES[phase])] if phase != TRAINING else []),
        *([FactLine("Call", count_text(capture.call + 1))] if capture.call else []),
        *([FactLine("Micro-step", count_text(capture.micro + 1))] if capture.micro else []),
        FactLine("Shape", shape_text(capture.shape)),
        FactLine("Type", capture.dtype),
        FactLine("Size", bytes_text(capture.bytes), f"{capture.bytes:,} bytes"),
    ]


def value_lines(shape: tuple[int, ...], values: CapturedValues) -> list[FactLine]:
    """The values one by one, by their place in the tensor."""
    shown = values.values[:SHOWN]
    names = ["value"]
    if shape:
        places = np.unravel_index(np.arange(len(shown)) + values.start, shape)
        names = [str(list(map(int, place))) for place in zip(*places, strict=True)]
    return [
        FactLine(name, value_text(value), repr(value))
        for name, value in zip(names, shown.tolist(), strict=True)
    ]
