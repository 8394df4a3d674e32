from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QContextMenuEvent
from PySide6.QtWidgets import QApplication

from tests.widgets import examples
from tests.widgets.conftest import image_of

Order = Qt.SortOrder


@pytest.fixture
def view(qtbot):
    view = examples.tree_view()
    qtbot.addWidget(view)
    view.show()
    return view


def click(qtbot, header, column: int) -> None:
    place = QPoint(header.sectionViewportPosition(column) + 30, header.height() // 2)
    qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=place)


def test_three_clicks_sort_up_down_and_not_at_all(view, qtbot):
    header = view.tree_header
    assert header.sortIndicatorSection() == -1
    told = []
    header.sortIndicatorChanged.connect(lambda column, order: told.append((column, order)))
    for _ in range(3):
        click(qtbot, header, 1)
    assert [column for column, _ in told] == [1, 1, -1]
    assert [order for _, order in told[:2]] == [Order.AscendingOrder, Order.DescendingOrder]


def test_the_arrow_is_seen_and_says_which_way(view):
    header = view.tree_header
    plain = image_of(header)
    header.setSortIndicator(1, Order.AscendingOrder)
    up = image_of(header)
    header.setSortIndicator(1, Order.DescendingOrder)
    down = image_of(header)
    assert plain != up
    assert up != down
    assert down != plain


@pytest.mark.parametrize("theme", ["light", "dark", "high contrast"])
def test_the_header_takes_the_theme(view, manager, theme):
    manager.choose(theme)
    header = view.tree_header
    picture = image_of(header)
    corner = picture.pixelColor(header.sectionViewportPosition(2) + 2, 3)
    assert corner == manager.theme.window


def test_columns_from_left_to_right(view):
    header = view.tree_header
    header.moveSection(header.visualIndex(5), 1)
    header.setSectionHidden(2, True)
    assert header.visible_sections == [0, 5, 1, 3, 4, 6]


def test_a_right_click_asks_for_a_menu(view, qtbot):
    header = view.tree_header
    place = QPoint(header.sectionViewportPosition(3) + 5, 5)
    event = QContextMenuEvent(
        QContextMenuEvent.Reason.Mouse, place, header.viewport().mapToGlobal(place)
    )
    with qtbot.waitSignal(header.menu_requested) as asked:
        QApplication.sendEvent(header.viewport(), event)
    assert asked.args[1] == 3
