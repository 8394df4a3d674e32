import gc
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from PySide6.QtCore import QSize
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtWidgets import QToolButton

from tests.widgets.examples import ASSETS
from widgets.icons import icon, pixmap
from widgets.theme import DARK, LIGHT

FILES = sorted((ASSETS / "icons").glob("*.svg"))


def strongest(picture):
    """The colour of the most opaque pixel."""
    image = picture.toImage()
    pixels = (image.pixelColor(x, y) for y in range(image.height()) for x in range(image.width()))
    best = max(pixels, key=lambda colour: colour.alpha())
    return best.name() if best.alpha() > 200 else None


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_icon_draws_something(file):
    ElementTree.parse(file)
    assert strongest(pixmap(file.stem, "#204080", 32)) is not None


def test_licences_lie_beside_what_they_cover():
    assert "ISC License" in (ASSETS / "icons" / "LICENSE.txt").read_text()
    fonts = (ASSETS / "fonts" / "OFL.txt").read_text()
    assert all(file.name in fonts for file in (ASSETS / "fonts").glob("*.?tf"))


def test_an_icon_follows_the_theme(manager):
    stop = icon("stop")
    assert strongest(stop.pixmap(32)) == LIGHT.text.name()
    manager.choose("dark")
    assert strongest(stop.pixmap(32)) == DARK.text.name()


def test_disabled_icons_are_fainter():
    stop = icon("stop", "danger")
    assert strongest(stop.pixmap(32)) == LIGHT.danger.name()
    disabled = strongest(stop.pixmap(QSize(32, 32), QIcon.Mode.Disabled))
    assert disabled not in (None, LIGHT.danger.name())


def test_icons_are_sharp_on_dense_screens():
    assert pixmap("open", "#000000", 16, 2.0).width() == 32
    assert icon("open").pixmap(QSize(16, 16), 2.0).width() == 32


def test_a_name_without_a_file_is_empty():
    assert icon("no such icon").isNull()
    assert not icon("open").isNull()


def test_icons_outlive_the_names_that_made_them(qtbot):
    icons = [QIcon(icon("open")) for _ in range(300)]
    gc.collect()
    canvas = QPixmap(16, 16)
    painter = QPainter(canvas)
    for one in icons:
        one.paint(painter, 0, 0, 16, 16)
    painter.end()
    button = QToolButton()
    qtbot.addWidget(button)
    button.setIcon(icons.pop())
    icons.clear()
    gc.collect()
    assert not button.grab().isNull()


def test_widgets_load_neither_plots_nor_torch():
    code = """
import pkgutil, sys, importlib, widgets
drawing = {"histogram_plot", "histogram_grid", "histogram_cells", "histogram_cell_painter"}
drawing |= {"cell_layout", "cell_records", "ridge_view", "depth_plot", "curve_canvas", "curve_view"}
for module in pkgutil.iter_modules(widgets.__path__):
    if module.name not in drawing:
        importlib.import_module(f"widgets.{module.name}")
from PySide6.QtWidgets import QApplication
app = QApplication([])
from widgets.histogram_view import HistogramView
HistogramView()
print([name for name in ("pyqtgraph", "torch", "inspector_app") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
