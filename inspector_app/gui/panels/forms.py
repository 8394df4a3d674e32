"""Small helps for forms in dialogs."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QLabel, QPushButton, QSpinBox, QWidget

from widgets.theme import GRID

LABELS = 12 * GRID  # pixels of labels in front of fields that stand below one another
_LARGEST_SEED = 2**31 - 1


def seed_box(name: str, explanation: str) -> QSpinBox:
    """A field for the seed of a random generator."""
    box = QSpinBox()
    box.setObjectName(name)
    box.setRange(0, _LARGEST_SEED)
    box.setToolTip(explanation)
    return box


def even(*fields: QWidget) -> None:
    """Make fields as high as a line of text, which Fusion draws higher than boxes."""
    for field in fields:
        field.setMinimumHeight(7 * GRID // 2)


def push_button(text: str, name: str, run: Callable[[], object]) -> QPushButton:
    """A button that Return in another field does not press."""
    made = QPushButton(text)
    made.setObjectName(name)
    made.setAutoDefault(False)
    made.clicked.connect(lambda: run())
    return made


def label_for(buddy: QWidget, text: str, width: int = 0) -> QLabel:
    """A label whose access key goes to ``buddy``, at least ``width`` pixels wide."""
    label = QLabel(text)
    label.setBuddy(buddy)
    label.setMinimumWidth(width)
    return label
