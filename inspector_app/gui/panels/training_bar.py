"""What is said of a training loop: where it stands, and what watching it costs."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QWidget

from inspector_app.gui.panels.tone_label import ToneLabel
from inspector_app.protocol.messages import TrainingState
from widgets.numbers import count_text
from widgets.theme import GRID

BUDGETS: tuple[float | None, ...] = (0.01, 0.02, 0.05, 0.1, 0.2, None)
ALL_RANKS = -1  # in place of a rank
_NO_TIME_YET = "measuring the time of a step"


class TrainingBar(QWidget):
    """Budget and rank to choose, and a line.

    ``budget_chosen(share or None)``; ``rank_chosen(int)`` where there are several: one of them, or
    ``ALL_RANKS``.
    """

    budget_chosen = Signal(object)
    rank_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("trainingBar")
        self.budget = QComboBox()
        self.budget.setObjectName("budget")
        self.budget.setAccessibleName("Budget of the probes")
        self.budget.setToolTip(
            "Share of a training step that probes may take. To keep to it the window draws less "
            "often, then samples get smaller, then steps are left out."
        )
        for share in BUDGETS:
            self.budget.addItem(budget_text(share), share)
        self.budget.activated.connect(
            lambda index: self.budget_chosen.emit(self.budget.itemData(index))
        )
        self.rank = QComboBox()
        self.rank.setObjectName("rank")
        self.rank.setAccessibleName("Rank")
        self.rank.activated.connect(lambda index: self.rank_chosen.emit(self.rank.itemData(index)))
        self.rank.hide()
        self.line = ToneLabel(tone="muted")
        self.line.setObjectName("trainingLine")
        self.line.elide()
        row = QHBoxLayout(self)
        row.setContentsMargins(GRID, 0, GRID, 0)
        row.setSpacing(GRID)
        row.addWidget(self.rank)
        row.addWidget(self.budget)
        row.addWidget(self.line, 1)

    def show_state(self, state: TrainingState, standing: str = "", late: int = 0) -> None:
        """Say where the loop stands; a list that is open is left as it is.

        ``standing`` says how many ranks a picture stands for, where they are merged; ``late`` how
        many records could not be, since they came too late.
        """
        if not self.budget.view().isVisible():
            place = self.budget.findData(state.budget)
            if place < 0:  # one that the script chose
                self.budget.addItem(budget_text(state.budget), state.budget)
                place = self.budget.count() - 1
            self.budget.setCurrentIndex(place)
        text, tone = state_text(state)
        if standing:
            text = f"{standing} · {text}"
        self.line.say(text, tone)
        lines = [text, state.thinned, f"Edits are carried out {state.safe_point}."]
        if late:
            lines.insert(1, f"{count_text(late)} records came too late to be merged.")
        self.line.setToolTip("\n".join(line for line in lines if line))

    def show_ranks(self, ranks: Sequence[int], own: int, chosen: int) -> None:
        """Which processes can be looked at; nothing is shown of a single one, but for the way back.

        ``own`` is the one that the window is attached to; ``chosen`` that one, or ``ALL_RANKS``.
        """
        self.rank.setVisible(len(ranks) > 1 or chosen == ALL_RANKS)
        if self.rank.view().isVisible():
            return
        offered = [*ranks, ALL_RANKS] if ranks else []
        if [self.rank.itemData(index) for index in range(self.rank.count())] != offered:
            self.rank.clear()
            for rank in offered:
                self.rank.addItem("All ranks" if rank == ALL_RANKS else f"rank {rank}", rank)
        self.rank.setCurrentIndex(self.rank.findData(chosen))
        self.rank.setToolTip(
            "Process of a distributed training whose model is shown, or the statistics of all "
            f"merged.\nThe tree, values, probes and alarms are always of one rank, now rank {own}."
        )

    def say(self, text: str, tone: str = "muted") -> None:
        """A sentence in place of the loop's state."""
        self.line.say(text, tone)
        self.line.setToolTip(text)


def budget_text(share: float | None) -> str:
    """As in the list: "5% budget"."""
    return "no budget" if share is None else f"{100 * share:.3g}% budget"


def state_text(state: TrainingState) -> tuple[str, str]:
    """Where a loop stands, in words, and their tone.

    What is left out of the picture comes first: the end is lost where there is no room.
    """
    step = f"step {count_text(state.step)}"
    if state.held:
        return f"Paused after {step}. The model stands still.", "warning"
    if state.paused:
        return f"Pausing: the loop stands {state.safe_point}…", "warning"
    parts = [step]
    if state.thinned:
        parts.append(_short(state.thinned))
    if state.step_seconds:
        parts.append(f"probes {100 * state.overhead:.1f}%")
        parts.append(f"{time_text(state.step_seconds)} a step")
    else:
        parts.append(_NO_TIME_YET)
    return " · ".join(parts), "muted"


def _short(sentence: str) -> str:
    """What is done, without what for, as a part of a line."""
    done = sentence.partition(":")[0]
    return f"{done[:1].lower()}{done[1:]}"


def time_text(seconds: float) -> str:
    """In milliseconds below a second: "93.2 ms"."""
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"
