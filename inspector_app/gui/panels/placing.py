"""Where dialogs stand that stay open: not on the notices, and not beyond the screen."""

from __future__ import annotations

from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QDialog, QWidget

from widgets.theme import GRID

_FRAME = 5 * GRID  # about what a window manager adds above and below


def show_below_notices(dialog: QDialog, window: QWidget) -> None:
    """Show a modeless dialog below the window's bar of notices, as far as the screen allows."""
    bar = window.findChild(QWidget, "targetLine")  # notices appear over it
    if bar is not None:
        centre = window.mapToGlobal(window.rect().center())
        below = bar.mapToGlobal(QPoint(0, bar.height())).y() + GRID // 2
        size = dialog.size().expandedTo(dialog.minimumSizeHint())
        dialog.move(centre.x() - size.width() // 2, _within(dialog, below, size.height() + _FRAME))
    dialog.show()


def keep_on_screen(dialog: QDialog) -> None:
    """Move a dialog that has grown up, where it would reach beyond the bottom."""
    frame = dialog.frameGeometry()
    top = _within(dialog, frame.top(), frame.height())
    if top != frame.top():
        dialog.move(frame.left(), top)


def _within(dialog: QDialog, top: int, height: int) -> int:
    """``top``, or less where ``height`` pixels from there would not fit."""
    room = dialog.screen().availableGeometry()
    return max(room.top(), min(top, room.bottom() - height))
