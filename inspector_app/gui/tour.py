"""The main job done once by the real window and the real worker, with a picture at the end.

For a machine without a screen, and for README's screenshot.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal

from inspector_app.gui.app import make_application, told_of_errors
from inspector_app.gui.client.session import ClientSession
from inspector_app.gui.main_window import MainWindow
from inspector_app.gui.panels.export_dialog import ExportDialog
from inspector_app.gui.settings import Settings
from inspector_app.gui.watchable import modules_of
from inspector_app.protocol.errors import Cancelled, InspectorError
from inspector_app.protocol.messages import Exported, Scheme, Selection
from inspector_app.protocol.sums import SubtreeSums
from widgets.theme import ThemeManager

_PATIENCE = 120  # seconds for one step
_LOOK = 50  # milliseconds between two looks at whether a step is done
_SETTLE = 800  # milliseconds until what was drawn last is on the screen
_FORWARDS = 20

Step = tuple[str, Callable[[], bool]]


def run_tour(target: str, screenshot_path: str) -> int:
    """Open, freeze, initialise, watch, run, export; returns 0, or 1 with a sentence on stdout."""
    application = make_application()
    with tempfile.TemporaryDirectory(prefix="inspector-tour-") as folder:
        themes = ThemeManager(application, "light")
        window = MainWindow(ClientSession(), Settings(Path(folder) / "settings.ini"), themes)
        window.resize(1440, 900)
        window.show()
        tour = Tour(window, target, Path(folder), Path(screenshot_path))
        tour.finished.connect(application.exit)
        with told_of_errors(window):
            tour.start()
            code = application.exec()
        window.close_now()
    return code


class Tour(QObject):
    """Goes from step to step as each is done; ``finished(code)`` comes once."""

    finished = Signal(int)

    def __init__(self, window: MainWindow, target: str, folder: Path, picture: Path) -> None:
        super().__init__(window)
        self._window = window
        self._target = target
        self._folder = folder
        self._picture = picture
        self._steps = self._all_steps()
        self._name = ""
        self._done: Callable[[], bool] = lambda: True
        self._waited = 0
        self._timer = QTimer(self)
        self._timer.setInterval(_LOOK)
        self._timer.timeout.connect(self._look)
        window.session.answered.connect(self._answered)
        window.session.lost.connect(lambda sentence, detail: self._fail(f"{sentence}\n{detail}"))

    def start(self) -> None:
        """Begin."""
        self._timer.start()

    def _answered(self, request: object, outcome: object) -> None:
        """A request that was refused or failed ends the tour; one given up does not."""
        if isinstance(outcome, InspectorError) and not isinstance(outcome, Cancelled):
            self._fail(outcome.sentence)

    def _look(self) -> None:
        self._waited += _LOOK
        if self._window.notices.text and self._window.notices.tone == "danger":
            self._fail(self._window.notices.text)
        elif self._done():
            if self._name:
                print(f"done: {self._name}", flush=True)
            self._next()
        elif self._waited > 1000 * _PATIENCE:
            self._fail(f"not done within {_PATIENCE} s")

    def _next(self) -> None:
        self._waited = 0
        try:
            self._name, self._done = next(self._steps)
        except StopIteration:
            self._timer.stop()
            QTimer.singleShot(_SETTLE, self, self._take_picture)

    def _take_picture(self) -> None:
        self._picture.parent.mkdir(parents=True, exist_ok=True)
        if self._window.grab().save(str(self._picture)):
            print(f"picture: {self._picture}", flush=True)
            self.finished.emit(0)
        else:
            self._fail(f"The picture could not be written to {self._picture}.")

    def _fail(self, sentence: str) -> None:
        if self._timer.isActive() or not self._name:
            self._timer.stop()
            print(f"failed: {self._name or 'start'}: {sentence}", flush=True)
            self.finished.emit(1)

    # -- the steps -----------------------------------------------------------------------------

    def _all_steps(self) -> Iterator[Step]:
        window, session = self._window, self._window.session
        window.opening.open(self._target)
        yield f"open {self._target}", lambda: session.target is not None
        if session.target is not None and session.target.kind == "checkpoint":
            yield from self._export()
            return
        parts = self._parts()
        window.tree_panel.view.select_row(parts[0])
        window.registry.action("edit.freeze").trigger()
        yield f"freeze {self._path(parts[0])}", lambda: len(session.journal) == 1
        window.tree_panel.view.select_row(parts[-1])
        selection = Selection(rows=[parts[-1]])
        window.edits.initialize(selection, Scheme(name="normal_", arguments={"std": 0.02}), 0)
        yield f"initialise {self._path(parts[-1])}", lambda: len(session.journal) == 2
        root = int(window.tree_model.table.ids[0])
        window.tree_panel.view.select_row(root)
        window.registry.action("model.watch_leaves").trigger()
        yield "watch all leaves", lambda: bool(window.live.watched)
        window.live.run(_FORWARDS)
        ran = _FORWARDS - 1
        yield (
            f"run {_FORWARDS} forwards",
            lambda: not window.live.running and window.live.forwards >= ran,
        )
        yield from self._export()
        weight = self._a_weight(parts[-1])
        window.tree_panel.view.select_row(weight)
        window.detail_panel.show_values()
        yield f"measure {self._path(weight)}", lambda: window.detail_panel.values.measured == weight
        window.notices.dismiss()

    def _export(self) -> Iterator[Step]:
        window = self._window
        dialog = window.files.ask_export([], "")
        if not isinstance(dialog, ExportDialog):
            return
        path = self._folder / "exported.safetensors"
        dialog.path.setText(str(path))
        yield "plan the export", dialog.export_button.isEnabled
        dialog.export_button.click()
        yield "export, verified", lambda: dialog.exported is not None and path.is_file()
        report = dialog.exported
        if isinstance(report, Exported):
            print(f"{report.tensors} tensors, {report.bytes:,} bytes, sha256 {report.sha256}")
        dialog.close()

    def _parts(self) -> list[int]:
        """Modules right below the root that hold parameters; the root where there is none."""
        table = self._window.tree_model.table
        sums = SubtreeSums(table)
        modules = modules_of(table) & (table.parent == 0)
        parts = [
            int(table.ids[position])
            for position in modules.nonzero()[0].tolist()
            if sums.parameters(position)
        ]
        return parts or [int(table.ids[0])]

    def _a_weight(self, row: int) -> int:
        """The first tensor at or below a row."""
        table = self._window.tree_model.table
        position = table.position(row)
        below = range(position, int(table.end[position]))
        return next((int(table.ids[at]) for at in below if table.count[at]), row)

    def _path(self, row: int) -> str:
        table = self._window.tree_model.table
        return table.path(table.position(row)) or "everything"
