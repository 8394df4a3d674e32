"""Progress of running jobs, with a cancel button.

The panel keeps its place at all times, so nothing jumps; what it holds appears only when a job
takes longer than 300 ms.
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QSizePolicy, QToolButton, QWidget

from widgets import icons
from widgets.elided_label import ElidedLabel
from widgets.theme import GRID

PATIENCE = 300  # milliseconds before a job is worth a word
_STEPS = 1000  # of the progress bar: totals may be larger than an int32


@dataclass
class _Job:
    label: str
    done: int = 0
    total: int = 0
    cancelled: bool = False


class JobPanel(QWidget):
    """Shows the newest job and how many more there are."""

    cancel_requested = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._jobs: dict[int, _Job] = {}
        self._shown = QWidget()
        self._label = ElidedLabel()
        self._label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setFixedWidth(16 * GRID)
        self._cancel = QToolButton()
        self._cancel.setIcon(icons.icon("cancel", "muted"))
        self._cancel.setIconSize(QSize(16, 16))
        self._cancel.setToolTip("Cancel this job")
        self._cancel.setAccessibleName("Cancel")
        self._cancel.clicked.connect(self._ask_cancel)
        inner = QHBoxLayout(self._shown)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(GRID)
        inner.addWidget(self._label, 1)
        inner.addWidget(self._bar)
        inner.addWidget(self._cancel)
        keep = self._shown.sizePolicy()
        keep.setRetainSizeWhenHidden(True)
        self._shown.setSizePolicy(keep)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._shown)
        self.setFixedHeight(3 * GRID)
        self.setMinimumWidth(40 * GRID)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(PATIENCE)
        self._patience.timeout.connect(self.show_now)
        self._shown.hide()

    @property
    def showing(self) -> bool:
        """Whether a job is to be seen."""
        return not self._shown.isHidden()

    def start(self, job_id: int, label: str) -> None:
        """A job has begun; it is shown if it still runs after 300 ms."""
        self._jobs[job_id] = _Job(label)
        if self.showing:
            self._refresh()
        elif not self._patience.isActive():
            self._patience.start()

    def update_job(self, job_id: int, done: int, total: int, label: str) -> None:
        """Progress of a job; ``total`` of 0 means that its end is not known."""
        job = self._jobs.get(job_id)
        if job is None:
            return
        job.done, job.total = done, total
        job.label = label or job.label
        if self.showing:
            self._refresh()

    def finish(self, job_id: int) -> None:
        """A job has ended, however it ended."""
        self._jobs.pop(job_id, None)
        if not self._jobs:
            self._patience.stop()
            self._shown.hide()
        elif self.showing:
            self._refresh()

    def show_now(self) -> None:
        """Show the running jobs without waiting."""
        if self._jobs:
            self._patience.stop()
            self._refresh()
            self._shown.show()

    def _newest(self) -> tuple[int, _Job]:
        job_id = next(reversed(self._jobs))
        return job_id, self._jobs[job_id]

    def _refresh(self) -> None:
        _, job = self._newest()
        self._cancel.setEnabled(not job.cancelled)
        more = f" (+{len(self._jobs) - 1} more)" if len(self._jobs) > 1 else ""
        words = f"Cancelling: {job.label}" if job.cancelled else job.label
        self._label.setText(words + more)
        if job.total > 0:
            self._bar.setRange(0, _STEPS)
            self._bar.setValue(min(_STEPS, job.done * _STEPS // job.total))
        else:
            self._bar.setRange(0, 0)

    def _ask_cancel(self) -> None:
        """Ask once; the job ends when the other side says so."""
        job_id, job = self._newest()
        job.cancelled = True
        self._refresh()
        self.cancel_requested.emit(job_id)
