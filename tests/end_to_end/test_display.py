"""The hand on mouse and keys works, so that a failure elsewhere is the program's."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PySide6.QtGui import QImage

from tests.end_to_end.display import wait_for

PROGRAM = """
import sys
from PySide6.QtWidgets import QApplication, QLineEdit
app = QApplication([])
edit = QLineEdit()
edit.setWindowTitle("A line to write on")
edit.setStyleSheet("background: #ff8000")
edit.resize(400, 100)
edit.returnPressed.connect(lambda: (open(sys.argv[1], "w").write(edit.text()), app.quit()))
edit.show()
app.exec()
"""


def test_a_program_is_seen_written_to_and_ended(display, tmp_path):
    told = tmp_path / "told.txt"
    command = [sys.executable, "-c", PROGRAM, str(told)]
    with display.program(command, tmp_path / "log.txt") as process:
        window = display.wait_window("^A line to write")
        left, top, width, height = display.geometry(window)
        assert (width, height) == (400, 100)
        orange = (display.settled() == (255, 128, 0)).all(axis=2)
        assert orange[top : top + height, left : left + width].mean() > 0.8
        display.click(left + width // 2, top + height // 2)
        display.type("Hello: (x) -> y_1")
        display.key("BackSpace", "2")
        display.key("ctrl+a", "ctrl+c", "End", "ctrl+v")
        display.key("Return")
        assert process.wait(30) == 0
    assert told.read_text() == "Hello: (x) -> y_2" * 2
    assert display.windows("^A line to write") == []


def test_a_screenshot_is_what_is_on_the_screen(display, tmp_path):
    image = QImage(str(display.screenshot(tmp_path / "new" / "screen.png")))
    pixels = display.pixels()
    assert (image.height(), image.width(), 3) == pixels.shape
    colour = image.pixelColor(7, 9)
    assert np.array_equal(pixels[9, 7], [colour.red(), colour.green(), colour.blue()])


def test_waiting_in_vain_says_for_what():
    with pytest.raises(TimeoutError, match="a miracle"):
        wait_for(lambda: False, 0.1, "a miracle")
