"""The factories of a Python file to choose from, and the arguments of the one that is chosen.

The file is read beside the event loop and its code is never run.
"""

from __future__ import annotations

from threading import Thread
from typing import Any

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import (
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from inspector_app.factories import DEFAULT, Factory, list_factories
from inspector_app.gui.panels.arguments_form import ArgumentsForm
from inspector_app.gui.panels.forms import LABELS, label_for
from inspector_app.gui.panels.tone_label import ToneLabel
from inspector_app.protocol.errors import RequestError, TargetError
from widgets.icons import icon
from widgets.theme import GRID, current_theme, mono_font

_LOOK = 15  # milliseconds between two looks at whether the file has been read
_NAMES = 44 * GRID  # pixels of the column of signatures


class FactoryForm(QWidget):
    """A list, the name (typed where it is not in the list) and the fields of its arguments.

    ``changed`` whenever :attr:`name` or :attr:`arguments` may be another.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("factoryForm")
        self.factories: list[Factory] = []
        self._reading: list[list[Factory] | TargetError] | None = None  # filled by the thread
        self._wanted = ""
        self.line = QLineEdit()
        self.line.setObjectName("openFactory")
        self.line.setFont(mono_font())
        self.line.setPlaceholderText(DEFAULT)
        self.line.setToolTip("Function or class that builds the model when it is called")
        self.list = QTreeWidget()
        self.list.setObjectName("openFactories")
        self.list.setAccessibleName("Factories of the file")
        self.list.setRootIsDecorated(False)
        self.list.setHeaderHidden(True)
        self.list.setColumnCount(2)
        self.list.setUniformRowHeights(True)
        self.list.setMinimumHeight(12 * GRID)
        self.list.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Interactive)
        self.list.header().resizeSection(0, _NAMES)
        self.list.header().setStretchLastSection(True)
        self.problem = ToneLabel(tone="muted")
        self.problem.setObjectName("openFactoryProblem")
        self.problem.reserve_lines(3 * GRID)
        self.form = ArgumentsForm()
        self.form.setMinimumHeight(13 * GRID)
        row = QHBoxLayout()
        row.setSpacing(GRID)
        row.addWidget(label_for(self.line, "F&actory", LABELS))
        row.addWidget(self.line, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GRID // 2)
        column.addLayout(row)
        column.addWidget(self.list, 2)
        column.addWidget(self.problem)
        column.addWidget(self.form, 3)
        self._timer = QTimer(self)
        self._timer.setInterval(_LOOK)
        self._timer.timeout.connect(self._look)
        self.list.currentItemChanged.connect(self._chosen)
        self.line.textChanged.connect(self._typed)
        self.form.changed.connect(self.changed)

    @property
    def reading(self) -> bool:
        """Whether the file is still being read."""
        return self._reading is not None

    @property
    def name(self) -> str:
        """The factory; raises RequestError where none is named."""
        name = self.line.text().strip() or self.line.placeholderText()
        if not all(part.isidentifier() for part in name.split(".")):
            raise RequestError("Name the function or class that builds the model.")
        return name

    @property
    def arguments(self) -> dict[str, Any]:
        """Its keyword arguments; raises RequestError where they are not right."""
        return self.form.arguments

    def read(self, target: str, wanted: str = "") -> None:
        """List the factories of a file or module; ``wanted`` is chosen where it is named."""
        self._wanted = wanted
        place: list[list[Factory] | TargetError] = []
        self._reading = place

        def work() -> None:
            try:
                place.append(list_factories(target))
            except TargetError as error:
                place.append(error)

        Thread(target=work, name="factories", daemon=True).start()
        self._timer.start()

    def forget(self) -> None:
        """There is no Python file."""
        self._timer.stop()
        self._reading = None
        self._show([], "")

    def _look(self) -> None:
        if not self._reading:
            return
        found = self._reading[0]
        self._reading = None
        self._timer.stop()
        if isinstance(found, TargetError):
            self._show([], found.sentence)
        else:
            nothing = "No function or class of it looks like a factory: type the name of one."
            self._show(found, "" if found else nothing)

    def _show(self, factories: list[Factory], problem: str) -> None:
        self.factories = factories
        self.problem.say(problem, "warning")
        self.list.blockSignals(True)
        self.list.clear()
        for factory in factories:
            item = QTreeWidgetItem(self.list, [signature(factory), factory.summary])
            item.setIcon(0, icon("model" if factory.kind == "class" else "code", "muted"))
            item.setFont(0, mono_font())
            item.setForeground(1, current_theme().muted)
            item.setToolTip(0, f"{signature(factory)}\n{factory.kind}, line {factory.line}")
            item.setToolTip(1, factory.summary)
        self.list.blockSignals(False)
        names = [factory.name for factory in factories]
        typed = self._wanted or self.line.text().strip()
        if typed not in names and not self._wanted:
            typed = ""  # it belonged to another file
        self.line.setPlaceholderText(names[0] if names else DEFAULT)
        self.line.setText(typed)
        self._typed()

    def _chosen(self, item: QTreeWidgetItem | None) -> None:
        if item is not None:
            self.line.setText(self.factories[self.list.indexOfTopLevelItem(item)].name)

    def _typed(self) -> None:
        """Choose in the list what the line says, and ask for its arguments."""
        name = self.line.text().strip() or self.line.placeholderText()
        at = next((at for at, one in enumerate(self.factories) if one.name == name), -1)
        self.list.blockSignals(True)
        self.list.setCurrentItem(self.list.topLevelItem(at) if at >= 0 else None)  # type: ignore[arg-type]
        self.list.blockSignals(False)
        self.form.show_factory(self.factories[at] if at >= 0 else None)
        self.form.follow(self.list)
        self.changed.emit()


def signature(factory: Factory) -> str:
    """A factory as its call is written: "make(hidden, norm=None, **more)"."""
    parts: list[str] = []
    starred = False
    for argument in factory.arguments:
        if argument.keyword_only and not starred:
            parts.append("*")
            starred = True
        parts.append(argument.name + (f"={argument.default}" if argument.default else ""))
    if factory.more:
        parts.append("**")
    return f"{factory.name}({', '.join(parts)})"
