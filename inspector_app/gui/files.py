"""Opening, exporting and verifying files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast

from PySide6.QtCore import QMimeData, QObject, Signal
from PySide6.QtWidgets import QFileDialog, QWidget

from inspector_app.gui.client.session import ClientSession
from inspector_app.gui.panels.export_dialog import ExportDialog
from inspector_app.gui.panels.open_dialog import OpenDialog
from inspector_app.gui.panels.verify_dialog import VerifyDialog
from inspector_app.protocol.errors import Cancelled, ConnectionLost, InspectorError
from inspector_app.protocol.messages import Verified, Verify


class Files(QObject):
    """What the File menu does.  ``told(text, tone, detail)`` tells a person."""

    told = Signal(str, str, str)

    def __init__(self, session: ClientSession, window: QWidget) -> None:
        super().__init__(window)
        self._session = session
        self._window = window
        session.open_failed.connect(self._open_failed)

    def ask_open(self, path: str = "") -> None:
        """Open the dialog, ``path`` filled in."""
        target = self._session.target
        folder = str(Path(target.path).parent) if target is not None and target.path else ""
        dialog = OpenDialog(self._window, path, folder)

        def accepted() -> None:
            choice = dialog.choice
            self.open(choice.target, choice.arguments, choice.device, choice.seed)

        dialog.accepted.connect(accepted)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def open(
        self, target: str, arguments: dict[str, Any], device: str = "cpu", seed: int = 0
    ) -> None:
        """Open a target at once."""
        self._session.open_target(target, arguments, cast("Literal['cpu', 'meta']", device), seed)

    def dropped(self, data: QMimeData) -> None:
        """Open what was dropped: code asks how first, anything else is opened as it is."""
        path = dropped_path(data)
        if path.endswith(".py"):
            self.ask_open(path)
        elif path:
            self.open(path, {})

    def _open_failed(self, error: InspectorError) -> None:
        if not isinstance(error, Cancelled):
            self.told.emit(error.sentence, "danger", error.detail)

    # -- export --------------------------------------------------------------------------------

    def ask_export(self, rows: list[int], words: str) -> ExportDialog | None:
        """Open the dialog for an export; ``words`` name the rows selected."""
        target = self._session.target
        if target is None:
            return None
        folder = Path(target.path).parent if target.path and not _carried(target.target) else Path()
        path = str((folder / f"{_stem(target.title)}-export.safetensors").absolute())
        dialog = ExportDialog(self._session, path, rows, words, self._window)
        self._session.job_progress.connect(dialog.show_progress)
        dialog.finished.connect(dialog.deleteLater)
        dialog.show()
        return dialog

    def ask_verify(self) -> None:
        """Ask for a file and verify it."""
        path, _ = QFileDialog.getOpenFileName(
            self._window, "Verify", "", "safetensors (*.safetensors);;All files (*)"
        )
        if path:
            self.verify(path)

    def verify(self, path: str) -> VerifyDialog:
        """Verify a file against what it records of itself, and against the open model."""
        dialog = VerifyDialog(path, self._window)
        shown = [dialog]
        dialog.finished.connect(shown.clear)
        dialog.finished.connect(dialog.deleteLater)

        def arrived(report: Verified) -> None:
            if shown:
                dialog.show_report(report)

        def failed(error: InspectorError) -> None:
            if shown:
                dialog.show_error(error)
            elif not isinstance(error, (Cancelled, ConnectionLost)):
                self.told.emit(error.sentence, "danger", error.detail)

        against = "." if self._session.target is not None else ""
        self._session.request(Verify(path=path, against=against), arrived, failed, "Verifying")
        dialog.show()
        return dialog


def dropped_path(data: QMimeData) -> str:
    """The first local file of what is dragged; "" where there is none."""
    return next((url.toLocalFile() for url in data.urls() if url.isLocalFile()), "")


def _carried(target: str) -> bool:
    return target.startswith("sample:")


def _stem(title: str) -> str:
    return title.removesuffix(".safetensors").replace("/", "-").replace("\\", "-") or "model"
