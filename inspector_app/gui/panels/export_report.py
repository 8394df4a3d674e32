"""What an export would write, and the report of what it wrote."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QTreeWidget, QTreeWidgetItem, QWidget

from inspector_app.gui.panels.plan_preview import plural
from inspector_app.protocol.messages import Exported, ExportPlan, LeftOut, Tie
from widgets.facts_view import FactLine, FactsView, Section
from widgets.icons import icon
from widgets.numbers import bytes_text, count_text
from widgets.theme import mono_font
from widgets.tree_delegate import one_line

_SHOWN = 200  # entries listed of each kind; the rest is counted


class ExportPlanList(QTreeWidget):
    """What needs a look before anything is written: refusals first, then ties and what is left."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("exportList")
        self.setAccessibleName("Plan of the export")
        self.setHeaderHidden(True)
        self.setUniformRowHeights(True)

    def show_plan(self, plan: ExportPlan) -> None:
        """List a plan."""
        self.clear()
        self._branch("The format cannot hold", "warning", _left_out(plan.refused))
        for note in plan.notes:
            item = QTreeWidgetItem(self, [one_line(note)])
            item.setToolTip(0, note)
            item.setIcon(0, icon("info", "accent"))
        groups = [_tie(tie) for tie in plan.ties]
        self._branch("Tied", "link", groups, ("group", "groups"))
        self._branch("Left out", "close", _left_out(plan.left_out))

    def _branch(
        self,
        title: str,
        picture: str,
        lines: list[str],
        words: tuple[str, str] = ("entry", "entries"),
    ) -> None:
        if not lines:
            return
        branch = QTreeWidgetItem(self, [f"{title}: {plural(len(lines), *words)}"])
        branch.setIcon(0, icon(picture, "warning" if picture == "warning" else "muted"))
        for line in lines[:_SHOWN]:
            item = QTreeWidgetItem(branch, [one_line(line)])
            item.setFont(0, mono_font(small=True))
            item.setToolTip(0, line)
        if len(lines) > _SHOWN:
            QTreeWidgetItem(branch, [f"and {count_text(len(lines) - _SHOWN)} more"])
        branch.setExpanded(True)


def plan_sentence(plan: ExportPlan, format_name: str) -> tuple[str, str]:
    """A plan in words, and their tone."""
    if plan.refused:
        what = plural(len(plan.refused), "entry", "entries")
        return f"{what} cannot be held by {format_name}. Without such, the rest can be written.", (
            "warning"
        )
    if not plan.tensors:
        return "There is nothing to write.", "warning"
    text = f"Would write {plural(plan.tensors, 'tensor')}, {bytes_text(plan.bytes)}"
    if plan.files > 1:
        text += f", in {plural(plan.files, 'file')} and an index"
    changes = []
    if plan.renamed:
        changes.append(f"{count_text(plan.renamed)} under another name")
    if plan.converted:
        changes.append(f"{count_text(plan.converted)} in another data type")
    if changes:
        text += f"; {' and '.join(changes)}"
    return text + ".", "plain"


def show_report(view: FactsView, report: Exported) -> None:
    """All of a report as facts that can be copied."""
    size = FactLine(
        "Size", f"{count_text(report.bytes)} bytes ({bytes_text(report.bytes)})", str(report.bytes)
    )
    files = report.files or [report.path]
    lines = [FactLine("File", files[0], files[0])]
    lines += [FactLine("", Path(path).name, path) for path in files[1:_SHOWN]]
    if len(files) > _SHOWN:
        lines.append(FactLine("", f"and {count_text(len(files) - _SHOWN)} more files"))
    lines += [
        FactLine("Tensors", count_text(report.tensors)),
        size,
        FactLine("sha256", report.sha256, report.sha256),
    ]
    if report.payload_sha256:
        lines.append(FactLine("of the values", report.payload_sha256, report.payload_sha256))
    lines.append(FactLine("Took", f"{report.seconds:.2f} s"))
    sections: list[Section] = [("", lines)]
    for title, entries in (
        ("Notes", report.notes),
        ("Left out", _left_out(report.left_out)),
        ("Tied", [_tie(tie) for tie in report.ties]),
    ):
        if entries:
            shown = [FactLine("", one_line(entry), entry) for entry in entries[:_SHOWN]]
            if len(entries) > _SHOWN:
                shown.append(FactLine("", f"and {count_text(len(entries) - _SHOWN)} more"))
            sections.append((title, shown))
    view.set_sections("", sections)


def _left_out(left: list[LeftOut]) -> list[str]:
    return [f"{entry.name}: {entry.reason}" for entry in left]


def _tie(tie: Tie) -> str:
    return f"{' = '.join(tie.names)}: {tie.kept}"
