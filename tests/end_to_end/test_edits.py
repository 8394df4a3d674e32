"""Edits in the real program: a ready selection, held statistics, values tried, and leaving."""

from __future__ import annotations

import pytest

from tests.end_to_end.person import person

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

TITLE = "resnet - Model Inspector"


def test_edits_by_menu_and_dialog(display, tmp_path):
    with person(display, tmp_path, tmp_path / "pictures", "sample:resnet") as user:
        user.wait("title", lambda title: title == TITLE)
        user.screen.wait_window("resnet")

        # Freezes the normalisation layers, and holds what a forward would move all the same.
        user.click("menu", "Edit")
        user.click("menu", "Freeze all of")
        user.click("command", "edit.freeze_norms")
        user.wait("dialog", lambda dialog: dialog == "freezePatternDialog")
        user.click("widget", "holdStatistics")  # it waits for the plan
        user.click("widget", "planApply")
        history = user.wait("history", lambda history: len(history) == 2)
        assert [title for title, _ in history] == [
            "Freeze normalisation layers",
            "Hold the statistics of normalisation layers",
        ]

        # Looks at the values that a scheme would write, of one tensor after the other.
        user.click("row", "", "name")
        user.screen.key("i")
        user.wait("dialog", lambda dialog: dialog == "initializeDialog")
        user.click("widget", "newSeed")
        user.click("widget", "nextTensor")  # it comes with the values
        user.click("widget", "planApply")
        user.wait("history", lambda history: len(history) == 3)
        user.screen.key("ctrl+z")
        user.wait("history", lambda history: [done for _, done in history] == [True, True, False])

        # Is asked before the edits are given up.
        user.screen.key("ctrl+q")
        user.wait("notice", lambda notice: "in no file yet" in notice)
        user.screen.key("Tab", "Return")  # from Export to Discard
        user.screen.wait_no_window(TITLE)
