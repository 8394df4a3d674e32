"""Report of the verification of one file or several."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from inspector_app.gui.panels.plan_preview import plural
from inspector_app.gui.panels.tone_label import ToneLabel
from inspector_app.protocol.errors import InspectorError
from inspector_app.protocol.messages import Verified
from widgets.icons import icon
from widgets.numbers import bytes_text, count_text
from widgets.theme import GRID, mono_font
from widgets.tree_delegate import one_line

_RECORDED = {
    "matches": ("the payload's hash is the one recorded in the file", "good"),
    "differs": ("the payload's hash is NOT the one recorded in the file", "danger"),
    "absent": ("the file records no hash of its payload, so nothing was compared", "warning"),
}
_SHOWN = 200


class VerifyDialog(QDialog):
    """Modeless; says that it is reading until a report or an error is there for every file."""

    def __init__(self, paths: list[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("verifyDialog")
        self.setWindowTitle("Verify")
        self.setMinimumSize(80 * GRID, 40 * GRID)
        self.resize(88 * GRID, 44 * GRID)
        reading = paths[0] if len(paths) == 1 else plural(len(paths), "file")
        self.summary = ToneLabel(f"Reading {reading}…", "muted")
        self.summary.setObjectName("verifySummary")
        self.summary.reserve_lines(5 * GRID)
        self.list = QTreeWidget()
        self.list.setObjectName("verifyList")
        self.list.setAccessibleName("Report of the verification")
        self.list.setHeaderHidden(True)
        self.list.setUniformRowHeights(True)
        self._files: dict[str, QTreeWidgetItem] = {}
        for path in paths:
            item = QTreeWidgetItem(self.list, [one_line(Path(path).name)])
            item.setToolTip(0, path)
            item.setIcon(0, icon("more", "muted"))
            self._files[path] = item
        self._tones: dict[str, str] = {}  # of the files that were read
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(2 * GRID, 2 * GRID, 2 * GRID, 2 * GRID)
        column.setSpacing(GRID)
        column.addWidget(self.summary)
        column.addWidget(self.list, 1)
        column.addWidget(buttons)

    def show_error(self, path: str, error: InspectorError) -> None:
        """Say why there is no report of a file."""
        self._note(path, error.sentence, "danger")

    def show_report(self, path: str, report: Verified) -> None:
        """Show what was found in a file."""
        sentence, tone = _RECORDED[report.recorded]
        if report.against:
            equal = "equals" if not report.differences else "differs from"
            sentence += f", and the file {equal} {report.against}"
            if report.differences:
                tone = "danger"
            elif tone == "warning":
                tone = "good"
        elif report.differences:
            tone = "danger"
        sentence = f"{'Verified' if report.ok else 'Not verified'}: {sentence}."
        item = self._files[path]
        self._note(path, sentence, tone)
        for label, value in (
            ("File", report.path),
            ("Tensors", count_text(report.tensors)),
            ("Size", f"{count_text(report.bytes)} bytes ({bytes_text(report.bytes)})"),
            ("sha256", report.sha256),
        ):
            line = QTreeWidgetItem(item, [f"{label}:  {one_line(value)}"])
            line.setToolTip(0, value)
            line.setFont(0, mono_font(small=True))
        if report.differences:
            branch = QTreeWidgetItem(item, [f"Differences: {count_text(len(report.differences))}"])
            for difference in report.differences[:_SHOWN]:
                about = f"{difference.name}: " if difference.name else ""  # else the whole file
                text = f"{about}{difference.what}"
                QTreeWidgetItem(branch, [one_line(text)]).setToolTip(0, text)
            if len(report.differences) > _SHOWN:
                rest = count_text(len(report.differences) - _SHOWN)
                QTreeWidgetItem(branch, [f"and {rest} more"])
            branch.setExpanded(True)
        item.setExpanded(len(self._files) == 1 or bool(report.differences))

    def _note(self, path: str, sentence: str, tone: str) -> None:
        """A file is done."""
        item = self._files[path]
        item.takeChildren()
        item.setIcon(0, icon(tone, tone))
        if len(self._files) > 1:
            item.setText(0, f"{one_line(Path(path).name)}:  {one_line(sentence)}")
        item.setToolTip(0, f"{path}\n{sentence}")
        self._tones[path] = tone
        total = len(self._files)
        good = sum(tone == "good" for tone in self._tones.values())
        worst = next((t for t in ("danger", "warning") if t in self._tones.values()), "good")
        if total == 1:
            self.summary.say(sentence, tone)
        elif len(self._tones) < total:
            self.summary.say(f"Read {len(self._tones)} of {plural(total, 'file')}…", "muted")
        else:
            text = f"{good} of {plural(total, 'file')} verified."
            self.summary.say(text if good < total else f"All {total} files verified.", worst)
