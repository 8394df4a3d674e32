"""Export of a state_dict: what is written, a live plan, progress, and the verified report."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QButtonGroup,
    QDialog,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QRadioButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from inspector_app.gui.panels.asking import Asks
from inspector_app.gui.panels.forms import add_row
from inspector_app.gui.panels.freeze_pattern_dialog import patterns_in
from inspector_app.gui.panels.plan_preview import plural
from inspector_app.gui.panels.tone_label import ToneLabel
from inspector_app.protocol.errors import Cancelled, InspectorError
from inspector_app.protocol.messages import (
    Export,
    Exported,
    ExportOptions,
    ExportPlan,
    LeftOut,
    PlanExport,
    Selection,
    Tie,
)
from widgets.numbers import bytes_text
from widgets.theme import GRID, mono_font

_PAUSE = 150  # milliseconds without typing before a plan is asked for
_SHOWN = 200


class ExportDialog(QDialog):
    """Modeless; one dialog makes one export and then shows its report.

    ``rows`` are the rows selected when it was opened, ``subtree`` their words.
    """

    def __init__(
        self, session: Asks, path: str, rows: list[int], subtree: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("exportDialog")
        self.setWindowTitle("Export state_dict")
        self.setMinimumSize(80 * GRID, 66 * GRID)
        self._session = session
        self._rows = rows
        self._planning: int | None = None
        self._exporting: int | None = None
        self.exported: Exported | None = None

        self.path = QLineEdit(path)
        self.path.setObjectName("exportPath")
        self.path.setFont(mono_font())
        self.browse = QPushButton("Browse…")
        self.browse.clicked.connect(self._browse)
        path_row = QHBoxLayout()
        path_row.addWidget(self.path, 1)
        path_row.addWidget(self.browse)
        self.everything = QRadioButton("&All")
        self.selected = QRadioButton(f"&Selected: {subtree}" if rows else "&Selected rows")
        self.selected.setEnabled(bool(rows))
        self.by_pattern = QRadioButton("&Pattern:")
        self.pattern = QLineEdit()
        self.pattern.setObjectName("exportPattern")
        self.pattern.setFont(mono_font())
        self.pattern.setPlaceholderText("encoder.* *.bias")
        self.pattern.setAccessibleName("pattern of what is exported")
        self.everything.setChecked(True)
        group = QButtonGroup(self)
        for button in (self.everything, self.selected, self.by_pattern):
            group.addButton(button)
        pattern_row = QHBoxLayout()
        pattern_row.addWidget(self.by_pattern)
        pattern_row.addWidget(self.pattern, 1)
        self.skip = QLineEdit()
        self.skip.setObjectName("exportSkip")
        self.skip.setFont(mono_font())
        self.skip.setPlaceholderText("leave out, as in *.num_batches_tracked")
        self.fields = QWidget()
        form = QFormLayout(self.fields)
        form.setContentsMargins(0, 0, 0, 0)
        form.setSpacing(GRID)
        add_row(form, "&File", path_row, self.path)
        form.addRow("What", self.everything)
        form.addRow("", self.selected)
        form.addRow("", pattern_row)
        form.addRow("S&kip", self.skip)

        self.summary = ToneLabel(tone="muted")
        self.summary.setObjectName("exportSummary")
        self.summary.setWordWrap(True)
        self.summary.setMinimumHeight(5 * GRID)
        self.list = QTreeWidget()
        self.list.setObjectName("exportList")
        self.list.setAccessibleName("Plan and report of the export")
        self.list.setHeaderHidden(True)
        self.list.setUniformRowHeights(True)
        self.progress = QProgressBar()
        self.progress.setObjectName("exportProgress")
        self.progress.setTextVisible(False)
        keep = self.progress.sizePolicy()
        keep.setRetainSizeWhenHidden(True)
        self.progress.setSizePolicy(keep)
        self.progress.hide()
        self.copy_button = QPushButton("Copy sha256")
        self.copy_button.setObjectName("exportCopy")
        self.copy_button.clicked.connect(self._copy)
        self.copy_button.hide()
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setObjectName("exportCancel")
        self.cancel_button.clicked.connect(self.reject)
        self.export_button = QPushButton("Export")
        self.export_button.setObjectName("exportStart")
        self.export_button.setDefault(True)
        self.export_button.setEnabled(False)
        self.export_button.clicked.connect(self._export)
        buttons = QHBoxLayout()
        buttons.addWidget(self.copy_button)
        buttons.addStretch(1)
        buttons.addWidget(self.export_button)
        buttons.addWidget(self.cancel_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(2 * GRID, 2 * GRID, 2 * GRID, 2 * GRID)
        column.setSpacing(GRID)
        column.addWidget(self.fields)
        column.addWidget(self.summary)
        column.addWidget(self.list, 1)
        column.addWidget(self.progress)
        column.addLayout(buttons)

        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE)
        self._timer.timeout.connect(self._plan)
        self.pattern.textEdited.connect(lambda: self.by_pattern.setChecked(True))
        for line in (self.path, self.pattern, self.skip):
            line.textChanged.connect(self._changed)
        group.buttonToggled.connect(self._changed)
        self._changed()

    @property
    def only(self) -> Selection | None:
        """What is exported; None is all."""
        if self.selected.isChecked():
            return Selection(rows=self._rows)
        if self.by_pattern.isChecked():
            return Selection(patterns=patterns_in(self.pattern.text()))
        return None

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

    # -- plan ----------------------------------------------------------------------------------

    def _changed(self) -> None:
        self.export_button.setEnabled(False)
        self._timer.start()

    def _drop(self) -> None:
        self._timer.stop()
        if self._planning is not None:
            self._session.cancel(self._planning)
            self._planning = None

    @property
    def options(self) -> ExportOptions:
        """What is written, as the fields say it."""
        return ExportOptions(only=self.only, skip=patterns_in(self.skip.text()))

    def _plan(self) -> None:
        self._drop()
        only = self.only
        if not self.path.text().strip():
            self.summary.say("Name the file to write.", "muted")
            return
        if only is not None and not (only.rows or only.patterns):
            self.summary.say("Type a pattern such as encoder.* to see what it means.", "muted")
            return
        request = PlanExport(options=self.options)
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
        self.list.clear()
        self._branch_left_out("The format cannot hold", plan.refused)
        self._branch_ties(plan.ties)
        self._branch_left_out("Left out", plan.left_out)
        amount = f"{plural(plan.tensors, 'tensor')}, {bytes_text(plan.bytes)}"
        if plan.refused:
            self.summary.say(
                f"{plural(len(plan.refused), 'entry', 'entries')} cannot be held by safetensors. "
                "Name them under Skip to export the rest.",
                "warning",
            )
        elif not plan.tensors:
            self.summary.say("There is nothing to write.", "warning")
        else:
            self.summary.say(f"Would write {amount}.", "plain")
        self.export_button.setEnabled(bool(plan.tensors) and not plan.refused)

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
        self.list.clear()
        for label, value in (
            ("File", report.path),
            ("Tensors", f"{report.tensors:,}"),
            ("Size", f"{report.bytes:,} bytes ({bytes_text(report.bytes)})"),
            ("sha256", report.sha256),
            ("sha256 of the payload", report.payload_sha256),
        ):
            item = QTreeWidgetItem(self.list, [f"{label}:  {value}"])
            item.setToolTip(0, value)
        self._branch_ties(report.ties)
        self._branch_left_out("Left out", report.left_out)
        self.summary.say(
            f"Written, read back and equal bit by bit: {plural(report.tensors, 'tensor')}, "
            f"{bytes_text(report.bytes)} in {report.seconds:.1f} s.",
            "good",
        )
        self.copy_button.show()
        self.export_button.hide()
        self.cancel_button.setText("Close")
        self.cancel_button.setDefault(True)

    # -- parts ---------------------------------------------------------------------------------

    def _branch_ties(self, ties: list[Tie]) -> None:
        if ties:
            branch = QTreeWidgetItem(self.list, [f"Tied: {plural(len(ties), 'group')}"])
            for tie in ties[:_SHOWN]:
                text = f"{' = '.join(tie.names)}: {tie.kept}"
                QTreeWidgetItem(branch, [text]).setToolTip(0, text)
            branch.setExpanded(True)

    def _branch_left_out(self, title: str, left: list[LeftOut]) -> None:
        if left:
            amount = plural(len(left), "entry", "entries")
            branch = QTreeWidgetItem(self.list, [f"{title}: {amount}"])
            for entry in left[:_SHOWN]:
                text = f"{entry.name}: {entry.reason}"
                QTreeWidgetItem(branch, [text]).setToolTip(0, text)
            if len(left) > _SHOWN:
                QTreeWidgetItem(branch, [f"and {len(left) - _SHOWN:,} more"])
            branch.setExpanded(True)

    def _browse(self) -> None:
        chosen, _ = QFileDialog.getSaveFileName(
            self, "Export state_dict", self.path.text(), "safetensors (*.safetensors)"
        )
        if chosen:
            self.path.setText(chosen)

    def _copy(self) -> None:
        if self.exported is not None:
            QGuiApplication.clipboard().setText(self.exported.sha256)
