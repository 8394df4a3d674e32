import csv
import os
from xml.etree import ElementTree

import numpy as np
import pytest
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QLabel

from tests.widgets import examples
from widgets.picture_export import ExportFailed, save_csv, save_png, save_svg

PLOTS = ["heat_map", "ridges", "depth_plot", "curves", "histogram_grid", "histogram_view"]


@pytest.fixture
def label(qtbot):
    label = QLabel("activations")
    qtbot.addWidget(label)
    label.resize(120, 40)
    return label


def shown(qtbot, name):
    widget = examples.EXAMPLES[name]()
    qtbot.addWidget(widget)
    widget.show()
    return widget


def left_behind(folder):
    return [name for name in os.listdir(folder) if name.startswith(".")]


def test_a_caption_stands_above_the_picture(label, tmp_path):
    save_png(label, tmp_path / "plain.png", scale=1)
    save_png(label, tmp_path / "said.png", scale=1, caption="Evaluation")
    plain, said = (QImage(str(tmp_path / f"{name}.png")) for name in ("plain", "said"))
    more = said.height() - plain.height()
    assert more > 0
    assert said.copy(0, more, plain.width(), plain.height()) == plain
    band = said.copy(0, 0, said.width(), more)
    assert len({band.pixel(x, more // 2) for x in range(band.width())}) > 1
    save_svg(label, tmp_path / "said.svg", caption="Evaluation · call 1 of 2")
    root = ElementTree.parse(tmp_path / "said.svg").getroot()
    assert root.get("viewBox") == f"0 0 {label.width()} {label.height() + more}"
    assert "Evaluation · call 1 of 2" in "".join(root.itertext())


@pytest.mark.parametrize("name", PLOTS)
def test_plots_become_pictures(qtbot, tmp_path, name):
    widget = shown(qtbot, name)
    save_png(widget, tmp_path / "one.png", scale=1)
    save_png(widget, tmp_path / "two.png")
    one, two = QImage(str(tmp_path / "one.png")), QImage(str(tmp_path / "two.png"))
    assert one.size() == widget.size()
    assert two.size() == widget.size() * 2
    seen = widget.grab().toImage().convertToFormat(one.format())
    assert one == seen
    save_svg(widget, tmp_path / "one.svg")
    root = ElementTree.parse(tmp_path / "one.svg").getroot()
    assert root.get("viewBox") == f"0 0 {widget.width()} {widget.height()}"
    assert sum(1 for _ in root.iter()) > 20, "lines and text, not one picture"
    assert left_behind(tmp_path) == []


def test_a_table_gives_back_every_digit(tmp_path):
    values = np.array([0.1, 1 / 3, np.nan, 1e-300])
    names = ["a", 'say "b"', "c,d", "ä\nf"]
    columns = {"step": np.arange(4), "value": values, "name, whole": names}
    save_csv(tmp_path / "table.csv", columns)
    with open(tmp_path / "table.csv", encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == list(columns)
    assert [row[0] for row in rows] == ["0", "1", "2", "3"]
    np.testing.assert_array_equal([float(row[1]) for row in rows], values)
    assert [row[2] for row in rows] == names
    with pytest.raises(ValueError, match="zip"):
        save_csv(tmp_path / "other.csv", {"a": [1], "b": [1, 2]})
    assert not (tmp_path / "other.csv").exists()


def test_a_file_is_replaced_and_keeps_its_permissions(label, tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(b"before")
    path.chmod(0o640)
    save_png(label, path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_mode & 0o777 == 0o640
    fresh = tmp_path / "fresh.png"
    save_png(label, fresh)
    mask = os.umask(0)
    os.umask(mask)
    assert fresh.stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_link_stays_one(label, tmp_path):
    target = tmp_path / "real.svg"
    target.write_text("before")
    link = tmp_path / "link.svg"
    link.symlink_to(target)
    save_svg(label, link)
    assert link.is_symlink()
    assert "<svg" in target.read_text()


def test_what_cannot_be_written_is_said_and_leaves_nothing(label, tmp_path, monkeypatch):
    with pytest.raises(ExportFailed, match=r"was not written \(No such file.*choose"):
        save_png(label, tmp_path / "missing" / "picture.png")
    with pytest.raises(ExportFailed, match="is not a file: choose another name"):
        save_svg(label, tmp_path)
    path = tmp_path / "table.csv"
    path.write_text("before")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ExportFailed, match="No space left"):
        save_csv(path, {"a": [1]})
    assert path.read_text() == "before"
    assert left_behind(tmp_path) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device")
def test_a_device_is_never_replaced(label):
    with pytest.raises(ExportFailed, match="not a file"):
        save_png(label, "/dev/full")
