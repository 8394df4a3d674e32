"""Export of a state_dict: a live plan, the export with progress and cancel, the verified report."""

from __future__ import annotations

import os
from pathlib import Path

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from inspector_app.gui.panels.asking import Asks
from inspector_app.gui.panels.export_options import FORMATS, ExportOptionsForm
from inspector_app.gui.panels.export_report import ExportPlanList, plan_sentence, show_report
from inspector_app.gui.panels.forms import LABELS, label_for, push_button
from inspector_app.gui.panels.placing import keep_on_screen
from inspector_app.gui.panels.plan_preview import plural
from inspector_app.gui.panels.tone_label import ToneLabel
from inspector_app.protocol.errors import Cancelled, InspectorError, RequestError
from inspector_app.protocol.messages import (
    Export,
    Exported,
    ExportOptions,
    ExportPlan,
    PlanExport,
)
from widgets.facts_view import FactsView
from widgets.icons import icon
from widgets.numbers import bytes_text
from widgets.theme import GRID, mono_font

_PAUSE = 150  # milliseconds without typing before a plan is asked for
_ENDINGS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
_PROOFS = {
    "proven": ("good", "good"),
    "failed": ("warning", "danger"),
    "not tried": ("info", "muted"),
}


class ExportDialog(QDialog):
    """Modeless; one dialog makes one export and then shows its report.

    ``rows`` are the rows selected when it was opened, ``subtree`` their words.  ``written`` gives
    the report; ``verify_asked`` the path of what was written.
    """

    written = Signal(object)
    verify_asked = Signal(str)

    def __init__(
        self, session: Asks, path: str, rows: list[int], subtree: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("exportDialog")
        self.setWindowTitle("Export state_dict")
        self.setMinimumWidth(76 * GRID)
        self.resize(92 * GRID, 66 * GRID)
        self._session = session
        self._planning: int | None = None
        self._exporting: int | None = None
        self._plan_shown: ExportPlan | None = None
        self.exported: Exported | None = None
        self._build(path, rows, subtree)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE)
        self._timer.timeout.connect(self._plan)
        self.path.textChanged.connect(self._changed)
        self.form.changed.connect(self._changed)
        self.form.format.currentIndexChanged.connect(self._follow_format)
        self.form.opened.connect(self._make_room)
        self._changed()

    def _build(self, path: str, rows: list[int], subtree: str) -> None:
        self.path = QLineEdit(path)
        self.path.setObjectName("exportPath")
        self.path.setFont(mono_font())
        browse = push_button("Browse…", "exportBrowse", self._browse)
        path_row = QHBoxLayout()
        path_row.setSpacing(GRID)
        path_row.addWidget(label_for(self.path, "&File", LABELS))
        path_row.addWidget(self.path, 1)
        path_row.addWidget(browse)
        self.form = ExportOptionsForm(rows, subtree)
        self.fields = QWidget()
        above = QVBoxLayout(self.fields)
        above.setContentsMargins(0, 0, 0, 0)
        above.setSpacing(GRID)
        above.addLayout(path_row)
        above.addWidget(self.form)
        self.summary = ToneLabel(tone="muted")
        self.summary.setObjectName("exportSummary")
        self.summary.reserve_lines(5 * GRID)
        self.skip_button = push_button(
            "Leave them out", "exportSkipRefused", self._leave_out_refused
        )
        self.skip_button.hide()
        summary_row = QHBoxLayout()
        summary_row.addWidget(self.summary, 1)
        summary_row.addWidget(self.skip_button)
        self._proof_icon = QLabel()
        self._proof_icon.setFixedWidth(2 * GRID)
        self.proof = ToneLabel()
        self.proof.setObjectName("exportProof")
        self.proof.setWordWrap(True)
        self.proof_row = QWidget()
        proof_row = QHBoxLayout(self.proof_row)
        proof_row.setContentsMargins(0, 0, 0, 0)
        proof_row.addWidget(self._proof_icon)
        proof_row.addWidget(self.proof, 1)
        self.proof_row.hide()
        self.list = ExportPlanList()
        self.report = FactsView()
        self.report.setObjectName("exportReport")
        self.pages = QStackedWidget()
        self.nothing = ToneLabel("No tensor is tied, refused or left out.", "muted")
        self.nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.pages.addWidget(self.nothing)
        self.list.setMinimumHeight(8 * GRID)
        self.pages.addWidget(self.list)
        self.pages.addWidget(self.report)
        self.progress = QProgressBar()
        self.progress.setObjectName("exportProgress")
        self.progress.setTextVisible(False)
        keep = self.progress.sizePolicy()
        keep.setRetainSizeWhenHidden(True)
        self.progress.setSizePolicy(keep)
        self.progress.hide()
        self.copy_button = push_button("Copy sha256", "exportCopy", self._copy)
        self.verify_button = push_button("Verify again", "exportVerify", self._verify)
        self.cancel_button = push_button("Cancel", "exportCancel", self.reject)
        self.export_button = push_button("Export", "exportStart", self._export)
        self.export_button.setDefault(True)
        self.export_button.setEnabled(False)
        buttons = QHBoxLayout()
        for button in (self.copy_button, self.verify_button):
            button.hide()
            buttons.addWidget(button)
        buttons.addStretch(1)
        buttons.addWidget(self.export_button)
        buttons.addWidget(self.cancel_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(2 * GRID, 2 * GRID, 2 * GRID, 2 * GRID)
        column.setSpacing(GRID)
        column.addWidget(self.fields)
        column.addLayout(summary_row)
        column.addWidget(self.proof_row)
        column.addWidget(self.pages, 1)
        column.addWidget(self.progress)
        column.addLayout(buttons)

    @property
    def options(self) -> ExportOptions:
        """What is written and how; raises RequestError with what is missing."""
        return self.form.options

    def show_progress(self, request_id: int, done: int, total: int, label: str) -> None:
        """Progress of any job; those of others are ignored."""
        if request_id == self._exporting:
            self.progress.setRange(0, 1000 if total else 0)
            self.progress.setValue(1000 * done // total if total else 0)
            self.summary.say(label, "muted")

    def reject(self) -> None:
        """Cancel a running export first; close otherwise."""
        if self._exporting is not None:
            self._session.cancel(self._exporting)
            self.summary.say("Cancelling…", "muted")
            return
        self._drop()
        super().reject()

    def target_gone(self) -> None:
        """Another target is open: a plan of the former one means nothing, its report stays."""
        if self.exported is None:
            self._drop()
            self._exporting = None
            super().reject()
        else:
            self.verify_button.hide()

    # -- fields --------------------------------------------------------------------------------

    def _follow_format(self) -> None:
        """The ending of the file follows the format, where it is one of ours."""
        path = self.path.text()
        ending = next((known for known in _ENDINGS if path.endswith(known)), "")
        if ending:
            self.path.setText(path.removesuffix(ending) + self.form.ending)

    def _make_room(self, height: int) -> None:
        """Grow with the options, as far as the screen allows, so that the plan keeps its size."""
        frame = self.frameGeometry().height() - self.height()
        most = self.screen().availableGeometry().height() - max(frame, 4 * GRID)
        size = QSize(self.width(), max(self.minimumHeight(), min(self.height() + height, most)))

        def grow() -> None:
            self.resize(size)
            keep_on_screen(self)

        # After the layout has seen what came or went: before, its minimum would hold.
        QTimer.singleShot(0, self, grow)

    def _browse(self) -> None:
        words, _ = FORMATS[self.form.file_format]
        chosen, _ = QFileDialog.getSaveFileName(
            self,
            "Export state_dict",
            self.path.text(),
            f"{words} (*{self.form.ending});;All files (*)",
            options=QFileDialog.Option.DontConfirmOverwrite,  # the plan says so in place
        )
        if chosen:
            self.path.setText(chosen)

    # -- plan ----------------------------------------------------------------------------------

    def _changed(self) -> None:
        self.export_button.setEnabled(False)
        self._timer.start()

    def _drop(self) -> None:
        self._timer.stop()
        if self._planning is not None:
            self._session.cancel(self._planning)
            self._planning = None

    def _plan(self) -> None:
        self._drop()
        self.skip_button.hide()
        path = self.path.text().strip()
        if not path:
            self.summary.say("Name the file to write.", "muted")
            return
        folder = os.path.dirname(os.path.abspath(path))
        if not os.path.isdir(folder):
            self.summary.say(f"There is no folder {folder}.", "danger")
            return
        try:
            request = PlanExport(options=self.options)
        except RequestError as error:
            self.list.clear()
            self.summary.say(error.sentence, "muted")
            return
        asked: list[int] = []

        def planned(plan: ExportPlan) -> None:
            if asked == [self._planning]:
                self._planning = None
                self._show_plan(plan)

        def failed(error: InspectorError) -> None:
            if asked == [self._planning]:
                self._planning = None
                self.list.clear()
                self.summary.say(error.sentence, "danger")

        self._planning = self._session.request(request, planned, failed)
        asked.append(self._planning)

    def _show_plan(self, plan: ExportPlan) -> None:
        self._plan_shown = plan
        self.list.show_plan(plan)
        self.pages.setCurrentWidget(self.list if self.list.topLevelItemCount() else self.nothing)
        text, tone = plan_sentence(plan, self.form.file_format)
        path = self.path.text().strip()
        written = f"{path}.index.json" if plan.files > 1 else path
        if tone == "plain" and os.path.exists(written):
            text += " The file that is there now is replaced."
        self.summary.say(text, tone)
        self.skip_button.setVisible(bool(plan.refused))
        self.export_button.setEnabled(bool(plan.tensors) and not plan.refused)

    def _leave_out_refused(self) -> None:
        if self._plan_shown is not None:
            self.form.leave_out([entry.name for entry in self._plan_shown.refused])

    # -- export --------------------------------------------------------------------------------

    def _export(self) -> None:
        self._drop()
        request = Export(path=self.path.text().strip(), options=self.options)
        self.fields.setEnabled(False)
        self.export_button.setEnabled(False)
        self.progress.setRange(0, 0)
        self.progress.show()
        self.summary.say("Writing…", "muted")
        self._exporting = self._session.request(request, self._done, self._failed, "Exporting")

    def _ended(self) -> None:
        self._exporting = None
        self.progress.hide()

    def _failed(self, error: InspectorError) -> None:
        self._ended()
        self.fields.setEnabled(True)
        self.export_button.setEnabled(True)
        cancelled = isinstance(error, Cancelled)
        sentence = "Cancelled: nothing was written." if cancelled else error.sentence
        self.summary.say(sentence, "muted" if cancelled else "danger")

    def _done(self, report: Exported) -> None:
        self._ended()
        self.exported = report
        self.setWindowTitle("Export report")
        self.summary.say(
            f"Written, read back and equal bit by bit: {plural(report.tensors, 'tensor')}, "
            f"{bytes_text(report.bytes)} in {report.seconds:.1f} s.",
            "good",
        )
        if report.proof.sentence:
            picture, tone = _PROOFS[report.proof.state]
            self._proof_icon.setPixmap(icon(picture, tone).pixmap(2 * GRID, 2 * GRID))
            self.proof.say(report.proof.sentence, "plain" if tone == "good" else tone)
            self.proof_row.show()
        show_report(self.report, report)
        self.pages.setCurrentWidget(self.report)
        self.fields.hide()
        self.copy_button.show()
        self.verify_button.show()
        self.export_button.hide()
        self.cancel_button.setText("Close")
        self.cancel_button.setDefault(True)
        self.written.emit(report)

    def _copy(self) -> None:
        if self.exported is not None:
            QGuiApplication.clipboard().setText(self.exported.sha256)

    def _verify(self) -> None:
        if self.exported is not None:
            self.verify_asked.emit(self.exported.path)


def default_path(folder: str, title: str, ending: str = "-export.safetensors") -> str:
    """The file that is offered for a target of that title."""
    stem = title
    for known in (".index.json", *_ENDINGS):
        stem = stem.removesuffix(known)
    stem = "".join("-" if character in '/\\:*?"<>|\0\n\r\t' else character for character in stem)
    return str((Path(folder) / f"{stem.strip('. ')[:100] or 'model'}{ending}").absolute())
