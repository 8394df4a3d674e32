"""One argument of forward: its shape, its data type and where its values come from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import cast, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSpinBox,
    QStackedWidget,
    QWidget,
)

from inspector_app.gui.panels.asking import Asks
from inspector_app.gui.panels.forms import even, push_button
from inspector_app.gui.panels.plan_preview import plural
from inspector_app.gui.pictures import picture_filter, read_pictures
from inspector_app.gui.wording import without_middle
from inspector_app.protocol.messages import (
    DataFile,
    DescribeDataFile,
    Distribution,
    FileTensor,
    InputField,
    PixelScaling,
)
from widgets.theme import GRID, mono_font

DTYPES = (
    "float32",
    "float64",
    "float16",
    "bfloat16",
    "int64",
    "int32",
    "uint8",
    "bool",
    "complex64",
)
_DISTRIBUTIONS: dict[Distribution, str] = {
    "normal": "normal",
    "uniform": "uniform",
    "zeros": "zeros",
    "ones": "ones",
    "integers": "integers",
    "file": "from a file",
    "pictures": "from pictures",
}
_SCALINGS: dict[PixelScaling, tuple[str, str]] = {
    "unit": ("0 to 1", "Pixels become values from 0 to 1"),
    "signed": ("−1 to 1", "Pixels become values from −1 to 1"),
    "imagenet": (
        "ImageNet",
        "Pixels are freed of the mean, and divided by the deviation, of ImageNet's three channels, "
        "as most pretrained models expect",
    ),
}
_FILES = "Tensors (*.npy *.safetensors *.pt *.pth *.bin);;All files (*)"
_MAX_ELEMENTS = 1 << 31
_NAME = 18  # characters of a file's name on a button


def parse_shape(text: str) -> tuple[int, ...]:
    """Extents as typed, "1, 3, 224, 224" or "1x3x224"; empty means a scalar.

    Raises ValueError with a sentence.
    """
    inner = text.strip().strip("()[]").strip()
    if not inner:
        return ()
    parts = [part for part in re.split(r"[\s,x×]+", inner) if part]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise ValueError(f"'{text}' is not a shape. Write extents as in 1, 3, 224, 224.")
    shape = tuple(int(part) for part in parts)
    elements = 1
    for extent in shape:
        elements *= extent
    if elements > _MAX_ELEMENTS:
        raise ValueError(f"A tensor of shape {shape} has {elements:,} elements: too many.")
    return shape


def _shape_text(shape: Sequence[int]) -> str:
    return ", ".join(map(str, shape))


def _beside(*widgets: QWidget) -> QWidget:
    """Widgets that share a line."""
    line = QWidget()
    layout = QHBoxLayout(line)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(GRID)
    for widget in widgets:
        layout.addWidget(widget, 1)
    return line


class FieldRow(QWidget):
    """The widgets of one argument, which stand in a grid; this one holds what a source needs.

    ``told`` gives a sentence about a file, and its tone; ``changed`` another source.
    """

    told = Signal(str, str)
    changed = Signal()

    def __init__(self, session: Asks, field: InputField, pictures: Sequence[str]) -> None:
        super().__init__()
        self._session = session
        self._path = field.path
        self.pictures = list(pictures)  # their paths
        self.field = field
        self._stored: dict[str, FileTensor] = {}
        name = field.name
        self.used = QCheckBox()
        self.used.setChecked(field.used or field.required)
        self.used.setEnabled(not field.required)
        self.used.setToolTip(
            "This argument is needed" if field.required else "Pass this argument at all"
        )
        self.used.setAccessibleName(f"use {name}")
        self.title = QLabel(name)
        self.title.setFont(mono_font())
        self.shape = QLineEdit(_shape_text(field.shape))
        self.shape.setObjectName(f"shape_{name}")
        self.shape.setAccessibleName(f"shape of {name}")
        self.shape.setFont(mono_font())
        self.shape.setMinimumWidth(18 * GRID)
        self.shape.setCursorPosition(0)
        self.dtype = QComboBox()
        self.dtype.setAccessibleName(f"data type of {name}")
        self.dtype.addItems([*DTYPES, *({field.dtype} - set(DTYPES))])
        self.dtype.setCurrentText(field.dtype)
        self.distribution = QComboBox()
        self.distribution.setAccessibleName(f"values of {name}")
        for kind in get_args(Distribution):
            self.distribution.addItem(_DISTRIBUTIONS[kind], kind)
        self.distribution.setCurrentIndex(self.distribution.findData(field.distribution))
        self.high = QSpinBox()
        self.high.setRange(1, 2**31 - 1)
        self.high.setValue(field.high)
        self.high.setPrefix("below ")
        self.high.setToolTip("Integers are drawn from 0 up to this bound, the bound left out")
        self.high.setAccessibleName(f"upper bound of {name}")
        self.file = push_button("Choose…", f"file_{name}", self._choose_file)
        self.file.setAccessibleName(f"file of {name}")
        self.key = QComboBox()
        self.key.setObjectName(f"key_{name}")
        self.key.setAccessibleName(f"tensor in the file of {name}")
        self.key.setFont(mono_font())
        self.key.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.key.currentIndexChanged.connect(self._show_stored)
        self.choose = push_button("Choose…", f"pictures_{name}", self._choose_pictures)
        self.choose.setAccessibleName(f"pictures of {name}")
        self.scaling = QComboBox()
        self.scaling.setAccessibleName(f"scaling of the pictures of {name}")
        for place, (scaling, (words, tip)) in enumerate(_SCALINGS.items()):
            self.scaling.addItem(words, scaling)
            self.scaling.setItemData(place, tip, Qt.ItemDataRole.ToolTipRole)
        self.scaling.setCurrentIndex(self.scaling.findData(field.scaling))
        self.scaling.currentIndexChanged.connect(self._name_sources)
        even(self.shape, self.dtype, self.distribution, self.high, self.file, self.key)
        even(self.choose, self.scaling)
        self._sources = QStackedWidget()
        self._pages = {
            "": QWidget(),
            "integers": self.high,
            "file": _beside(self.file, self.key),
            "pictures": _beside(self.choose, self.scaling),
        }
        for page in self._pages.values():
            self._sources.addWidget(page)
        column = QHBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._sources)
        self.setMinimumWidth(40 * GRID)
        self.cells = (self.used, self.title, self.shape, self.dtype, self.distribution, self)
        self.used.toggled.connect(self._enable)
        self.distribution.currentIndexChanged.connect(self._enable)
        self._enable()
        self._name_sources()
        if self._path:
            self._describe()

    @property
    def kind(self) -> Distribution:
        """Where its values come from."""
        return cast("Distribution", self.distribution.currentData())

    def value(self) -> InputField:
        """Raises ValueError with a sentence."""
        if self.used.isChecked() and self.kind == "file" and not self._path:
            raise ValueError(f"{self.field.name}: choose the file that it is read from.")
        stored = self.kind == "file"
        return InputField(
            name=self.field.name,
            shape=self.field.shape if stored else parse_shape(self.shape.text()),
            dtype=self.dtype.currentText(),
            distribution=self.kind,
            high=self.high.value(),
            required=self.field.required,
            used=self.used.isChecked(),
            path=self._path,
            key=self.key.currentData() or "" if self.key.count() else self.field.key,
            scaling=self.scaling.currentData(),
        )

    def pixels(self) -> NDArray[np.uint8] | None:
        """Those of the pictures, where it is made of any; raises ValueError with a sentence."""
        if not self.used.isChecked() or self.kind != "pictures":
            return None
        return read_pictures(self.pictures, parse_shape(self.shape.text()))

    def _enable(self) -> None:
        used = self.used.isChecked()
        for widget in (self.dtype, self.distribution, self._sources):
            widget.setEnabled(used)
        self.shape.setEnabled(used and self.kind != "file")
        self.shape.setToolTip("The file has it" if self.kind == "file" else "")
        self._sources.setCurrentWidget(self._pages.get(self.kind, self._pages[""]))
        self.changed.emit()

    def _choose_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Data", self._path, _FILES)
        if path:
            self.take_file(path)

    def take_file(self, path: str) -> None:
        """Read from this file, and from the first tensor in it."""
        self._path = path
        self.field = msgspec.structs.replace(self.field, key="")
        self.key.clear()
        self._name_sources()
        self._describe()

    def _describe(self) -> None:
        path = self._path

        def described(file: DataFile) -> None:
            if path != self._path:
                return
            self._stored = {tensor.key: tensor for tensor in file.tensors}
            with QSignalBlocker(self.key):
                self.key.clear()
                for tensor in file.tensors:
                    shape = " × ".join(map(str, tensor.shape)) or "scalar"
                    self.key.addItem(f"{tensor.key}  {shape}  {tensor.dtype}".strip(), tensor.key)
                wanted = self.field.key or self.field.name
                self.key.setCurrentIndex(max(0, self.key.findData(wanted)))
            self._show_stored()
            self.told.emit("", "plain")

        request = DescribeDataFile(path=path)
        self._session.request(request, described, lambda error: self._failed(error.sentence))

    def _failed(self, sentence: str) -> None:
        self.told.emit(sentence, "danger")

    def _show_stored(self) -> None:
        """Shape of the tensor chosen; whole numbers stay whole, and fractions fractions."""
        if self.key.currentIndex() < 0 or self.kind != "file":
            return
        stored = self._stored[self.key.currentData()]
        self.shape.setText(_shape_text(stored.shape))
        self.shape.setCursorPosition(0)
        if ("float" in stored.dtype) != ("float" in self.dtype.currentText()):
            self.dtype.setCurrentText(stored.dtype)

    def _choose_pictures(self) -> None:
        paths, _ = QFileDialog.getOpenFileNames(self, "Pictures", "", picture_filter())
        if paths:
            self.take_pictures(paths)

    def take_pictures(self, paths: Sequence[str]) -> None:
        """Run with these pictures."""
        self.pictures = list(paths)
        self._name_sources()

    def _name_sources(self) -> None:
        name = Path(self._path).name
        self.file.setText(without_middle(name, _NAME) if name else "Choose…")
        self.file.setToolTip(self._path or "A .npy, .safetensors or torch.save file")
        count = len(self.pictures)
        self.choose.setText(f"{plural(count, 'picture')}…" if count else "Choose…")
        self.choose.setToolTip(
            "\n".join(self.pictures[:20]) or "Scaled to the height and width of the shape"
        )
        self.scaling.setToolTip(_SCALINGS[self.scaling.currentData()][1])
