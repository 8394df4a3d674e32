"""Every widget test has the program's fonts, icons and light theme."""

from __future__ import annotations

import os
from collections.abc import Iterator

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
import pytest
from PySide6.QtGui import QImage, QPalette
from PySide6.QtWidgets import QApplication, QWidget

from tests.widgets import examples
from widgets.theme import ThemeManager


@pytest.fixture(scope="package")
def shared_manager(qapp: QApplication) -> Iterator[ThemeManager]:
    font = qapp.font()
    manager = examples.prepare(qapp)
    yield manager
    qapp.setStyleSheet("")
    qapp.setPalette(QPalette())
    qapp.setFont(font)


@pytest.fixture(autouse=True)
def manager(shared_manager: ThemeManager) -> ThemeManager:
    shared_manager.choose("light")
    return shared_manager


def image_of(widget: QWidget) -> QImage:
    """The widget as it is painted now."""
    return widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)


def count_colour(image: QImage, name: str) -> int:
    """Pixels of exactly one colour."""
    wanted = int("ff" + name.lstrip("#"), 16)
    pixels = np.frombuffer(image.constBits(), np.uint32)
    return int(np.count_nonzero((pixels | 0xFF000000) == wanted))
