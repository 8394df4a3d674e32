"""The whole main job in the real program, with real mouse and keys, in both themes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open

from tests.end_to_end.person import Person, person

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

TITLE = "resnet - Model Inspector"


def command_line(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "inspector_app", *words], capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_main_job(display, tmp_path, pictures, theme):
    with person(display, tmp_path, pictures) as user:
        user.wait("title", lambda title: title == "Model Inspector")
        user.screen.wait_window("Model Inspector")
        user.choose_theme(theme)
        user.picture("welcome")

        # Opens a real model and sees what is inside.
        user.click("widget", "sample_resnet")
        user.wait("title", lambda title: title == TITLE)
        assert user.read("rows") > 150
        user.click("row", "stem", "arrow")
        user.click("row", "stem", "name")
        user.picture("opened")

        # Freezes a part, by its box.
        user.click("row", "stem", "box")
        user.wait("boxes", lambda boxes: boxes["stem"] is True and boxes[""] is None)

        # Initialises a part.
        user.click("row", "head", "name")
        user.screen.key("i")
        user.wait("dialog", lambda dialog: dialog == "initializeDialog")
        user.click("widget", "initializeScheme")
        user.screen.type("normal")
        user.screen.key("Return")
        user.picture("initialise")
        user.click("widget", "planApply")
        history = user.wait("history", lambda history: len(history) == 2)
        assert history == [["Freeze stem", True], ["normal_(mean=0.0, std=1.0) on head", True]]

        # Watches activations live.
        user.click("row", "", "name")
        user.screen.key("shift+w")
        user.wait("watched", lambda watched: len(watched) > 30)
        user.click("command", "model.run_repeatedly")
        user.wait("forwards", lambda forwards: forwards > 20)
        user.picture("live")
        user.click("command", "model.stop")
        user.wait("running", lambda running: not running)

        # Takes the last edit back and makes it again.
        user.click("row", "head", "name")
        user.screen.key("ctrl+z")
        user.wait("history", lambda history: [done for _, done in history] == [True, False])
        user.screen.key("ctrl+shift+z")
        user.wait("history", lambda history: [done for _, done in history] == [True, True])

        # Exports a state_dict that is proven right.
        out = tmp_path / "out.safetensors"
        user.screen.key("ctrl+e")
        user.click("widget", "exportPath", times=3)
        user.screen.key("ctrl+a")
        user.screen.type(str(out))
        user.click("widget", "exportStart")
        user.click("widget", "exportCopy")  # it comes with the report
        user.picture("exported")
        user.screen.key("Escape")
        user.wait("dialog", lambda dialog: dialog == "mainWindow")
        assert not user.read("torch")
        check(user, out)
        user.screen.key("ctrl+q")
        user.screen.wait_no_window(TITLE)


def check(user: Person, out: Path) -> None:
    """What lies on the disk is what was edited in the window."""
    done = command_line("verify", str(out))
    assert done.returncode == 0, done.stderr
    # The head was initialised, so it differs from a fresh model; all else is the same.
    done = command_line("verify", str(out), "--against", "sample:resnet", "--json")
    assert done.returncode == 1
    assert [d["name"] for d in json.loads(done.stdout)["differences"]] == [
        "head.bias",
        "head.weight",
    ]
    with safe_open(str(out), "pt") as file:
        requires_grad = json.loads(file.metadata()["model_inspector.requires_grad"])
    assert {n for n, g in requires_grad.items() if not g} == {
        n for n in requires_grad if n.startswith("stem.")
    }
