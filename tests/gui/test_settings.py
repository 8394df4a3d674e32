from __future__ import annotations

import os
from pathlib import Path

import pytest
from PySide6.QtCore import QByteArray, QSettings

from inspector_app.gui.settings import THEMES, Settings


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "settings.ini"


def test_defaults(path):
    settings = Settings(path)
    assert settings.theme == "system"
    assert settings.geometry.isEmpty()
    assert settings.window_state.isEmpty()
    assert settings.splitter.isEmpty()
    assert settings.columns == ""


@pytest.mark.parametrize("theme", THEMES)
def test_what_was_set_is_there_at_the_next_start(path, theme):
    settings = Settings(path)
    settings.theme = theme
    settings.geometry = QByteArray(b"\x00\xff geometry")
    settings.window_state = QByteArray(b"state")
    settings.splitter = QByteArray(b"splitter")
    settings.columns = "name:auto class:90 -mode:50"
    settings.sync()
    again = Settings(path)
    assert again.theme == theme
    assert again.geometry == QByteArray(b"\x00\xff geometry")
    assert again.window_state == QByteArray(b"state")
    assert again.splitter == QByteArray(b"splitter")
    assert again.columns == "name:auto class:90 -mode:50"


def test_an_unknown_theme_is_neither_set_nor_believed(path):
    with pytest.raises(ValueError, match="high contrast"):
        Settings(path).theme = "purple"
    file = QSettings(str(path), QSettings.Format.IniFormat)
    file.setValue("theme", "purple")
    file.setValue("window/geometry", "no bytes")
    file.sync()
    assert Settings(path).theme == "system"
    assert Settings(path).geometry.isEmpty()


def test_without_a_path_it_is_the_person_s_own_file(tmp_path):
    own = Settings().path
    assert own.is_relative_to(os.environ["XDG_CONFIG_HOME"])  # of the tests, not of a person
    assert Settings(tmp_path / "x.ini").path == tmp_path / "x.ini"
