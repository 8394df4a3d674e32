"""Each widget with sample data, to look at.

python -m tests.widgets.examples                     a window with all of them
python -m tests.widgets.examples --save FOLDER       a picture of each, in every theme
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QAction, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMainWindow,
    QMenu,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QTabWidget,
    QToolBar,
    QVBoxLayout,
    QWidget,
)

from tests.widgets import plots
from widgets.alarm_list import Alarm, AlarmList
from widgets.badges import Badge
from widgets.code_view import CodeView
from widgets.comparison_view import Compared, ComparisonView
from widgets.curve_view import CurveSeries, CurveView
from widgets.depth_plot import DepthLayer, DepthPlot
from widgets.disclosure import Disclosure
from widgets.empty_state import EmptyState
from widgets.facts_view import FactLine, FactsView
from widgets.heat_map_view import HeatMapView
from widgets.histogram_cells import Record
from widgets.histogram_grid import GridSeries, HistogramGrid
from widgets.histogram_view import HistogramView
from widgets.icons import icon, set_icon_folder
from widgets.job_panel import JobPanel
from widgets.notice_bar import NoticeBar
from widgets.ridge_view import RidgeView
from widgets.suggest_line import Suggestion, SuggestLine
from widgets.theme import GRID, ThemeManager, install_fonts
from widgets.tree_view import LazyTreeView, RowLook, TreeRole

ASSETS = Path(__file__).resolve().parents[2] / "assets"
HEADERS = ("Name", "Class", "Shape", "Dtype", "Device", "Parameters", "Bytes")
LOOKS = ("dim", "italic", "spans", "marks", "note", "live")
LONG_NAME = "a_name_so_long_that_no_column_will_ever_hold_all_of_it_and_its_end_matters_too.weight"


MARKS = ("initial", "hook", "computed", "quantized", "overlap", "layout", "link")


class Row:
    """What one row of the sample tree shows."""

    def __init__(self, name, kind, letter, role, freeze=None, children=(), **more):
        self.name, self.kind, self.badge, self.freeze = name, kind, Badge(letter, role), freeze
        self.children, self.more = children, more


def module(name, kind, freeze, *children, **more):
    return Row(name, kind, "M", "module", freeze, children, **more)


def parameter(name, shape, count, freeze, **more):
    return Row(name, "Parameter", "P", "parameter", freeze, (), shape=shape, count=count, **more)


def sample_rows():
    on, off, half = Qt.CheckState.Checked, Qt.CheckState.Unchecked, Qt.CheckState.PartiallyChecked
    frozen = module(
        "encoder",
        "Encoder",
        on,
        module(
            "0",
            "Linear",
            on,
            parameter("weight", "(512, 256)", 131_072, on, marks=("link",), spans=((0, 3),)),
            parameter("bias", "(512,)", 512, on),
        ),
    )
    counted = Row("num_batches_tracked", "Tensor", "B", "buffer", None, (), shape="()", count=1)
    hollow = Row("mask", "Tensor", "B", "buffer", None, (), shape="(128, 128)", count=16_384)
    hollow.badge = Badge("B", "buffer", hollow=True)
    plain = Row("cache", "Tensor", "A", "attribute", None, (), shape="(4, 4)", count=16)
    plain.badge = Badge("A", "attribute", warning=True)
    return module(
        "resnet",
        "ResNet",
        half,
        frozen,
        module(
            "norm",
            "BatchNorm2d",
            off,
            parameter("weight", "(64,)", 64, off, spans=((2, 3),)),
            parameter("bias", "(64,)", 64, off),
            counted,
            hollow,
            live=True,
            note="eval",
        ),
        module(
            "head",
            "LazyLinear",
            off,
            parameter("weight", "unknown", 0, off, italic=True),
            parameter(LONG_NAME, "(10, 512)", 5_120, off, spans=((2, 4), (30, 30))),
            parameter("original0", "(10, 1)", 10, off, marks=MARKS, note="train"),
        ),
        plain,
        Row("tensor", "Tensor", "T", "tensor", None, (), shape="(3,)", count=3),
    )


def tree_model() -> QStandardItemModel:
    model = QStandardItemModel()
    model.setHorizontalHeaderLabels(list(HEADERS))
    number = 0

    def add(parent: QStandardItem, row: Row) -> None:
        nonlocal number
        items = [QStandardItem(row.name), QStandardItem(row.kind)]
        items += [QStandardItem(row.more.get("shape", "")), QStandardItem("float32")]
        count = row.more.get("count", 0)
        items.append(QStandardItem("cpu"))
        items += [QStandardItem(f"{count:,}"), QStandardItem(f"{count * 4:,} B")]
        for item in items[-2:]:
            item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        first = items[0]
        first.setData(row.name, Qt.ItemDataRole.ToolTipRole)
        first.setData(number, TreeRole.ROW_ID)
        look = RowLook(
            badges=(row.badge,),
            freeze=row.freeze,
            frozen=row.freeze == Qt.CheckState.Checked,
            **{key: value for key, value in row.more.items() if key in LOOKS},
        )
        first.setData(look, TreeRole.LOOK)
        number += 1
        parent.appendRow(items)
        for child in row.children:
            add(first, child)

    add(model.invisibleRootItem(), sample_rows())
    return model


def tree_view() -> QWidget:
    view = LazyTreeView()
    model = tree_model()
    model.setParent(view)
    view.setModel(model)
    view.expandAll()
    for column, width in enumerate((40, 16, 13, 10, 7, 13, 12)):
        view.setColumnWidth(column, width * GRID)
    view.select_row(5)
    view.resize(900, 440)
    return view


def facts_view() -> QWidget:
    view = FactsView()
    view.set_sections(
        "encoder.layers.3.attention.query.weight",
        [
            (
                "Tensor",
                [
                    FactLine("Shape", "(512, 256)"),
                    FactLine("Dtype", "float32"),
                    FactLine("Elements", "131,072"),
                    FactLine("Bytes", "524 kB", "524,288 bytes"),
                    FactLine("Tied to", "decoder.layers.3.attention.query.weight"),
                ],
            ),
            (
                "Registration",
                [
                    FactLine("Optimizer", "Yes: it is in model.parameters()", tone="good"),
                    FactLine("Moves with .to()", "Yes", tone="good"),
                    FactLine(
                        "Saved",
                        "No: state_dict() does not hold it, so an export leaves it out",
                        tone="warning",
                    ),
                ],
            ),
            (
                "Values",
                [
                    FactLine("Mean", "0.001234", "0.00123412345"),
                    FactLine("NaN", "12", tone="danger"),
                    FactLine("Zeros", "not looked at", tone="quiet"),
                ],
            ),
        ],
    )
    view.resize(420, 440)
    return view


def code_view() -> QWidget:
    view = CodeView()
    view.set_source(
        "resnet.py, line 97", Path(__file__).read_text().split("\n\n\n", 3)[3][:1800], 97
    )
    view.resize(640, 440)
    return view


def histogram_view() -> QWidget:
    view = HistogramView()
    values = np.random.default_rng(0).normal(0.1, 1.2, 200_000)
    counts, edges = np.histogram(values, 64)
    view.set_histogram(
        "encoder.layers.3.attention.query.weight",
        float(edges[0]),
        float(edges[-1]),
        counts,
        underline="all 200,000 elements, mean 0.1, standard deviation 1.2",
    )
    view.resize(520, 320)
    return view


def logarithmic_view() -> QWidget:
    view = histogram_view()
    view.log_button.setChecked(True)
    return view


def histogram_grid() -> QWidget:
    grid = HistogramGrid()
    random = np.random.default_rng(0)
    grid.set_series([GridSeries(key, f"encoder.layers.{key}.attention.query") for key in range(11)])
    for key in range(10):
        values = random.normal(0.1 * key, 1 + key / 5, 4000)
        values = np.maximum(values, 0) if key % 3 == 2 else values
        counts, edges = np.histogram(values, 64)
        nan, infinite = (12 if key == 1 else 0), (3_500 if key in (1, 4) else 0)
        notes = ("16,384 of 1,048,576, shares ±1.1%", "±1.1%") if key == 3 else ()
        low, high, mean, deviation = edges[0], edges[-1], values.mean(), values.std()
        grid.update_record(key, Record(low, high, counts, mean, deviation, nan, infinite, 7, notes))
    grid.resize(840, 380)
    return grid


def notice_bars() -> QWidget:
    page = QWidget()
    column = QVBoxLayout(page)
    for tone, text, actions in (
        ("info", "The model file has changed on disk.", [("Reload", int)]),
        ("good", "Exported 62 tensors, 44.7 MB, and proved every bit of them.", []),
        ("warning", "3 parameters were left out: they are integers.", [("Show", int)]),
        (
            "danger",
            "The worker process has ended (killed by signal 9) while it ran the model. Your edits "
            "are kept: restart it and they are carried out again.",
            [("Restart and replay", int), ("Show its output", int)],
        ),
    ):
        bar = NoticeBar()
        bar.show_notice(text, tone, actions, detail="Traceback (most recent call last):\n  …")
        column.addWidget(bar)
    column.addStretch()
    page.resize(720, 260)
    return page


def job_panel() -> QWidget:
    panel = JobPanel()
    panel.start(1, "Exporting model.safetensors")
    panel.update_job(1, 40, 100, "Comparing encoder.layers.3.attention.query.weight")
    panel.start(2, "Exporting model.safetensors")
    panel.update_job(2, 40, 100, "Comparing encoder.layers.3.attention.query.weight")
    panel.show_now()
    panel.resize(560, 24)
    return panel


def empty_state() -> QWidget:
    state = EmptyState(
        "live",
        "Nothing is watched yet: choose modules in the tree and watch them to see what they give.",
        "Watch the selected module",
    )
    state.resize(460, 240)
    return state


def plain_widgets() -> QWidget:
    """What the palette and the style sheet make of Qt's own widgets."""
    window = QMainWindow()
    bar = QToolBar()
    bar.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
    window.addToolBar(bar)
    texts = ("Open", "Freeze", "Unfreeze", "Initialize", "Watch", "Run")
    for text in texts:
        name = text.lower()
        action = QAction(icon(name), text, bar)
        action.setEnabled(name != "watch")
        action.setCheckable(True)
        action.setChecked(name == "run")
        bar.addAction(action)
    menu = QMenu("&File", window)
    menu.addAction(icon("open"), "&Open…")
    window.menuBar().addMenu(menu)
    window.menuBar().addMenu("&Edit")
    page = QWidget()
    column = QVBoxLayout(page)
    row = QHBoxLayout()
    default, disabled = QPushButton("Export"), QPushButton("Not now")
    default.setDefault(True)
    disabled.setEnabled(False)
    for widget in (default, QPushButton("Cancel"), disabled):
        row.addWidget(widget)
    row.addStretch()
    column.addLayout(row)
    line = QLineEdit()
    line.setPlaceholderText("Filter by path")
    box = QComboBox()
    box.addItems(["kaiming_uniform_", "xavier_uniform_"])
    numbers = QHBoxLayout()
    for field in (QSpinBox(), QDoubleSpinBox()):
        numbers.addWidget(field)
    field.setEnabled(False)
    column.addLayout(numbers)
    progress = QProgressBar()
    progress.setValue(40)
    progress.setTextVisible(False)
    tabs = QTabWidget()
    tabs.addTab(QLabel("  Facts of the row"), "Facts")
    tabs.addTab(QLabel(), "Values")
    tabs.addTab(QLabel(), "Source")
    for widget in (line, box, progress, tabs):
        column.addWidget(widget)
    window.setCentralWidget(page)
    window.statusBar().showMessage("11,689,512 parameters")
    window.resize(640, 380)
    return window


