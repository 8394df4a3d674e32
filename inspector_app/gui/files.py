"""Exporting, verifying, and the edits as a script."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QFileDialog, QWidget

from inspector_app.gui.client.session import ClientSession
from inspector_app.gui.panels.export_dialog import ExportDialog, default_path
from inspector_app.gui.panels.open_dialog import STATE_FILTER
from inspector_app.gui.panels.placing import show_below_notices
from inspector_app.gui.panels.script_dialog import ScriptDialog
from inspector_app.gui.panels.verify_dialog import VerifyDialog
from inspector_app.gui.settings import Settings
from inspector_app.protocol.errors import Cancelled, ConnectionLost, InspectorError
from inspector_app.protocol.messages import Exported, GetScript, Opened, Script, Verified, Verify


class Files(QObject):
    """What is written and checked.  ``told(text, tone, detail)`` tells a person."""

    told = Signal(str, str, str)

    def __init__(self, session: ClientSession, settings: Settings, window: QWidget) -> None:
        super().__init__(window)
        self._session = session
        self._settings = settings
        self._window = window

    # -- export --------------------------------------------------------------------------------

    def ask_export(self, rows: list[int], words: str) -> ExportDialog | None:
        """Open the dialog for an export; ``words`` name the rows selected."""
        target = self._session.target
        if target is None:
            return None
        path = default_path(self._folder("export", target), target.title)
        dialog = ExportDialog(self._session, path, rows, words, self._window)
        self._session.job_progress.connect(dialog.show_progress)
        self._session.opened.connect(dialog.target_gone)
        dialog.written.connect(self._remember)
        dialog.verify_asked.connect(lambda written: self.verify([written]))
        dialog.finished.connect(dialog.deleteLater)
        show_below_notices(dialog, self._window)
        return dialog

    def _folder(self, purpose: str, target: Opened) -> str:
        """Where a file goes: where the last one went, else beside the target."""
        folder = self._settings.folder(purpose)
        if folder and Path(folder).is_dir():
            return folder
        if not target.path or target.target.startswith("sample:"):
            return str(Path.cwd())
        path = Path(target.path)
        return str(path if path.is_dir() else path.parent)

    def _remember(self, report: Exported) -> None:
        self._settings.set_folder("export", str(Path(report.path).absolute().parent))

    # -- verify --------------------------------------------------------------------------------

    def ask_verify(self) -> None:
        """Ask for files and verify them."""
        paths, _ = QFileDialog.getOpenFileNames(
            self._window, "Verify", self._settings.folder("export"), STATE_FILTER
        )
        if paths:
            self.verify(paths)

    def verify(self, paths: list[str]) -> VerifyDialog:
        """Verify files against what they record of themselves, and against the open model."""
        dialog = VerifyDialog(paths, self._window)
        shown = [dialog]
        dialog.finished.connect(shown.clear)
        dialog.finished.connect(dialog.deleteLater)

        def arrived(path: str, report: Verified) -> None:
            if shown:
                dialog.show_report(path, report)

        def failed(path: str, error: InspectorError) -> None:
            if shown:
                dialog.show_error(path, error)
            elif not isinstance(error, (Cancelled, ConnectionLost)):
                self.told.emit(error.sentence, "danger", error.detail)

        against = "." if self._session.target is not None else ""
        for path in paths:
            self._session.request(
                Verify(path=path, against=against),
                partial(arrived, path),
                partial(failed, path),
                f"Verifying {Path(path).name}",
            )
        show_below_notices(dialog, self._window)
        return dialog

    # -- script --------------------------------------------------------------------------------

    def copy_script(self) -> None:
        """Put the edits on the clipboard as a script, and show it."""
        target = self._session.target
        if target is None:
            return
        path = default_path(self._folder("export", target), target.title, "-edits.py")
        self._session.request(
            GetScript(),
            lambda script: self._show_script(script, path),
            label="Writing the script",
        )

    def _show_script(self, script: Script, path: str) -> None:
        dialog = ScriptDialog(script, path, self._window)
        dialog.finished.connect(dialog.deleteLater)
        dialog.copy()
        show_below_notices(dialog, self._window)
