from __future__ import annotations

from pathlib import Path

import pytest

from inspector_app.gui.recent import (
    MOST,
    RecentTarget,
    RecentTargets,
    absolute_target,
    split_target,
)
from inspector_app.gui.settings import Settings


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(tmp_path / "settings.ini")


def test_the_newest_stands_first_and_each_once(qtbot, settings):
    recent = RecentTargets(settings)
    a, b = (RecentTarget(target=name, title=name) for name in "ab")
    with qtbot.waitSignal(recent.changed):
        recent.add(a)
    recent.add(b)
    recent.add(a)
    assert recent.targets == [a, b]
    for number in range(MOST + 3):
        recent.add(RecentTarget(target="x", title="x", seed=number))
    assert [target.seed for target in recent.targets] == list(range(MOST + 2, 2, -1))


def test_all_that_opens_it_again_survives_the_program(qapp, settings, tmp_path):
    target = RecentTarget(
        target="/x/net.py:make",
        title="net",
        path="/x/net.py",
        arguments={"hidden": 8, "norm": None, "sizes": [1, 2.5], "more": {"a": "ä & <b>"}},
        device="meta",
        seed=3,
        state="/x/weights.pt",
    )
    RecentTargets(settings).add(target)
    settings.sync()
    assert RecentTargets(Settings(tmp_path / "settings.ini")).targets == [target]
    RecentTargets(settings).clear()
    assert RecentTargets(settings).targets == []


@pytest.mark.parametrize("text", ["nonsense", "[1, 2]", '[{"target": 3}]', "{}"])
def test_what_another_version_wrote_is_forgotten(qapp, settings, text):
    settings.recent = text
    assert RecentTargets(settings).targets == []


def test_trust_is_never_kept(qapp, settings):
    RecentTargets(settings).add(RecentTarget(target="m.pt", title="m"))
    assert "trust" not in settings.recent


def test_words_of_a_target():
    target = RecentTarget(
        target="/x/net.py:make",
        title="net",
        path="/x/net.py",
        arguments={"hidden": 8, "norm": "batch"},
        device="meta",
        seed=3,
        state="/y/weights.pt",
    )
    assert target.name == "net.py:make(hidden=8, norm='batch')"
    assert target.details == "device meta, seed 3, state weights.pt"
    assert RecentTarget(target="/x/w.safetensors", title="w", path="/x/w.safetensors").name == (
        "w.safetensors"
    )
    assert RecentTarget(target="sample:mlp", title="mlp").name == "sample:mlp"


def test_what_is_gone_is_told(tmp_path):
    file = tmp_path / "net.py"
    file.write_text("")
    state = str(tmp_path / "w.pt")
    assert RecentTarget(target="x", title="x", path=str(file)).missing == ""
    assert RecentTarget(target="torch.nn:Linear", title="x").missing == ""
    gone = RecentTarget(target="x", title="x", path=str(file), state=state)
    assert gone.missing == f"There is no {state} any more."
    assert RecentTarget(target="x", title="x", path="/" + "n" * 5000).missing
    assert RecentTarget(target="x", title="x", path="a\0b").missing


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("a/net.py:make", ("a/net.py", ":", "make")),
        ("a/net.py", ("a/net.py", "", "")),
        ("torch.nn:Linear", ("torch.nn", ":", "Linear")),
        ("sample:resnet", ("sample:resnet", "", "")),
        ("weights:v2.pt", ("weights:v2.pt", "", "")),
    ],
)
def test_files_and_factories_are_told_apart(target, parts):
    assert split_target(target) == parts


def test_paths_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text("")
    assert absolute_target("net.py:make") == f"{tmp_path}/net.py:make"
    assert absolute_target("net.py") == f"{tmp_path}/net.py"
    assert absolute_target("torch.nn:Linear") == "torch.nn:Linear"
    assert absolute_target("sample:mlp") == "sample:mlp"
