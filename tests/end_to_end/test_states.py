"""A checkpoint that fits in part, from its comparison to an export of the mended model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from sample_models import mlp
from tests.end_to_end.person import person

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def weights(tmp_path) -> Path:
    """Half a checkpoint: the output of another task."""
    state = {
        key: torch.full_like(value, 0.5) for key, value in mlp.build_model().state_dict().items()
    }
    state["output.weight"] = torch.zeros(7, 8)
    del state["output.bias"]
    path = tmp_path / "weights.pt"
    torch.save({"model_state_dict": state, "epoch": 3}, path)
    return path


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=60)


def test_what_fits_is_loaded_and_the_rest_initialised(display, tmp_path, weights):
    pictures = Path(os.environ.get("INSPECTOR_PICTURES", tmp_path)) / "states"
    with person(display, tmp_path, pictures, "sample:mlp", "--state", str(weights)) as user:
        # The differences come before anything is loaded.
        user.wait("dialog", lambda dialog: dialog == "stateDialog")
        user.picture("differences")
        assert user.read("history") == []
        user.click("widget", "stateKind_shape")
        user.click("widget", "stateFit")
        history = user.wait("history", lambda history: len(history) == 1)
        assert history == [["Load what fits of weights.pt", True]]
        user.wait("notice", lambda text: "2 rows are still at the initial value" in text)
        user.picture("loaded")

        # The rest is initialised.
        user.click("widget", "noticeAction_1")
        user.wait("dialog", lambda dialog: dialog == "initializeDialog")
        user.click("widget", "initializeScheme")
        user.screen.type("zeros")
        user.screen.key("Return")
        user.picture("initialise")
        user.click("widget", "planApply")
        user.wait("history", lambda history: len(history) == 2)

        # The edits are copied as a script.
        user.screen.key("ctrl+alt+c")
        user.wait("dialog", lambda dialog: dialog == "scriptDialog")
        script = user.read("clipboard")
        assert "zeros_" in script
        user.picture("script")
        user.screen.key("Escape")
        user.wait("dialog", lambda dialog: dialog == "mainWindow")

        # The model is exported in pieces of another data type.
        user.screen.key("ctrl+e")
        user.click("widget", "exportMoreButton")
        user.click("widget", "exportDtype")
        user.screen.key("b", "Return")
        user.click("widget", "exportShard")
        user.screen.type("100 B")
        user.click("widget", "exportPath", times=3)
        user.screen.key("ctrl+a")
        user.screen.type(str(tmp_path / "out.safetensors"))
        user.picture("plan")
        user.click("widget", "exportStart")
        user.click("widget", "exportCopy")  # it comes with the report
        user.picture("report")
        user.screen.key("Escape")
        user.wait("dialog", lambda dialog: dialog == "mainWindow")
        assert not user.read("torch")
        user.screen.key("ctrl+q")
        user.screen.wait_no_window("mlp - Model Inspector")

    index = tmp_path / "out.safetensors.index.json"
    files = json.loads(index.read_text())["weight_map"]
    assert len(set(files.values())) > 1
    for name, file in files.items():
        with safe_open(str(tmp_path / file), "pt") as opened:
            value = opened.get_tensor(name)
        assert value.dtype == torch.bfloat16
        expected = 0.0 if name.startswith("output.") else 0.5
        assert torch.equal(value, torch.full_like(value, expected)), name
    assert run("-m", "inspector_app", "verify", str(index)).returncode == 0
    done = run("-c", script)
    assert done.returncode == 0, done.stderr
