"""What has gone wrong while a model ran, the newest first, each a way to its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from PySide6.QtCore import (
    QAbstractListModel,
    QEvent,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QFont, QFontMetrics, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QListView,
    QStackedLayout,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from widgets import icons
from widgets.empty_state import EmptyState
from widgets.numbers import count_text
from widgets.theme import GRID, current_theme, mono_font, ui_font

Index = QModelIndex | QPersistentModelIndex
_HEIGHT = 6 * GRID
_ICON = 2 * GRID


@dataclass(frozen=True)
class Alarm:
    """One thing that happened at one place, once or again and again."""

    key: int  # told when it is activated
    tone: Literal["danger", "warning", "info"]
    title: str  # the place: a name
    sentence: str  # what happened
    first_step: int
    last_step: int
    count: int = 1  # how often; a step may see it more than once

    @property
    def when(self) -> str:
        """Its steps in words."""
        if self.first_step == self.last_step:
            steps = f"step {count_text(self.last_step)}"
        else:
            steps = f"steps {count_text(self.first_step)}–{count_text(self.last_step)}"
        return steps if self.count == 1 else f"{count_text(self.count)}×, {steps}"


class AlarmModel(QAbstractListModel):
    """Alarms as rows; a change of the list keeps the rows that stay."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.alarms: list[Alarm] = []

    def set_alarms(self, alarms: list[Alarm]) -> None:
        """Take other alarms; their order is that of the rows."""
        common = min(len(alarms), len(self.alarms))
        if len(alarms) < len(self.alarms):
            self.beginRemoveRows(QModelIndex(), len(alarms), len(self.alarms) - 1)
            del self.alarms[len(alarms) :]
            self.endRemoveRows()
        elif len(alarms) > len(self.alarms):
            self.beginInsertRows(QModelIndex(), common, len(alarms) - 1)
            self.alarms += alarms[common:]
            self.endInsertRows()
        changed = [row for row in range(common) if self.alarms[row] != alarms[row]]
        self.alarms[:common] = alarms[:common]
        if changed:
            self.dataChanged.emit(self.index(changed[0]), self.index(changed[-1]))

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Alarms have nothing below them."""
        return 0 if parent.isValid() else len(self.alarms)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """The place; all of it in words for the tooltip and for screen readers."""
        if not index.isValid() or index.row() >= len(self.alarms):
            return None
        alarm = self.alarms[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return alarm.title
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{alarm.title}\n{alarm.sentence}\n{alarm.when}"
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{alarm.tone}: {alarm.title}. {alarm.sentence} {alarm.when}"
        return None


class _AlarmDelegate(QStyledItemDelegate):
    """Icon at the left, place and steps in one line, the sentence below."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """All rows are equally high."""
        return QSize(24 * GRID, _HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Paint one alarm."""
        model = index.model()
        if not isinstance(model, AlarmModel):
            return
        alarm, theme, state = model.alarms[index.row()], current_theme(), option.state
        rect: QRect = option.rect
        ground = theme.base
        if state & QStyle.StateFlag.State_Selected:
            ground = theme.selection
        elif state & QStyle.StateFlag.State_MouseOver:
            ground = theme.hover
        painter.save()
        painter.fillRect(rect, ground)
        tone = theme.tone(alarm.tone)
        painter.fillRect(rect.left(), rect.top(), GRID // 2 - 1, rect.height() - 1, tone)
        painter.fillRect(rect.left(), rect.bottom(), rect.width(), 1, theme.faint)
        ratio = painter.device().devicePixelRatio()
        pixmap = icons.pixmap(alarm.tone, tone.name(), _ICON, ratio)
        painter.drawPixmap(rect.left() + GRID + GRID // 2, rect.top() + GRID, pixmap)
        left, right = rect.left() + 3 * GRID + _ICON - GRID // 2, rect.right() - GRID
        small, name = ui_font(small=True), mono_font()
        name.setWeight(QFont.Weight.Bold)
        painter.setFont(small)
        painter.setPen(theme.muted)
        metrics = QFontMetrics(small)
        first, second = rect.top() + 2 * GRID + 4, rect.top() + 4 * GRID + 4
        width = metrics.horizontalAdvance(alarm.when)
        beside = width < (right - left) // 2
        if beside:
            painter.drawText(right - width, first, alarm.when)
        middle, end = Qt.TextElideMode.ElideMiddle, Qt.TextElideMode.ElideRight
        painter.setPen(theme.text)
        painter.drawText(left, second, metrics.elidedText(alarm.sentence, end, right - left))
        painter.setFont(name)
        room = right - left - (width + 2 * GRID if beside else 0)
        painter.drawText(left, first, QFontMetrics(name).elidedText(alarm.title, middle, room))
        if state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(theme.accent)
            painter.drawRect(rect.adjusted(0, 0, -1, -2))
        painter.restore()


class _AlarmView(QListView):
    """Return and Space activate on every platform."""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        keys = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space)
        if event.key() in keys and self.currentIndex().isValid():
            self.clicked.emit(self.currentIndex())
        else:
            super().keyPressEvent(event)


class AlarmList(QWidget):
    """A list, or the sentence that nothing has happened."""

    alarm_activated = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.empty = EmptyState(
            "good",
            "No alarm yet. Vanishing, exploding, dead and saturated values, NaN and infinities "
            "are told here while watched modules run.",
        )
        self.model = AlarmModel(self)
        self.view = _AlarmView()
        self.view.setModel(self.model)
        self.view.setItemDelegate(_AlarmDelegate(self.view))
        self.view.setUniformItemSizes(True)
        self.view.setMouseTracking(True)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.setAccessibleName("Alarms")
        self.view.clicked.connect(self._tell)
        self._pages = QStackedLayout(self)
        self._pages.addWidget(self.empty)
        self._pages.addWidget(self.view)

    def set_alarms(self, alarms: list[Alarm]) -> None:
        """Show these, the newest first; what was selected stays so."""
        chosen = self.current
        ordered = sorted(alarms, key=lambda alarm: (-alarm.last_step, -alarm.first_step))
        if ordered == self.model.alarms:
            return
        self.model.set_alarms(ordered)
        same = next((row for row, one in enumerate(ordered) if _same(one, chosen)), -1)
        if chosen is not None and same != self.view.currentIndex().row():
            bar = self.view.verticalScrollBar()
            place = bar.value()
            self.view.setCurrentIndex(self.model.index(same) if same >= 0 else QModelIndex())
            bar.setValue(place)  # what is looked at stays in sight
        self._pages.setCurrentWidget(self.view if ordered else self.empty)

    @property
    def current(self) -> Alarm | None:
        """The selected alarm."""
        row = self.view.currentIndex().row()
        return self.model.alarms[row] if 0 <= row < len(self.model.alarms) else None

    def _tell(self, index: QModelIndex) -> None:
        self.alarm_activated.emit(self.model.alarms[index.row()].key)

    def changeEvent(self, event: QEvent) -> None:
        """Take the colours of another theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.view.viewport().update()


def _same(alarm: Alarm, other: Alarm | None) -> bool:
    """The same thing at the same place, perhaps again."""
    if other is None:
        return False
    return (alarm.key, alarm.title, alarm.first_step) == (other.key, other.title, other.first_step)
