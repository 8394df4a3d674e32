from PySide6.QtCore import QRect
from PySide6.QtGui import QImage, QPainter

from widgets.badges import Badge, badge_pixmap, paint_badge
from widgets.theme import DARK, LIGHT

BADGES = [
    Badge("M", "module"),
    Badge("P", "parameter"),
    Badge("B", "buffer"),
    Badge("B", "buffer", hollow=True),
    Badge("A", "attribute", warning=True),
    Badge("T", "tensor"),
    Badge("", "group"),
]


def grey(badge):
    return badge_pixmap(badge, LIGHT).toImage().convertToFormat(QImage.Format.Format_Grayscale8)


def test_badges_differ_without_colour():
    pictures = [bytes(grey(badge).constBits()) for badge in BADGES]
    assert len(set(pictures)) == len(BADGES)


def test_a_hollow_badge_has_no_ground():
    def ground(badge):
        return badge_pixmap(badge, LIGHT).toImage().pixelColor(8, 2).alpha()

    assert ground(Badge("B", "buffer")) == 255
    assert ground(Badge("B", "buffer", hollow=True)) == 0


def test_pictures_are_made_once_per_theme_and_ratio():
    badge = BADGES[1]
    assert badge_pixmap(badge, LIGHT) is badge_pixmap(badge, LIGHT)
    assert badge_pixmap(badge, LIGHT) is not badge_pixmap(badge, DARK)
    assert badge_pixmap(badge, LIGHT, 2.0).width() == 32


def test_painted_in_the_middle():
    image = QImage(40, 24, QImage.Format.Format_RGB32)
    image.fill(0xFFFFFFFF)
    painter = QPainter(image)
    paint_badge(painter, QRect(0, 0, 40, 24), BADGES[0])
    painter.end()
    painted = {(x, y) for y in range(24) for x in range(40) if image.pixel(x, y) != 0xFFFFFFFF}
    assert {x for x, _ in painted} == set(range(12, 28))
    assert {y for _, y in painted} == set(range(4, 20))
