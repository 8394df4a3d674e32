"""Colour maps of the themes: from the ground of plots over the accent to the strongest contrast.

Steps look equally large: they are evenly spaced in Oklab (Björn Ottosson, "A perceptual color
space for image processing", 2020), whose distances follow what people see.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QColor

from widgets.theme import Theme, mix

_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
_LEAST = 0.10  # share of the ramp by which a single element stands off the ground


def oklab(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Colours of sRGB (n, 3) from 0 to 1 as lightness and two opponent colours."""
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    return np.asarray(np.cbrt(linear @ _TO_CONES.T) @ _TO_LAB.T)


def from_oklab(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """The way back to sRGB, clipped to what a screen can show."""
    linear = (lab @ np.linalg.inv(_TO_LAB).T) ** 3 @ np.linalg.inv(_TO_CONES).T
    linear = np.clip(linear, 0, 1)
    curved = 1.055 * linear ** (1 / 2.4) - 0.055
    return np.asarray(np.where(linear <= 0.0031308, linear * 12.92, curved))


def blend(colours: list[QColor], count: int) -> NDArray[np.uint8]:
    """``count`` colours (count, 3) through the given ones, steps of equal size to the eye."""
    points = oklab(np.array([(c.redF(), c.greenF(), c.blueF()) for c in colours]))
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    along = np.append(0, np.cumsum(lengths)) / lengths.sum()
    wanted = np.linspace(0, 1, count)
    mixed = np.stack([np.interp(wanted, along, points[:, axis]) for axis in range(3)], axis=1)
    return np.rint(from_oklab(mixed) * 255).astype(np.uint8)


@cache
def ramp(theme: Theme) -> NDArray[np.uint32]:
    """256 colours as Qt's images hold them: nothing at 0, ever more up to 254, trouble at 255."""
    strongest = mix(theme.text, theme.accent, 0.72)
    colours = blend([theme.base, theme.accent, strongest], round(254 / (1 - _LEAST)))[-254:]
    table = [QColor(*map(int, colour)).rgb() for colour in colours]
    return np.array([theme.base.rgb(), *table, theme.danger.rgb()], np.uint32)
