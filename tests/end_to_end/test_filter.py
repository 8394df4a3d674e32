"""Finding rows in the real program, with nothing but the keyboard."""

from __future__ import annotations

import pytest

from tests.end_to_end.person import person

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def test_finding_copying_and_going_back(display, tmp_path):
    with person(display, tmp_path, tmp_path / "pictures", "sample:language_model") as user:
        user.wait("title", lambda title: title == "language_model - Model Inspector")
        user.screen.wait_window("Model Inspector")
        user.wait("filter", lambda text: text == "84 rows")
        keys = user.screen

        # Writes a filter, completes it, and goes through what it found.
        keys.key("ctrl+f")
        keys.type("blocks.1 class:Lin")
        user.wait("filter", lambda text: text == "No match in 84 rows. Escape shows all.")
        keys.key("Down", "Return")  # takes the completion
        user.wait("filter", lambda text: text == "4 of 84 rows")
        keys.key("Return")
        user.wait("selected", lambda paths: paths == ["blocks.1.attention.query_key_value"])
        keys.key("F3")
        user.wait("selected", lambda paths: paths == ["blocks.1.attention.output"])
        keys.key("shift+F3")
        user.wait("selected", lambda paths: paths == ["blocks.1.attention.query_key_value"])

        # Copies the row as a table.
        keys.key("ctrl+c")
        text = user.wait("clipboard", lambda text: "query_key_value" in text)
        assert text.split("\n")[0] == "Path\tClass\tShape\tType\tDevice\tParameters\tBytes"
        assert text.split("\n")[1].split("\t")[:2] == [
            "blocks.1.attention.query_key_value",
            "Linear",
        ]

        # Goes on in the tree: into the row, back, and to all rows again.
        keys.key("Right", "Right")
        user.wait("selected", lambda paths: paths == ["blocks.1.attention.query_key_value.weight"])
        keys.key("Left")
        user.wait("selected", lambda paths: paths == ["blocks.1.attention.query_key_value"])
        keys.key("Escape")
        user.wait("filter", lambda text: text == "84 rows")
        assert user.read("selected") == ["blocks.1.attention.query_key_value"]

        # Opens the row's menu and freezes from there.
        keys.key("shift+F10")
        user.click("command", "edit.freeze")
        user.wait("history", lambda history: len(history) == 1)
        keys.key("ctrl+f")
        keys.type("frozen:yes")
        user.wait("filter", lambda text: text == "2 of 84 rows")
        keys.key("ctrl+z")  # of the line: it takes back what was typed
        keys.key("Escape")
        keys.key("ctrl+z")
        user.wait("history", lambda history: [done for _, done in history] == [False])
