"""What is said of the whole: the target, its totals, and how the worker is."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from inspector_app.gui.panels.tone_label import ToneLabel
from inspector_app.protocol.messages import Opened, Totals
from widgets.numbers import bytes_text, count_text, short_count
from widgets.theme import GRID, mono_font

_STATES = {
    "closed": ("", "muted"),
    "starting": ("opening…", "muted"),
    "ready": ("ready", "good"),
    "busy": ("working…", "plain"),
    "lost": ("process ended", "danger"),
}


class TargetLine(ToneLabel):
    """What is open and how it was made; stands where notices appear, so that nothing jumps."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("", "muted", parent)
        self.setObjectName("targetLine")
        self.setAccessibleName("Open target")
        self.setFont(mono_font(small=True))
        self.setContentsMargins(GRID, 0, GRID, 0)
        self.setFixedHeight(5 * GRID)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def show_target(self, opened: Opened) -> None:
        """Name the target as it was asked for."""
        parts = [opened.target]
        if opened.live:
            self.setText(f"{opened.title}   live in its own process")
            self.setToolTip("The process goes on when this window is closed.")
            return
        if opened.kind == "model":
            parts += [f"{name}={value!r}" for name, value in opened.arguments.items()]
            parts += [f"device {opened.device}", f"seed {opened.seed}"]
        parts.append(f"opened in {opened.seconds:.2f} s")
        self.setText("   ".join(parts))
        self.setToolTip("\n".join([opened.path, *opened.notes]).strip())


class TotalsLine(QWidget):
    """Modules, parameters, trainable, buffers, bytes, kind and device; exact in the tooltip."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("totals")
        self.label = ToneLabel()
        self.label.setObjectName("totalsLabel")
        self.label.setAccessibleName("Totals")
        row = QHBoxLayout(self)
        row.setContentsMargins(GRID, 0, GRID, 0)
        row.addWidget(self.label)

    def show_totals(self, opened: Opened, totals: Totals) -> None:
        """Speak of ``totals``, of the target ``opened``."""
        if opened.kind == "checkpoint":
            short = [f"{bytes_text(totals.bytes)}", "checkpoint"]
            exact = [f"{count_text(totals.bytes)} bytes"]
        else:
            short = [
                f"{short_count(totals.modules)} module{'' if totals.modules == 1 else 's'}",
                f"{short_count(totals.parameters)} parameters",
                f"{short_count(totals.trainable)} trainable",
                f"{short_count(totals.buffers)} in buffers",
                bytes_text(totals.bytes),
            ]
            exact = [
                f"{count_text(totals.modules)} modules",
                f"{count_text(totals.parameters)} elements of parameters, each tied tensor once",
                f"{count_text(totals.trainable)} of them trainable",
                f"{count_text(totals.buffers)} elements of buffers",
                f"{count_text(totals.bytes)} bytes stored by registered tensors",
            ]
        self.label.setText("  ·  ".join(short))
        self.label.setToolTip("\n".join(exact))

    def clear(self) -> None:
        """Nothing is open."""
        self.label.clear()
        self.label.setToolTip("")


class WorkerState(ToneLabel):
    """How the worker is, in one word with a dot."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("", "muted", parent)
        self.setObjectName("workerState")
        self.setAccessibleName("State of the model's process")
        self.setContentsMargins(GRID, 0, GRID, 0)
        self.setMinimumWidth(15 * GRID)
        self.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)

    def show_state(self, state: str) -> None:
        """``state`` as the session names it."""
        word, tone = _STATES[state]
        self.say(f"● {word}" if word else "", tone)
