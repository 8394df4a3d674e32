"""What came of a run, in the notice bar until the next run begins."""

from __future__ import annotations

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

from inspector_app.gui.live import Live
from widgets.notice_bar import NoticeBar, Tone


class RunNotices(QObject):
    """Takes back only its own: what was said since by others stays."""

    def __init__(self, live: Live, notices: NoticeBar, window: QWidget) -> None:
        super().__init__(window)
        self._live = live
        self._notices = notices
        self._told = ""
        live.run_began.connect(self._take_back)
        live.run_told.connect(self._tell)
        live.no_copy.connect(self._offer_itself)

    def _tell(self, text: str, tone: Tone, detail: str) -> None:
        self._told = text
        self._notices.show_notice(text, tone, detail=detail)

    def _offer_itself(self, text: str, detail: str) -> None:
        """Only the model itself could be trained."""
        self._told = text
        itself = ("Train the model itself", self._live.train_itself)
        self._notices.show_notice(text, "warning", [itself], detail)

    def _take_back(self) -> None:
        if self._told and self._notices.text == self._told:
            self._notices.dismiss()
        self._told = ""
