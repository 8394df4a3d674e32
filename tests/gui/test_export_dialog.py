"""The export dialog from its plan to its report, against a session that answers from plain data."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication

from inspector_app.gui.panels.export_dialog import ExportDialog, default_path
from inspector_app.protocol.errors import RefusedError
from inspector_app.protocol.messages import (
    Export,
    Exported,
    ExportOptions,
    ExportPlan,
    LeftOut,
    PlanExport,
    Proof,
    Rename,
    Selection,
)


@pytest.fixture
def session(qtbot, fake_session):
    fake_session.open_target("fake.py:make")
    qtbot.waitUntil(lambda: fake_session.target is not None)
    return fake_session


@pytest.fixture
def dialog(qtbot, session, tmp_path) -> ExportDialog:
    dialog = ExportDialog(session, str(tmp_path / "out.safetensors"), [3], "body")
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitUntil(dialog.export_button.isEnabled)
    return dialog


def planned(qtbot, dialog) -> ExportOptions:
    """The options of the newest plan, once it is shown."""
    assert not dialog.export_button.isEnabled()
    qtbot.waitUntil(dialog.export_button.isEnabled)
    asked = [r for r in dialog._session.requests if isinstance(r, PlanExport)]
    return asked[-1].options


def test_from_plan_to_report(qtbot, session, dialog):
    dialog.form.selected.setChecked(True)
    assert planned(qtbot, dialog) == ExportOptions(only=Selection(rows=[3]))
    session.hold()
    qtbot.mouseClick(dialog.export_button, Qt.MouseButton.LeftButton)
    number = session.pending[-1]
    dialog.show_progress(number, 1, 4, "Writing 1 of 4")
    assert dialog.progress.value() == 250
    assert dialog.summary.text() == "Writing 1 of 4"
    dialog.show_progress(number + 99, 1, 4, "of another job")
    assert dialog.summary.text() == "Writing 1 of 4"
    with qtbot.waitSignal(dialog.written) as written:
        session.release()
    assert written.args[0] is dialog.exported
    export = next(r for r in session.requests if isinstance(r, Export))
    assert export.path == dialog.path.text()
    assert dialog.summary.tone == "good"
    assert dialog.proof.text() == "A fresh model loads it strictly."
    assert "ab" * 32 in dialog.report.text()
    qtbot.mouseClick(dialog.copy_button, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == "ab" * 32
    with qtbot.waitSignal(dialog.verify_asked) as asked:
        qtbot.mouseClick(dialog.verify_button, Qt.MouseButton.LeftButton)
    assert asked.args == [dialog.path.text()]


def test_every_option_is_asked_for(qtbot, dialog):
    form = dialog.form
    form.more.open()
    form.trainable.setChecked(True)
    form.skip.setText("*.bias")
    form.dtype.setCurrentIndex(form.dtype.findData("bfloat16"))
    form.shard.setText("100 B")
    form.ties.setCurrentIndex(1)
    form.from_disk.setChecked(True)
    form.prove.setChecked(False)
    form.renames._rows[0].old.setText("module.")
    form.renames.add()
    form.renames._rows[1].new.setText("model.")
    form.format.setCurrentIndex(1)
    assert planned(qtbot, dialog) == ExportOptions(
        format="torch",
        skip=["*.bias"],
        trainable=True,
        dtype="bfloat16",
        renames=[Rename(old="module."), Rename(old="", new="model.")],
        shard_bytes=100,
        ties="alias",
        from_disk=True,
        prove=False,
    )
    assert dialog.path.text().endswith("out.pt")
    text = dialog.summary.text()
    assert "files and an index" in text
    assert "under another name" in text
    assert "in another data type" in text
    form.more.open(False)
    assert form.more.button.text() == "More options (7 set)"


def test_an_impossible_option_is_told_in_place(qtbot, dialog):
    dialog.form.shard.setText("huge")
    qtbot.waitUntil(lambda: "A size is written like" in dialog.summary.text())
    assert not dialog.export_button.isEnabled()
    dialog.form.shard.clear()
    dialog.form.by_pattern.setChecked(True)
    qtbot.waitUntil(lambda: "Type a pattern" in dialog.summary.text())
    dialog.form.pattern.menu.actions()[1].trigger()
    assert planned(qtbot, dialog).only == Selection(patterns=["preset:norms"])


def test_what_the_format_cannot_hold_is_left_out_on_request(qtbot, session, tmp_path):
    refused = [LeftOut(name="head._extra_state", reason="is no tensor")]

    def plan(request):
        left = refused if "head._extra_state" not in request.options.skip else []
        return ExportPlan(tensors=3, bytes=12, ties=[], left_out=[], refused=left)

    session.answers[PlanExport] = plan
    dialog = ExportDialog(session, str(tmp_path / "x"), [], "")
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitUntil(lambda: dialog.summary.tone == "warning")
    assert not dialog.export_button.isEnabled()
    assert "head._extra_state" in dialog.list.topLevelItem(0).child(0).text(0)
    qtbot.mouseClick(dialog.skip_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(dialog.export_button.isEnabled)
    assert dialog.form.more.button.text() == "More options (1 set)"


def test_a_file_that_is_there_is_told(qtbot, dialog):
    assert "replaced" not in dialog.summary.text()
    Path(dialog.path.text()).write_bytes(b"old")
    dialog.form.trainable.setChecked(True)
    planned(qtbot, dialog)
    assert "is replaced" in dialog.summary.text()


def test_a_failed_proof_is_a_danger_and_several_files_are_listed(qtbot, session, dialog):
    report = session.backend.export(Export(path=dialog.path.text()))
    files = [report.path, f"{report.path}.1", f"{report.path}.2"]
    proof = Proof(state="failed", sentence="A fresh model misses 2 keys.")
    session.answers[Export] = msgspec.structs.replace(report, files=files, proof=proof)
    dialog.export_button.click()
    qtbot.waitUntil(lambda: dialog.exported is not None)
    assert (dialog.proof.text(), dialog.proof.tone) == (proof.sentence, "danger")
    assert all(file in dialog.report.text() for file in files)


def test_an_export_that_fails_can_be_tried_again(qtbot, session, dialog):
    session.answers[Export] = RefusedError("The disk is full.")
    dialog.export_button.click()
    qtbot.waitUntil(lambda: dialog.summary.text() == "The disk is full.")
    assert dialog.export_button.isEnabled()
    assert dialog.fields.isEnabled()
    assert dialog.exported is None


def test_cancelling_keeps_the_dialog(qtbot, session, dialog):
    session.answers[Export] = lambda request: None
    session.hold()
    qtbot.mouseClick(dialog.export_button, Qt.MouseButton.LeftButton)
    number = session.pending[-1]
    dialog.reject()
    assert session.cancelled == [number]
    assert dialog.isVisible()
    session.cancel(number)
    session._held.reverse()
    session.release()
    qtbot.waitUntil(lambda: "nothing was written" in dialog.summary.text())
    assert dialog.export_button.isEnabled()


def test_another_target_takes_the_plan_away_but_not_the_report(qtbot, session, dialog, tmp_path):
    dialog.target_gone()
    assert not dialog.isVisible()
    second = ExportDialog(session, str(tmp_path / "x.safetensors"), [], "")
    qtbot.addWidget(second)
    second.show()
    qtbot.waitUntil(second.export_button.isEnabled)
    second.export_button.click()
    qtbot.waitUntil(lambda: isinstance(second.exported, Exported))
    second.target_gone()
    assert second.isVisible()
    assert second.verify_button.isHidden()


def test_opening_the_options_leaves_the_plan_its_room(qtbot, dialog):
    before = dialog.height()
    dialog.form.more.open()
    qtbot.waitUntil(lambda: dialog.height() > before)
    assert dialog.pages.height() > 60
    dialog.form.more.open(False)
    qtbot.waitUntil(lambda: dialog.height() <= before)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("resnet", "resnet-export.safetensors"),
        ("weights.safetensors", "weights-export.safetensors"),
        ("model.safetensors.index.json", "model-export.safetensors"),
        ("a/b:c\n", "a-b-c--export.safetensors"),
        ("..", "model-export.safetensors"),
    ],
)
def test_the_file_is_named_after_the_target(title, name, tmp_path):
    assert default_path(str(tmp_path), title) == str(tmp_path / name)
