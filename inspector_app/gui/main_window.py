"""The main window: puts the panels together and the commands to work.

What a panel shows is its own affair, and what the worker is asked stands in ``files``, ``edits``,
``live`` and ``supervision``; here they are only joined.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QPoint, QSize, Qt
from PySide6.QtGui import (
    QActionGroup,
    QCloseEvent,
    QDragEnterEvent,
    QDropEvent,
    QGuiApplication,
)
from PySide6.QtWidgets import (
    QDialog,
    QGridLayout,
    QMainWindow,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from inspector_app import resources
from inspector_app.gui.bars import add_tool_bar, fill_menu_bar
from inspector_app.gui.client.session import ClientSession
from inspector_app.gui.command_list import (
    COMMANDS,
    CONTEXT,
    LIVE_BAR,
    THEMES,
    Situation,
    reasons,
)
from inspector_app.gui.commands import SEPARATOR, CommandRegistry
from inspector_app.gui.docks import Docks
from inspector_app.gui.edits import Edits
from inspector_app.gui.files import Files, dropped_path
from inspector_app.gui.live import Live, modules_of
from inspector_app.gui.models.history_model import HistoryModel
from inspector_app.gui.models.tree_model import RowTreeModel
from inspector_app.gui.panels.about_dialog import AboutDialog
from inspector_app.gui.panels.detail_panel import DetailPanel
from inspector_app.gui.panels.history_panel import HistoryPanel
from inspector_app.gui.panels.live_panel import LivePanel
from inspector_app.gui.panels.shortcuts_dialog import ShortcutsDialog
from inspector_app.gui.panels.status_panel import TargetLine, TotalsLine, WorkerState
from inspector_app.gui.panels.tree_panel import TreePanel
from inspector_app.gui.panels.welcome_page import WelcomePage
from inspector_app.gui.selected import Selected
from inspector_app.gui.settings import Settings
from inspector_app.gui.supervision import Supervision
from inspector_app.protocol.messages import Edited, Opened, Ran, Selection, Totals
from widgets.empty_state import EmptyState
from widgets.icons import icon
from widgets.job_panel import JobPanel
from widgets.notice_bar import NoticeBar
from widgets.theme import GRID, ThemeManager

PROGRAM = "Model Inspector"
_SIZE = QSize(1440, 900)
_FRAME = QSize(0, 5 * GRID)  # about what a window manager adds
_SMALLEST = QSize(800, 560)


class MainWindow(QMainWindow):
    """One window, one session."""

    def __init__(self, session: ClientSession, settings: Settings, themes: ThemeManager) -> None:
        super().__init__()
        self.setObjectName("mainWindow")
        self.setWindowTitle(PROGRAM)
        self.setWindowIcon(icon("model", "accent"))
        self.setAcceptDrops(True)
        self.setMinimumSize(_SMALLEST)
        self.session = session
        self._settings = settings
        self._themes = themes
        self.tree_model = RowTreeModel(self)
        self.history_model = HistoryModel(self)
        self.registry = CommandRegistry(self)
        self.notices = NoticeBar()
        self.jobs = JobPanel()
        self.files = Files(session, self)
        self.edits = Edits(session, lambda: self.tree_model.table, self)
        self.supervision = Supervision(session, self.notices, self.jobs, self)
        self._register()
        self._build_centre()
        self._build_docks()
        self.live = Live(session, self.live_panel, lambda: self.tree_model.table, self)
        self._build_bars()
        self._connect()
        self._restore_places()
        self._show_page(self.welcome)
        self._update_commands()

    # -- building ------------------------------------------------------------------------------

    def _register(self) -> None:
        run: dict[str, Callable[[], object] | Callable[[bool], object]] = {
            "file.open": lambda: self.files.ask_open(),
            "file.export": lambda: self.files.ask_export(self.selected.rows, self.selected.words()),
            "file.verify": lambda: self.files.ask_verify(),
            "file.quit": self.close,
            "edit.undo": lambda: self.edits.undo(),
            "edit.redo": lambda: self.edits.redo(),
            "edit.freeze": lambda: self.edits.freeze(self.selected.selection, True),
            "edit.unfreeze": lambda: self.edits.freeze(self.selected.selection, False),
            "edit.freeze_pattern": lambda: self.edits.ask_freeze_pattern(self.selected.pattern()),
            "edit.initialize": lambda: self.edits.ask_initialize(
                self.selected.selection, self.selected.words()
            ),
            "edit.copy_path": lambda: self.selected.copy(),
            "edit.find": lambda: self.tree_panel.focus_filter(),
            "model.watch": lambda: self.live.watch(self.selected.rows),
            "model.watch_leaves": lambda: self.live.watch_leaves(self.selected.rows),
            "model.unwatch": lambda: self.live.unwatch(self.selected.rows),
            "model.unwatch_all": lambda: self.live.unwatch(None),
            "model.run_once": lambda: self.live.run(1),
            "model.run_repeatedly": lambda: self.live.run(0),
            "model.stop": lambda: self.live.stop(),
            "model.inputs": lambda: self.live.ask_inputs(),
            "model.restart": lambda: self.supervision.restart(),
            "model.output": lambda: self.supervision.show_output(),
            "view.expand": lambda: self.tree_panel.expand_below(self.selected.rows, True),
            "view.collapse": lambda: self.tree_panel.expand_below(self.selected.rows, False),
            "view.live": _of_its_dock,
            "view.history": _of_its_dock,
            "help.shortcuts": lambda: self._show_dialog(
                ShortcutsDialog(self.registry.shortcuts(), self)
            ),
            "help.about": lambda: self._show_dialog(AboutDialog(self)),
        }
        for command in COMMANDS:
            self.registry.register(command, run[command.id])
        group = QActionGroup(self)
        for choice, command in THEMES.items():
            action = self.registry.register(command, lambda _, choice=choice: self._theme(choice))
            group.addAction(action)
            action.setChecked(choice == self._themes.choice)

    def _build_centre(self) -> None:
        self.tree_panel = TreePanel(self.tree_model)
        self.selected = Selected(self.tree_panel.view, self.tree_model)
        self.detail_panel = DetailPanel(self.session)
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        self.splitter.setObjectName("splitter")
        self.splitter.addWidget(self.tree_panel)
        self.splitter.addWidget(self.detail_panel)
        self.splitter.setStretchFactor(0, 3)
        self.splitter.setStretchFactor(1, 2)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setSizes([3 * GRID * 36, 2 * GRID * 36])
        self.welcome = WelcomePage(resources.sample_names())
        self.opening = EmptyState("model", "")
        self.opening.setObjectName("opening")
        self.pages = QStackedWidget()
        for page in (self.welcome, self.opening, self.splitter):
            self.pages.addWidget(page)
        centre = QWidget()
        column = QVBoxLayout(centre)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        self.target_line = TargetLine()
        above = QGridLayout()
        above.addWidget(self.target_line, 0, 0)
        above.addWidget(self.notices, 0, 0)  # over the other: nothing moves when it comes
        column.addLayout(above)
        column.addWidget(self.pages, 1)
        self.setCentralWidget(centre)

    def _build_docks(self) -> None:
        live_actions = [
            None if name == SEPARATOR else self.registry.action(name) for name in LIVE_BAR
        ]
        self.live_panel = LivePanel(live_actions)
        self.history_panel = HistoryPanel(
            self.history_model, self.registry.action("edit.undo"), self.registry.action("edit.redo")
        )
        self.docks = Docks(
            self,
            self.registry,
            {
                "view.live": ("Live", self.live_panel),
                "view.history": ("History", self.history_panel),
            },
        )

    def _build_bars(self) -> None:
        samples = resources.sample_names()
        fill_menu_bar(self, self.registry, samples, lambda name: self.open(f"sample:{name}"))
        add_tool_bar(self, self.registry)
        self.totals = TotalsLine()
        self.worker_state = WorkerState()
        self.jobs.setObjectName("jobs")
        self.jobs.setMinimumWidth(36 * GRID)
        self.notices.setObjectName("notices")
        status = self.statusBar()
        status.setSizeGripEnabled(False)
        status.addWidget(self.totals, 1)
        status.addPermanentWidget(self.jobs)
        status.addPermanentWidget(self.worker_state)

    def _connect(self) -> None:
        for teller in (self.files, self.edits, self.live, self.tree_panel):
            teller.told.connect(self.tell)
        self.session.notice.connect(lambda text, tone: self.tell(text, tone, ""))
        self.session.opened.connect(self._opened)
        self.session.open_failed.connect(lambda _: self._leave_opening())
        self.session.changed.connect(self._changed)
        self.session.lost.connect(lambda *_: self.live.worker_lost())
        self.session.state_changed.connect(self._state_changed)
        self.welcome.open_requested.connect(lambda: self.files.ask_open())
        self.welcome.sample_requested.connect(lambda name: self.open(f"sample:{name}"))
        view = self.tree_panel.view
        view.current_row_changed.connect(self._current_changed)
        view.selection_rows_changed.connect(lambda _: self._update_commands())
        view.row_activated.connect(self._activated)
        view.freeze_toggled.connect(lambda row, on: self._freeze([row], on))
        view.freeze_rows_toggled.connect(self._freeze)
        view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        view.customContextMenuRequested.connect(self._show_context_menu)
        self.live_panel.cell_clicked.connect(
            lambda key: view.select_row(self.live.row_of_cell(key))
        )
        self.live.changed.connect(self._watched_changed)

    # -- the target ----------------------------------------------------------------------------

    def open(
        self,
        target: str,
        arguments: dict[str, object] | None = None,
        device: str = "cpu",
        seed: int = 0,
    ) -> None:
        """Open a target, in place of the one that is open once that has succeeded."""
        if self.session.target is None:
            self.opening.set_sentence(f"Opening {target}…")
            self._show_page(self.opening)
        self.files.open(target, arguments or {}, device, seed)

    def _opened(self, opened: Opened) -> None:
        self.setWindowTitle(f"{opened.title} - {PROGRAM}")
        self.history_model.set_history([])
        self.detail_panel.clear()
        self._show_page(self.splitter)
        self.tree_panel.show_target(opened.table, opened.target, opened.title)
        self.target_line.show_target(opened)
        self.totals.show_totals(opened, opened.totals)
        self.live.target_opened(opened)
        self.tree_panel.view.setFocus(Qt.FocusReason.OtherFocusReason)
        self._update_commands()

    def _leave_opening(self) -> None:
        if self.session.target is None:
            self._show_page(self.welcome)

    def _changed(self, result: Edited | Ran) -> None:
        """Rows of the model changed: an edit, its undoing, or forwards that left something."""
        self.tree_model.apply_change(result.change)
        self._show_totals(result.totals)
        if isinstance(result, Edited):
            self.history_model.set_history(result.history)
        if isinstance(result, Edited) or not result.change.empty:
            self.detail_panel.refresh()
        self._update_commands()

    def _show_totals(self, totals: Totals) -> None:
        if self.session.target is not None:
            self.totals.show_totals(self.session.target, totals)

    def _state_changed(self, state: str) -> None:
        self.worker_state.show_state(state)
        self.tree_panel.set_grey(self._is_lost)
        self._update_commands()

    # -- the selection -------------------------------------------------------------------------

    def _current_changed(self, row: int) -> None:
        if row >= 0:
            self.detail_panel.show_row(row)
        else:
            self.detail_panel.clear()

    def _freeze(self, rows: list[int], frozen: bool) -> None:
        """A box of the tree was clicked."""
        if self.registry.action("edit.freeze").isEnabled():
            self.edits.freeze(Selection(rows=rows), frozen)

    def _activated(self, row: int) -> None:
        index = self.tree_model.index_of(row)
        if self.tree_model.hasChildren(index):
            self.tree_panel.view.setExpanded(index, not self.tree_panel.view.isExpanded(index))
        else:
            self.detail_panel.show_values()

    def _watched_changed(self) -> None:
        self.tree_model.set_watched(sorted(self.live.watched))
        self._update_commands()

    # -- commands ------------------------------------------------------------------------------

    @property
    def _is_lost(self) -> bool:
        """Whether the open target has no process, though one may be on its way."""
        state = self.session.state
        return state == "lost" or (state == "starting" and not self.session.process_id)

    def _situation(self) -> Situation:
        target = self.session.target
        rows = self.selected.rows
        entries = [entry for entry in self.history_model.entries if entry.done]
        stuck = bool(entries) and not entries[-1].undoable
        return Situation(
            is_lost=self._is_lost,
            is_open=target is not None,
            disabled=target.disabled if target is not None else {},
            selected=len(rows),
            selected_modules=int(modules_of(self.tree_model.table)[self.selected.positions].sum()),
            selected_watched=len(self.live.watched.intersection(rows)),
            watched=len(self.live.watched),
            running=self.live.running,
            undo_title=self.history_model.undo_title,
            redo_title=self.history_model.redo_title,
            dead_end="The newest edit was too large to keep what was there." if stuck else "",
        )

    def _update_commands(self) -> None:
        situation = self._situation()
        for command_id, reason in reasons(situation).items():
            self.registry.set_enabled(command_id, not reason, reason)
        for command_id, word, title in (
            ("edit.undo", "Undo", situation.undo_title),
            ("edit.redo", "Redo", situation.redo_title),
        ):
            self.registry.action(command_id).setStatusTip(f"{word} {title}" if title else "")

    def _show_context_menu(self, place: QPoint) -> None:
        view = self.tree_panel.view
        menu = self.registry.menu("", CONTEXT, self)
        menu.setObjectName("contextMenu")
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(view.viewport().mapToGlobal(place))

    def _show_dialog(self, dialog: QDialog) -> None:
        dialog.finished.connect(dialog.deleteLater)
        dialog.show()

    def tell(self, text: str, tone: str = "info", detail: str = "") -> None:
        """Say something in the notice bar."""
        self.notices.show_notice(text, tone, detail=detail)  # type: ignore[arg-type]

    # -- places --------------------------------------------------------------------------------

    def _show_page(self, page: QWidget) -> None:
        """Docks speak of an open target, so they are hidden without one."""
        self.pages.setCurrentWidget(page)
        self.docks.set_active(page is self.splitter)

    def _theme(self, choice: str) -> None:
        self._themes.choose(choice)  # type: ignore[arg-type]
        self._settings.theme = choice

    def _restore_places(self) -> None:
        room = QGuiApplication.primaryScreen().availableSize() - _FRAME
        self.resize(_SIZE.boundedTo(room))
        if not self._settings.geometry.isEmpty():
            self.restoreGeometry(self._settings.geometry)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Remember the places and end the worker: no hook and no process stays behind."""
        self._settings.geometry = self.saveGeometry()
        self._settings.sync()
        self.session.shutdown()
        super().closeEvent(event)

    def event(self, event: QEvent) -> bool:
        """Leave the totals where they are: tool tips tell what a command does."""
        return event.type() == QEvent.Type.StatusTip or super().event(event)

    # -- drag and drop -------------------------------------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """A file from elsewhere can be opened."""
        if dropped_path(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open it."""
        event.acceptProposedAction()
        self.files.dropped(event.mimeData())


def _of_its_dock(_: bool) -> None:
    """Showing and hiding a dock is carried out by :class:`Docks`."""
