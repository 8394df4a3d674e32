"""Commands of the tree: copying, finding, columns and their order."""

from __future__ import annotations

from inspector_app.gui.commands import SEPARATOR, Command, Entry, Shortcut, Submenu, ids_in
from inspector_app.gui.models.columns import COLUMNS, Column

COPYING = (
    Command(
        "edit.copy",
        "Copy &rows",
        "copy",
        "Ctrl+C",
        "Copy the rows selected, apart by tabs, with what the columns show.",
    ),
    Command(
        "edit.copy_markdown", "Copy as &Markdown", "", "", "Copy the rows as a Markdown table."
    ),
    Command("edit.copy_path", "Copy &path", "", "Ctrl+Shift+C", "Copy the paths of the selection."),
    Command("edit.copy_name", "Copy &name", "", "", "Copy the names of the selection."),
    Command("edit.copy_cell", "Copy &value", "", "", "Copy what the cell that was clicked says."),
)
FINDING = (
    Command("edit.find", "Fi&nd", "search", "Ctrl+F", "Filter the tree by path, class, size, ..."),
    Command("edit.find_next", "Find ne&xt", "", "F3", "Go to the next row that the filter found."),
    Command(
        "edit.find_previous",
        "Find pre&vious",
        "",
        "Shift+F3",
        "Go to the row before that the filter found.",
    ),
)
FILTER_HELP = Command(
    "help.filter",
    "&Filter language",
    "filter",
    "Shift+F1",
    "Tell what can be written in the filter.",
)
RESET_COLUMNS = Command(
    "view.columns_reset", "&Reset columns", "", "", "Show the columns as they are at first."
)

SHOWING: dict[Column, Command] = {
    column: Command(
        f"view.column_{column.key}", f"&{info.title}", "", "", f"{info.meaning}.", checkable=True
    )
    for column, info in COLUMNS.items()
    if column != Column.NAME
}
"""Commands that show and hide a column; the names always stay."""

MODEL_ORDER = Command(
    "view.sort_model", "&Order of the model", "", "", "Leave rows as they are.", checkable=True
)
SORTING = {
    column: Command(
        f"view.sort_{column.key}",
        f"&{info.title}",
        "",
        "",
        f"Sort brothers by {info.title.lower()}; again for the other direction.",
        checkable=True,
    )
    for column, info in COLUMNS.items()
}

TREE_KEYS = tuple(
    Shortcut("In the tree", text, keys, help)
    for text, keys, help in (
        ("Open or close", "Right / Left", "Open a row, or go into it; close it, or go above it."),
        ("Open all below", "*", "Open the selected rows and all below them."),
        ("Freeze or unfreeze", "Space", "Click the freeze box of the row."),
        ("Look into", "Return", "Open or close a module; show the values of a tensor."),
        (
            "Go to a name",
            "' name",
            "Go to the next row so called; without ' where no key is in the way.",
        ),
        ("Menu", "Menu; Shift+F10", "Open the menu of the row."),
        ("Show all", "Escape", "Clear the filter."),
        ("From the filter", "Down; Return", "Go to the first row that was found."),
        ("Complete", "Ctrl+Space", "In the filter: list what can be written next."),
    )
)
"""Keys that the tree has for itself, for the page of all keys."""

COPY_MENU = Submenu("&Copy", "copy", tuple(command.id for command in COPYING))
COLUMNS_MENU = Submenu(
    "Colu&mns",
    "columns",
    (*(command.id for command in SHOWING.values()), SEPARATOR, RESET_COLUMNS.id),
)
SORT_MENU = Submenu(
    "&Sort by",
    "sort",
    (MODEL_ORDER.id, SEPARATOR, *(command.id for command in SORTING.values())),
)
HEADER_MENU: tuple[Entry, ...] = (*COLUMNS_MENU.entries, SEPARATOR, SORT_MENU)

_ALWAYS_OPEN = (FINDING, (RESET_COLUMNS, MODEL_ORDER), SHOWING.values(), SORTING.values())


def tree_reasons(gone: str, selected: int, matches: int) -> dict[str, str]:
    """Why each of these commands cannot be carried out; "" where it can.

    ``gone``: why there is no tree; ``matches``: rows that the filter found.
    """
    blocked = {command.id: gone for group in _ALWAYS_OPEN for command in group}
    none = gone or ("" if selected else "Select rows of the tree first.")
    blocked |= dict.fromkeys(ids_in(COPY_MENU.entries), none)
    nowhere = gone or ("" if matches else "The filter found no row to go to.")
    return blocked | {"edit.find_next": nowhere, "edit.find_previous": nowhere}
