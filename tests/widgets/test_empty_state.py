from tests.widgets.conftest import image_of
from widgets.empty_state import EmptyState


def test_the_button_tells(qtbot):
    state = EmptyState("open", "No model is open.", "Open a model")
    qtbot.addWidget(state)
    state.show()
    assert state.button.isVisible()
    with qtbot.waitSignal(state.clicked):
        state.button.click()


def test_without_a_button(qtbot):
    state = EmptyState("chart", "Nothing to draw.")
    qtbot.addWidget(state)
    state.show()
    assert not state.button.isVisible()
    state.set_button("Draw")
    assert state.button.isVisible()
    state.set_button(None)
    assert not state.button.isVisible()


def test_another_sentence(qtbot):
    state = EmptyState("chart", "One.")
    qtbot.addWidget(state)
    state.set_sentence("Two.")
    assert state.sentence == "Two."


def test_another_icon(qtbot):
    state = EmptyState("chart", "One.")
    qtbot.addWidget(state)
    state.resize(300, 200)
    before = image_of(state)
    state.set_icon("folder")
    assert image_of(state) != before


def test_follows_the_theme(qtbot, manager):
    state = EmptyState("chart", "Nothing to draw.", "Draw")
    qtbot.addWidget(state)
    state.resize(300, 200)
    state.show()
    light = image_of(state)
    manager.choose("dark")
    dark = image_of(state)
    assert light.pixelColor(2, 2).lightness() > 200
    assert dark.pixelColor(2, 2).lightness() < 60
