"""The main window: puts the panels together and the commands to work.

What a panel shows is its own affair, and what the worker is asked stands in ``opening``,
``states``, ``files``, ``edits``, ``live`` and ``supervision``; here they are only joined.
"""

from __future__ import annotations

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
    QMainWindow,
    QSplitter,
    QWidget,
)

from inspector_app import resources
from inspector_app.gui.bars import add_tool_bar, fill_menu_bar
from inspector_app.gui.capturing import Capturing
from inspector_app.gui.client.session import ClientSession
from inspector_app.gui.command_list import (
    COMMANDS,
    CONTEXT,
    LIVE_BAR,
    LOOP_BAR,
    THEMES,
    reasons,
)
from inspector_app.gui.commands import SEPARATOR, CommandRegistry
from inspector_app.gui.docks import Docks
from inspector_app.gui.edits import Edits
from inspector_app.gui.files import Files
from inspector_app.gui.leaving import Leaving
from inspector_app.gui.live import Live
from inspector_app.gui.measured import Measured
from inspector_app.gui.models.history_model import HistoryModel
from inspector_app.gui.models.tree_model import RowTreeModel
from inspector_app.gui.opening import Opening, dropped_path
from inspector_app.gui.panels.centre import Centre
from inspector_app.gui.panels.detail_panel import DetailPanel
from inspector_app.gui.panels.history_panel import HistoryPanel
from inspector_app.gui.panels.live_panel import LivePanel
from inspector_app.gui.panels.status_panel import TotalsLine, WorkerState
from inspector_app.gui.panels.tree_panel import TreePanel
from inspector_app.gui.recent_menu import RecentMenu
from inspector_app.gui.run_notices import RunNotices
from inspector_app.gui.saving import Saving
from inspector_app.gui.selected import Selected
from inspector_app.gui.settings import Settings
from inspector_app.gui.situations import is_lost, situation
from inspector_app.gui.states import States
from inspector_app.gui.supervision import Supervision
from inspector_app.gui.training import Training
from inspector_app.gui.tree_actions import TreeActions
from inspector_app.gui.tree_columns_menu import TreeColumnsMenu
from inspector_app.gui.watched_rows import WatchedRows
from inspector_app.gui.watching import Watching
from inspector_app.gui.window_commands import window_commands
from inspector_app.protocol.messages import Edited, Opened, Ran, Selection, Totals
from widgets.icons import icon
from widgets.job_panel import JobPanel
from widgets.notice_bar import NoticeBar
from widgets.theme import GRID, ThemeManager

