"""Report of the verification of a file."""

from __future__ import annotations

from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from inspector_app.gui.panels.tone_label import ToneLabel
from inspector_app.protocol.errors import InspectorError
from inspector_app.protocol.messages import Verified
from widgets.numbers import bytes_text, count_text
from widgets.theme import GRID

_RECORDED = {
    "matches": ("the payload's hash is the one recorded in the file", "good"),
    "differs": ("the payload's hash is NOT the one recorded in the file", "danger"),
    "absent": ("the file records no hash of its payload, so nothing was compared", "warning"),
}
_SHOWN = 200


class VerifyDialog(QDialog):
    """Modeless; says that it is reading until a report or an error is there."""

    def __init__(self, path: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("verifyDialog")
        self.setWindowTitle("Verify")
        self.setMinimumSize(80 * GRID, 44 * GRID)
        self.summary = ToneLabel(f"Reading {path}…", "muted")
        self.summary.setObjectName("verifySummary")
        self.summary.setWordWrap(True)
        self.summary.setMinimumHeight(5 * GRID)
        self.list = QTreeWidget()
        self.list.setObjectName("verifyList")
        self.list.setAccessibleName("Report of the verification")
        self.list.setHeaderHidden(True)
        self.list.setUniformRowHeights(True)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(2 * GRID, 2 * GRID, 2 * GRID, 2 * GRID)
        column.setSpacing(GRID)
        column.addWidget(self.summary)
        column.addWidget(self.list, 1)
        column.addWidget(buttons)

    def show_error(self, error: InspectorError) -> None:
        """Say why there is no report."""
        self.summary.say(error.sentence, "danger")

    def show_report(self, report: Verified) -> None:
        """Show what was found."""
        self.list.clear()
        sentence, tone = _RECORDED[report.recorded]
        if report.against:
            equal = "equals" if not report.differences else "differs from"
            sentence += f", and the file {equal} {report.against}"
            if report.differences:
                tone = "danger"
            elif tone == "warning":
                tone = "good"
        self.summary.say(f"{'Verified' if report.ok else 'Not verified'}: {sentence}.", tone)
        for label, value in (
            ("File", report.path),
            ("Tensors", count_text(report.tensors)),
            ("Size", f"{count_text(report.bytes)} bytes ({bytes_text(report.bytes)})"),
            ("sha256", report.sha256),
        ):
            QTreeWidgetItem(self.list, [f"{label}:  {value}"]).setToolTip(0, value)
        if report.differences:
            branch = QTreeWidgetItem(
                self.list, [f"Differences: {count_text(len(report.differences))}"]
            )
            for difference in report.differences[:_SHOWN]:
                QTreeWidgetItem(branch, [f"{difference.name}: {difference.what}"])
            if len(report.differences) > _SHOWN:
                rest = count_text(len(report.differences) - _SHOWN)
                QTreeWidgetItem(branch, [f"and {rest} more"])
            branch.setExpanded(True)
