"""Opening, dropping, trusting and remembering targets."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPoint, Qt, QUrl
from PySide6.QtWidgets import QMenu, QPushButton, QWidget

from inspector_app.gui.opening import Opening
from inspector_app.gui.panels.notes_dialog import NotesDialog
from inspector_app.gui.panels.open_dialog import OpenDialog
from inspector_app.gui.panels.trust_dialog import TrustDialog
from inspector_app.gui.recent import RecentTarget
from inspector_app.gui.recent_menu import RecentMenu
from inspector_app.gui.settings import Settings
from inspector_app.protocol.errors import Cancelled, TargetError
from inspector_app.protocol.messages import Import, Open, Trust
from inspector_app.protocol.table import Flag
from widgets.notice_bar import NoticeBar

TRUST = Trust(imports=[Import(name="my_models.Net", known=False)])


class States:
    """Notes what is laid on."""

    def __init__(self) -> None:
        self.laid_on: list[str] = []
        self.compared: list[str] = []

    def lay_on(self, path):
        self.laid_on.append(path)

    def compare(self, path):
        self.compared.append(path)

    def initial_actions(self):
        return [("Show them", lambda: self.compared.append("shown"))]


class Place:
    def __init__(self, qtbot, session, tmp_path) -> None:
        self.qtbot = qtbot
        self.session = session
        self.window = QWidget()
        self.notices = NoticeBar(self.window)
        self.states = States()
        self.settings = Settings(tmp_path / "settings.ini")
        self.opening = Opening(session, self.notices, self.settings, self.states, self.window)
        qtbot.addWidget(self.window)

    def open(self, *arguments, **more) -> None:
        self.opening.open(*arguments, **more)
        self.qtbot.waitUntil(lambda: not self.session.pending)

    def drop(self, path) -> QMenu | None:
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path))])
        self.opening.dropped(data, QPoint(5, 5))
        return self.window.findChild(QMenu, "dropMenu")

    @property
    def asked(self) -> list[Open]:
        return [request for request in self.session.requests if isinstance(request, Open)]

    def take(self, text: str) -> None:
        buttons = self.notices.findChildren(QPushButton)
        button = next(b for b in buttons if b.text() == text and not b.isHidden())
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


@pytest.fixture
def place(qtbot, fake_session, tmp_path) -> Place:
    return Place(qtbot, fake_session, tmp_path)


# -- opening ---------------------------------------------------------------------------------------


def test_a_target_is_opened_and_remembered(place, tmp_path):
    began: list = []
    place.opening.began.connect(began.append)
    place.open("fake.py:make", {"hidden": 8}, "meta", 3, str(tmp_path / "w.pt"))
    assert began == ["fake.py:make"]
    assert place.asked == [
        Open(target="fake.py:make", arguments={"hidden": 8}, device="meta", seed=3)
    ]
    assert place.states.laid_on == [str(tmp_path / "w.pt")]
    (recent,) = place.opening.recent.targets
    assert (recent.target, recent.title, recent.state) == (
        "fake.py:make",
        "make",
        str(tmp_path / "w.pt"),
    )
    place.open("other.py:make")
    assert began == ["fake.py:make"]  # something is open already
    assert len(place.states.laid_on) == 1
    place.opening.open_recent(recent)
    place.qtbot.waitUntil(lambda: not place.session.pending)
    assert place.asked[-1] == place.asked[0]
    assert [target.target for target in place.opening.recent.targets] == [
        "fake.py:make",
        "other.py:make",
    ]


def test_what_did_not_open_is_told_and_not_remembered(place):
    place.session.answers[Open] = TargetError("There is no file x.py.", "traceback")
    place.open("x.py:make", state="/x/w.pt")
    assert place.notices.text == "There is no file x.py."
    assert place.opening.recent.targets == []
    assert place.states.laid_on == []
    place.notices.dismiss()
    place.session.answers[Open] = Cancelled()
    place.open("x.py:make")
    assert place.notices.text == ""


def test_a_restart_is_not_a_new_target(place):
    place.open("fake.py:make", state="/x/w.pt")
    place.opening.recent.clear()
    place.session.restart_and_replay()
    place.qtbot.waitUntil(lambda: not place.session.pending)
    assert place.opening.recent.targets == []
    assert len(place.states.laid_on) == 1  # the journal brings it back


def test_leaving_edits_is_asked_about_first(place):
    waiting: list = []
    place.opening.leave = waiting.append
    place.opening.open("fake.py:make")
    assert place.asked == []
    waiting[0]()
    assert len(place.asked) == 1


# -- asking ----------------------------------------------------------------------------------------


def test_the_dialog_opens_what_was_chosen_and_remembers_the_folder(place, tmp_path):
    file = tmp_path / "net.py"
    file.write_text("def build_model(): ...\n")
    dialog = place.opening.ask_open(str(file))
    place.qtbot.waitUntil(dialog.open_button.isEnabled)
    dialog.accept()
    assert place.asked[-1].target == f"{file}:build_model"
    assert place.settings.folder("open") == str(tmp_path)
    place.qtbot.waitUntil(lambda: not place.session.pending)


def test_a_dropped_checkpoint_opens_where_nothing_is_open(place, tmp_path):
    assert place.drop(tmp_path / "weights.safetensors") is None
    assert place.asked[-1].target == str(tmp_path / "weights.safetensors")
    place.qtbot.waitUntil(lambda: not place.session.pending)


def test_dropped_code_asks_how(place, tmp_path):
    file = tmp_path / "net.py"
    file.write_text("def build_model(): ...\n")
    place.drop(file)
    dialog = place.window.findChild(OpenDialog)
    assert dialog.path.text() == str(file)
    dialog.reject()


def test_a_checkpoint_dropped_on_a_model_may_be_laid_on(place, tmp_path):
    place.open("fake.py:make")
    file = tmp_path / "w & x.pt"
    menu = place.drop(file)
    words = [action.text() for action in menu.actions()]
    assert words == ["&Open w && x.pt", "&Load into make…", "", "&Cancel"]
    menu.actions()[1].trigger()
    assert place.states.compared == [str(file)]
    menu.actions()[0].trigger()
    assert place.asked[-1].target == str(file)
    menu.close()
    place.qtbot.waitUntil(lambda: not place.session.pending)


def test_on_a_checkpoint_nothing_can_be_laid(place, tmp_path):
    place.session.backend.kind = "checkpoint"
    place.open("w.pt")
    assert place.drop(tmp_path / "v.pt") is None
    assert place.asked[-1].target == str(tmp_path / "v.pt")
    place.qtbot.waitUntil(lambda: not place.session.pending)


# -- what is told ----------------------------------------------------------------------------------


def test_a_single_note_is_a_notice_and_many_are_folded(place):
    place.session.backend.notes = ["The optimizer's state was left aside."]
    place.open("w.pt")
    assert place.notices.text == "The optimizer's state was left aside."
    place.session.backend.notes = ["One.", "Two.", "Three."]
    place.open("w.pt")
    assert place.notices.text == "One."
    place.take("Show 3 notes")
    dialog = place.window.findChild(NotesDialog)
    assert dialog.text.toPlainText() == "One.\n\nTwo.\n\nThree."
    dialog.close()
    place.session.backend.notes = []
    place.open("w.pt")
    assert place.notices.text == ""


def test_weights_that_lack_something_are_told(place):
    table = place.session.backend.table
    flags = table.flags.copy()
    flags[[5, 6]] |= np.uint32(Flag.INITIAL)
    place.session.backend._first = msgspec.structs.replace(table, flags=flags)
    place.session.backend.notes = ["One."]
    place.open("/x/folder")
    assert place.notices.text == "2 rows are still at the initial value."
    place.take("Show them")
    assert place.states.compared == ["shown"]


def test_a_pickle_is_loaded_only_on_a_persons_word(place):
    place.session.backend.trust = TRUST
    place.open("m.pt")
    assert place.notices.text == "m.pt holds a pickled model: nothing of it was run."
    place.take("Trust and load…")
    dialog = place.window.findChild(TrustDialog)
    dialog.reject()
    assert len(place.asked) == 1
    place.opening.ask_trust()
    dialog = next(d for d in place.window.findChildren(TrustDialog) if d.isVisible())
    dialog.trusted.setChecked(True)
    dialog.load_button.click()
    place.qtbot.waitUntil(lambda: not place.session.pending)
    assert place.asked[-1] == Open(target="m.pt", trusted=True)
    assert place.session.target.trusted
    assert place.notices.text == ""
    # The word holds for this session's restarts, and for nothing that is remembered.
    place.session.restart_and_replay()
    place.qtbot.waitUntil(lambda: not place.session.pending)
    assert place.asked[-1].trusted
    place.opening.open_recent(place.opening.recent.targets[0])
    place.qtbot.waitUntil(lambda: not place.session.pending)
    assert not place.asked[-1].trusted


def test_without_a_pickle_there_is_nothing_to_trust(place):
    place.open("fake.py:make")
    place.opening.ask_trust()
    assert place.window.findChild(TrustDialog) is None


# -- the menu --------------------------------------------------------------------------------------


def test_recent_targets_stand_in_a_menu(qtbot, place, tmp_path):
    menu = RecentMenu(place.opening.recent, place.window)
    assert not menu.isEnabled()
    here = tmp_path / "net.py"
    here.write_text("")
    gone = RecentTarget(target="/x/gone.py:make", title="gone", path="/x/gone.py")
    place.opening.recent.add(gone)
    there = RecentTarget(target=f"{here}:a", title="net", path=str(here), arguments={"k": "a&b"})
    place.opening.recent.add(there)
    assert menu.isEnabled()
    menu.fill()
    first, second, _, clear = menu.actions()
    assert first.text() == "&1  net.py:a(k='a&&b')"
    assert not second.isEnabled()
    assert second.toolTip() == "There is no /x/gone.py any more."
    with qtbot.waitSignal(menu.chosen) as chosen:
        first.trigger()
    assert chosen.args == [there]
    clear.trigger()
    assert place.opening.recent.targets == []
    assert not menu.isEnabled()
