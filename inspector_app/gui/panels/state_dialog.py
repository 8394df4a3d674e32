"""A checkpoint compared with the open model, before anything is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QButtonGroup,
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QProgressBar,
    QStackedLayout,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from inspector_app.gui.models.state_model import KINDS, StateModel
from inspector_app.gui.panels.asking import Asks
from inspector_app.gui.panels.forms import label_for, push_button
from inspector_app.gui.panels.plan_preview import plural
from inspector_app.gui.panels.tone_label import ToneLabel
from inspector_app.protocol.errors import Cancelled, InspectorError
from inspector_app.protocol.messages import Edited, LoadState, PlanState, StatePlan
from widgets.elided_label import ElidedLabel
from widgets.empty_state import EmptyState
from widgets.numbers import bytes_text, count_text
from widgets.suggest_line import Suggestion, SuggestLine
from widgets.theme import GRID, mono_font, set_tone

_PAUSE = 300  # milliseconds without typing before a prefix is tried
FOUND, NONE = "found by itself", "(none)"
PREFIXES = ("module.", "_orig_mod.", "model.")  # of DataParallel, torch.compile and trainers
_WIDTHS = (13, 24, 20, 20)  # of the columns but the last, in grid units


class StateDialog(QDialog):
    """Modeless, so that the tree can be looked at.

    ``row_chosen(row)`` a difference was clicked; ``planned(StatePlan)`` each comparison, None once
    there is none; ``loaded(Edited, StatePlan, fit)`` the values are in the model.
    """

    row_chosen = Signal(int)
    planned = Signal(object)
    loaded = Signal(object, object, bool)

    def __init__(self, session: Asks, path: str, title: str, parent: QWidget | None = None) -> None:
        """``title`` names the model."""
        super().__init__(parent)
        self.setObjectName("stateDialog")
        self.setWindowTitle(f"Load {Path(path).name} into {title}")
        self.setMinimumSize(76 * GRID, 48 * GRID)
        self.resize(112 * GRID, 62 * GRID)
        self._session = session
        self._path = path
        self._asked: int | None = None  # the request under way
        self._loading = False
        self.plan: StatePlan | None = None
        self._build()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE)
        self._timer.timeout.connect(self._compare)
        self.prefix.textChanged.connect(lambda _: self._timer.start())
        self._show_buttons()

    def _build(self) -> None:
        self.summary = ToneLabel(tone="muted")
        self.summary.setObjectName("stateSummary")
        self.summary.reserve_lines(5 * GRID)
        self.prefix = SuggestLine(
            [Suggestion("Found by itself", ""), Suggestion("None", NONE), *map(_often, PREFIXES)]
        )
        self.prefix.setObjectName("statePrefix")
        self.prefix.setFont(mono_font())
        self.prefix.setPlaceholderText(FOUND)
        self.prefix.setToolTip("What the file's names begin with and the model's do not")
        self.prefix.setFixedWidth(32 * GRID)
        line = QHBoxLayout()
        line.setSpacing(GRID)
        line.addWidget(label_for(self.prefix, "&Prefix taken off"))
        line.addWidget(self.prefix)
        line.addStretch(1)
        self.chips = QHBoxLayout()
        self.chips.setSpacing(GRID // 2)
        self._group = QButtonGroup(self)
        self.kind_buttons: dict[str, QToolButton] = {}

        self.model = StateModel(self)
        self.table = QTableView()
        self.table.setObjectName("stateTable")
        self.table.setAccessibleName("Differences between the checkpoint and the model")
        self.table.setModel(self.model)
        self.table.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
        self.table.setShowGrid(False)
        self.table.setWordWrap(False)
        self.table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.table.setTabKeyNavigation(False)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.table.verticalHeader().setDefaultSectionSize(3 * GRID)
        header = self.table.horizontalHeader()
        header.setStretchLastSection(True)
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for column, width in enumerate(_WIDTHS):
            self.table.setColumnWidth(column, width * GRID)
        self.table.selectionModel().selectionChanged.connect(lambda *_: self._selected())
        self.table.clicked.connect(lambda index: self._chosen(index.row()))
        copy = QShortcut(QKeySequence(QKeySequence.StandardKey.Copy), self.table)
        copy.setContext(Qt.ShortcutContext.WidgetShortcut)
        copy.activated.connect(self.copy)
        self.empty = EmptyState("file", "")
        self._pages = QStackedLayout()
        self._pages.addWidget(self.empty)
        self._pages.addWidget(self.table)
        self.notes = ElidedLabel()
        set_tone(self.notes, "muted")

        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        keep = self.progress.sizePolicy()
        keep.setRetainSizeWhenHidden(True)
        self.progress.setSizePolicy(keep)
        self.copy_button = push_button("Copy", "stateCopy", self.copy)
        self.copy_button.setToolTip("Copy the differences selected, or all")
        self.fit_button = push_button("Load what fits", "stateFit", lambda: self.load(fit=True))
        self.load_button = push_button("Load", "stateLoad", lambda: self.load(fit=False))
        self.load_button.setToolTip("Load every value; only where all keys match")
        self.cancel_button = push_button("Cancel", "stateCancel", self.reject)
        below = QHBoxLayout()
        below.addWidget(self.copy_button)
        below.addStretch(1)
        for button in (self.fit_button, self.load_button, self.cancel_button):
            below.addWidget(button)
        page = QVBoxLayout(self)
        page.setContentsMargins(2 * GRID, 2 * GRID, 2 * GRID, 2 * GRID)
        page.setSpacing(GRID)
        page.addWidget(self.summary)
        page.addLayout(line)
        page.addLayout(self.chips)
        page.addLayout(self._pages, 1)
        page.addWidget(self.notes)
        page.addWidget(self.progress)
        page.addLayout(below)
        self.table.setFocus()

    # -- comparing -----------------------------------------------------------------------------

    def compare(self) -> None:
        """Ask how the checkpoint lies on the model."""
        self._timer.stop()
        self._compare()

    def _wanted_prefix(self) -> str | None:
        text = self.prefix.text().strip()
        return None if not text else "" if text == NONE else text

    def _compare(self) -> None:
        self._drop()
        self._ask(f"Comparing {self._path} with the model…")
        request = PlanState(path=self._path, prefix=self._wanted_prefix())
        self._request(request, self.show_plan, "Comparing")

    def show_plan(self, plan: StatePlan) -> None:
        """Show a comparison."""
        self._ended()
        self.plan = plan
        self.model.set_differences(plan.differences)
        self._show_chips()
        self._show_buttons()
        self._pages.setCurrentIndex(1 if plan.differences else 0)
        if not self.prefix.hasFocus():
            (self.table if plan.differences else self.load_button).setFocus()
        self.empty.set_sentence("Every key of the file has its place in the model.")
        if plan.complete:
            text = f"All {count_text(plan.matching)} keys match: {bytes_text(plan.bytes)}."
            tone = "good"
        else:
            text = f"{count_text(plan.matching)} of {count_text(plan.tensors)} keys match. "
            text += f"{plural(len(plan.differences), 'difference')}, so it cannot be loaded as a "
            text += "whole; nothing has been loaded."
            tone = "warning"
        if not plan.undoable:
            text += " Loading is too large to be undone."
        self.summary.say(text, tone)
        found = plan.prefix if self._wanted_prefix() is None else ""
        self.prefix.setPlaceholderText(f"{FOUND}: {found}" if found else FOUND)
        self.notes.setText("  ·  ".join(plan.notes))
        self.notes.setToolTip("\n".join(plan.notes))
        self.planned.emit(plan)

    def _show_chips(self) -> None:
        for button in self.kind_buttons.values():
            self._group.removeButton(button)
            button.deleteLater()
        while self.chips.takeAt(0) is not None:
            pass
        counts = self.model.counts
        total = sum(counts.values())
        self.kind_buttons = {}
        for kind, count in {"": total, **counts}.items() if total else ():
            button = QToolButton()
            button.setObjectName(f"stateKind_{kind or 'all'}")
            button.setText(f"{KINDS[kind].word if kind else 'All'}  {count_text(count)}")
            button.setCheckable(True)
            button.setProperty("framed", True)
            button.setChecked(kind == self.model.kind)
            button.clicked.connect(lambda _=False, kind=kind: self.model.set_kind(kind))
            self._group.addButton(button)
            self.chips.addWidget(button)
            self.kind_buttons[kind] = button
        self.chips.addStretch(1)

    def _selected(self) -> None:
        """Not where the table only got the keyboard: that makes a row current, and selects none."""
        if rows := self.table.selectionModel().selectedRows():
            self._chosen(rows[-1].row())

    def _chosen(self, row: int) -> None:
        if self.model.difference(row).row >= 0:
            self.row_chosen.emit(self.model.difference(row).row)

    def copy(self) -> None:
        """Put the differences selected on the clipboard, all that are shown where none is."""
        rows = sorted(index.row() for index in self.table.selectionModel().selectedRows())
        QGuiApplication.clipboard().setText(self.model.text(rows or None))

    # -- loading -------------------------------------------------------------------------------

    def load(self, fit: bool) -> None:
        """Write the values, or those that fit, into the model."""
        plan = self.plan
        if plan is None or self._asked is not None:
            return
        self._loading = True
        self._ask("Loading…")

        def done(edited: Edited) -> None:
            self._ended()
            self.loaded.emit(edited, plan, fit)
            self.accept()

        request = LoadState(path=plan.path, prefix=plan.asked, fit=fit)
        self._request(request, done, f"Loading {Path(plan.path).name}")

    def show_progress(self, request_id: int, done: int, total: int, label: str) -> None:
        """Progress of any job; those of others are ignored."""
        if request_id == self._asked:
            self.progress.setRange(0, 1000 if total else 0)
            self.progress.setValue(1000 * done // total if total else 0)
            self.summary.say(label, "muted")

    def reject(self) -> None:
        """Cancel a load under way first; close otherwise."""
        if self._loading and self._asked is not None:
            self._session.cancel(self._asked)
            self.summary.say("Cancelling…", "muted")
            return
        self._drop()
        super().reject()

    def done(self, result: int) -> None:
        """Closed: nothing is compared any more."""
        self.planned.emit(None)
        super().done(result)

    # -- requests ------------------------------------------------------------------------------

    def _request(
        self, request: PlanState | LoadState, done: Callable[..., None], label: str
    ) -> None:
        asked: list[int] = []

        def if_wanted(then: Callable[..., None]) -> Callable[..., None]:
            return lambda outcome: then(outcome) if asked == [self._asked] else None

        number = self._session.request(request, if_wanted(done), if_wanted(self._failed), label)
        asked.append(number)
        self._asked = number

    def _ask(self, sentence: str) -> None:
        self.summary.say(sentence, "muted")
        self.progress.setRange(0, 0)
        self.progress.show()
        self._show_buttons(busy=True)

    def _ended(self) -> None:
        self._asked, self._loading = None, False
        self.progress.hide()

    def _failed(self, error: InspectorError) -> None:
        was_loading = self._loading
        self._ended()
        if not was_loading:
            self.plan = None
            self.model.set_differences([])
            self._show_chips()
            self._pages.setCurrentIndex(0)
            self.empty.set_sentence("There is nothing to compare.")
            self.planned.emit(None)
        cancelled = isinstance(error, Cancelled)
        sentence = "Cancelled: nothing was loaded." if cancelled else error.sentence
        self.summary.say(sentence, "muted" if cancelled else "danger")
        self._show_buttons()

    def _drop(self) -> None:
        """Forget a comparison that is no longer wanted."""
        if self._asked is not None:
            number, self._asked = self._asked, None
            self._session.cancel(number)

    def _show_buttons(self, busy: bool = False) -> None:
        plan = None if busy else self.plan
        fits = plan.fits if plan is not None else 0
        complete = plan is not None and plan.complete
        partly = bool(fits) and not complete
        self.load_button.setEnabled(complete)
        self.fit_button.setEnabled(partly)
        self.fit_button.setText(
            f"Load what fits ({count_text(fits)})" if partly else "Load what fits"
        )
        self.load_button.setDefault(complete)
        self.copy_button.setEnabled(plan is not None and bool(plan.differences))
        self.prefix.setEnabled(not self._loading)


def _often(prefix: str) -> Suggestion:
    return Suggestion(prefix, prefix)