def icon_sheet() -> QWidget:
    page = QWidget()
    column = QVBoxLayout(page)
    names = sorted(file.stem for file in (ASSETS / "icons").glob("*.svg"))
    for start in range(0, len(names), 9):
        row = QHBoxLayout()
        for name in names[start : start + 9]:
            label = QLabel()
            label.setPixmap(icon(name).pixmap(32 if name == "app" else 20))
            row.addWidget(label)
            row.addWidget(QLabel(name), 1)
        column.addLayout(row)
    page.resize(1000, 320)
    return page


def comparison_view():
    view = ComparisonView(["Mean", "Deviation", "Not finite"])
    places = np.linspace(-3, 3, 64)
    before = (1000 * np.exp(-(places**2) * 4)).astype(np.int64)
    after = np.where(abs(places) < 2, 210, 0)
    lines = [
        Compared("0.0012", "-1.3e-4", "0.00123456", "-0.00013"),
        Compared("0.2501", "0.5774"),
        Compared("0 NaN, 0 infinite", "0 NaN, 0 infinite"),
    ]
    view.show_comparison(-1.5, 1.5, before, after, lines)
    view.resize(420, 320)
    return view


def disclosures():
    page = QWidget()
    column = QVBoxLayout(page)
    for opened in (False, True):
        content = QWidget()
        lines = QVBoxLayout(content)
        lines.addWidget(QLineEdit("one option"))
        lines.addWidget(QLineEdit("another"))
        disclosure = Disclosure("More options", content)
        disclosure.open(opened)
        column.addWidget(disclosure)
    column.addStretch(1)
    page.resize(360, 220)
    return page