PROGRAM = "Model Inspector"
_SIZE = QSize(1440, 900)
_FRAME = QSize(0, 5 * GRID)  # about what a window manager adds
_SMALLEST = QSize(800, 560)
_TRAINING_HEIGHT = 0.42  # of the window, for the live panel when a training is joined


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
        self._may_close = False
        self.tree_model = RowTreeModel(self)
        self.history_model = HistoryModel(self)
        self.registry = CommandRegistry(self)
        self.notices = NoticeBar()
        self.jobs = JobPanel()
        self.files = Files(session, settings, self)
        self.edits = Edits(session, self.notices, lambda: self.tree_model.table, self)
        self.supervision = Supervision(session, self.notices, self.jobs, self)
        self._register()
        self._build_centre()
        actions = TreeActions(self.tree_panel, self.tree_model, self.edits.ask_initialize)
        self.states = States(session, self.notices, settings, actions, self)
        self.opening = Opening(session, self.notices, settings, self.states, self)
        self.column_commands = TreeColumnsMenu(
            self.registry, self.tree_panel, self.tree_model, settings
        )
        self.leaving = Leaving(session, self.notices, lambda: self.files.ask_export([], ""), self)
        self.opening.leave = self.leaving.before
        self._build_docks()
        self.live = Live(
            session, self.live_panel, lambda: self.tree_model.table, Measured(settings), self
        )
        self.run_notices = RunNotices(self.live, self.notices, self)
        self.watching = Watching(session, self.live, self.selected, self.tree_model, self)
        self.saving = Saving(self.live_panel.views, self._settings, self)
        self.capturing = Capturing(
            session,
            self.live,
            self.live_panel.views,
            lambda: self.tree_model.table,
            lambda: self.training.state,
            settings,
            self,
        )
        self.watched_rows = WatchedRows(
            session,
            self.live,
            self.live_panel.views.store,
            self.tree_model,
            self.tree_panel.view,
            self,
        )
        self.training = Training(session, self.live.ranks, self.live_panel.training, self)
        self._build_bars()
        self._connect()
        self._restore_places()
        self._show_welcome()
        self._update_commands()

    # -- building ------------------------------------------------------------------------------

    def _register(self) -> None:
        run = window_commands(self)
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
        self.centre = Centre(self.notices, resources.sample_names(), self.splitter)
        self.pages, self.welcome = self.centre.pages, self.centre.welcome
        self.setCentralWidget(self.centre)

    def _build_docks(self) -> None:
        live_actions, loop_actions = (
            [None if name == SEPARATOR else self.registry.action(name) for name in bar]
            for bar in (LIVE_BAR, LOOP_BAR)
        )
        self.live_panel = LivePanel(live_actions, loop_actions)
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
            self._settings.window_state,
        )

    def _build_bars(self) -> None:
        samples = resources.sample_names()
        recent = RecentMenu(self.opening.recent, self)
        recent.chosen.connect(self.opening.open_recent)
        fill_menu_bar(self, self.registry, samples, self._open_sample, recent)
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
        tellers = (self.files, self.live, self.capturing, self.training, self.saving)
        for teller in (*tellers, self.tree_panel):
            teller.told.connect(self.tell)
        self.session.notice.connect(lambda text, tone: self.tell(text, tone, ""))
        self.session.opened.connect(self._opened)
        self.session.open_failed.connect(lambda _: self._leave_opening())
        self.session.changed.connect(self._changed)
        self.session.lost.connect(lambda *_: self.live.worker_lost())
        self.session.lost.connect(lambda *_: self.training.worker_lost())
        self.session.state_changed.connect(self._state_changed)
        self.opening.began.connect(self._began)
        self.welcome.open_requested.connect(lambda: self.opening.ask_open())
        self.welcome.sample_requested.connect(self._open_sample)
        self.welcome.recent_requested.connect(self.opening.open_recent)
        view = self.tree_panel.view
        view.current_row_changed.connect(self._current_changed)
        view.selection_rows_changed.connect(lambda _: self._selection_changed())
        view.row_activated.connect(self._activated)
        view.freeze_toggled.connect(lambda row, on: self._freeze([row], on))
        view.freeze_rows_toggled.connect(self._freeze)
        view.menu_requested.connect(self._show_context_menu)
        view.expand_below_asked.connect(self.registry.action("view.expand").trigger)
        self.tree_panel.filtered.connect(self._update_commands)
        self.live_panel.row_clicked.connect(view.select_row)
        self.live.changed.connect(self._watched_changed)
        self.live.loop_told.connect(self.training.show)
        self.training.changed.connect(self._update_commands)
        self.watched_rows.told.connect(self.detail_panel.show_probes)

    # -- the target ----------------------------------------------------------------------------

    def _open_sample(self, name: str) -> None:
        self.opening.open(f"sample:{name}")

    def ask_attach(self) -> None:
        """Ask for a training to join."""
        self.leaving.before(lambda: self.show_dialog(self.training.dialog()), "attach to training")

    def _began(self, target: str) -> None:
        """The first target is being opened."""
        self.centre.wait_for(target)
        self._show_page(self.centre.waiting)

    def _opened(self, opened: Opened) -> None:
        self.setWindowTitle(f"{opened.title} - {PROGRAM}")
        self.history_model.set_history(self.session.journal)  # those to be replayed
        self.detail_panel.clear()
        self._show_page(self.splitter)
        self.tree_panel.show_target(opened.table, opened.target, opened.title)
        self.centre.target_line.show_target(opened)
        self.totals.show_totals(opened, opened.totals)
        self.live_panel.show_loop(opened.training)
        if opened.training:
            self.docks.make_room("view.live", _TRAINING_HEIGHT)
        self.training.target_opened(opened)
        self.live.target_opened(opened)
        self.tree_panel.view.setFocus(Qt.FocusReason.OtherFocusReason)
        self._update_commands()

    def _leave_opening(self) -> None:
        if self.session.target is None:
            self._show_welcome()

    def _changed(self, result: Edited | Ran) -> None:
        """Rows of the model changed: an edit, its undoing, or runs that left something."""
        try:
            self.tree_model.apply_change(result.change)
        except KeyError:
            if self.session.remote is None:
                raise
            # Rows that came were told to another window: what is told is told once.
            self.tell("Another window changed this model: it was joined again.", "info", "")
            self.session.restart()
            return
        self._show_totals(result.totals)
        if result.history is not None:
            self.history_model.set_history(result.history)
        if isinstance(result, Edited) or not result.change.empty:
            self.detail_panel.refresh()
        self._update_commands()

    def _show_totals(self, totals: Totals) -> None:
        if self.session.target is not None:
            self.totals.show_totals(self.session.target, totals)

    def _state_changed(self, state: str) -> None:
        self.worker_state.show_state(state)
        self.tree_panel.set_grey(is_lost(self.session))
        self._update_commands()

    # -- the selection -------------------------------------------------------------------------

    def _selection_changed(self) -> None:
        self.live_panel.views.select(set(self.selected.rows))
        self._update_commands()

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

    def _update_commands(self) -> None:
        now = situation(self.session, self.selected, self.tree_model, self.history_model, self.live)
        for command_id, reason in reasons(now).items():
            self.registry.set_enabled(command_id, not reason, reason)
        self.registry.set_checked("training.pause", self.training.paused)
        for command_id, checked in self.watching.checked().items():
            self.registry.set_checked(command_id, checked)
        for command_id, word, title in (
            ("edit.undo", "Undo", now.undo_title),
            ("edit.redo", "Redo", now.redo_title),
        ):
            self.registry.action(command_id).setStatusTip(f"{word} {title}" if title else "")

    def _show_context_menu(self, place: QPoint) -> None:
        menu = self.registry.menu("", CONTEXT, self)
        menu.setObjectName("contextMenu")
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(place)

    def show_dialog(self, dialog: QDialog) -> None:
        """Show a dialog that goes when it is closed."""
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

    def _show_welcome(self) -> None:
        self.welcome.show_recent(self.opening.recent.targets)
        self._show_page(self.welcome)

    def _theme(self, choice: str) -> None:
        self._themes.choose(choice)  # type: ignore[arg-type]
        self._settings.theme = choice

    def _restore_places(self) -> None:
        room = QGuiApplication.primaryScreen().availableSize() - _FRAME
        self.resize(_SIZE.boundedTo(room))
        if not self._settings.geometry.isEmpty():
            self.restoreGeometry(self._settings.geometry)
        if not self._settings.splitter.isEmpty():
            self.splitter.restoreState(self._settings.splitter)

    def close_now(self) -> None:
        """Close without a question about edits that are in no file."""
        self._may_close = True
        self.close()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Remember the places and end the worker: no hook and no process stays behind."""
        if not self._may_close and self.leaving.unexported:
            event.ignore()
            self.leaving.before(self.close_now, "close the window")
            return
        self._settings.geometry = self.saveGeometry()
        self._settings.window_state = self.docks.state
        self._settings.splitter = self.splitter.saveState()
        self.column_commands.remember()
        self._settings.sync()
        self.live.ranks.stop()
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
        self.opening.dropped(event.mimeData(), self.mapToGlobal(event.position().toPoint()))
