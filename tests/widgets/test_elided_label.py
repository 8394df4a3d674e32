from tests.widgets.conftest import image_of
from widgets.elided_label import ElidedLabel


def test_all_of_it_where_there_is_room(qtbot):
    label = ElidedLabel("weight")
    qtbot.addWidget(label)
    label.resize(300, 20)
    assert label.shown_text() == "weight"
    assert label.toolTip() == ""


def test_the_middle_goes_and_the_tooltip_has_it(qtbot):
    label = ElidedLabel()
    qtbot.addWidget(label)
    label.resize(120, 20)
    label.show()
    label.setText("encoder.layers.11.attention.query.weight")
    assert label.shown_text().startswith("enc")
    assert label.shown_text().endswith("ght")
    assert label.toolTip() == label.text()
    narrow = image_of(label)
    label.resize(600, 20)
    assert label.shown_text() == label.text()
    assert label.toolTip() == ""
    assert image_of(label).copy(0, 0, 120, 20) != narrow


def test_it_never_widens_its_panel(qtbot):
    label = ElidedLabel("a" * 500)
    qtbot.addWidget(label)
    assert label.minimumSizeHint().width() == 0
    assert label.text() == "a" * 500


def test_markup_is_text(qtbot):
    label = ElidedLabel("<b>x</b>")
    qtbot.addWidget(label)
    label.resize(300, 20)
    assert label.shown_text() == "<b>x</b>"
