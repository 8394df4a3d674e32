"""Values as they are and as an edit would make them, of one tensor after the other."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtWidgets import QHBoxLayout, QLabel, QStackedLayout, QToolButton, QVBoxLayout, QWidget

from inspector_app.protocol.messages import BeforeAfter, Previewed, Statistics
from widgets.comparison_view import Compared, ComparisonView
from widgets.elided_label import ElidedLabel
from widgets.empty_state import EmptyState
from widgets.icons import icon
from widgets.numbers import count_text, value_text
from widgets.theme import GRID, mono_font, set_tone, ui_font
from widgets.tree_delegate import one_line

_MEASURES = {
    "Mean": "mean",
    "Deviation": "deviation",
    "Minimum": "minimum",
    "Maximum": "maximum",
    "Norm": "norm",
}
_PATIENCE = 300  # milliseconds in which what was shown before may stay


class BeforeAfterPanel(QWidget):
    """Shows an answer to PreviewInitialize; the tensor looked at stays where it is among the new.

    Keeps its size whatever it shows.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("beforeAfter")
        self._previewed = Previewed(tensors=[], more=0)
        self._index = 0
        self.empty = EmptyState("chart", "Values before and after are shown here.")
        self.back_button = _arrow("chevron-left", "previousTensor", "Previous tensor")
        self.forth_button = _arrow("chevron-right", "nextTensor", "Next tensor")
        self.back_button.clicked.connect(lambda: self.turn(-1))
        self.forth_button.clicked.connect(lambda: self.turn(1))
        self.path = ElidedLabel()
        self.path.setObjectName("beforeAfterPath")
        self.path.setFont(mono_font())
        self.place = QLabel()
        self.place.setFont(ui_font(small=True))
        self.place.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        set_tone(self.place, "muted")
        self.comparison = ComparisonView([*_MEASURES, "Zeros", "Not finite"])
        head = QHBoxLayout()
        head.setSpacing(GRID // 2)
        head.addWidget(self.path, 1)
        head.addWidget(self.place)
        head.addWidget(self.back_button)
        head.addWidget(self.forth_button)
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GRID)
        column.addLayout(head)
        column.addWidget(self.comparison, 1)
        self._pages = QStackedLayout(self)
        self._pages.addWidget(self.empty)
        self._pages.addWidget(page)
        self._slow = QTimer(self)
        self._slow.setSingleShot(True)
        self._slow.setInterval(_PATIENCE)
        self._slow.timeout.connect(lambda: self._leave("Trying it on copies…"))

    @property
    def shown(self) -> BeforeAfter | None:
        """The tensor shown; None where a sentence is."""
        tensors = self._previewed.tensors
        return tensors[self._index] if self._pages.currentIndex() and tensors else None

    def wait(self) -> None:
        """An answer is on its way: what is shown stays until it takes long."""
        self._slow.start()

    def say(self, sentence: str) -> None:
        """A sentence in place of values."""
        self._slow.stop()
        self._leave(sentence)

    def show_preview(self, previewed: Previewed) -> None:
        """Show the first tensor, or the one looked at before."""
        self._slow.stop()
        rows = [one.row for one in previewed.tensors]
        before = self._previewed.tensors
        looked_at = before[self._index].row if self._index < len(before) else -1
        self._previewed = previewed
        if not rows:
            self._index = 0
            self._leave("No values would change.")
            return
        self._index = rows.index(looked_at) if looked_at in rows else 0
        self._show()

    def look_at(self, row: int) -> None:
        """Show the tensor of a row, where it is among those tried."""
        rows = [one.row for one in self._previewed.tensors]
        if row in rows and self.shown is not None:
            self._index = rows.index(row)
            self._show()

    def turn(self, step: int) -> None:
        """Show the next tensor, or with -1 the one before."""
        self._index = min(max(self._index + step, 0), len(self._previewed.tensors) - 1)
        self._show()

    def _leave(self, sentence: str) -> None:
        self.empty.set_sentence(sentence)
        self._pages.setCurrentIndex(0)

    def _show(self) -> None:
        tensors, more = self._previewed.tensors, self._previewed.more
        one = tensors[self._index]
        self.path.setText(one_line(one.path))
        of = f"{count_text(self._index + 1)} of {count_text(len(tensors))}"
        self.place.setText(of if not more else f"{of} tried, {count_text(more)} more")
        self.place.setToolTip(
            f"{count_text(more)} more tensors would change, and were not tried here" if more else ""
        )
        self.back_button.setEnabled(self._index > 0)
        self.forth_button.setEnabled(self._index + 1 < len(tensors))
        before, after = one.before, one.after
        # The one without a finite value has edges of its own, and nothing to draw.
        edges = before if after.minimum is None else after
        first, second = (
            part.counts if part.minimum is not None else 0 * part.counts for part in (before, after)
        )
        self._pages.setCurrentIndex(1)
        self.comparison.show_comparison(edges.low, edges.high, first, second, _lines(before, after))


def _arrow(name: str, object_name: str, words: str) -> QToolButton:
    button = QToolButton()
    button.setObjectName(object_name)
    button.setIcon(icon(name))
    button.setIconSize(QSize(2 * GRID, 2 * GRID))
    button.setToolTip(words)
    button.setAccessibleName(words)
    return button


def _lines(before: Statistics, after: Statistics) -> list[Compared]:
    lines = []
    for name in _MEASURES.values():
        values: list[float | None] = [getattr(before, name), getattr(after, name)]
        short = ["none" if value is None else value_text(value) for value in values]
        exact = ["There is no finite value." if v is None else repr(v) for v in values]
        lines.append(Compared(*short, *exact))
    zeros = [_share(part.zeros, part.count) for part in (before, after)]
    lines.append(Compared(*zeros))
    lost = [part.nan + part.positive_infinity + part.negative_infinity for part in (before, after)]
    exact = [
        f"{count_text(part.nan)} NaN, {count_text(part.positive_infinity)} +inf, "
        f"{count_text(part.negative_infinity)} -inf"
        for part in (before, after)
    ]
    lines.append(Compared(*map(count_text, lost), *exact))
    return lines


def _share(count: int, total: int) -> str:
    return f"{count_text(count)} ({count / total:.1%})" if total else count_text(count)
