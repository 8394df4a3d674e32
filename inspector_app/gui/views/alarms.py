"""What went wrong where: the alarms that the backend has raised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from inspector_app.gui.client.records_store import RecordsStore
from inspector_app.gui.views.view import View
from inspector_app.protocol.messages import Alarm, AlarmKind

if TYPE_CHECKING:
    from widgets.alarm_list import AlarmList

_TITLES: dict[AlarmKind, str] = {
    "nan": "NaN or Inf",
    "vanishing": "Vanishing",
    "exploding": "Exploding",
    "dead": "Dead units",
    "saturated": "Saturated",
}
_TONES: dict[AlarmKind, Literal["danger", "warning"]] = {"nan": "danger", "exploding": "danger"}


class AlarmsView(View):
    """A list; a click selects the row in the tree.  ``rules_asked``: thresholds are to change."""

    title = "Alarms"
    rules_asked = Signal()
    clear_asked = Signal()

    def __init__(self, store: RecordsStore, parent: QWidget | None = None) -> None:
        super().__init__(store, parent)
        self.alarms: dict[tuple[int, AlarmKind], Alarm] = {}
        for name, text, asked in (
            ("alarmRules", "Thresholds…", self.rules_asked),
            ("alarmClear", "Clear", self.clear_asked),
        ):
            button = QPushButton(text)
            button.setObjectName(name)
            button.clicked.connect(asked)
            self._add(button)
        self._list: AlarmList | None = None
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)

    def add(self, alarms: list[Alarm]) -> None:
        """Alarms that are new or have changed."""
        for alarm in alarms:
            self.alarms[alarm.key, alarm.kind] = alarm

    def forget(self) -> None:
        """Another session, or a person has seen them."""
        self.alarms.clear()
        if self._list is not None:
            self._list.set_alarms([])

    def draw(self) -> None:
        """List them."""
        from widgets.alarm_list import Alarm as Line
        from widgets.alarm_list import AlarmList

        if self._list is None:
            self._list = AlarmList()
            self._list.setObjectName("alarms")
            self._list.alarm_activated.connect(lambda key: self.row_clicked.emit(self._row(key)))
            layout = self.layout()
            assert layout is not None
            layout.addWidget(self._list)
        self._list.set_alarms(
            [
                Line(
                    key=alarm.key,
                    tone=_TONES.get(alarm.kind, "warning"),
                    title=_TITLES[alarm.kind],
                    sentence=alarm.sentence,
                    first_step=alarm.first_step,
                    last_step=alarm.last_step,
                    count=alarm.count,
                )
                for alarm in self.alarms.values()
            ]
        )

    def _row(self, key: int) -> int:
        return next((alarm.row for alarm in self.alarms.values() if alarm.key == key), -1)
