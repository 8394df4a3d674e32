"""The theme in force, and the one place that switches it.

Widgets ask :func:`current_theme` while they paint.  A switch sets the application's palette, so
each widget is repainted by Qt itself and needs no reference to the manager; whoever caches a
colour listens to ``QEvent.PaletteChange`` or to :attr:`ThemeManager.changed`.
"""

from __future__ import annotations

from typing import Final, Literal

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QApplication, QLabel

from widgets.colours import DARK, HIGH_CONTRAST, LIGHT, Theme, mix
from widgets.fonts import install_fonts, mono_font, ui_font
from widgets.stylesheet import palette_of, palette_of_fields, style_sheet

__all__ = [
    "CHOICES",
    "DARK",
    "GRID",
    "HIGH_CONTRAST",
    "LIGHT",
    "Choice",
    "Theme",
    "ThemeManager",
    "current_theme",
    "install_fonts",
    "mix",
    "mono_font",
    "set_tone",
    "ui_font",
]

GRID: Final = 8  # pixels; every distance is a multiple of it or its half

Choice = Literal["system", "light", "dark", "high contrast"]
CHOICES: Final[tuple[Choice, ...]] = ("system", "light", "dark", "high contrast")


_current: Theme = LIGHT


def current_theme() -> Theme:
    """The theme in force; light until a manager says otherwise."""
    return _current


def set_tone(label: QLabel, tone: str) -> None:
    """Colour a label's text by its tone, in every theme: "plain" or a tone of the style sheet.

    Not by a palette of its own: under a style sheet Qt puts such a palette back when the sheet
    changes, so that the label would keep the colours of the theme before.
    """
    label.setProperty("tone", tone)
    if label.testAttribute(Qt.WidgetAttribute.WA_WState_Polished):  # else Qt does when it is shown
        style = label.style()
        style.unpolish(label)
        style.polish(label)


class ThemeManager(QObject):
    """Gives an application its style, palette, fonts and style sheet, and changes them.

    ``changed`` carries the new :class:`Theme` after the palette is in force.  With the choice
    "system" the theme follows the desktop's light or dark setting.
    """

    changed = Signal(object)

    def __init__(self, app: QApplication, choice: Choice = "system") -> None:
        super().__init__(app)
        self._app = app
        self._choice: Choice = choice
        app.setStyle("Fusion")
        app.setFont(ui_font())
        app.styleHints().colorSchemeChanged.connect(self._follow_system)
        self.choose(choice)

    @property
    def theme(self) -> Theme:
        """The theme in force."""
        return current_theme()

    @property
    def choice(self) -> Choice:
        """What was chosen last ("system" stays "system")."""
        return self._choice

    def choose(self, choice: Choice) -> None:
        """Take a theme by name, or the system's.  Raises ValueError for an unknown name."""
        if choice not in CHOICES:
            raise ValueError(f"unknown theme {choice!r}: choose one of {', '.join(CHOICES)}")
        self._choice = choice
        scheme = {
            "system": Qt.ColorScheme.Unknown,
            "light": Qt.ColorScheme.Light,
        }.get(choice, Qt.ColorScheme.Dark)
        # Window frames and native dialogs follow as well where the platform can.
        self._app.styleHints().setColorScheme(scheme)
        self._apply(self._wanted())

    def _wanted(self) -> Theme:
        if self._choice == "system":
            is_dark = self._app.styleHints().colorScheme() == Qt.ColorScheme.Dark
            return DARK if is_dark else LIGHT
        return {"light": LIGHT, "dark": DARK}.get(self._choice, HIGH_CONTRAST)

    def _follow_system(self) -> None:
        if self._choice == "system" and self._wanted() is not current_theme():
            self._apply(self._wanted())

    def _apply(self, theme: Theme) -> None:
        global _current
        _current = theme
        # Taken off and put on again: replacing one sheet by another takes Qt half as long again.
        self._app.setStyleSheet("")
        self._app.setPalette(palette_of(theme))
        for field in ("QComboBox", "QAbstractSpinBox"):
            # Its types ask for bytes, which it refuses.
            self._app.setPalette(palette_of_fields(theme), field)  # type: ignore[arg-type]
        self._app.setStyleSheet(style_sheet(theme))
        self.changed.emit(theme)