def suggest_line():
    page = QWidget()
    column = QVBoxLayout(page)
    line = SuggestLine([Suggestion("One file", ""), Suggestion("2 GB", "2 GB", "Each of them")])
    line.setPlaceholderText("one file")
    column.addWidget(line)
    page.resize(320, 60)
    return page


def heat_map():
    view = HeatMapView()
    view.set_history(
        "encoder.layers.3.attention.query", plots.history(), "output, 2,048 of 65,536 elements"
    )
    view.resize(640, 360)
    return view


def heat_map_octaves():
    view = heat_map()
    view.set_octaves(True)
    view.set_history("encoder.layers.3.attention.query", plots.history(octaves=True), "gradient")
    return view


def ridges():
    view = RidgeView()
    view.set_history("encoder.layers.3.attention.query", plots.history(), "output")
    view.resize(560, 380)
    return view


def depth_plot():
    plot = DepthPlot()
    parts = ("attention.query", "attention.key", "attention.value", "linear1", "norm")
    names = [f"encoder.layers.{layer}.{part}" for layer in range(6) for part in parts]
    plot.set_layers([DepthLayer(key, name) for key, name in enumerate(names)])
    mean, largest = plots.gradients(len(names))
    broken = np.zeros(mean.shape, bool)
    broken[-1, 21] = True
    mean[:, 3] = largest[:, 3] = 0
    mean[:, 9] = largest[:, 9] = np.nan
    plot.set_values(np.arange(100, 100 + len(mean)), mean, largest, broken)
    plot.set_title("Gradients over depth", "step 111, and the 11 steps before it")
    plot.set_current(14)
    plot.resize(640, 380)
    return plot


