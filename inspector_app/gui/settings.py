"""What the program remembers from one start to the next, and nothing else."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QByteArray, QSettings

THEMES = ("system", "light", "dark", "high contrast")


class Settings:
    """Theme, places, choices; a file elsewhere keeps tests off a person's own."""

    def __init__(self, path: Path | None = None) -> None:
        """``path`` of an INI file; None for the person's own settings."""
        if path is None:
            self._settings = QSettings(
                QSettings.Format.IniFormat,
                QSettings.Scope.UserScope,
                "model-inspector",
                "inspector-app",
            )
        else:
            self._settings = QSettings(str(path), QSettings.Format.IniFormat)

    @property
    def path(self) -> Path:
        """The file that holds them."""
        return Path(self._settings.fileName())

    @property
    def theme(self) -> str:
        """One of :data:`THEMES`; "system" where nothing or something else was remembered."""
        choice = self._settings.value("theme", THEMES[0])
        return choice if choice in THEMES else THEMES[0]

    @theme.setter
    def theme(self, choice: str) -> None:
        if choice not in THEMES:
            raise ValueError(f"no theme is called {choice!r}: choose one of {', '.join(THEMES)}")
        self._settings.setValue("theme", choice)

    @property
    def geometry(self) -> QByteArray:
        """Of the main window, for ``restoreGeometry``; empty the first time."""
        return self._bytes("window/geometry")

    @geometry.setter
    def geometry(self, geometry: QByteArray) -> None:
        self._settings.setValue("window/geometry", geometry)

    @property
    def window_state(self) -> QByteArray:
        """Of docks and toolbars, for ``restoreState``; empty the first time."""
        return self._bytes("window/state")

    @window_state.setter
    def window_state(self, state: QByteArray) -> None:
        self._settings.setValue("window/state", state)

    @property
    def columns(self) -> str:
        """Columns of the tree, as the tree's header writes them; "" the first time."""
        text = self._settings.value("tree/columns", "")
        return text if isinstance(text, str) else ""

    @columns.setter
    def columns(self, text: str) -> None:
        self._settings.setValue("tree/columns", text)

    @property
    def splitter(self) -> QByteArray:
        """Of the tree and what stands beside it, for ``restoreState``; empty the first time."""
        return self._bytes("window/splitter")

    @splitter.setter
    def splitter(self, state: QByteArray) -> None:
        self._settings.setValue("window/splitter", state)

    @property
    def recent(self) -> str:
        """Targets opened before, as :mod:`inspector_app.gui.recent` writes them; "" at first."""
        text = self._settings.value("recent/targets", "")
        return text if isinstance(text, str) else ""

    @recent.setter
    def recent(self, text: str) -> None:
        self._settings.setValue("recent/targets", text)

    def measured(self, session: str) -> str:
        """Kinds that are measured in a session of this kind, with commas; "" the first time."""
        text = self._settings.value(f"measured/{session}", "")
        return text if isinstance(text, str) else ""

    def set_measured(self, session: str, kinds: str) -> None:
        """Remember them."""
        self._settings.setValue(f"measured/{session}", kinds)

    def folder(self, purpose: str) -> str:
        """The folder that was used last to "open", "export", ...; "" the first time."""
        folder = self._settings.value(f"folders/{purpose}", "")
        return folder if isinstance(folder, str) else ""

    def set_folder(self, purpose: str, folder: str) -> None:
        """Remember the folder of a file that was chosen for ``purpose``."""
        self._settings.setValue(f"folders/{purpose}", folder)

    def sync(self) -> None:
        """Write to the disk now."""
        self._settings.sync()

    def _bytes(self, key: str) -> QByteArray:
        value = self._settings.value(key, QByteArray())
        return value if isinstance(value, QByteArray) else QByteArray()
