import pytest
from PySide6.QtGui import QFontInfo, QPalette
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QDoubleSpinBox,
    QLabel,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from tests.widgets.conftest import image_of
from widgets.theme import (
    DARK,
    HIGH_CONTRAST,
    LIGHT,
    current_theme,
    mix,
    mono_font,
    set_tone,
    ui_font,
)

THEMES = [LIGHT, DARK, HIGH_CONTRAST]
ROLES = ["parameter", "buffer", "attribute", "module", "tensor"]
TEXTS = ["text", "muted", "accent", "good", "warning", "danger", *ROLES]


def luminance(colour):
    """Relative luminance as WCAG 2.1 defines it."""

    def linear(share):
        return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(share) for share in (colour.redF(), colour.greenF(), colour.blueF()))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
@pytest.mark.parametrize("name", TEXTS)
def test_text_is_readable_on_every_ground(theme, name):
    for ground in ("base", "window", "alternate", "selection", "hover"):
        assert contrast(theme.tone(name), getattr(theme, ground)) >= 4.5, ground


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_text_on_filled_grounds_is_readable(theme):
    assert contrast(theme.on_accent, theme.accent) >= 4.5
    assert contrast(theme.base, theme.danger) >= 4.5
    for tone in ("accent", "good", "warning", "danger"):
        assert contrast(theme.text, mix(theme.tone(tone), theme.base, 0.1)) >= 4.5


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_badge_letters_are_readable_on_their_own_ground(theme):
    for role in ROLES:
        colour = theme.tone(role)
        assert contrast(colour, mix(colour, theme.base, 0.16)) >= 4.5, role


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_role_colours_are_distinct(theme):
    names = {theme.tone(role).name() for role in ROLES}
    assert len(names) == len(ROLES)


def test_high_contrast_earns_its_name():
    for name in TEXTS:
        assert contrast(HIGH_CONTRAST.tone(name), HIGH_CONTRAST.base) >= 7


def test_tones_are_known_by_name():
    assert LIGHT.tone("plain") == LIGHT.text
    assert LIGHT.tone("quiet") == LIGHT.muted
    with pytest.raises(KeyError):
        LIGHT.tone("name")  # a field, but no colour
    with pytest.raises(KeyError):
        LIGHT.tone("chartreuse")


def test_choosing_sets_palette_and_tells(manager, qtbot):
    with qtbot.waitSignal(manager.changed) as told:
        manager.choose("dark")
    assert told.args == [DARK]
    assert current_theme() is DARK
    assert manager.theme is DARK
    palette = QApplication.palette()
    assert palette.color(QPalette.ColorRole.Window) == DARK.window
    assert palette.color(QPalette.ColorRole.Accent) == DARK.accent


def test_system_follows_the_desktop(manager):
    manager.choose("dark")
    manager.choose("system")
    assert manager.choice == "system"
    assert manager.theme is LIGHT  # the offscreen platform knows no scheme


def test_unknown_theme_is_refused(manager):
    with pytest.raises(ValueError, match="high contrast"):
        manager.choose("sepia")
    assert manager.theme is LIGHT


def test_bundled_fonts_are_used(qapp):
    assert QFontInfo(ui_font()).family() == "Inter"
    assert QFontInfo(mono_font()).family() == "JetBrains Mono"
    assert QFontInfo(mono_font()).fixedPitch()
    assert ui_font(small=True).pointSizeF() < ui_font().pointSizeF()


def test_fonts_are_copies():
    mono_font().setBold(True)
    assert not mono_font().bold()


def test_tones_of_labels_follow_the_theme(manager, qtbot):
    window = QWidget()
    qtbot.addWidget(window)
    labels = {tone: QLabel(tone) for tone in ("plain", "muted", "good", "warning", "danger")}
    column = QVBoxLayout(window)
    for label in labels.values():
        column.addWidget(label)
    window.show()
    for tone, label in labels.items():
        set_tone(label, tone)
    for choice, theme in (("dark", DARK), ("high contrast", HIGH_CONTRAST), ("light", LIGHT)):
        manager.choose(choice)
        for tone, label in labels.items():
            shown = label.palette().color(label.foregroundRole())
            assert shown == theme.tone(tone), (choice, tone)
    set_tone(labels["muted"], "plain")
    assert labels["muted"].palette().color(QPalette.ColorRole.WindowText) == LIGHT.text


def test_a_tone_leaves_the_font_alone(manager, qtbot):
    label = QLabel("x")
    qtbot.addWidget(label)
    set_tone(label, "muted")
    label.setFont(mono_font())
    label.show()
    manager.choose("dark")
    set_tone(label, "good")
    assert label.font().family() == mono_font().family()


@pytest.mark.parametrize("theme", ["light", "dark", "high contrast"])
@pytest.mark.parametrize("kind", [QComboBox, QSpinBox, QDoubleSpinBox])
def test_fields_have_a_frame_that_is_seen(manager, qtbot, theme, kind):
    manager.choose(theme)
    around = QWidget()
    qtbot.addWidget(around)
    field = kind(around)
    field.setGeometry(10, 10, 100, 24)
    around.resize(120, 44)
    around.show()
    image = image_of(around)
    middle = [image.pixelColor(10 + 50, 10 + y).lightness() for y in range(4)]
    ground = manager.theme.window.lightness()
    assert max(abs(lightness - ground) for lightness in middle) > 40
