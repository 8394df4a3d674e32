"""What a person is told and offered when the worker prints, hangs or dies."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

from inspector_app.gui.client.session import ClientSession
from inspector_app.gui.panels.output_dialog import OutputDialog
from inspector_app.gui.wording import sentence
from inspector_app.protocol.messages import Edited
from widgets.job_panel import JobPanel
from widgets.notice_bar import NoticeBar, Tone

_LONGEST = 160  # characters of a note in a notice
_STUCK = (
    "The model's own code is running and does not stop. Its process can be ended; the edits are "
    "kept and can be replayed."
)


class Supervision(QObject):
    """Puts the worker's end and its jobs into the notice bar and the job panel."""

    def __init__(
        self, session: ClientSession, notices: NoticeBar, jobs: JobPanel, window: QWidget
    ) -> None:
        super().__init__(window)
        self._session = session
        self._notices = notices
        self._jobs: set[int] = set()  # under way and known to the person
        self._stuck_job = -1
        self.output = OutputDialog(window)
        session.output.connect(self.output.append)
        session.lost.connect(self._lost)
        session.replayed.connect(self._replayed)
        session.cancel_stuck.connect(self._stuck)
        session.job_started.connect(jobs.start)
        session.job_progress.connect(jobs.update_job)
        session.job_ended.connect(jobs.finish)
        session.job_started.connect(lambda job, _: self._jobs.add(job))
        session.job_ended.connect(self._job_ended)
        jobs.cancel_requested.connect(session.cancel)

    def restart(self) -> None:
        """Open the same target in a new process and carry out the edits again."""
        self._session.restart_and_replay()

    def show_output(self) -> None:
        """What the worker printed."""
        self.output.show()
        self.output.raise_()
        self.output.activateWindow()

    def _lost(self, sentence: str, detail: str) -> None:
        if self._session.remote is not None:
            self._notices.show_notice(
                f"{sentence} What was drawn stays.",
                "danger",
                [("Attach again", self._session.restart)],
                detail,
            )
            return
        edits = sum(entry.done for entry in self._session.journal)
        last = detail.strip().splitlines()[-1] if detail.strip() else ""
        text = f"The model's process ended. {sentence} {last}".strip()
        actions: list[tuple[str, Callable[[], object]]] = [("Restart", self.restart)]
        if edits:
            actions = [
                (f"Restart and replay {edits} edit{'s' * (edits != 1)}", self.restart),
                ("Restart without", self._session.restart),
            ]
        actions.append(("Show output", self.show_output))
        self._notices.show_notice(text, "danger", actions, detail)

    def _replayed(self, edited: Edited) -> None:
        edits = sum(entry.done for entry in edited.history)
        text = "The model is open again."
        if edits:
            text += f" {edits} edit{' was' if edits == 1 else 's were'} carried out again."
        if edited.notes:
            text += f" {sentence(edited.notes[0], _LONGEST)}"
        if len(edited.notes) > 1:
            text += f" (and {len(edited.notes) - 1} more)"
        tone: Tone = "warning" if edited.notes else "good"
        self._notices.show_notice(text, tone, detail="\n".join(edited.notes))

    def _stuck(self, job: int) -> None:
        if job not in self._jobs:
            return  # a question nobody waits for any more, such as a preview
        if self._session.remote is not None:
            return  # it waits for a safe point of the training loop, which tells of itself
        self._stuck_job = job
        end = ("End the process", lambda: self._session.end_worker(job))
        self._notices.show_notice(_STUCK, "warning", [end])

    def _job_ended(self, job: int) -> None:
        """It has stopped after all: nobody needs to end a process that works."""
        self._jobs.discard(job)
        if job == self._stuck_job and self._notices.text == _STUCK:
            self._notices.dismiss()