def curves():
    view = CurveView()
    names = ("loss", "validation loss", "encoder.layers.3.attention.query gradient norm")
    view.set_series([CurveSeries(key, name) for key, name in enumerate(names)])
    for key, (steps, values) in enumerate(plots.losses()):
        view.append(key, steps, values)
    view.set_title("Training", "20,000 steps")
    view.resize(640, 360)
    return view


def alarm_list():
    alarms = AlarmList()
    name = "encoder.layers.3.attention.query"
    alarms.set_alarms(
        [
            Alarm(
                1, "danger", name, "NaN appeared here first: 7 of 65,536 elements.", 210, 221, 12
            ),
            Alarm(2, "warning", "encoder.layers.0.linear1", "Gradient vanishes.", 120, 300, 181),
            Alarm(3, "danger", "decoder.head", "Gradient explodes: 3,400 is above 100.", 211, 211),
            Alarm(4, "info", "encoder.layers.5.relu", "83 % of its units are dead.", 90, 140, 50),
        ]
    )
    alarms.view.setCurrentIndex(alarms.model.index(1))
    alarms.resize(520, 260)
    return alarms


EXAMPLES: dict[str, Callable[[], QWidget]] = {
    "tree_view": tree_view,
    "facts_view": facts_view,
    "code_view": code_view,
    "histogram_view": histogram_view,
    "histogram_view_log": logarithmic_view,
    "histogram_grid": histogram_grid,
    "comparison_view": comparison_view,
    "heat_map": heat_map,
    "heat_map_octaves": heat_map_octaves,
    "ridges": ridges,
    "depth_plot": depth_plot,
    "curves": curves,
    "alarm_list": alarm_list,
    "notice_bar": notice_bars,
    "job_panel": job_panel,
    "empty_state": empty_state,
    "disclosure": disclosures,
    "suggest_line": suggest_line,
    "plain_widgets": plain_widgets,
    "icons": icon_sheet,
}


def save_all(folder: Path, manager: ThemeManager, names: list[str]) -> list[Path]:
    """A picture of each widget in each theme."""
    folder.mkdir(parents=True, exist_ok=True)
    saved = []
    for theme in ("light", "dark", "high contrast"):
        manager.choose(theme)
        for name in names:
            widget = EXAMPLES[name]()
            widget.show()
            QApplication.processEvents()
            QApplication.processEvents()
            file = folder / f"{name} {theme}.png".replace(" ", "_")
            widget.grab().save(str(file))
            saved.append(file)
            widget.hide()
            widget.deleteLater()
            QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    return saved


def prepare(app: QApplication) -> ThemeManager:
    """Fonts, icons and theme, as the program sets them up."""
    install_fonts(ASSETS / "fonts")
    set_icon_folder(ASSETS / "icons")
    return ThemeManager(app)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", type=Path, metavar="FOLDER")
    parser.add_argument("names", nargs="*", default=list(EXAMPLES))
    arguments = parser.parse_args()
    app = QApplication(sys.argv[:1])
    manager = prepare(app)
    if arguments.save:
        for file in save_all(arguments.save, manager, arguments.names):
            print(file)
        return 0
    tabs = QTabWidget()
    for name in arguments.names:
        tabs.addTab(EXAMPLES[name](), name)
    corner = QComboBox()
    corner.addItems(["system", "light", "dark", "high contrast"])
    corner.currentTextChanged.connect(manager.choose)
    tabs.setCornerWidget(corner)
    tabs.resize(1000, 560)
    tabs.show()
    return app.exec()


if __name__ == "__main__":
    raise SystemExit(main())
