"""The tree with its filter, on the small model of tables.py."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from inspector_app.gui.models.columns import COLUMNS, Column
from inspector_app.gui.models.tree_model import RowTreeModel
from inspector_app.gui.panels.filter_help import FilterHelp
from inspector_app.gui.panels.tree_panel import TreePanel
from inspector_app.protocol.changes import difference
from tests.gui.tables import module, parameter, table_of
from tests.gui.test_tree_model import frozen
from widgets.theme import GRID

Key = Qt.Key


@pytest.fixture
def tree(qtbot, table):
    model = RowTreeModel()
    panel = TreePanel(model)
    qtbot.addWidget(panel)
    panel.resize(800, 400)
    panel.show()
    panel.show_target(table, "fake.py:make", "small")
    yield panel
    panel.view.setModel(None)
    model.deleteLater()


def test_the_root_is_open_and_current(tree):
    assert tree.view.isExpanded(tree.model.index_of(0))
    assert tree.view.current_row() == 0


# -- the filter ------------------------------------------------------------------------------------


def test_a_filter_opens_what_it_finds_and_escape_closes_it_again(qtbot, tree):
    model = tree.model
    tree.focus_filter()
    qtbot.keyClicks(tree.filter, "2.running")
    assert tree.status.text() == "1 of 17 rows"
    assert tree.view.isExpanded(model.index_of(8))
    qtbot.keyClick(tree.filter, Key.Key_Return)
    assert tree.view.selected_rows() == [11]
    qtbot.keyClick(tree.filter, Key.Key_Escape)
    assert not model.query
    assert model.shown_rows == len(model.table)
    assert tree.view.current_row() == 11  # still in sight, so the rows above it are open
    assert not tree.view.isExpanded(model.index_of(4))


def test_the_current_row_comes_back_with_all_rows(qtbot, tree):
    tree.view.select_row(12)
    qtbot.keyClicks(tree.filter, "body")
    assert tree.view.current_row() == -1
    tree.clear_filter()
    assert tree.view.current_row() == 12


def test_a_filter_without_a_match_says_so(qtbot, tree):
    qtbot.keyClicks(tree.filter, "nothing")
    assert tree.status.text() == "No match in 17 rows. Escape shows all."
    assert tree.status.tone == "warning"


def test_a_wrong_word_is_told_in_place_and_the_tree_stays(qtbot, tree):
    qtbot.keyClicks(tree.filter, "weight")
    found = tree.model.matches()
    below = tree.view.y()
    tree.filter.setText("weight clas:Linear")
    assert tree.status.text().startswith('There is no key "clas". Did you mean class:?')
    assert tree.status.tone == "danger"
    assert tree.model.matches() == found
    tree.filter.setText("weight class:")  # still being written
    assert tree.status.tone == "muted"
    assert tree.model.matches() == found
    tree.filter.setText("weight class:Linear")
    assert tree.status.text() == "2 of 17 rows"
    assert tree.view.y() == below  # nothing moved


def test_a_long_sentence_takes_lines_and_moves_nothing(tree):
    tree.resize(220, 400)
    line, below = tree.status.height(), tree.view.y()
    tree.filter.setText("/(?!x)/")
    assert tree.status.height() > line
    assert tree.view.y() == below
    tree.filter.setText("")
    assert tree.status.height() == line


def test_the_count_follows_an_edit(qtbot, tree, table):
    tree.filter.setText("frozen:yes")
    assert "No match" in tree.status.text()
    with qtbot.waitSignal(tree.filtered):
        tree.model.apply_change(difference(table, frozen(table, 5)))
    assert tree.status.text() == "1 of 17 rows"


def test_matches_are_gone_through_and_opened(tree):
    tree.filter.setText("bias")
    for expected in (6, 10, 6):
        tree.go_to_match(1)
        assert tree.view.selected_rows() == [expected]
    tree.go_to_match(-1)
    assert tree.view.selected_rows() == [10]
    tree.filter.setText("nothing")
    tree.go_to_match(1)  # there is nowhere to go to


def test_many_matches_are_opened_a_moment_later(qtbot, tree, monkeypatch):
    monkeypatch.setattr("inspector_app.gui.panels.tree_panel._OPENED_AT_ONCE", 1)
    tree.filter.setText("class:Parameter")
    first, last = tree.model.index_of(1), tree.model.index_of(12)
    assert tree.view.isExpanded(first)
    assert not tree.view.isExpanded(last)
    qtbot.waitUntil(lambda: tree.view.isExpanded(last))


def test_what_was_open_before_a_filter_is_laid_out_once(tree, monkeypatch):
    tree.expand_below([0], True)
    tree.filter.setText("3")
    steps = []
    monkeypatch.setattr(tree.view, "expand", lambda index: steps.append("open"))
    monkeypatch.setattr(tree.view, "scheduleDelayedItemsLayout", lambda: steps.append("layout"))
    tree.filter.clear()
    assert steps[:2] == ["layout", "open"]
    assert steps.count("layout") == 1


def test_escape_in_the_tree_shows_all_as_well(qtbot, tree):
    tree.filter.setText("body")
    qtbot.keyClick(tree.view, Key.Key_Escape)
    assert tree.filter.text() == ""
    assert not tree.model.query


def test_completions_come_from_the_model(qtbot, tree):
    tree.focus_filter()
    qtbot.keyClicks(tree.filter, "x -class:Li")
    popup = tree.filter.completions
    assert popup.isVisible()
    tree.filter.completer_list.activated[str].emit("Linear")
    assert tree.filter.text() == "x -class:Linear"
    qtbot.keyClicks(tree.filter, " t")
    assert not popup.isVisible()
    qtbot.keyClick(tree.filter, Key.Key_Space, Qt.KeyboardModifier.ControlModifier)
    assert popup.isVisible()
    tree.filter.completer_list.activated[str].emit("tied:")
    assert tree.filter.text() == "x -class:Linear tied:"
    assert popup.isVisible()  # with yes and no
    popup.hide()


def test_the_help_offers_examples(qtbot, tree):
    tree.show_help()
    assert isinstance(tree.help, FilterHelp)
    assert tree.help.isVisible()
    items = tree.help.list.findItems(
        "role:buffer", Qt.MatchFlag.MatchExactly | Qt.MatchFlag.MatchRecursive
    )
    tree.help.list.itemActivated.emit(items[0], 0)
    assert not tree.help.isVisible()
    assert tree.filter.text() == "role:buffer"
    assert tree.model.matches() == [11, 14]


# -- targets ---------------------------------------------------------------------------------------


def test_the_same_target_again_keeps_what_is_open(tree, table):
    tree.expand_below([3], True)
    tree.view.select_row(5)
    tree.show_target(table, "fake.py:make", "small")
    assert tree.view.selected_rows() == [5]
    assert tree.view.isExpanded(tree.model.index_of(4))
    tree.filter.setText("body")
    tree.show_target(table, "fake.py:other", "other")
    assert tree.filter.text() == ""
    assert tree.view.selected_rows() == [0]
    assert not tree.view.isExpanded(tree.model.index_of(4))


def test_names_are_looked_at_before_anybody_asks(qtbot, tree):
    qtbot.waitUntil(lambda: "levels" in tree.model._state.facts.paths.__dict__)


# -- opening and closing ---------------------------------------------------------------------------


def test_expanding_and_collapsing_reach_all_rows_below(tree):
    tree.expand_below([0], True)
    assert tree.view.isExpanded(tree.model.index_of(8))
    tree.expand_below([3], False)
    assert not tree.view.isExpanded(tree.model.index_of(8))
    assert tree.view.isExpanded(tree.model.index_of(0))


def test_of_very_many_rows_only_the_upper_levels_are_opened(tree, qtbot, monkeypatch):
    monkeypatch.setattr("inspector_app.gui.panels.tree_panel._MOST_OPENED", 1)
    tree.view.collapse(tree.model.index_of(0))
    with qtbot.waitSignal(tree.told) as told:
        tree.expand_below([0], True)
    assert told.args[0].startswith("Opened the first level: more would be over 1 rows")
    assert tree.view.isExpanded(tree.model.index_of(0))
    assert not tree.view.isExpanded(tree.model.index_of(3))


# -- columns ---------------------------------------------------------------------------------------


def titles(tree) -> list[str]:
    return [COLUMNS[column].title for column in tree.columns.shown]


def test_columns_are_shown_hidden_and_put_back(tree):
    first = titles(tree)
    assert first == ["Name", "Class", "Shape", "Type", "Device", "Parameters", "Bytes"]
    tree.columns.show(Column.MODE, True)
    tree.columns.show(Column.CLASS, False)
    tree.columns.show(Column.NAME, False)  # it stays
    assert titles(tree) == ["Name", "Shape", "Type", "Device", "Parameters", "Bytes", "Mode"]
    tree.columns.reset()
    assert titles(tree) == first


def test_columns_are_remembered_in_a_text(tree):
    header = tree.view.tree_header
    tree.columns.show(Column.MARKS, True)
    header.moveSection(header.visualIndex(Column.BYTES), 1)
    header.resizeSection(Column.BYTES, 123)
    text, shown = tree.columns.text(), titles(tree)
    assert text.startswith("name:auto bytes:123 class:")
    assert "-mode:" in text
    tree.columns.reset()
    assert tree.columns.text() != text
    tree.columns.restore(text)
    assert (tree.columns.text(), titles(tree)) == (text, shown)


@pytest.mark.parametrize("text", ["", "nonsense", "class:x -shape:99999999 later:80", "-name:5"])
def test_a_damaged_text_does_no_harm(tree, text):
    tree.columns.restore(text)
    assert titles(tree)[:2] == ["Name", "Class"]
    assert all(tree.view.columnWidth(column) < 4000 for column in tree.columns.shown)


def test_names_take_what_the_others_leave_until_a_width_is_chosen(qtbot, tree):
    def room() -> int:
        return sum(tree.view.columnWidth(column) for column in tree.columns.shown)

    tree.resize(1200, 400)
    bar = tree.view.verticalScrollBar().sizeHint().width()
    assert room() == tree.view.width() - bar
    tree.columns.show(Column.DEVICE, False)
    assert room() == tree.view.width() - bar
    tree.view.setColumnWidth(0, 300)
    tree.resize(1000, 400)
    assert tree.view.columnWidth(0) == 300
    assert "name:300" in tree.columns.text()


# -- keys ------------------------------------------------------------------------------------------


def test_left_and_right_go_through_the_tree(qtbot, tree):
    view = tree.view
    view.select_row(3)
    rows = []
    for key in (Key.Key_Right, Key.Key_Right, Key.Key_Right, Key.Key_Right, Key.Key_Right):
        qtbot.keyClick(view, key)
        rows.append((view.current_row(), view.isExpanded(tree.model.index_of(3))))
    assert rows == [(3, True), (4, True), (4, True), (5, True), (5, True)]
    rows = []
    for key in (Key.Key_Left, Key.Key_Left, Key.Key_Left, Key.Key_Left, Key.Key_Left):
        qtbot.keyClick(view, key)
        rows.append(view.current_row())
    assert rows == [4, 4, 3, 3, 0]
    qtbot.keyClick(view, Key.Key_End)
    assert view.current_row() == 16
    qtbot.keyClick(view, Key.Key_Home)
    assert view.current_row() == 0


@pytest.fixture
def typing_pause(qapp):
    """Sets the pause, in ms, after which a letter begins another name: none may come by itself."""
    usual = qapp.keyboardInputInterval()
    yield qapp.setKeyboardInputInterval
    qapp.setKeyboardInputInterval(usual)


@pytest.mark.parametrize(("keys", "row"), [("he", 12), ("'wid", 16)])
def test_letters_look_for_a_name_also_those_of_commands(qtbot, tree, typing_pause, keys, row):
    typing_pause(60_000)
    tree.view.select_row(0)
    qtbot.keyClicks(tree.view, keys)
    assert tree.view.current_row() == row


def test_a_pause_begins_another_name(qtbot, tree, typing_pause):
    typing_pause(20)
    tree.view.select_row(0)
    qtbot.keyClicks(tree.view, "w")
    QTest.qWait(50)
    qtbot.keyClicks(tree.view, "h")
    assert tree.view.current_row() == 12


def test_a_space_within_a_name_is_no_click_on_the_box(qtbot, tree, typing_pause):
    typing_pause(60_000)
    table = table_of(module("", "M", parameter("a b", 1), parameter("a c", 1)))
    tree.show_target(table, "other", "other")
    with qtbot.assertNotEmitted(tree.view.freeze_toggled):
        qtbot.keyClicks(tree.view, "a c")
    assert tree.view.current_row() == 2


def test_the_menu_key_asks_at_the_row(qtbot, tree):
    tree.view.select_row(3)
    for key, modifier in (
        (Key.Key_Menu, Qt.KeyboardModifier.NoModifier),
        (Key.Key_F10, Qt.KeyboardModifier.ShiftModifier),
    ):
        with qtbot.waitSignal(tree.view.menu_requested) as asked:
            qtbot.keyClick(tree.view, key, modifier)
        place = tree.view.viewport().mapFromGlobal(asked.args[0])
        assert abs(place.y() - tree.view.visualRect(tree.model.index_of(3)).bottom()) <= GRID
        assert tree.view.viewport().rect().contains(place)


def test_the_star_asks_for_all_below(qtbot, tree):
    with qtbot.waitSignal(tree.view.expand_below_asked):
        qtbot.keyClick(tree.view, Key.Key_Asterisk, Qt.KeyboardModifier.KeypadModifier)


# -- the header ------------------------------------------------------------------------------------


def test_a_click_on_the_header_sorts_up_down_and_not_at_all(qtbot, tree):
    header = tree.view.tree_header
    middle = header.sectionViewportPosition(Column.PARAMETERS) + 20
    place = QPoint(middle, header.height() // 2)
    orders = []
    for _ in range(3):
        qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=place)
        orders.append(tree.model.sorting)
    assert orders == [(Column.PARAMETERS, False), (Column.PARAMETERS, True), None]
