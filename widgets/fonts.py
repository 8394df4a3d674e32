"""The two faces of the program: Inter for words, JetBrains Mono for names, shapes and numbers."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

from PySide6.QtGui import QFont, QFontDatabase

_UI = ["Inter", "Noto Sans", "Segoe UI", "Helvetica Neue", "sans-serif"]
_MONO = ["JetBrains Mono", "DejaVu Sans Mono", "Consolas", "Menlo", "monospace"]

# Points are larger on macOS, where a point is a pixel.
_SIZE, _SMALL = (13.0, 11.0) if sys.platform == "darwin" else (10.0, 8.5)


def install_fonts(folder: str | Path) -> list[str]:
    """Register every font file of a folder with the application and return the families.

    Needs a QGuiApplication.  A file that Qt cannot read is passed over: the next family of the
    list stands in.
    """
    families: list[str] = []
    for file in sorted(Path(folder).glob("*.[ot]tf")):
        number = QFontDatabase.addApplicationFont(str(file))
        if number >= 0:
            families += QFontDatabase.applicationFontFamilies(number)
    return list(dict.fromkeys(families))


def ui_font(small: bool = False) -> QFont:
    """Face for words, with digits of equal width."""
    return QFont(_font(False, small))


def mono_font(small: bool = False) -> QFont:
    """Face for names, shapes, numbers and code, without ligatures: ``->`` stays two characters."""
    return QFont(_font(True, small))


@cache
def _font(mono: bool, small: bool) -> QFont:
    font = QFont()
    font.setFamilies(_MONO if mono else _UI)
    # The monospaced face is wider and taller for its size: half a point less looks equal.
    font.setPointSizeF((_SMALL if small else _SIZE) - (0.5 if mono else 0))
    if mono:
        font.setStyleHint(QFont.StyleHint.Monospace)
        font.setFixedPitch(True)
        font.setFeature(QFont.Tag.fromString("calt"), 0)
    else:
        font.setFeature(QFont.Tag.fromString("tnum"), 1)
    return font
