"""Laying checkpoints onto the open model, with a tree that only notes what it is asked."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton, QWidget

from inspector_app.gui.panels.state_dialog import StateDialog
from inspector_app.gui.settings import Settings
from inspector_app.gui.states import States
from inspector_app.protocol.errors import TargetError
from inspector_app.protocol.messages import ApplyRequiresGrad, LoadState, PlanState
from inspector_app.protocol.table import Flag
from widgets.notice_bar import NoticeBar


class Tree:
    def __init__(self, backend) -> None:
        self.backend = backend
        self.calls: list = []
        self.marks: dict[int, str] = {}

    def select(self, row):
        self.calls.append(row)

    def mark(self, kinds):
        self.marks = kinds

    def count_initial(self):
        return int(((self.backend.table.flags & Flag.INITIAL) != 0).sum())

    def show_initial(self):
        self.calls.append("show")

    def initialize_initial(self):
        self.calls.append("initialise")


class Place:
    def __init__(self, qtbot, session, tmp_path) -> None:
        self.qtbot = qtbot
        self.session = session
        self.window = QWidget()
        self.notices = NoticeBar(self.window)
        self.tree = Tree(session.backend)
        settings = Settings(tmp_path / "settings.ini")
        self.states = States(session, self.notices, settings, self.tree, self.window)
        qtbot.addWidget(self.window)

    def settle(self) -> None:
        self.qtbot.waitUntil(lambda: not self.session.pending)

    @property
    def offers(self) -> list[str]:
        return [b.text() for b in self.notices.findChildren(QPushButton) if not b.isHidden()]

    def take(self, text: str) -> None:
        buttons = self.notices.findChildren(QPushButton)
        button = next(b for b in buttons if b.text() == text and not b.isHidden())
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def asked(self, kind) -> list:
        return [request for request in self.session.requests if isinstance(request, kind)]


@pytest.fixture
def place(qtbot, fake_session, tmp_path) -> Place:
    fake_session.open_target("fake.py:make")
    qtbot.waitUntil(lambda: fake_session.target is not None)
    return Place(qtbot, fake_session, tmp_path)


def test_differences_are_marked_while_the_dialog_is_open(place):
    dialog = place.states.compare("/x/w.pt")
    place.settle()
    assert place.tree.marks == {13: "missing", 5: "shape", 6: "dtype"}
    dialog.table.selectRow(0)
    assert place.tree.calls == [13]
    dialog.reject()
    assert place.tree.marks == {}


def test_after_what_fits_the_rest_is_offered(place):
    dialog = place.states.compare("/x/w.pt")
    place.settle()
    dialog.fit_button.click()
    place.settle()
    assert "3 rows are still at the initial value" in place.notices.text
    assert place.offers == ["Show them", "Initialise them…"]
    place.take("Show them")
    assert place.offers == ["Initialise them…"]  # stays on offer
    place.take("Initialise them…")
    assert place.tree.calls[-2:] == ["show", "initialise"]
    assert place.notices.text == ""


def test_the_requires_grad_of_the_file_is_one_click(place):
    place.session.backend.differences = []
    place.session.backend.requires_grad = 2
    dialog = place.states.compare("/x/w.pt")
    place.settle()
    dialog.load_button.click()
    place.settle()
    assert place.offers == ["Apply stored requires_grad (2)"]
    place.take("Apply stored requires_grad (2)")
    place.settle()
    assert place.asked(ApplyRequiresGrad) == [ApplyRequiresGrad(path="/x/w.pt")]
    assert "requires_grad of 2 tensors is as w.pt says" in place.notices.text
    assert place.offers == []


def test_offers_survive_one_another(place):
    place.session.backend.requires_grad = 2
    dialog = place.states.compare("/x/w.pt")
    place.settle()
    dialog.fit_button.click()
    place.settle()
    place.take("Apply stored requires_grad (2)")
    place.settle()
    assert place.offers == ["Show them", "Initialise them…"]


def test_a_state_that_fits_is_laid_on_at_once(place):
    place.session.backend.differences = []
    place.states.lay_on("/x/w.pt")
    place.settle()
    assert place.asked(LoadState) == [LoadState(path="/x/w.pt")]
    assert "loaded from w.pt" in place.notices.text


def test_a_state_that_does_not_fit_is_asked_about(place):
    place.states.lay_on("/x/w.pt")
    place.settle()
    assert not place.asked(LoadState)
    assert place.states._dialog.isVisible()
    assert place.states._dialog.plan.path == "/x/w.pt"
    assert len(place.asked(PlanState)) == 1
    place.states._dialog.reject()


def test_a_state_that_cannot_be_read_is_told(place):
    place.session.answers[PlanState] = TargetError("There is no file /x/w.pt.")
    place.states.lay_on("/x/w.pt")
    place.settle()
    assert place.notices.text == "The state was not loaded. There is no file /x/w.pt."


def test_another_target_closes_the_dialog(place):
    def shown() -> list[StateDialog]:
        return [d for d in place.window.findChildren(StateDialog) if d.isVisible()]

    place.states.compare("/x/w.pt")
    place.settle()
    assert shown()
    place.session.open_target("other.py:make")
    place.settle()
    assert shown() == []
    assert place.tree.marks == {}
    place.states.compare("/x/w.pt")
    assert shown()
    place.session.lose()
    assert shown() == []
