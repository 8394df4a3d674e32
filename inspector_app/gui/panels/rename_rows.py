"""Rows that say how the beginnings of keys are written in a file."""

from __future__ import annotations

from PySide6.QtCore import QSize, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QToolButton, QVBoxLayout, QWidget

from inspector_app.protocol.messages import Rename
from widgets.icons import icon
from widgets.theme import GRID, mono_font


class RenameRows(QWidget):
    """At least one row, which may be empty; ``changed`` after every key.

    An empty left field puts the right one before every name, an empty right field takes the left
    one off.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: list[_Row] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(GRID // 2)
        self.add()

    @property
    def renames(self) -> list[Rename]:
        """Rows that say something, in order."""
        pairs = [(row.old.text().strip(), row.new.text().strip()) for row in self._rows]
        return [Rename(old=old, new=new) for old, new in pairs if old != new]

    def add(self) -> None:
        """One more row."""
        row = _Row(len(self._rows))
        row.old.textChanged.connect(self.changed)
        row.new.textChanged.connect(self.changed)
        row.add_button.clicked.connect(self.add)
        row.remove_button.clicked.connect(lambda: self._remove(row))
        self._rows.append(row)
        self._column.addWidget(row)
        if len(self._rows) > 1:
            row.old.setFocus()
        self._show_buttons()

    def _remove(self, row: _Row) -> None:
        if len(self._rows) == 1:
            row.old.clear()
            row.new.clear()
            return
        self._rows.remove(row)
        self._column.removeWidget(row)
        row.hide()
        row.deleteLater()
        self._show_buttons()
        self.changed.emit()

    def _show_buttons(self) -> None:
        for row in self._rows:
            row.add_button.setVisible(row is self._rows[-1])


class _Row(QWidget):
    def __init__(self, number: int) -> None:
        super().__init__()
        self.old = _line(f"renameOld_{number}", "module.", "beginning of a name")
        self.new = _line(f"renameNew_{number}", "nothing", "beginning of the name in the file")
        self.add_button = _tool("plus", "Another row")
        self.add_button.setObjectName(f"renameAdd_{number}")
        self.remove_button = _tool("close", "Remove this row")
        keep = self.add_button.sizePolicy()
        keep.setRetainSizeWhenHidden(True)
        self.add_button.setSizePolicy(keep)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(GRID)
        row.addWidget(self.old, 1)
        row.addWidget(QLabel("becomes"))
        row.addWidget(self.new, 1)
        row.addWidget(self.remove_button)
        row.addWidget(self.add_button)


def _line(name: str, placeholder: str, meaning: str) -> QLineEdit:
    line = QLineEdit()
    line.setObjectName(name)
    line.setFont(mono_font())
    line.setPlaceholderText(placeholder)
    line.setAccessibleName(meaning)
    line.setToolTip(
        "Keys that begin with the left text begin with the right one in the file. Left empty: the "
        "right text is put before every name. Right empty: the left text is taken off."
    )
    return line


def _tool(name: str, tip: str) -> QToolButton:
    button = QToolButton()
    button.setIcon(icon(name, "muted"))
    button.setIconSize(QSize(2 * GRID, 2 * GRID))
    button.setToolTip(tip)
    button.setAccessibleName(tip)
    return button
