"""What all live views have in common."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QToolButton, QWidget

from inspector_app.gui.client.records_store import RecordsStore
from inspector_app.gui.views.names import NamedSeries
from widgets.theme import GRID


class View(QWidget):
    """One way to draw the mirrored records; does nothing while it cannot be seen.

    ``options`` are its own controls, which the panel shows beside the tabs.  A subclass draws in
    :meth:`draw`, and makes what needs the plotting library when it does so for the first time.
    ``row_clicked`` names the row of what was clicked, ``step_clicked`` a step.
    """

    title = ""
    row_clicked = Signal(int)
    step_clicked = Signal(int)

    def __init__(self, store: RecordsStore, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.store = store
        self.series: list[NamedSeries] = []
        self.selected: set[int] = set()  # rows of the tree
        self.step: int | None = None  # the one looked back at; None: the newest
        self.until: int | None = None  # sequence number up to which is drawn while that is so
        self.options = QWidget()
        row = QHBoxLayout(self.options)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(GRID)
        row.addStretch(1)

    def set_series(self, series: list[NamedSeries]) -> None:
        """Which series there are now, in the model's order."""
        self.series = series

    def read_anew(self) -> None:
        """Others of the mirrored records are shown than before."""

    def draw(self) -> None:
        """Draw all that is mirrored; called at most once a frame, and only while in sight."""

    def hold(self, step: int | None, until: int | None) -> None:
        """Look back at a step and draw nothing newer than was there, or the newest again."""
        self.step, self.until = step, until

    def row_of(self, key: int) -> int:
        """The row that a series belongs to; -1 for none."""
        return next((one.row for one in self.series if one.key == key), -1)

    # -- controls ------------------------------------------------------------------------------

    def add_choice(self, name: str, help_text: str, changed: Callable[[], object]) -> QComboBox:
        """A list among the options."""
        box = QComboBox()
        box.setObjectName(name)
        box.setAccessibleName(help_text)
        box.setToolTip(help_text)
        box.activated.connect(lambda _: changed())
        self._add(box)
        return box

    def add_toggle(
        self, name: str, text: str, help_text: str, changed: Callable[[bool], object]
    ) -> QToolButton:
        """A button that stays down, among the options."""
        button = QToolButton()
        button.setObjectName(name)
        button.setText(text)
        button.setToolTip(help_text)
        button.setCheckable(True)
        button.setProperty("framed", True)
        button.toggled.connect(lambda on: changed(on))
        self._add(button)
        return button

    def _add(self, widget: QWidget) -> None:
        layout = self.options.layout()
        assert isinstance(layout, QHBoxLayout)
        layout.insertWidget(layout.count() - 1, widget)
