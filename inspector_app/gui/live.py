"""Watching modules and running the model: what is watched, what runs, and what is drawn of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec
import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from inspector_app.gui.alarming import Alarming
from inspector_app.gui.client.ranks import Ranks
from inspector_app.gui.client.records import RecordsFeed
from inspector_app.gui.client.session import ClientSession
from inspector_app.gui.measured import Measured
from inspector_app.gui.panels.live_panel import LivePanel
from inspector_app.gui.panels.plan_preview import plural
from inspector_app.gui.panels.run_dialog import RunDialog, RunSettings
from inspector_app.gui.views.names import named_series
from inspector_app.gui.views.nothing_drawn import WATCH_ALL
from inspector_app.gui.watchable import leaf_modules, modules_of
from inspector_app.protocol.errors import Cancelled, ConnectionLost, CopyError, InspectorError
from inspector_app.protocol.messages import (
    DescribeInputs,
    InputForm,
    Opened,
    ProbeKind,
    Ran,
    Records,
    Series,
    SetBins,
    SetExact,
    TrainSteps,
    Unwatch,
    Watch,
    Watching,
)
from inspector_app.protocol.table import Role, RowTable
from widgets.numbers import count_text

_PAUSE = 0.02  # seconds between two forwards of an endless run: leaves the machine usable
_WATCH_MODULES = "Select modules and press Watch to see their activations here while they run."
_NOTHING_CHOSEN = (
    "Select rows that can be watched first: modules, or parameters where something of these is "
    "measured."
)


class Live(QObject):
    """Owns how the model runs, the set of watched rows and the running job; fills a LivePanel.

    ``changed`` is emitted when any of these changed; ``told(text, tone, detail)`` tells a person;
    ``run_told`` what came of a run, which ``run_began`` makes old; ``no_copy(text, detail)`` that
    only the model itself could be trained.
    """

    changed = Signal()
    told = Signal(str, str, str)
    run_began = Signal()
    run_told = Signal(str, str, str)
    no_copy = Signal(str, str)

    def __init__(
        self,
        session: ClientSession,
        panel: LivePanel,
        table: Callable[[], RowTable],
        measured: Measured,
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._session = session
        self.measured = measured
        self._panel = panel
        self._table = table
        self._window = window
        self._feed = RecordsFeed(session, self)
        self.ranks = Ranks(self._feed, table, self)
        self.ranks.arrived.connect(self._mirror)
        self.ranks.restarted.connect(self._forget_drawn)
        self.ranks.told.connect(self.told)
        self._alarming = Alarming(session, panel.views, window)
        self._alarming.told.connect(self.told)
        self._feed.told.connect(self._alarming.take)
        self._feed.failed.connect(lambda error: self.told.emit(error.sentence, "warning", ""))
        self.loop_told = self._feed.loop_told
        self.answered = self._feed.told
        self.refresh = self._feed.fetch
        self._form: InputForm | None = None
        self._settings = RunSettings()
        self._run: int | None = None
        self._repeat = 1  # of the newest run
        self._resumes = False  # whether the next run goes on with a copy in training
        self._disabled = ""
        self._bins_known = False  # which bins the backend counts into
        self.watched: set[int] = set()
        self.exact: set[int] = set()  # rows of which all elements are measured
        self.series: list[Series] = []
        self.forwards = 0  # of the newest run, as far as drawn
        self._watched_before: tuple[str, dict[str, bool]] = ("", {})  # of a lost worker
        panel.empty_clicked.connect(self._watch_everything)
        panel.views.watch_asked.connect(self._watch_everything)
        panel.views.grid.octaves_asked.connect(self.set_octaves)

    @property
    def running(self) -> bool:
        """Whether the model runs now."""
        return self._run is not None

    # -- targets -------------------------------------------------------------------------------

    def target_opened(self, opened: Opened) -> None:
        """Forget what belonged to the target before; watch again what a lost worker watched."""
        self._form, self._settings, self._run = None, RunSettings(), None
        self._disabled = opened.disabled.get("watch", "")
        if not opened.live:
            self._disabled = self._disabled or opened.disabled.get("run", "")
        self.ranks.stop()
        self._panel.views.forget()
        self._panel.views.offer_watching(not self._disabled)
        self._panel.views.grid.show_octaves(False)
        self._bins_known = False
        self.measured.begin(opened.live, opened.disabled.get("update", ""))
        self.exact = set()
        self._set_watching(set(opened.watched), [])
        target, before = self._watched_before
        self._watched_before = "", {}
        if target == opened.target and before:
            rows = zip(opened.table.paths, opened.table.ids, strict=True)
            place = {path: int(row) for path, row in rows if path in before}
            self.watch(list(place.values()))
            exact = [row for path, row in place.items() if before[path]]
            if exact:
                self._session.request(SetExact(rows=exact), self._watching)

    def worker_lost(self) -> None:
        """The hooks went with the process; of a live model all that was drawn stays."""
        self._run = None
        self._feed.stop()
        self.ranks.finish()
        self._panel.views.offer_watching(False)
        table, target = self._table(), self._session.target
        if target is not None and target.live:
            self.changed.emit()
            return
        if target is not None:
            watched = {
                table.path(table.position(row)): row in self.exact for row in sorted(self.watched)
            }
            self._watched_before = target.target, watched
        self._disabled = "The model's process has ended, and with it what was watched."
        self._set_watching(set(), [])

    # -- watching ------------------------------------------------------------------------------

    def watch(self, rows: list[int]) -> None:
        """Watch what can be among ``rows``."""
        table, watchable = self._table(), self.watchable
        chosen = [row for row in rows if watchable[table.position(row)]]
        if not chosen:
            self.told.emit(_NOTHING_CHOSEN, "info", "")
            return
        self._session.request(Watch(rows=chosen, kinds=self.measured.kinds), self._watching)

    @property
    def watchable(self) -> NDArray[np.bool_]:
        """(n,) which rows can be watched: those of which anything is measured."""
        table = self._table()
        watchable: NDArray[np.bool_] = modules_of(table) & self.measured.modules
        if self.measured.parameters:
            watchable |= table.role == Role.PARAMETER
        return watchable

    def measure(self, kind: ProbeKind, on: bool) -> None:
        """Measure one kind more, or one less, also of what is watched now."""
        if not self.measured.choose(kind, on):
            self.told.emit("Of what is watched something has to be measured.", "info", "")
        elif self.watched:
            self._measure_anew()
        self.changed.emit()

    def _measure_anew(self) -> None:
        """Measure other kinds of what is watched; rows of which nothing is left are let go of."""
        table, watchable = self._table(), self.watchable
        kept = [row for row in sorted(self.watched) if watchable[table.position(row)]]
        gone = sorted(self.watched.difference(kept))
        if gone:
            self.unwatch(gone)
        if kept:
            self._session.request(Watch(rows=kept, kinds=self.measured.kinds), self._watching)

    def watch_leaves(self, rows: list[int]) -> None:
        """Watch all modules below ``rows`` that have none below them."""
        table = self._table()
        leaves: list[int] = []
        for row in rows:
            leaves += leaf_modules(table, table.position(row))
        self.watch(list(dict.fromkeys(leaves)))

    def _watch_everything(self) -> None:
        self.watch_leaves([int(row) for row in self._table().ids[:1]])

    def unwatch(self, rows: list[int] | None) -> None:
        """Remove the hooks of these modules; all with None."""
        self._session.request(Unwatch(rows=rows), self._watching)

    def set_exact(self, rows: list[int], exact: bool) -> None:
        """Measure all elements of those of the rows that are watched, or samples."""
        if chosen := [row for row in rows if row in self.watched]:
            self._session.request(SetExact(rows=chosen, exact=exact), self._watching)

    def show_exact(self, rows: set[int]) -> None:
        """So it is in the backend: another window may have chosen."""
        if rows != self.exact:
            self.exact = rows
            self.changed.emit()

    def _watching(self, watching: Watching) -> None:
        self.exact = set(watching.exact)
        self._set_watching(set(watching.rows), watching.series)

    def _set_watching(self, rows: set[int], series: list[Series]) -> None:
        self.watched, self.series = rows, self._wanted(series, rows)
        self._show_series()
        self.changed.emit()

    def _wanted(self, series: list[Series], rows: set[int]) -> list[Series]:
        """Series of what is watched and measured now, and numbers of the loop."""
        dropped = self.measured.dropped
        return [
            one
            for one in series
            if one.kind == "scalar" or (one.row in rows and one.kind not in dropped)
        ]

    # -- running -------------------------------------------------------------------------------

    def ask_inputs(self) -> None:
        """Open the dialog for how the model runs."""
        self._with_form(self._open_form)

    def run(self, repeat: int) -> None:
        """Run ``repeat`` forwards or steps of training; 0 until stopped."""
        if not self.running:
            self._with_form(lambda form: self._start(form, repeat))

    def stop(self) -> None:
        """Stop the run after the step under way."""
        if self._run is not None:
            self._session.cancel(self._run)

    def _with_form(self, then: Callable[[InputForm], None]) -> None:
        if self._form is not None:
            then(self._form)
            return

        def arrived(form: InputForm) -> None:
            self._form = form
            self._settings = RunSettings(
                fields=None if form.provided else list(form.fields),
                training=TrainSteps(loss="own" if form.own_loss else "cross_entropy"),
            )
            then(form)

        self._session.request(DescribeInputs(), arrived)

    def _open_form(self, form: InputForm) -> None:
        shown = replace(self._settings, mode=self._panel.mode)
        dialog = RunDialog(self._session, form, shown, self._window)
        if self.running:
            dialog.forbid_run("The model is running: stop it first.")
        dialog.accepted.connect(lambda: self._run_as_asked(dialog.settings))
        dialog.run_asked.connect(self.run)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _run_as_asked(self, settings: RunSettings) -> None:
        self._settings = settings
        self._resumes = False
        self._panel.mode = settings.mode
        if settings.trains and not self.measured.steps:
            self.measured.steps = True
            self._measure_anew()
            self.changed.emit()

    def train_itself(self) -> None:
        """Make the steps that were asked for last on the model itself."""
        on_itself = msgspec.structs.replace(self._settings.training, on_copy=False)
        self._settings = replace(self._settings, training=on_itself)
        self.run(self._repeat)

    def _start(self, form: InputForm, repeat: int) -> None:
        if self.running:
            return
        settings = replace(self._settings, mode=self._panel.mode)
        if settings.fields is None and not form.provided:
            self.run_told.emit(
                form.reason or "There are no example inputs to run with.", "warning", ""
            )
            return
        self.run_began.emit()
        self._repeat = repeat
        endless = 0.0 if repeat or settings.trains else _PAUSE
        request = settings.request(repeat, endless, self._resumes)
        label = "Training" if settings.trains else "Running"
        self._run = self._session.request(
            request, self._ran, self._run_failed, label if repeat else f"{label} until stopped"
        )
        self._resumes = True
        self.changed.emit()

    def _ran(self, ran: Ran) -> None:
        self._ended()
        text = f"{plural(ran.forwards, self._step_word)} in {ran.seconds:.2f} s"
        if ran.first_loss is not None and ran.last_loss is not None:
            text += f", loss {ran.first_loss:.4g}"
            text += f" to {ran.last_loss:.4g}" if ran.forwards > 1 else ""
        self._panel.say(text)
        if ran.note:
            self.run_told.emit(ran.note, "warning", "")

    @property
    def _step_word(self) -> str:
        return "train step" if self._settings.trains else "forward"

    def _run_failed(self, error: InspectorError) -> None:
        self._ended()
        if isinstance(error, (Cancelled, ConnectionLost)):
            return
        self._panel.say(error.sentence, "danger", error.detail)
        if isinstance(error, CopyError):
            self.no_copy.emit(error.sentence, error.detail)
        else:
            self.run_told.emit(error.sentence, "danger", error.detail)

    def _ended(self) -> None:
        self._run = None
        self.changed.emit()

    # -- bins ----------------------------------------------------------------------------------

    def set_octaves(self, on: bool) -> None:
        """Let the backend count into octaves, or into equal bins."""
        self._bins_known = True

        def refused(error: InspectorError) -> None:
            self._panel.views.grid.show_octaves(not on)
            if not isinstance(error, Cancelled | ConnectionLost):
                self.told.emit(error.sentence, "warning", "")

        self._session.request(SetBins(octaves=on), lambda _: None, refused)

    # -- drawing -------------------------------------------------------------------------------

    def _show_state(self) -> None:
        """The empty state while there is no cell."""
        self._panel.say("")
        self._panel.empty.set_button(None if self._disabled else WATCH_ALL)
        self._panel.show_empty(self._disabled or _WATCH_MODULES)

    def _show_series(self) -> None:
        """Let the views know what is watched; the empty state where nothing is."""
        named = named_series(self._table(), self.series, self.watched)
        self._panel.views.set_series(named)
        if named:
            self._panel.show_views()
        else:
            self._show_state()

    def _forget_drawn(self) -> None:
        """Records of other ranks take the place of those so far, chosen in the same way."""
        views = self._panel.views
        choice = views.store.choice
        views.forget()
        views.store.choose(choice)
        self._set_watching(self.watched, [])

    def _mirror(self, records: Records) -> None:
        self._panel.views.store.add(records)
        if len(records.sequence):
            self._draw(records)

    def _draw(self, records: Records) -> None:
        """Draw what arrived."""
        wanted = self._wanted(records.series, self.watched)
        if {one.key for one in wanted} - {one.key for one in self.series}:
            self.series = wanted
            self._show_series()
        self._panel.views.records_arrived()
        if len(records.step):
            if not self._bins_known:  # another window may have chosen
                self._bins_known = True
                self._panel.views.grid.show_octaves(bool(records.octaves[-1]))
            self.forwards = int(records.step.max())
            if self.running:
                self._panel.say(f"{self._step_word} {count_text(self.forwards)}")
        for failure in records.failures:
            self.run_told.emit(failure, "warning", "")
