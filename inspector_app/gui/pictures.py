"""Picture files as pixels: decoded by Qt in the window, since the backend has no such reader."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QImage, QImageReader

MAX_BYTES = 48_000_000  # of all pixels: a request may not be larger than 64 MB
_FORMATS = {
    1: QImage.Format.Format_Grayscale8,
    3: QImage.Format.Format_RGB888,
    4: QImage.Format.Format_RGBA8888,
}


def picture_filter() -> str:
    """What a file dialog offers: all that Qt can read here."""
    endings = {
        bytes(ending.data()).decode().lower() for ending in QImageReader.supportedImageFormats()
    }
    return f"Pictures ({' '.join(f'*.{ending}' for ending in sorted(endings))})"


def read_pictures(paths: Sequence[str], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """(files, channels, height, width), scaled to the last three of ``shape``.

    Raises ValueError with a sentence.
    """
    if len(shape) != 4:
        raise ValueError("Pictures need a shape of 4 extents: examples, channels, height, width.")
    channels, height, width = shape[1:]
    if channels not in _FORMATS:
        raise ValueError(f"Pictures have 1, 3 or 4 channels, not {channels}.")
    if not (height and width):
        raise ValueError("Pictures need a height and a width of at least 1.")
    if not paths:
        raise ValueError("Choose the pictures to run with.")
    if len(paths) * channels * height * width > MAX_BYTES:
        raise ValueError(
            f"{len(paths):,} pictures of this size are more than {MAX_BYTES // 10**6} MB: choose "
            "fewer or smaller ones, or make a .npy file of them."
        )
    pixels = np.empty((len(paths), channels, height, width), np.uint8)
    for index, path in enumerate(paths):
        pixels[index] = _pixels(path, channels, QSize(width, height))
    return pixels


def _pixels(path: str, channels: int, size: QSize) -> NDArray[np.uint8]:
    """(channels, height, width) of one file."""
    reader = QImageReader(path)
    reader.setAutoTransform(True)
    image = reader.read()
    if image.isNull():
        raise ValueError(f"{Path(path).name} cannot be read: {reader.errorString()}.")
    image = image.scaled(
        size, Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.SmoothTransformation
    ).convertToFormat(_FORMATS[channels])
    lines = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    used = lines[:, : image.width() * channels].reshape(image.height(), image.width(), channels)
    return used.transpose(2, 0, 1).copy()
