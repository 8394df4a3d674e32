"""What is watched, chosen by the selection, a class, the filter, or a pattern."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

from inspector_app.gui.live import Live
from inspector_app.gui.models.tree_model import RowTreeModel
from inspector_app.gui.panels.asking import Asks
from inspector_app.gui.panels.watch_pattern_dialog import WatchPatternDialog
from inspector_app.gui.selected import Selected
from inspector_app.gui.watch_commands import MEASURED
from inspector_app.gui.watchable import modules_of
from inspector_app.protocol.messages import ProbeKind
from inspector_app.protocol.table import Flag, Role

_TWICE = Flag.REPEATED | Flag.REFERENCE  # what stands elsewhere as well is watched there


class Watching(QObject):
    """Finds the rows and leaves the rest to :class:`Live`; ``window`` owns its dialog."""

    def __init__(
        self, session: Asks, live: Live, selected: Selected, model: RowTreeModel, window: QWidget
    ) -> None:
        super().__init__(window)
        self._session = session
        self._live = live
        self._selected = selected
        self._model = model
        self._window = window

    def watch(self) -> None:
        """The selection itself."""
        self._live.watch(self._selected.rows)

    def watch_leaves(self) -> None:
        """All leaf modules at or below the selection."""
        self._live.watch_leaves(self._selected.rows)

    def watch_all_leaves(self) -> None:
        """All leaf modules of the model."""
        self._live.watch_leaves([int(row) for row in self._model.table.ids[:1]])

    def watch_class(self) -> None:
        """All modules of the classes that are selected."""
        table = self._model.table
        modules = modules_of(table)
        chosen = [at for at in self._selected.positions if modules[at]]
        alike = modules & np.isin(table.class_index, table.class_index[chosen])
        self._watch_where(alike)

    def watch_below(self) -> None:
        """The selection and all below it that can be watched."""
        table = self._model.table
        below = np.zeros(len(table), bool)
        for at in self._selected.positions:
            below[at : table.end[at]] = True
        self._watch_where(below & self._live.watchable)

    def watch_found(self) -> None:
        """All that the filter found."""
        self._live.watch(self._model.matches())

    def _watch_where(self, chosen: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> None:
        table = self._model.table
        once = chosen & ((table.flags & _TWICE) == 0)
        self._live.watch(table.ids[once].tolist())

    def ask_pattern(self) -> WatchPatternDialog:
        """Open the dialog for patterns."""
        table = self._model.table
        parameters = bool((self._live.watchable & (table.role == Role.PARAMETER)).any())
        dialog = WatchPatternDialog(
            self._session,
            lambda: self._model.table,
            self._selected.pattern(),
            parameters,
            self._window,
        )
        dialog.accepted.connect(lambda: self._live.watch(dialog.rows))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()
        return dialog

    @property
    def all_exact(self) -> bool:
        """Whether all elements are measured of every watched row that is selected."""
        rows = self._live.watched.intersection(self._selected.rows)
        return bool(rows) and rows <= self._live.exact

    def set_exact(self, exact: bool) -> None:
        """Measure all elements of the watched rows selected, or samples."""
        self._live.set_exact(self._selected.rows, exact)

    def measure(self, kind: ProbeKind, on: bool) -> None:
        """Measure one kind more of what is watched, or one less."""
        self._live.measure(kind, on)

    def checked(self) -> dict[str, bool]:
        """Which of the commands here are checked."""
        kinds = self._live.measured.kinds
        measured = {command.id: kind in kinds for kind, command in MEASURED.items()}
        return {"model.exact": self.all_exact, **measured}

    def unwatch(self) -> None:
        """Remove the probes of the selection."""
        self._live.unwatch(self._selected.rows)

    def unwatch_all(self) -> None:
        """Remove all probes."""
        self._live.unwatch(None)


def watching_commands(
    watching: Callable[[], Watching],
) -> dict[str, Callable[[], object] | Callable[[bool], object]]:
    """What each command does; ``watching`` is asked for when one is carried out."""
    return {
        "model.watch": lambda: watching().watch(),
        "model.watch_leaves": lambda: watching().watch_leaves(),
        "model.watch_all_leaves": lambda: watching().watch_all_leaves(),
        "model.watch_class": lambda: watching().watch_class(),
        "model.watch_below": lambda: watching().watch_below(),
        "model.watch_found": lambda: watching().watch_found(),
        "model.watch_pattern": lambda: watching().ask_pattern(),
        **{
            command.id: lambda on, kind=kind: watching().measure(kind, on)
            for kind, command in MEASURED.items()
        },
        "model.exact": lambda exact: watching().set_exact(exact),
        "model.unwatch": lambda: watching().unwatch(),
        "model.unwatch_all": lambda: watching().unwatch_all(),
    }
