"""What a pickled model would import, and the question whether a person trusts it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QLabel,
    QSplitter,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from inspector_app.gui.panels.plan_preview import plural
from inspector_app.gui.panels.tone_label import ToneLabel
from inspector_app.protocol.messages import Import, Trust
from widgets.code_view import CodeView
from widgets.icons import icon
from widgets.theme import GRID, current_theme, mono_font
from widgets.tree_delegate import one_line

_DANGER = (
    "Loading this file as Python does runs the code that it names, with all your rights: it can "
    "read, change and delete your files, and use the network. Nothing has been run so far. Load "
    "it only if you trust whoever made it."
)
_SHOWN = 2000  # imports listed; the rest is counted


class TrustDialog(QDialog):
    """Modal.  Accepted only after the box was ticked; Return and Escape both mean no."""

    def __init__(self, title: str, trust: Trust, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("trustDialog")
        self.setWindowTitle("Trust and load")
        self.setMinimumSize(76 * GRID, 56 * GRID)
        self._trust = trust
        unknown = [found for found in trust.imports if not found.known]
        known = [found for found in trust.imports if found.known]
        heading = QLabel(f"Trust {one_line(title)}?")
        heading.setTextFormat(Qt.TextFormat.PlainText)
        font = heading.font()
        font.setBold(True)
        heading.setFont(font)
        warning = ToneLabel(_DANGER, "warning")
        warning.reserve_lines(8 * GRID)
        self.summary = ToneLabel(_summary(unknown, known), "plain")
        self.summary.setObjectName("trustSummary")
        self.summary.setWordWrap(True)

        self.list = QTreeWidget()
        self.list.setObjectName("trustList")
        self.list.setAccessibleName("What the file would import")
        self.list.setHeaderHidden(True)
        self.list.setUniformRowHeights(True)
        self._branch(f"Not known to be harmless: {len(unknown):,}", unknown, "warning")
        self._branch(f"Of torch or Python, and harmless there: {len(known):,}", known, "good")
        self.code = CodeView()
        self.code.setObjectName("trustSource")
        parts = QSplitter(Qt.Orientation.Vertical)
        parts.setChildrenCollapsible(False)
        parts.addWidget(self.list)
        if trust.source:
            self._sources()
            parts.addWidget(self.code)
        self.trusted = QCheckBox("&I trust this file: let it run its code")
        self.trusted.setObjectName("trustTick")
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.load_button = self.buttons.addButton(
            "&Trust and load", QDialogButtonBox.ButtonRole.AcceptRole
        )
        self.load_button.setObjectName("trustLoad")
        self.load_button.setAutoDefault(False)
        self.load_button.setEnabled(False)
        cancel = self.buttons.button(QDialogButtonBox.StandardButton.Cancel)
        cancel.setDefault(True)
        self.trusted.toggled.connect(self.load_button.setEnabled)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(2 * GRID, 2 * GRID, 2 * GRID, 2 * GRID)
        column.setSpacing(GRID)
        for widget in (heading, warning, self.summary):
            column.addWidget(widget)
        column.addWidget(parts, 1)
        column.addWidget(self.trusted, alignment=Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self.buttons)
        cancel.setFocus()

    def accept(self) -> None:
        """Not without the tick."""
        if self.trusted.isChecked():
            super().accept()

    def _branch(self, title: str, imports: list[Import], tone: str) -> None:
        """Imports of one kind; unknown ones stand first and open."""
        if not imports:
            return
        branch = QTreeWidgetItem(self.list, [title])
        branch.setIcon(0, icon(tone, tone))
        for found in imports[:_SHOWN]:
            item = QTreeWidgetItem(branch, [one_line(found.name)])
            item.setFont(0, mono_font(small=True))
            item.setToolTip(0, found.name)
            item.setIcon(0, icon("warning" if not found.known else "check", tone))
            if not found.known:
                item.setForeground(0, current_theme().warning)
        if len(imports) > _SHOWN:
            QTreeWidgetItem(branch, [f"and {len(imports) - _SHOWN:,} more"])
        branch.setExpanded(tone == "warning" or len(imports) <= 12)

    def _sources(self) -> None:
        """Classes whose source the file carries along; the current one is shown below."""
        names = list(self._trust.source)
        branch = QTreeWidgetItem(
            self.list, [f"Source carried along: {plural(len(names), 'class', 'classes')}"]
        )
        branch.setIcon(0, icon("code", "muted"))
        for name in names[:_SHOWN]:
            item = QTreeWidgetItem(branch, [one_line(name)])
            item.setFont(0, mono_font(small=True))
            item.setData(0, Qt.ItemDataRole.UserRole, name)
        branch.setExpanded(True)
        self.list.currentItemChanged.connect(self._show_source)
        if (first := branch.child(0)) is not None:
            self.list.setCurrentItem(first)

    def _show_source(self, item: QTreeWidgetItem | None) -> None:
        name = item.data(0, Qt.ItemDataRole.UserRole) if item is not None else None
        if isinstance(name, str):
            title = f"{name}, as the file carries it; what runs is the installed class"
            self.code.set_source(title, self._trust.source[name], 1)


def _summary(unknown: list[Import], known: list[Import]) -> str:
    if unknown:
        be = "is" if len(unknown) == 1 else "are"
        return (
            f"It would import {plural(len(unknown), 'name')} that {be} not known to be harmless, "
            f"and {len(known):,} of torch or Python."
        )
    return (
        f"It would import {plural(len(known), 'name')}, all of torch or Python and harmless there. "
        "That makes harm unlikely, and does not rule it out."
    )
