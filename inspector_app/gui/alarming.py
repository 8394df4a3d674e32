"""Alarms as they come from the backend, and the thresholds that raise them."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from inspector_app.gui.client.session import ClientSession
from inspector_app.gui.panels.alarm_rules_dialog import AlarmRulesDialog
from inspector_app.gui.views.live_views import LiveViews
from inspector_app.protocol.messages import AlarmRules, Records, SetAlarmRules

_NO_LOOP = "No training loop runs here: a run is stopped by hand."


class Alarming(QObject):
    """Hands them to the views; ``told(text, tone, detail)`` says that one has paused the loop."""

    told = Signal(str, str, str)

    def __init__(self, session: ClientSession, views: LiveViews, window: QWidget) -> None:
        super().__init__(window)
        self._session = session
        self._views = views
        self._window = window
        self._paused_by: set[tuple[int, str]] = set()
        session.opened.connect(lambda _: self._paused_by.clear())
        views.alarms.rules_asked.connect(self.ask_rules)
        views.alarms.clear_asked.connect(self.clear)

    def take(self, records: Records) -> None:
        """What came with an answer."""
        self._views.alarms_told(records.alarms, records.alarm_rules)
        loop = records.training
        stands = loop is None or loop.paused  # one that has gone on paused before this window came
        for alarm in records.alarms:
            if alarm.paused and (alarm.key, alarm.kind) not in self._paused_by:
                self._paused_by.add((alarm.key, alarm.kind))
                if stands:
                    self.told.emit(f"Training was paused. {alarm.sentence}", "warning", "")

    def ask_rules(self) -> None:
        """Open the dialog for thresholds of alarms."""
        target = self._session.target
        if target is None:
            return
        no_pausing = target.disabled.get("pause", "") if target.training else _NO_LOOP
        dialog = AlarmRulesDialog(self._views.layers.rules, no_pausing, self._window)
        dialog.accepted.connect(lambda: self._set_rules(dialog.rules))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def clear(self) -> None:
        """Forget the alarms so far."""
        self._paused_by.clear()
        self._views.forget_alarms()
        self._set_rules(self._views.layers.rules, clear=True)

    def _set_rules(self, rules: AlarmRules, clear: bool = False) -> None:
        request = SetAlarmRules(rules=rules, clear=clear)
        self._session.request(request, lambda _: self._views.alarms_told([], rules))
