"""What an export writes and how: the simple choices first, the others under "More options"."""

from __future__ import annotations

from typing import Literal, cast

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from inspector_app.gui.panels.forms import LABELS, even, label_for
from inspector_app.gui.panels.pattern_line import PatternLine
from inspector_app.gui.panels.rename_rows import RenameRows
from inspector_app.protocol.errors import RequestError
from inspector_app.protocol.messages import ExportOptions, Selection
from inspector_app.protocol.sizes import parse_size
from widgets.disclosure import Disclosure
from widgets.suggest_line import Suggestion, SuggestLine
from widgets.theme import GRID
from widgets.tree_delegate import one_line

Format = Literal["safetensors", "torch"]
Ties = Literal["every name", "alias"]
FORMATS: dict[Format, tuple[str, str]] = {  # -> words, ending
    "safetensors": ("safetensors", ".safetensors"),
    "torch": ("torch.save, for torch.load", ".pt"),
}
_DTYPES = ("", "float64", "float32", "bfloat16", "float16")
_ONE_FILE = "one file"
_SIZES = ("1 GB", "2 GB", "5 GB", "10 GB")
_TIES: dict[Ties, str] = {
    "every name": "written under every name",
    "alias": "written once, the other names noted",
}


class ExportOptionsForm(QWidget):
    """``options`` is what the fields say; ``changed`` whenever that may be something else.

    ``opened(height)`` when "More options" opens (or closes, with a negative one).
    """

    changed = Signal()
    opened = Signal(int)

    def __init__(self, rows: list[int], subtree: str, parent: QWidget | None = None) -> None:
        """``rows`` are those selected in the tree, ``subtree`` their words."""
        super().__init__(parent)
        self._rows = rows
        self.left_out: list[str] = []  # keys left out besides those typed
        self._build_simple(subtree)
        self._build_more()
        simple = QFormLayout()
        simple.setSpacing(GRID)
        simple.addRow(label_for(self.format, "Fo&rmat", LABELS), self.format)
        simple.addRow(label_for(self.everything, "What", LABELS), self.everything)
        simple.addRow("", self.selected)
        pattern_row = QHBoxLayout()
        pattern_row.addWidget(self.by_pattern)
        pattern_row.addWidget(self.pattern, 1)
        simple.addRow("", pattern_row)
        simple.addRow("", self.trainable)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GRID)
        column.addLayout(simple)
        column.addWidget(self.more)

    def _build_simple(self, subtree: str) -> None:
        self.format = QComboBox()
        self.format.setObjectName("exportFormat")
        for name, (words, _) in FORMATS.items():
            self.format.addItem(words, name)
        even(self.format)
        self.everything = QRadioButton("&All of state_dict()")
        self.everything.setObjectName("exportAll")
        words = one_line(subtree).replace("&", "&&")
        self.selected = QRadioButton(f"&Selected: {words}" if self._rows else "&Selected rows")
        self.selected.setObjectName("exportSelected")
        self.selected.setEnabled(bool(self._rows))
        self.by_pattern = QRadioButton("&Pattern:")
        self.by_pattern.setObjectName("exportByPattern")
        self.pattern = PatternLine("exportPattern", "pattern of what is exported")
        self.everything.setChecked(True)
        self._what = QButtonGroup(self)
        for button in (self.everything, self.selected, self.by_pattern):
            self._what.addButton(button)
        self.trainable = QCheckBox("Only &trainable parameters, no buffers")
        self.trainable.setObjectName("exportTrainable")
        self.pattern.textEdited.connect(lambda: self.by_pattern.setChecked(True))
        self.pattern.suggested.connect(lambda: self.by_pattern.setChecked(True))
        self.pattern.textChanged.connect(self._said)
        self._what.buttonToggled.connect(self._said)
        self.trainable.toggled.connect(self._said)
        self.format.currentIndexChanged.connect(self._said)

    def _build_more(self) -> None:
        self.skip = PatternLine("exportSkip", "pattern of what is left out")
        self.skip.setPlaceholderText("nothing, or *.num_batches_tracked")
        self.dtype = QComboBox()
        self.dtype.setObjectName("exportDtype")
        for name in _DTYPES:
            self.dtype.addItem(name or "as they are", name)
        self.dtype.setToolTip("Of all floating-point tensors in the file; the model keeps its own")
        self.renames = RenameRows()
        self.renames.setObjectName("exportRenames")
        sizes = [Suggestion(_ONE_FILE.capitalize(), "")]
        self.shard = SuggestLine([*sizes, *(Suggestion(size, size) for size in _SIZES)])
        self.shard.setObjectName("exportShard")
        self.shard.setPlaceholderText(_ONE_FILE)
        self.shard.setToolTip(
            "Write several files of at most this size, with an index that lists them"
        )
        self.ties = QComboBox()
        self.ties.setObjectName("exportTies")
        for ties, words in _TIES.items():
            self.ties.addItem(words, ties)
        self.prove = QCheckBox("&Load it strictly into a freshly built model")
        self.prove.setObjectName("exportProve")
        self.prove.setChecked(True)
        self.from_disk = QCheckBox("Compare with the &disk itself, not with its cache (slower)")
        self.from_disk.setObjectName("exportFromDisk")
        even(self.dtype, self.ties)
        content = QWidget()
        form = QFormLayout(content)
        form.setContentsMargins(0, 0, 0, 0)
        form.setSpacing(GRID)
        form.addRow(label_for(self.skip, "Lea&ve out", LABELS), self.skip)
        form.addRow(label_for(self.dtype, "Data t&ype", LABELS), self.dtype)
        form.addRow(label_for(self.renames, "Names", LABELS), self.renames)
        form.addRow(label_for(self.shard, "Largest f&ile", LABELS), self.shard)
        form.addRow(label_for(self.ties, "Ti&ed", LABELS), self.ties)
        form.addRow("Check", self.prove)
        form.addRow("", self.from_disk)
        self.more = Disclosure("More options", content)
        self.more.setObjectName("exportMore")
        self.more.button.setObjectName("exportMoreButton")
        self.more.toggled.connect(lambda on, height: self.opened.emit(height if on else -height))
        self.skip.textChanged.connect(self._said)
        self.renames.changed.connect(self._said)
        self.shard.textChanged.connect(self._said)
        for box in (self.dtype, self.ties):
            box.currentIndexChanged.connect(self._said)
        for tick in (self.prove, self.from_disk):
            tick.toggled.connect(self._said)

    @property
    def file_format(self) -> Format:
        """The format chosen."""
        return cast("Format", self.format.currentData())

    @property
    def ending(self) -> str:
        """What the name of a file of this format ends in."""
        return FORMATS[self.file_format][1]

    @property
    def options(self) -> ExportOptions:
        """What the fields say; raises RequestError with what is missing or wrong."""
        return ExportOptions(
            format=self.file_format,
            only=self._only(),
            skip=[*self.skip.patterns, *self.left_out],
            trainable=self.trainable.isChecked(),
            dtype=str(self.dtype.currentData()),
            renames=self.renames.renames,
            shard_bytes=self._shard_bytes(),
            ties=cast("Ties", self.ties.currentData()),
            from_disk=self.from_disk.isChecked(),
            prove=self.prove.isChecked(),
        )

    def _only(self) -> Selection | None:
        if self.selected.isChecked():
            return Selection(rows=self._rows)
        if self.by_pattern.isChecked():
            if not self.pattern.patterns:
                raise RequestError("Type a pattern such as encoder.* to see what it means.")
            return Selection(patterns=self.pattern.patterns)
        return None

    def _shard_bytes(self) -> int:
        text = self.shard.text().strip()
        return parse_size(text) if text else 0

    def _said(self) -> None:
        """Tell how many of the hidden options are set, so that none works unseen."""
        changed = (
            bool(self.skip.patterns or self.left_out),
            self.dtype.currentIndex() > 0,
            bool(self.renames.renames),
            bool(self.shard.text().strip()),
            self.ties.currentIndex() > 0,
            not self.prove.isChecked(),
            self.from_disk.isChecked(),
        )
        count = sum(changed)
        self.more.set_title(f"More options ({count} set)" if count else "More options")
        self.changed.emit()

    def leave_out(self, names: list[str]) -> None:
        """Leave keys out that no format of this kind can hold."""
        self.left_out = list(dict.fromkeys([*self.left_out, *names]))
        self._said()
