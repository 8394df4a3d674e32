"""What the model runs with: what its file makes, or one line for each argument of forward."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QGridLayout,
    QRadioButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from inspector_app.gui.panels.asking import Asks
from inspector_app.gui.panels.input_row import FieldRow
from inspector_app.gui.panels.tone_label import ToneLabel
from inspector_app.protocol.messages import (
    InputField,
    InputForm,
    Pictures,
)
from widgets.theme import GRID

_HEIGHT = 28 * GRID  # pixels of all arguments; more of them are scrolled


class InputsForm(QWidget):
    """``fields`` None stands for the file's own inputs; ``told`` gives a sentence and its tone.

    ``changed`` is emitted when other sources are chosen.
    """

    told = Signal(str, str)
    changed = Signal()

    def __init__(
        self,
        session: Asks,
        form: InputForm,
        fields: list[InputField] | None,
        pictures: dict[str, list[str]],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.provided = QRadioButton("&example_inputs() of the model's file")
        self.provided.setObjectName("inputsProvided")
        self.provided.setEnabled(form.provided)
        if not form.provided:
            self.provided.setToolTip("The file has no function example_inputs()")
        self.made = QRadioButton("Each &argument of forward: random, or from files")
        self.made.setObjectName("inputsMade")
        self.made.setEnabled(bool(form.fields))
        self.made.setToolTip("" if form.fields else form.reason or "No argument is known")
        own = form.provided and (fields is None or not form.fields)
        (self.provided if own else self.made).setChecked(True)
        self._table = QWidget()
        grid = QGridLayout(self._table)
        grid.setContentsMargins(3 * GRID, 0, 0, 0)
        grid.setSpacing(GRID)
        grid.setColumnStretch(2, 1)
        grid.setColumnStretch(5, 1)
        titles = ("", "Argument", "Shape", "Data type", "Values", "")
        for column, title in enumerate(titles):
            grid.addWidget(ToneLabel(title, "muted"), 0, column)
        given = {field.name: field for field in fields or []}
        self.rows = [
            FieldRow(session, given.get(field.name, field), pictures.get(field.name, []))
            for field in form.fields
        ]
        for line, row in enumerate(self.rows, 1):
            row.told.connect(self.told)
            row.changed.connect(self.changed)
            for column, widget in enumerate(row.cells):
                grid.addWidget(widget, line, column)
        scroll = QScrollArea()
        scroll.setObjectName("inputsScroll")
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidgetResizable(True)
        scroll.setWidget(self._table)
        scroll.setVisible(bool(self.rows))
        hint = self._table.minimumSizeHint()
        scroll.setMinimumWidth(hint.width() + scroll.verticalScrollBar().sizeHint().width())
        scroll.setFixedHeight(min(hint.height(), _HEIGHT))
        column_layout = QVBoxLayout(self)
        column_layout.setContentsMargins(0, 0, 0, 0)
        column_layout.setSpacing(GRID)
        for part in (self.provided, self.made, scroll):
            column_layout.addWidget(part)
        self.made.toggled.connect(self._table.setEnabled)
        self.made.toggled.connect(self.changed)
        self._table.setEnabled(self.made.isChecked())

    @property
    def holds_examples(self) -> bool:
        """Whether anything comes from a file or from pictures, of which a step may take some."""
        sources = [row.kind for row in self.rows if row.used.isChecked()]
        return self.made.isChecked() and bool({"file", "pictures"}.intersection(sources))

    def fields(self) -> list[InputField] | None:
        """Raises ValueError with a sentence."""
        return [row.value() for row in self.rows] if self.made.isChecked() else None

    def pictures(self) -> dict[str, Pictures]:
        """Pixels by argument; raises ValueError with a sentence."""
        found: dict[str, Pictures] = {}
        for row in self.rows if self.made.isChecked() else []:
            pixels = row.pixels()
            if pixels is not None:
                found[row.field.name] = pixels
        return found

    def picture_paths(self) -> dict[str, list[str]]:
        """Files of pictures that were chosen, by argument."""
        return {row.field.name: row.pictures for row in self.rows}
