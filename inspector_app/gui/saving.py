"""What the live views show as files: a picture, a table, a recording for TensorBoard."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QFileDialog, QWidget

from inspector_app.gui.settings import Settings
from inspector_app.gui.views.live_views import LiveViews, SaveKind
from inspector_app.recordings.event_file import write_events
from inspector_app.recordings.table import write_table
from widgets.picture_export import ExportFailed, save_png, save_svg

_FILTERS: dict[SaveKind, tuple[str, str]] = {
    "png": ("Pictures (*.png)", "live.png"),
    "svg": ("Drawings (*.svg)", "live.svg"),
    "csv": ("Tables (*.csv)", "records.csv"),
}


class Saving(QObject):
    """Asks where to, and writes; ``told(text, tone, detail)`` says what came of it.

    Tables and recordings are written beside the event loop: they may hold all that is mirrored.
    """

    told = Signal(str, str, str)

    def __init__(self, views: LiveViews, settings: Settings, window: QWidget) -> None:
        super().__init__(window)
        self._views = views
        self._settings = settings
        self._window = window
        views.save_asked.connect(self.ask)

    def ask(self, kind: SaveKind) -> None:
        """Ask for a place, then write there."""
        folder = self._settings.folder("live")
        if kind == "events":
            chosen = QFileDialog.getExistingDirectory(
                self._window, "Folder for TensorBoard", folder
            )
        else:
            names, name = _FILTERS[kind]
            start = str(Path(folder) / name)
            chosen, _ = QFileDialog.getSaveFileName(self._window, "Save", start, names)
            if chosen and not Path(chosen).suffix:
                chosen += f".{kind}"
        if chosen:
            path = Path(chosen)
            self._settings.set_folder("live", str(path if kind == "events" else path.parent))
            self.write(kind, path)

    def write(self, kind: SaveKind, path: Path) -> None:
        """Write to ``path``: a folder for "events", else a file."""
        views = self._views
        if kind == "png":
            self._attempt(path, lambda: save_png(views.view, path, caption=views.caption))
        elif kind == "svg":
            self._attempt(path, lambda: save_svg(views.view, path, caption=views.caption))
        elif not views.store.size:
            self.told.emit("Nothing has been recorded yet.", "info", "")
        else:
            write = write_table if kind == "csv" else write_events
            answers = views.store.lend()
            titles = {one.key: one.title for one in views.series if one.measured}
            self._beside(path, lambda: write(path, answers, titles))

    def _beside(self, path: Path, write: Callable[[], object]) -> None:
        self.told.emit(f"Writing {path}…", "info", "")
        Thread(target=lambda: self._attempt(path, write), name="saving").start()

    def _attempt(self, path: Path, write: Callable[[], object]) -> None:
        """Write; may be called from any thread."""
        try:
            write()
        except ExportFailed as error:  # it names the place
            told = str(error), "danger", ""
        except OSError as error:
            reason = error.strerror or str(error)
            sentence = f"{path} was not written ({reason}): choose another folder, or make room."
            told = sentence, "danger", str(error)
        else:
            told = f"{path} was written.", "good", ""
        with suppress(RuntimeError):  # the window was closed meanwhile
            self.told.emit(*told)
