"""What the painted plots have in common: head, axes, cursor, focus and at most 30 frames a second.

A plot is one widget that paints everything itself, in one go and without antialiasing: that is
what keeps a window with many of them quick.  While it is hidden nothing is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Qt, QTimer
from PySide6.QtGui import (
    QFocusEvent,
    QFont,
    QFontMetrics,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from widgets.path_text import fitted
from widgets.theme import GRID, current_theme, mono_font, ui_font

FRAME_TIME = 33  # milliseconds between two paintings
_HEAD = 5 * GRID  # title and the line below it
_LOW_HEAD = 2 * GRID + GRID // 2  # both in one line
_LOW = 20 * GRID  # height below which words give way to the plot
_FOOT = 2 * GRID + GRID // 2  # numbers below the plot
_LABEL = 2 * GRID  # what the numbers below the plot are
_PAD = GRID
_MARK = 5  # pixels, the foot of a mark


class Tick(NamedTuple):
    """A number beside an axis and where it stands, in pixels."""

    place: int
    text: str


@dataclass(frozen=True)
class _Faces:
    """Fonts and their measures, looked up once."""

    title: QFont
    words: QFont
    numbers: QFont
    title_metrics: QFontMetrics
    words_metrics: QFontMetrics
    numbers_metrics: QFontMetrics


@lru_cache(maxsize=1)
def faces() -> _Faces:
    """Needs an application."""
    title = mono_font()
    title.setWeight(QFont.Weight.Bold)
    words, numbers = ui_font(small=True), mono_font(small=True)
    return _Faces(
        title, words, numbers, QFontMetrics(title), QFontMetrics(words), QFontMetrics(numbers)
    )


class PlotCanvas(QWidget):
    """Paints a head and an empty state; subclasses paint between the axes.

    A subclass says whether it is :meth:`empty`, prepares its data in :meth:`prepare`, paints in
    :meth:`paint_plot` and reads under the cursor.
    """

    def __init__(self, name: str, sentence: str, parent: QWidget | None = None) -> None:
        """``name`` for screen readers; ``sentence`` says what would fill the plot."""
        super().__init__(parent)
        self._title = ""
        self._underline = ""
        self._sentence = sentence
        self._reading = ""
        self._marked: int | None = None  # step
        self._pending = False
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._frame = QTimer(self)
        self._frame.setTimerType(Qt.TimerType.PreciseTimer)
        self._frame.setSingleShot(True)
        self._frame.setInterval(FRAME_TIME)
        self._frame.timeout.connect(self.update)

    # -- for those who feed it -----------------------------------------------------------------

    def set_title(self, title: str, underline: str = "") -> None:
        """Name above the plot, and a quiet line below it while nothing is read."""
        self._title, self._underline = title, underline
        self.refresh()

    def set_sentence(self, sentence: str) -> None:
        """What is said while there is nothing to draw."""
        self._sentence = sentence
        self.refresh()

    def mark(self, step: int | None) -> None:
        """Mark a step, or none."""
        if step != self._marked:
            self._marked = step
            self.refresh()

    def refresh(self) -> None:
        """Paint with the next frame; a hidden plot waits until it is shown."""
        self._pending = True
        if self.isVisible() and not self._frame.isActive():
            self._frame.start()

    @property
    def reading(self) -> str:
        """What the cursor reads now; empty where it stands nowhere."""
        return self._reading

    # -- for subclasses ------------------------------------------------------------------------

    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Work out what has changed since the last painting."""
        raise NotImplementedError

    def left_width(self) -> int:
        """Pixels that the numbers beside the plot take."""
        return 7 * GRID

    def foot_height(self) -> int:
        """Pixels below the plot."""
        return _FOOT if self.low else _FOOT + _LABEL

    @property
    def low(self) -> bool:
        """Whether there is so little height that the head has one line and axes have no label."""
        return self.height() < _LOW

    def note(self) -> str:
        """A quiet remark at the right of the line below the title."""
        return ""

    def paint_plot(self, painter: QPainter, plot: QRect) -> None:
        """Paint everything between and beside the axes."""
        raise NotImplementedError

    def point_at(self, place: QPoint | None) -> None:
        """The pointer moved there; None when it left."""
        raise NotImplementedError

    def click(self) -> None:
        """The cursor's place was chosen, by mouse or Return."""
        raise NotImplementedError

    def say(self, words: str) -> None:
        """What the cursor reads, on the line below the title and to screen readers."""
        if words != self._reading:
            self._reading = words
            self.setAccessibleDescription(words or self._underline)

    def plot_rect(self) -> QRect:
        """Where the data is painted."""
        left = self.left_width() + _PAD
        head = (_HEAD if self._title and not self.low else _LOW_HEAD) + GRID // 2
        return QRect(
            left,
            head,
            max(1, self.width() - left - 2 * _PAD),
            max(1, self.height() - head - self.foot_height()),
        )

    # -- painting ------------------------------------------------------------------------------

    def sizeHint(self) -> QSize:
        """A plot in which a curve can be read."""
        return QSize(52 * GRID, 32 * GRID)

    def minimumSizeHint(self) -> QSize:
        """The axes and a little between them."""
        return QSize(24 * GRID, 12 * GRID)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint all of it."""
        theme = current_theme()
        if self._pending:
            self._pending = False
            self.prepare()
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.base)
        if self.empty():
            painter.setFont(ui_font())
            painter.setPen(theme.muted)
            around = 2 * GRID
            painter.drawText(
                self.rect().adjusted(around, around, -around, -around),
                Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap,
                self._sentence,
            )
        else:
            self._paint_head(painter)
            self.paint_plot(painter, self.plot_rect())
        if self.hasFocus():
            painter.setPen(theme.accent)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        painter.end()

    def _paint_head(self, painter: QPainter) -> None:
        theme, face = current_theme(), faces()
        left, right = _PAD, self.width() - _PAD
        painter.setFont(face.title)
        painter.setPen(theme.text)
        in_one_line = self.low or not self._title
        room = (right - left) // 2 if in_one_line else right - left
        title = fitted(self._title, room, face.title_metrics)
        base = 2 * GRID + 2
        painter.drawText(left, base, title)
        if not in_one_line:
            base = 4 * GRID + 2
        elif title:
            left += face.title_metrics.horizontalAdvance(title) + 2 * GRID
        painter.setFont(face.words)
        right = self.paint_note(painter, left, right, base)
        painter.setPen(theme.text if self._reading else theme.muted)
        words = face.words_metrics.elidedText(
            self._reading or self._underline, Qt.TextElideMode.ElideRight, right - left
        )
        painter.drawText(left, base, words)

    def paint_note(self, painter: QPainter, left: int, right: int, base: int) -> int:
        """Paint the remark on a line that ends at ``right``; where what is read has to end."""
        note, metrics = self.note(), faces().words_metrics
        width = metrics.horizontalAdvance(note)
        if not note or width >= (right - left) // 2:
            return right
        painter.setPen(current_theme().muted)
        painter.drawText(right - width, base, note)
        return right - width - 2 * GRID

    def paint_left_axis(
        self, painter: QPainter, plot: QRect, ticks: Sequence[Tick], lines: bool
    ) -> None:
        """Numbers at the left, those left out that would touch the one before."""
        theme, face = current_theme(), faces()
        painter.setFont(face.numbers)
        tall = face.numbers_metrics.height()
        last = None
        for tick in sorted(ticks, key=lambda one: -one.place):
            if lines:
                painter.fillRect(plot.left(), tick.place, plot.width(), 1, theme.faint)
            if last is not None and last - tick.place < tall:
                continue
            last = tick.place
            painter.fillRect(plot.left() - 4, tick.place, 3, 1, theme.border)
            painter.setPen(theme.muted)
            painter.drawText(
                QRect(0, tick.place - tall, plot.left() - 6, 2 * tall),
                Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter,
                tick.text,
            )

    def paint_bottom_axis(
        self, painter: QPainter, plot: QRect, ticks: Sequence[Tick], label: str
    ) -> None:
        """Numbers below, kept within the widget; those left out that would touch."""
        theme, face = current_theme(), faces()
        painter.setFont(face.numbers)
        base = plot.bottom() + 2 * GRID + 2
        free = 0
        for tick in sorted(ticks):
            width = face.numbers_metrics.horizontalAdvance(tick.text)
            left = min(tick.place - width // 2, self.width() - width - 2)
            if left < free:
                continue
            free = left + width + GRID
            painter.fillRect(tick.place, plot.bottom() + 1, 1, 3, theme.border)
            painter.setPen(theme.muted)
            painter.drawText(left, base, tick.text)
        if self.low:
            return
        painter.setFont(face.words)
        painter.setPen(theme.muted)
        painter.drawText(
            QRect(plot.left(), plot.bottom() + _FOOT, plot.width(), _LABEL),
            Qt.AlignmentFlag.AlignCenter,
            label,
        )

    def paint_frame(self, painter: QPainter, plot: QRect) -> None:
        """A thin line at the left and below."""
        border = current_theme().border
        painter.fillRect(plot.left() - 1, plot.top(), 1, plot.height() + 1, border)
        painter.fillRect(plot.left() - 1, plot.bottom() + 1, plot.width() + 1, 1, border)

    def paint_mark(self, painter: QPainter, plot: QRect, across: int) -> None:
        """A line through the step that is marked, on a foot: not to be taken for the cursor's."""
        if plot.left() <= across <= plot.right():
            theme = current_theme()
            painter.fillRect(across - 1, plot.top(), 3, plot.height(), theme.base)
            painter.fillRect(across, plot.top(), 1, plot.height(), theme.warning)
            for line in range(_MARK):
                painter.fillRect(
                    across - line, plot.bottom() + 1 + line, 2 * line + 1, 1, theme.warning
                )

    def cursor_pen(self) -> QPen:
        """Lines that mark where the cursor reads."""
        return QPen(current_theme().text, 1, Qt.PenStyle.DashLine)

    # -- events --------------------------------------------------------------------------------

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Read under the pointer."""
        self.point_at(event.position().toPoint())
        self.refresh()

    def leaveEvent(self, event: QEvent) -> None:
        """Nothing is read any more."""
        super().leaveEvent(event)
        self.point_at(None)
        self.refresh()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose what is under the pointer."""
        super().mousePressEvent(event)
        if event.button() == Qt.MouseButton.LeftButton:
            self.point_at(event.position().toPoint())
            self.refresh()
            self.click()

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Show the ring."""
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Hide the ring."""
        super().focusOutEvent(event)
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """What is worked out for a width is worked out again."""
        super().resizeEvent(event)
        self._pending = True
