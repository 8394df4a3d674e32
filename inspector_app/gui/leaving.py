"""Edits that no file holds yet: asked about in place before they are given up."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject

from inspector_app.gui.client.session import ClientSession
from inspector_app.gui.panels.plan_preview import plural
from inspector_app.gui.wording import shortened
from inspector_app.protocol.errors import InspectorError
from inspector_app.protocol.messages import (
    AnyResult,
    Export,
    Exported,
    JournalEntry,
    Opened,
    Request,
)
from widgets.notice_bar import NoticeBar

_FROM_FILES = ("load", "requires_grad")
_LONGEST = 60  # characters of a title


class Leaving(QObject):
    """Knows which edits the newest export held.

    Whoever would drop the open model calls :meth:`before`, which goes on at once or asks.
    """

    def __init__(
        self,
        session: ClientSession,
        notices: NoticeBar,
        export: Callable[[], object],
        parent: QObject | None = None,
    ) -> None:
        """``export`` opens the dialog for an export of the whole model."""
        super().__init__(parent)
        self._session = session
        self._notices = notices
        self._export = export
        self._exported: list[JournalEntry] = []
        self._fingerprint = ""
        self._then: tuple[str, Callable[[], None]] | None = None  # once all is exported
        session.answered.connect(self._answered)
        session.opened.connect(self._opened)

    @property
    def unexported(self) -> list[JournalEntry]:
        """Edits that stand and were not in the newest export.

        A model that lives in a process of its own keeps its edits without the window.
        """
        if self._session.remote is not None:
            return []
        done = [entry for entry in self._session.journal if entry.done]
        known = [_essence(entry) for entry in self._exported]
        same = 0
        while same < min(len(done), len(known)) and _essence(done[same]) == known[same]:
            same += 1
        rest = done[same:]
        # What a checkpoint gave can be had from it again.
        return [] if all(entry.kind in _FROM_FILES for entry in rest) else rest

    def before(self, go_on: Callable[[], None], words: str = "open the other target") -> None:
        """Call ``go_on``, where there are unexported edits only once a person says so.

        ``words`` say what goes on, as in "close the window".
        """
        edits = self.unexported
        if not edits:
            go_on()
            return
        last = shortened(edits[-1].title, _LONGEST)
        more = f" and {plural(len(edits) - 1, 'edit')} before it" if len(edits) > 1 else ""
        be = "are" if more else "is"
        text = f"“{last}”{more} {be} in no file yet."
        actions: list[tuple[str, Callable[[], object]]] = []
        if self._session.state == "lost":
            text += " The model's process has ended: only a restart can carry them out again."
        else:
            actions.append(("Export…", lambda: self._export_first(go_on, words)))
        actions.append((f"Discard and {words}", go_on))
        actions.append(("Cancel", lambda: None))
        self._notices.show_notice(text, "warning", actions)
        self._notices.focus_action()

    def _export_first(self, go_on: Callable[[], None], words: str) -> None:
        self._then = (words, go_on)
        self._export()

    def _answered(self, request: Request, outcome: AnyResult | InspectorError) -> None:
        if not (isinstance(request, Export) and isinstance(outcome, Exported)):
            return
        self._exported = [entry for entry in self._session.journal if entry.done]
        then, self._then = self._then, None
        if then is not None:
            words, go_on = then
            self._notices.show_notice(
                "The edits are in a file now.", "good", [(words.capitalize(), go_on)]
            )

    def _opened(self, opened: Opened) -> None:
        if opened.fingerprint != self._fingerprint:  # not the same one after a restart
            self._exported = []
        self._fingerprint = opened.fingerprint
        self._then = None


def _essence(entry: JournalEntry) -> tuple[object, ...]:
    """What makes an edit another one."""
    return entry.number, entry.kind, entry.title, entry.seed, entry.path, entry.digest
