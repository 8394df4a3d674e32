from __future__ import annotations

from itertools import pairwise

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QToolButton

from inspector_app.gui.panels.welcome_page import WelcomePage
from inspector_app.gui.recent import RecentTarget


@pytest.fixture
def page(qtbot) -> WelcomePage:
    page = WelcomePage(["mlp", "resnet"])
    qtbot.addWidget(page)
    page.resize(800, 460)
    page.show()
    return page


def rows(page) -> list[QToolButton]:
    found = page.recent.findChildren(QToolButton)
    return [button for button in found if not button.isHidden()]


def test_without_recent_targets_nothing_speaks_of_them(page):
    assert not page.recent.isVisible()
    assert not page.recent_caption.isVisible()


def test_recent_targets_open_again(qtbot, page, tmp_path):
    file = tmp_path / "net.py"
    file.write_text("")
    here = RecentTarget(target=f"{file}:make", title="net", path=str(file), arguments={"k": 1})
    gone = RecentTarget(target="/x/gone.pt", title="gone", path="/x/gone.pt")
    page.show_recent([here, gone])
    first, second = rows(page)
    assert first.text() == "net.py:make(k=1)"
    with qtbot.waitSignal(page.recent_requested) as asked:
        qtbot.mouseClick(first, Qt.MouseButton.LeftButton)
    assert asked.args == [here]
    assert not second.isEnabled()
    assert second.toolTip() == "There is no /x/gone.pt any more."


def test_many_and_long_ones_keep_their_room(qtbot, page):
    targets = [
        RecentTarget(target=f"package.module:{'x' * 200}", title="x", seed=n) for n in range(12)
    ]
    page.show_recent(targets)
    qtbot.wait(20)
    buttons = rows(page)
    assert len(buttons) == 5
    assert all(button.width() <= 300 for button in buttons)
    assert all(button.height() >= 24 for button in buttons)
    tops = [button.y() for button in buttons]
    assert all(after - before >= 24 for before, after in pairwise(tops))
