"""What the dialogs of edits have in common: fields above, a live preview below, apply, cancel."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QFormLayout, QVBoxLayout, QWidget

from inspector_app.gui.panels.asking import Asks
from inspector_app.gui.panels.plan_preview import PlanPreview
from inspector_app.protocol.errors import InspectorError
from inspector_app.protocol.messages import Planned, Request
from inspector_app.protocol.table import RowTable
from widgets.theme import GRID

_PAUSE = 150  # milliseconds without typing before a preview is asked for


class PlanDialog(QDialog):
    """Modal to its window.  A subclass fills ``form`` and says what to ask in :meth:`plan`."""

    def __init__(
        self, session: Asks, table: Callable[[], RowTable], apply_text: str, parent: QWidget | None
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._table = table
        self._asked: int | None = None
        self._wanted = 0
        self.setMinimumWidth(76 * GRID)
        self.resize(76 * GRID, 62 * GRID)  # or higher, where the fields need it
        self.form = QFormLayout()
        self.form.setSpacing(GRID)
        self.preview = PlanPreview()
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.apply_button = self.buttons.addButton(
            apply_text, QDialogButtonBox.ButtonRole.AcceptRole
        )
        self.apply_button.setObjectName("planApply")
        self.apply_button.setDefault(True)
        self.apply_button.setEnabled(False)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(2 * GRID, 2 * GRID, 2 * GRID, 2 * GRID)
        column.setSpacing(GRID)
        column.addLayout(self.form)
        column.addWidget(self.preview, 1)
        column.addWidget(self.buttons)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE)
        self._timer.timeout.connect(self._ask)
        self.finished.connect(self._drop)

    def plan(self) -> Request | str:
        """The request for the preview, or a sentence that says what is missing."""
        raise NotImplementedError

    def refresh(self) -> None:
        """The fields changed: ask for a preview soon; nothing can be applied until it is there."""
        self._wanted += 1
        self.apply_button.setEnabled(False)
        self._timer.start()

    def _ask(self) -> None:
        self._drop()
        request = self.plan()
        if isinstance(request, str):
            self.preview.say(request)
            return
        wanted = self._wanted

        def planned(result: Planned) -> None:
            if wanted == self._wanted:
                self._asked = None
                self.preview.show_plan(result, self._table())
                self.apply_button.setEnabled(result.tensors > 0)

        def failed(error: InspectorError) -> None:
            if wanted == self._wanted:
                self._asked = None
                self.preview.say(error.sentence, "danger")

        self._asked = self._session.request(request, planned, failed)

    def _drop(self) -> None:
        """Forget a preview that is no longer wanted."""
        self._timer.stop()
        if self._asked is not None:
            self._session.cancel(self._asked)
            self._asked = None
