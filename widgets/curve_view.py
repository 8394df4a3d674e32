"""Curves of scalars over steps, and a legend that switches them on and off."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QIcon, QPainter, QPalette, QPixmap, QResizeEvent
from PySide6.QtWidgets import QToolButton, QVBoxLayout, QWidget

from widgets.curve_canvas import Curve, CurveCanvas, curve_pen
from widgets.curve_points import CurvePoints
from widgets.step_history import Floats, Steps
from widgets.theme import GRID, current_theme, ui_font

_LONGEST = 28 * GRID  # width of a name in the legend


class CurveSeries(NamedTuple):
    """One curve: the key it is told by, and its name.

    An ``echo`` has the colour of the curve before it, and is dashed with hollow points.
    """

    key: int
    name: str
    echo: bool = False


class CurveLegend(QWidget):
    """A button for each curve, in as many lines as they need."""

    toggled = Signal(int, bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.buttons: dict[int, QToolButton] = {}
        self._looks: dict[int, tuple[int, bool]] = {}

    def set_curves(self, curves: list[Curve]) -> None:
        """One button each; keys that stay keep theirs."""
        wanted = {curve.key for curve in curves}
        for key in self.buttons.keys() - wanted:
            self.buttons.pop(key).deleteLater()
        self._looks = {curve.key: (curve.number, curve.echo) for curve in curves}
        for curve in curves:
            button = self.buttons.get(curve.key)
            if button is None:
                button = self.buttons[curve.key] = self._button(curve)
            button.setChecked(curve.shown)
            button.setToolTip(f"Show or hide {curve.name}")
            button.setAccessibleName(curve.name)
        self.take_theme()
        self._lay_out()

    def _button(self, curve: Curve) -> QToolButton:
        button = QToolButton(self)
        button.setCheckable(True)
        button.setProperty("plain", True)  # see the style sheet
        button.setFont(ui_font(small=True))
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.setIconSize(QSize(2 * GRID, GRID))
        key = curve.key
        button.toggled.connect(lambda on: self.toggled.emit(key, on))
        button.show()
        return button

    def take_theme(self) -> None:
        """Draw the samples of the lines anew; what is switched off has only a frame."""
        ratio = self.devicePixelRatioF()
        for key, button in self.buttons.items():
            pen = curve_pen(*self._looks[key])
            picture = QIcon()
            for state in (QIcon.State.On, QIcon.State.Off):
                pixmap = QPixmap(QSize(2 * GRID, GRID) * ratio)
                pixmap.setDevicePixelRatio(ratio)
                pixmap.fill(Qt.GlobalColor.transparent)
                painter = QPainter(pixmap)
                if state == QIcon.State.On:
                    pen.setWidth(2)
                    painter.setPen(pen)
                    painter.drawLine(0, GRID // 2, 2 * GRID, GRID // 2)
                else:
                    painter.setPen(current_theme().muted)
                    painter.drawRect(2 * GRID - GRID - 4, 0, GRID - 1, GRID - 1)
                painter.end()
                picture.addPixmap(pixmap, QIcon.Mode.Normal, state)
            button.setIcon(picture)

    def _lay_out(self) -> None:
        left, top, tall = 0, 0, 0
        longest = min(_LONGEST, self.width() - 5 * GRID)
        for button in (self.buttons[key] for key in self._looks):
            name = button.fontMetrics().elidedText(
                button.accessibleName(), Qt.TextElideMode.ElideMiddle, longest
            )
            button.setText(name.replace("&", "&&"))
            size = button.sizeHint()
            if left and left + size.width() > self.width():
                left, top = 0, top + tall
            button.setGeometry(left, top, size.width(), size.height())
            left += size.width()
            tall = size.height()
        self.setFixedHeight(top + tall)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Other lines."""
        super().resizeEvent(event)
        self._lay_out()


class CurveView(QWidget):
    """Several named curves on one axis, linear or logarithmic."""

    step_clicked = Signal(int)
    shown_changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.canvas = CurveCanvas()
        self.canvas.step_clicked.connect(self.step_clicked)
        self.legend = CurveLegend()
        self.legend.toggled.connect(self.set_shown)
        self.setBackgroundRole(QPalette.ColorRole.Base)
        self.setAutoFillBackground(True)
        self.setFocusProxy(self.canvas)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, GRID // 2)
        column.setSpacing(0)
        column.addWidget(self.canvas, 1)
        column.addWidget(self.legend)

    def set_series(self, series: list[CurveSeries]) -> None:
        """Which curves there are; points and switches of keys that stay are kept."""
        old = {curve.key: curve for curve in self.canvas.curves}
        curves: list[Curve] = []
        number = -1
        for one in series:
            number += not one.echo or not curves
            curve = old.get(one.key) or Curve(one.key, one.name, number)
            curve.name, curve.number, curve.echo = one.name, number, one.echo
            curves.append(curve)
        self.canvas.curves = curves
        self.legend.set_curves(curves)
        self.canvas.refresh()

    def set_curve(self, key: int, steps: Steps, values: Floats) -> None:
        """Other points of a curve, ``steps`` rising; an unknown key is passed over."""
        curve = self._curve(key)
        if curve is not None:
            curve.points = CurvePoints()
        self.append(key, steps, values)

    def append(self, key: int, steps: Steps, values: Floats) -> None:
        """More points; a step at or below the newest replaces all from there on."""
        curve = self._curve(key)
        if curve is not None:
            curve.points.append(steps, values)
            curve.revision += 1
            self.canvas.refresh()

    def set_title(self, title: str, underline: str = "") -> None:
        """Name above the plot, and a quiet line below it."""
        self.canvas.set_title(title, underline)

    def set_sentence(self, sentence: str) -> None:
        """What is said while there is no point."""
        self.canvas.set_sentence(sentence)

    def columns(self) -> dict[str, np.ndarray[Any, Any]]:
        """What is shown as a table: a row for each point of the curves that are switched on."""
        shown = self.canvas.shown()
        names = np.array([curve.name for curve in shown], object)
        nothing = np.empty(0)  # concatenate wants at least one
        return {
            "step": np.concatenate([nothing.astype(np.int64), *(c.points.steps for c in shown)]),
            "curve": np.repeat(names, [len(curve.points) for curve in shown]),
            "value": np.concatenate([nothing, *(curve.points.values for curve in shown)]),
        }

    @property
    def logarithmic(self) -> bool:
        """Whether the value axis is a logarithm."""
        return self.canvas.logarithmic

    def set_logarithmic(self, on: bool) -> None:
        """Draw logarithms; what is not positive is marked at the bottom."""
        self.canvas.logarithmic = on
        self.canvas.refresh()

    @property
    def shown(self) -> set[int]:
        """Keys of the curves that are switched on."""
        return {curve.key for curve in self.canvas.curves if curve.shown}

    def set_shown(self, key: int, on: bool) -> None:
        """Switch one curve on or off, as its button in the legend does."""
        curve = self._curve(key)
        if curve is None or curve.shown == on:
            return
        curve.shown = on
        self.legend.buttons[key].setChecked(on)
        self.canvas.refresh()
        self.shown_changed.emit()

    def _curve(self, key: int) -> Curve | None:
        return next((curve for curve in self.canvas.curves if curve.key == key), None)

    def changeEvent(self, event: QEvent) -> None:
        """Take the colours of another theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.legend.take_theme()
