"""Keeping whole outputs and gradients of watched rows: asked for, looked at, saved, let go."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QFileDialog, QWidget

from inspector_app.gui.client.choice import ANY
from inspector_app.gui.client.session import ClientSession
from inspector_app.gui.live import Live
from inspector_app.gui.panels.capture_dialog import CaptureDialog, Wanted
from inspector_app.gui.settings import Settings
from inspector_app.gui.views.captured import SHOWN
from inspector_app.gui.views.live_views import LiveViews
from inspector_app.protocol.errors import Cancelled, ConnectionLost, InspectorError
from inspector_app.protocol.messages import (
    Capture,
    CapturedValues,
    DropCaptured,
    GetCapturedValues,
    MeasureCaptured,
    ProbeKind,
    Records,
    SaveCaptured,
    Saved,
    Statistics,
    TrainingState,
)
from inspector_app.protocol.table import Role, RowTable

_KINDS: dict[Wanted, tuple[ProbeKind, ProbeKind]] = {  # of a module, of a parameter
    "output": ("output", "value"),
    "gradient": ("gradient", "parameter gradient"),
}
_AHEAD = 10.0  # seconds from now to the step that is proposed, of a loop that goes on
_FILTERS = "safetensors (*.safetensors);;NumPy (*.npy)"


class Capturing(QObject):
    """``told(text, tone, detail)`` tells a person."""

    told = Signal(str, str, str)

    def __init__(
        self,
        session: ClientSession,
        live: Live,
        views: LiveViews,
        table: Callable[[], RowTable],
        training: Callable[[], TrainingState | None],
        settings: Settings,
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._session = session
        self._live = live
        self._views = views
        self._table = table
        self._training = training
        self._settings = settings
        self._window = window
        view = self._view = views.captured
        view.name_of = self._name
        view.chosen.connect(self._look)
        view.save_asked.connect(self.ask_save)
        view.drop_asked.connect(self.drop)
        live.answered.connect(self._take)

    def capture(self, rows: list[int], wanted: Wanted, step: int = 0) -> None:
        """Keep an output or gradient of those rows that are watched; 0 stands for the next step.

        It is that of the phase, the call and the micro-step that the views show.
        """
        reading = self._views.store.reading
        for row in self._watched(rows):
            kind = _KINDS[wanted][self._is_parameter(row)]
            known = {
                one.leaf: reading.firings(one.key)
                for one in self._live.series
                if (one.row, one.kind) == (row, kind)
            }
            for leaf, firings in (known or {"": [ANY]}).items():
                for phase, call, micro in firings:
                    request = Capture(
                        row=row,
                        kind=kind,
                        leaf=leaf,
                        call=call,
                        micro=micro,
                        phase=phase,
                        step=step,
                    )
                    self._session.request(request, self._asked, self._failed)

    def ask_step(self, rows: list[int]) -> None:
        """Ask of which step to keep it."""
        dialog = CaptureDialog(
            len(self._watched(rows)), self._step, self._step + self._ahead, self._window
        )
        live = self._live.answered.connect(lambda _: dialog.tell(self._step))
        dialog.accepted.connect(lambda: self.capture(rows, dialog.wanted, dialog.step))
        dialog.finished.connect(lambda _: self._live.answered.disconnect(live))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @property
    def _step(self) -> int:
        """The step that runs, or the last that did, as far as it is known."""
        training = self._training()
        return max(training.step if training else 0, self._views.newest_step)

    @property
    def _ahead(self) -> int:
        """How many steps are left to those who choose one."""
        training = self._training()
        if training is None or training.held or not training.step_seconds:
            return 1
        return ceil(_AHEAD / training.step_seconds)

    def _watched(self, rows: list[int]) -> list[int]:
        return [row for row in rows if row in self._live.watched]

    def ask_save(self, number: int) -> None:
        """Ask for a place, then write one there."""
        folder = self._settings.folder("captured")
        start = str(Path(folder) / f"capture{number}.safetensors")
        chosen, kind = QFileDialog.getSaveFileName(self._window, "Save tensor", start, _FILTERS)
        if chosen:
            if not Path(chosen).suffix:
                chosen += ".npy" if "npy" in kind else ".safetensors"
            self._settings.set_folder("captured", str(Path(chosen).parent))
            self.save(number, chosen)

    def save(self, number: int, path: str) -> None:
        """Write one to a file; its ending says how."""
        request = SaveCaptured(number=number, path=path)
        self._session.request(request, self._saved, self._failed, f"Saving {Path(path).name}")

    def drop(self, number: int) -> None:
        """Let go of one."""

        def dropped(_: object) -> None:
            rest = [one for one in self._view.captures if one.number != number]
            self._view.show_captures(rest)

        self._session.request(DropCaptured(number=number), dropped, self._failed)

    # -- answers -------------------------------------------------------------------------------

    def _take(self, records: Records) -> None:
        self._view.show_captures(records.captures)

    def _asked(self, _: object) -> None:
        self._views.show_view(self._view)
        self._live.refresh()

    def _saved(self, saved: Saved) -> None:
        self.told.emit(f"{saved.path} was written, {saved.bytes:,} bytes.", "good", "")

    def _failed(self, error: InspectorError) -> None:
        if not isinstance(error, Cancelled | ConnectionLost):
            self.told.emit(error.sentence, "warning", error.detail)

    def _look(self, number: int) -> None:
        """Ask for what one holds."""

        def measured(statistics: Statistics) -> None:
            def arrived(values: CapturedValues) -> None:
                self._view.show_values(statistics, values)

            request = GetCapturedValues(number=number, count=SHOWN)
            self._session.request(request, arrived, failed)

        def failed(error: InspectorError) -> None:
            if number == self._view.current:
                self._view.say(error.sentence)

        self._session.request(MeasureCaptured(number=number), measured, failed)

    # -- rows ----------------------------------------------------------------------------------

    def _is_parameter(self, row: int) -> bool:
        table = self._table()
        return bool(table.role[table.position(row)] == Role.PARAMETER)

    def _name(self, row: int) -> str:
        table = self._table()
        try:
            position = table.position(row)
        except KeyError:
            return f"row {row}"
        return table.path(position) or table.class_name(position)
