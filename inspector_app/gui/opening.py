"""Opening targets: asked for, dropped, from the list of recent ones, and trusted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, cast

from PySide6.QtCore import QMimeData, QObject, QPoint, Signal
from PySide6.QtWidgets import QMenu, QWidget

from inspector_app.gui.client.session import ClientSession
from inspector_app.gui.panels.notes_dialog import NotesDialog
from inspector_app.gui.panels.open_dialog import OpenDialog, kind_of
from inspector_app.gui.panels.plan_preview import plural
from inspector_app.gui.panels.trust_dialog import TrustDialog
from inspector_app.gui.recent import RecentTarget, RecentTargets, absolute_target
from inspector_app.gui.settings import Settings
from inspector_app.gui.states import States, initial_sentence
from inspector_app.protocol.errors import Cancelled, InspectorError
from inspector_app.protocol.messages import Opened
from inspector_app.protocol.table import Flag
from widgets.icons import icon
from widgets.notice_bar import NoticeBar
from widgets.tree_delegate import one_line

Device = Literal["cpu", "meta"]


class Opening(QObject):
    """Knows what is being opened, so that its state follows and it is remembered.

    ``began(str)`` names a target that is being opened while nothing else is open.
    """

    began = Signal(str)

    def __init__(
        self,
        session: ClientSession,
        notices: NoticeBar,
        settings: Settings,
        states: States,
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._session = session
        self._notices = notices
        self._settings = settings
        self._states = states
        self._window = window
        self._asked: RecentTarget | None = None  # being opened by a person, not by a restart
        self.recent = RecentTargets(settings, self)
        # Asks what is to become of the edits, where there are any, and goes on or not.
        self.leave: Callable[[Callable[[], None]], None] = lambda go_on: go_on()
        session.opened.connect(self._opened)
        session.open_failed.connect(self._failed)

    # -- asking for a target -------------------------------------------------------------------

    def ask_open(self, path: str = "") -> OpenDialog:
        """Open the dialog, ``path`` filled in."""
        target = self._session.target
        folder = self._settings.folder("open")
        if not folder and target is not None and target.path:
            folder = str(Path(target.path).parent)
        dialog = OpenDialog(self._window, path, folder)

        def accepted() -> None:
            choice = dialog.choice
            place = Path(choice.target).parent
            if kind_of(choice.target) != "sample" and place.is_absolute():
                self._settings.set_folder("open", str(place))
            self.open(choice.target, choice.arguments, choice.device, choice.seed, choice.state)

        dialog.accepted.connect(accepted)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()
        return dialog

    def open(
        self,
        target: str,
        arguments: dict[str, Any] | None = None,
        device: str = "cpu",
        seed: int = 0,
        state: str = "",
        trusted: bool = False,
    ) -> None:
        """Open a target in place of the one that is open, once that has succeeded.

        ``state`` is a checkpoint that is laid on it then.
        """
        wanted = RecentTarget(
            target=target,
            title="",
            arguments=arguments or {},
            device=cast("Device", device),
            seed=seed,
            state=str(Path(state).absolute()) if state else "",
        )
        self.leave(lambda: self._start(wanted, trusted))

    def _start(self, wanted: RecentTarget, trusted: bool) -> None:
        if self._session.target is None:
            self.began.emit(wanted.target)
        self._session.open_target(
            wanted.target, wanted.arguments, wanted.device, wanted.seed, trusted=trusted
        )
        self._asked = wanted  # after it, since a target that was still being opened fails in it

    def open_recent(self, recent: RecentTarget) -> None:
        """Open a target again as it was opened before."""
        self.open(recent.target, recent.arguments, recent.device, recent.seed, recent.state)

    def dropped(self, data: QMimeData, place: QPoint) -> None:
        """Open what was dropped; ``place`` is the pointer's, on the screen.

        Code asks how first; a checkpoint can also be laid on the model that is open.
        """
        path = dropped_path(data)
        if not path:
            return
        if path.endswith(".py"):
            self.ask_open(path)
            return
        target = self._session.target
        if target is None or "load" in target.disabled or target.kind != "model":
            self.open(path)
            return
        menu = QMenu(self._window)
        menu.setObjectName("dropMenu")
        name = _as_menu_text(Path(path).name)
        menu.addAction(icon("open"), f"&Open {name}", lambda: self.open(path))
        title = _as_menu_text(target.title)
        load = menu.addAction(
            icon("import"), f"&Load into {title}…", lambda: self._states.compare(path)
        )
        load.setEnabled(not Path(path).is_dir())
        menu.addSeparator()
        menu.addAction(icon("cancel"), "&Cancel")
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(place)

    # -- what came of it -----------------------------------------------------------------------

    def _failed(self, error: InspectorError) -> None:
        self._asked = None
        if not isinstance(error, Cancelled):
            self._notices.show_notice(error.sentence, "danger", detail=error.detail)

    def _opened(self, opened: Opened) -> None:
        wanted, self._asked = self._asked, None
        if wanted is None:
            if opened.live:  # joined, perhaps after an attempt that failed
                self._tell(opened)
            return  # a restart, which others tell of
        self.recent.add(
            RecentTarget(
                target=absolute_target(wanted.target),
                title=opened.title,
                path=str(Path(opened.path).absolute()) if opened.path else "",
                arguments=wanted.arguments,
                device=wanted.device,
                seed=wanted.seed,
                state=wanted.state,
            )
        )
        self._tell(opened)
        if wanted.state:
            self._states.lay_on(wanted.state)

    def _tell(self, opened: Opened) -> None:
        """What a person has to know of a target, in one line with ways on."""
        actions: list[tuple[str, Callable[[], object]]] = []
        notes = list(opened.notes)
        text, tone = notes.pop(0) if notes else "", "info"
        if opened.trust is not None and not opened.trusted:
            tone = "warning"
            text = text or f"{one_line(opened.title)} holds a pickled model: nothing of it was run."
            actions.append(("Trust and load…", self.ask_trust))
        initial = int(((opened.table.flags & Flag.INITIAL) != 0).sum())
        if initial:
            notes, text, tone = list(opened.notes), initial_sentence(initial), "warning"
            actions += self._states.initial_actions()
        if notes:
            title = f"What opening {one_line(opened.title)} noted"
            shown = list(opened.notes)
            actions.append(
                (f"Show {plural(len(shown), 'note')}", lambda: self._show_notes(title, shown))
            )
        if text:
            detail = "\n".join(opened.notes)
            self._notices.show_notice(text, tone, actions, detail)  # type: ignore[arg-type]
        else:
            self._notices.dismiss()

    def _show_notes(self, title: str, notes: list[str]) -> None:
        dialog = NotesDialog(title, notes, self._window)
        dialog.finished.connect(dialog.deleteLater)
        dialog.show()

    def ask_trust(self) -> None:
        """Show what the open file would import, and open it trusted on a person's word."""
        target = self._session.target
        if target is None or target.trust is None:
            return
        dialog = TrustDialog(target.title, target.trust, self._window)
        dialog.accepted.connect(
            lambda: self.open(
                target.target, target.arguments, target.device, target.seed, trusted=True
            )
        )
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()


def dropped_path(data: QMimeData) -> str:
    """The first local file of what is dragged; "" where there is none."""
    return next((url.toLocalFile() for url in data.urls() if url.isLocalFile()), "")


def _as_menu_text(name: str) -> str:
    return one_line(name).replace("&", "&&")
