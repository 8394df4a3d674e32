"""Small helps for forms in dialogs."""

from __future__ import annotations

from PySide6.QtWidgets import QFormLayout, QLabel, QLayout, QSpinBox, QWidget

from widgets.theme import GRID

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


def add_row(form: QFormLayout, text: str, layout: QLayout, buddy: QWidget) -> None:
    """Add a row of several widgets; the access key of its label goes to one of them."""
    label = QLabel(text)
    label.setBuddy(buddy)
    form.addRow(label, layout)
