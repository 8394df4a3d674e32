from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QHelpEvent
from PySide6.QtWidgets import QStyleOptionViewItem, QToolTip

from tests.widgets import examples
from widgets.theme import GRID
from widgets.tree_delegate import FREEZE_TIPS, RowDelegate
from widgets.tree_painter import freeze_box


@pytest.fixture
def view(qtbot):
    view = examples.tree_view()
    qtbot.addWidget(view)
    view.show()
    return view


def test_a_cell_is_as_wide_as_what_it_says(view):
    delegate, option = RowDelegate(), QStyleOptionViewItem()
    root = view.model().index(0, 0)
    name, kind = (delegate.sizeHint(option, root.siblingAtColumn(c)) for c in (0, 1))
    assert name.height() == kind.height() == 3 * GRID
    assert name.width() > kind.width()  # both say "resnet", the name with its box and badge


def test_the_box_has_a_tooltip_of_its_own(view, monkeypatch):
    told = []
    monkeypatch.setattr(QToolTip, "showText", lambda place, text, *_: told.append(text))
    index = view.model().index(0, 0)
    option = QStyleOptionViewItem()
    option.rect = view.visualRect(index)
    for place in (freeze_box(option.rect).center(), option.rect.center()):
        event = QHelpEvent(QEvent.Type.ToolTip, place, QPoint(0, 0))
        view._delegate.helpEvent(event, view, option, index)
    assert told[0] == FREEZE_TIPS[Qt.CheckState.PartiallyChecked]
    assert told[0] not in told[1:]
