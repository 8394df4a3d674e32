"""What the dialogs of edits have in common: fields, a live preview, apply and cancel."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QHBoxLayout,
    QVBoxLayout,
    QWidget,
)

from inspector_app.gui.panels.asking import Asks
from inspector_app.gui.panels.plan_preview import PlanPreview
from inspector_app.gui.panels.question import Question
from inspector_app.protocol.errors import InspectorError
from inspector_app.protocol.messages import Planned, Request
from inspector_app.protocol.table import RowTable
from widgets.theme import GRID

_PAUSE = 150  # milliseconds without typing before a preview is asked for


class PlanDialog(QDialog):
    """Modal to its window.  A subclass fills ``form`` and says what to ask in :meth:`plan`.

    ``beside`` lies at a side of the form and its preview.
    """

    def __init__(
        self, session: Asks, table: Callable[[], RowTable], apply_text: str, parent: QWidget | None
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._table = table
        self._planned: Planned | None = None
        self._question = Question(session)
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
        fields = QVBoxLayout()
        fields.setSpacing(GRID)
        fields.addLayout(self.form)
        fields.addWidget(self.preview, 1)
        self.beside = QHBoxLayout()
        self.beside.setSpacing(2 * GRID)
        self.beside.addLayout(fields, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(2 * GRID, 2 * GRID, 2 * GRID, 2 * GRID)
        column.setSpacing(GRID)
        column.addLayout(self.beside, 1)
        column.addWidget(self.buttons)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE)
        self._timer.timeout.connect(self._ask)
        self.finished.connect(self.drop)

    def plan(self) -> Request | str:
        """The request for the preview, or a sentence that says what is missing."""
        raise NotImplementedError

    def show_plan(self, planned: Planned) -> None:
        """The plan is there."""
        self._planned = planned
        self.preview.show_plan(planned, self._table())
        self.update_apply()

    def update_apply(self) -> None:
        """Decide whether there is something to apply."""
        self.apply_button.setEnabled(self._planned is not None and self._planned.tensors > 0)

    def refresh(self) -> None:
        """The fields changed: ask for a preview soon; nothing can be applied until it is there."""
        self.drop()
        self._planned = None
        self.apply_button.setEnabled(False)
        self._timer.start()

    def ask(self) -> None:
        """What else is to be asked together with the plan; dropped in :meth:`drop`."""

    def drop(self) -> None:
        """Forget previews that are no longer wanted."""
        self._timer.stop()
        self._question.drop()

    def _ask(self) -> None:
        request = self.plan()
        if isinstance(request, str):
            self.preview.say(request)
            return
        self._question.ask(request, self.show_plan, self._failed)
        self.ask()

    def _failed(self, error: InspectorError) -> None:
        self.preview.say(error.sentence, "danger")
