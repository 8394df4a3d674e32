from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QMainWindow, QMenu

from inspector_app.gui.commands import CommandRegistry
from inspector_app.gui.models.columns import Column
from inspector_app.gui.models.tree_model import RowTreeModel
from inspector_app.gui.panels.tree_panel import TreePanel
from inspector_app.gui.settings import Settings
from inspector_app.gui.tree_columns_menu import TreeColumnsMenu


@pytest.fixture
def window(qtbot) -> QMainWindow:
    window = QMainWindow()
    qtbot.addWidget(window)
    return window


def made(window, table, path) -> TreeColumnsMenu:
    window.model = RowTreeModel(window)
    window.model.set_table(table, "small")
    window.registry = CommandRegistry(window)
    window.panel = TreePanel(window.model)
    window.setCentralWidget(window.panel)
    window.resize(900, 400)
    window.show()
    return TreeColumnsMenu(window.registry, window.panel, window.model, Settings(path))


def test_commands_show_columns_and_follow_them(window, table, tmp_path):
    made(window, table, tmp_path / "settings.ini")
    action = window.registry.action
    assert action("view.column_class").isChecked()
    assert not action("view.column_mode").isChecked()
    action("view.column_mode").trigger()
    action("view.column_class").trigger()
    assert Column.MODE in window.panel.columns.shown
    assert Column.CLASS not in window.panel.columns.shown
    action("view.columns_reset").trigger()
    assert action("view.column_class").isChecked()
    assert not action("view.column_mode").isChecked()


def test_commands_sort_and_follow_the_header(window, table, tmp_path):
    made(window, table, tmp_path / "settings.ini")
    action, model = window.registry.action, window.model
    assert action("view.sort_model").isChecked()
    action("view.sort_bytes").trigger()
    assert model.sorting == (Column.BYTES, False)
    action("view.sort_bytes").trigger()
    assert model.sorting == (Column.BYTES, True)
    assert action("view.sort_bytes").isChecked()
    assert window.panel.view.tree_header.sortIndicatorSection() == Column.BYTES
    window.panel.view.tree_header.setSortIndicator(Column.NAME, Qt.SortOrder.AscendingOrder)
    assert action("view.sort_name").isChecked()
    assert not action("view.sort_bytes").isChecked()
    action("view.sort_model").trigger()
    assert model.sorting is None
    action("view.sort_model").trigger()  # it stays
    assert action("view.sort_model").isChecked()


def test_columns_are_there_again_at_the_next_start(window, table, tmp_path, qtbot):
    menu = made(window, table, tmp_path / "settings.ini")
    window.panel.columns.show(Column.MARKS, True)
    shown = window.panel.columns.shown
    menu.remember()
    other = QMainWindow()
    qtbot.addWidget(other)
    made(other, table, tmp_path / "settings.ini")
    assert other.panel.columns.shown == shown
    assert other.registry.action("view.column_marks").isChecked()


def test_the_header_has_a_menu(window, table, tmp_path):
    made(window, table, tmp_path / "settings.ini")
    window.panel.view.tree_header.menu_requested.emit(QPoint(5, 5), 1)
    menu = window.panel.findChild(QMenu, "headerMenu")
    assert window.registry.action("view.column_device") in menu.actions()
    menu.close()
