"""The button beside the time of the live views: which phase, call and micro-step they show."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QActionGroup, QPaintEvent
from PySide6.QtWidgets import (
    QMenu,
    QSizePolicy,
    QStyle,
    QStyleOptionToolButton,
    QStylePainter,
    QToolButton,
    QWidget,
)

from inspector_app.gui.client.choice import (
    EACH,
    LAST,
    MOST_APART,
    Choice,
    Reading,
    Seen,
    one_of,
)
from inspector_app.protocol.phases import EVALUATION, RECOMPUTE, TRAINING
from widgets.theme import GRID

_PHASES = {TRAINING: "Training", EVALUATION: "Evaluation", RECOMPUTE: "Recompute"}
_HELP = "What is shown of steps in which a series was measured more than once"
_LEAST = 12 * GRID  # width
_MOST = 24  # calls or micro-steps that are listed


class ChoiceButton(QToolButton):
    """Hidden where there is nothing to choose.  ``chosen(Choice)`` when a person did."""

    chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("liveChoice")
        self.setProperty("framed", True)
        # What it stands beside comes first.
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(_LEAST)
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.setMenu(QMenu(self))
        self.menu().aboutToShow.connect(self._fill)
        self._choice = Choice()
        self._reading = Reading(self._choice, Seen())
        self.hide()

    def show_choice(self, choice: Choice, reading: Reading) -> None:
        """What is chosen, and what there is to choose from."""
        self._choice, self._reading = choice, reading
        parts = []
        if reading.several:
            parts.append("All phases" if reading.phase is None else _PHASES[reading.phase])
        if reading.call == EACH:
            parts.append(f"each of {reading.calls} calls")
        else:
            parts.append(one_of("call", reading.calls, reading.call))
        micro = one_of(self._forward, reading.micro_steps, reading.micro)
        if reading.calls > 1 and reading.call == reading.micro == LAST:
            micro = micro.removeprefix("last of ")
        parts.append(micro)
        text = " · ".join(filter(None, parts))
        self.setText(text[:1].upper() + text[1:])
        self.setToolTip(f"{_HELP}: {text}")
        self.setAccessibleName(self.toolTip())
        self.setVisible(bool(text))

    def shown_text(self) -> str:
        """As many of the words as there is room for."""
        missing = self.sizeHint().width() - self.width()
        if missing <= 0:  # a text cut to its own width, which is rounded, can lose its end
            return self.text()
        metrics = self.fontMetrics()
        room = metrics.horizontalAdvance(self.text()) - missing
        return metrics.elidedText(self.text(), Qt.TextElideMode.ElideRight, room)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint what there is room for."""
        option = QStyleOptionToolButton()
        self.initStyleOption(option)
        option.text = self.shown_text()
        QStylePainter(self).drawComplexControl(QStyle.ComplexControl.CC_ToolButton, option)

    @property
    def _forward(self) -> str:
        return "batch" if self._reading.phase == EVALUATION else "micro-step"

    def _fill(self) -> None:
        """List what there is now."""
        menu, reading = self.menu(), self._reading
        menu.clear()
        if reading.several:
            phases: dict[int | None, str] = {phase: _PHASES[phase] for phase in reading.phases}
            phases[None] = "All phases, each apart"
            self._offer("phase", reading.phase, phases)
        if reading.calls > 1:
            calls = {LAST: "Last call"} | self._numbered("call", reading.calls)
            if reading.calls <= MOST_APART:
                calls[EACH] = "Each call apart"
            self._offer("call", reading.call, calls)
        if reading.micro_steps > 1:
            word = self._forward
            micros = {LAST: f"Last {word}"} | self._numbered(word, reading.micro_steps)
            self._offer("micro", reading.micro, micros)

    @staticmethod
    def _numbered(word: str, number: int) -> dict[int, str]:
        texts = (one_of(word, number, place) for place in range(min(number, _MOST)))
        return {place: text.capitalize() for place, text in enumerate(texts)}

    def _offer(
        self, name: str, current: int | None, texts: dict[int, str] | dict[int | None, str]
    ) -> None:
        """One group of the menu, of which one is checked."""
        menu = self.menu()
        if menu.actions():
            menu.addSeparator()
        group = QActionGroup(menu)
        for value, text in texts.items():
            action = menu.addAction(text)
            action.setCheckable(True)
            action.setChecked(value == current)
            group.addAction(action)
            wanted = replace(self._choice, **{name: value})  # type: ignore[arg-type]
            action.triggered.connect(lambda _=False, wanted=wanted: self.chosen.emit(wanted))
