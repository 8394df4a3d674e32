"""The dialog that lists the sessions of training processes and asks which one to join."""

from __future__ import annotations

import time

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from inspector_app.gui.panels.forms import LABELS, label_for
from inspector_app.gui.panels.tone_label import ToneLabel
from inspector_app.protocol.errors import RequestError
from inspector_app.sessions import SessionEntry, running_sessions, token_of, where_looked
from widgets.empty_state import EmptyState
from widgets.theme import GRID, mono_font

_REFRESHED = 1000  # milliseconds between two looks at which sessions there are
_TOKEN_DIGITS = 64
_NONE = (
    "No training on this machine has a session. Add “with inspector_app.watch(model, optimizer):” "
    "around its loop, or give the address of a tunnel below."
)


class AttachDialog(QDialog):
    """Modal: ``address`` and ``token`` are those of the session that was chosen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("attachDialog")
        self.setWindowTitle("Attach to training")
        self.setMinimumSize(76 * GRID, 44 * GRID)
        self.address = ""
        self.token = ""
        self._entries: list[SessionEntry] = []
        self._secret = ""  # of the entry chosen, read once
        self._problem = ""

        self.list = QListWidget()
        self.list.setObjectName("attachList")
        self.list.setAccessibleName("Sessions of this machine")
        self.list.setUniformItemSizes(True)
        self.empty = EmptyState("live", _NONE)
        self.pages = QStackedWidget()
        self.pages.addWidget(self.empty)
        self.pages.addWidget(self.list)
        self.place = QLineEdit()
        self.place.setObjectName("attachAddress")
        self.place.setFont(mono_font())
        self.place.setPlaceholderText("tcp:127.0.0.1:PORT, the end of an SSH tunnel")
        self.secret = QLineEdit()
        self.secret.setObjectName("attachToken")
        self.secret.setFont(mono_font())
        self.secret.setEchoMode(QLineEdit.EchoMode.Password)
        self.secret.setPlaceholderText("what the training process has printed")
        self.hint = ToneLabel(tone="muted")
        self.hint.setObjectName("attachHint")
        self.hint.reserve_lines(5 * GRID)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.attach_button = self.buttons.addButton(
            "Attach", QDialogButtonBox.ButtonRole.AcceptRole
        )
        self.attach_button.setObjectName("attachAccept")
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)

        form = QFormLayout()
        form.setSpacing(GRID)
        form.addRow(label_for(self.place, "A&ddress", LABELS), self.place)
        form.addRow(label_for(self.secret, "&Token", LABELS), self.secret)
        column = QVBoxLayout(self)
        column.setSpacing(GRID)
        column.setContentsMargins(2 * GRID, 2 * GRID, 2 * GRID, 2 * GRID)
        column.addWidget(self.pages, 1)
        column.addLayout(form)
        column.addWidget(self.hint)
        column.addWidget(self.buttons)

        self._timer = QTimer(self)
        self._timer.setInterval(_REFRESHED)
        self._timer.timeout.connect(self._refresh)
        self._timer.start()
        self.list.currentRowChanged.connect(self._chosen)
        self.list.itemDoubleClicked.connect(lambda _: self.accept())
        self.place.textEdited.connect(self._check)
        self.secret.textEdited.connect(self._check)
        self._refresh()
        if self._entries:
            self.list.setCurrentRow(len(self._entries) - 1)  # the newest
            self.list.setFocus(Qt.FocusReason.OtherFocusReason)
        self._check()

    def _refresh(self) -> None:
        """List the sessions that are there now; what is chosen stays chosen."""
        try:
            entries, self._problem = running_sessions(), ""
            self.empty.set_sentence(f"{_NONE} {where_looked()}")
        except (OSError, RequestError) as error:
            entries, self._problem = [], str(error)
        if entries != self._entries:
            chosen = self.place.text()
            self._entries = entries
            self.list.blockSignals(True)
            self.list.clear()
            for entry in entries:
                item = QListWidgetItem(entry_text(entry))
                item.setToolTip(f"{entry.address}\nprocess {entry.process}")
                self.list.addItem(item)
            rows = [row for row, entry in enumerate(entries) if entry.address == chosen]
            self.list.setCurrentRow(rows[0] if rows else -1)
            self.list.blockSignals(False)
        self.pages.setCurrentWidget(self.list if entries else self.empty)
        self._check()

    def _chosen(self, row: int) -> None:
        if 0 <= row < len(self._entries):
            self.place.setText(self._entries[row].address)
            try:
                self._secret = token_of(self._entries[row].address)
            except (OSError, RequestError):
                self._secret = ""
            self.secret.setText(self._secret)
            self._check()

    def _check(self) -> None:
        place, secret = self.place.text().strip(), self.secret.text().strip()
        problem = self._problem
        if place and not place.startswith(("tcp:", "unix:")):
            problem = "An address begins with tcp: or unix:."
        elif secret and not _is_token(secret):
            problem = f"A token has {_TOKEN_DIGITS} hexadecimal digits."
        self.hint.say(
            problem or "The training goes on, whether a window looks at it or not.",
            "danger" if problem else "muted",
        )
        self.address, self.token = place, secret
        self.attach_button.setEnabled(bool(place and secret) and not problem)

    def accept(self) -> None:
        """Take the fields as they are now."""
        self._check()
        if self.attach_button.isEnabled():
            super().accept()


def entry_text(entry: SessionEntry) -> str:
    """One line of the list."""
    begun = time.strftime("%H:%M", time.localtime(entry.started))
    return f"{entry.title}   process {entry.process}   since {begun}"


def _is_token(text: str) -> bool:
    return len(text) == _TOKEN_DIGITS and all(digit in "0123456789abcdef" for digit in text)
