from __future__ import annotations

import msgspec
import pytest

from inspector_app.gui.panels.verify_dialog import VerifyDialog
from inspector_app.protocol.errors import TargetError
from inspector_app.protocol.messages import Difference, Verified

GOOD = Verified(
    ok=True,
    path="out.safetensors",
    tensors=2,
    bytes=100,
    sha256="ab" * 32,
    recorded="matches",
    against="",
    differences=[],
)


@pytest.fixture
def dialog(qtbot):
    def make(*paths: str) -> VerifyDialog:
        dialog = VerifyDialog(list(paths))
        qtbot.addWidget(dialog)
        return dialog

    return make


def texts(item) -> list[str]:
    return [item.child(at).text(0) for at in range(item.childCount())]


def test_a_file_that_is_what_was_written(dialog):
    one = dialog("out.safetensors")
    assert "Reading out.safetensors" in one.summary.text()
    one.show_report("out.safetensors", GOOD)
    assert one.summary.tone == "good"
    assert one.summary.text().startswith("Verified: the payload's hash is the one recorded")
    assert any("ab" * 32 in text for text in texts(one.list.topLevelItem(0)))


def test_differences_are_listed(dialog):
    one = dialog("out.safetensors")
    report = msgspec.structs.replace(
        GOOD,
        ok=False,
        against="net.py:make",
        differences=[Difference(name="body.0.weight", what="values differ in 1 of 64")],
    )
    one.show_report("out.safetensors", report)
    assert one.summary.tone == "danger"
    assert "differs from net.py:make" in one.summary.text()
    assert "body.0.weight" in one.list.topLevelItem(0).child(4).child(0).text(0)


def test_a_file_without_a_hash_is_no_success_unless_it_equals_the_model(dialog):
    absent = msgspec.structs.replace(GOOD, recorded="absent")
    one = dialog("a")
    one.show_report("a", absent)
    assert one.summary.tone == "warning"
    one.show_report("a", msgspec.structs.replace(absent, against="net.py:make"))
    assert one.summary.tone == "good"


def test_several_files_are_summed_up(dialog):
    three = dialog("/x/a", "/x/b", "/x/c")
    three.show_report("/x/a", GOOD)
    assert three.summary.text() == "Read 1 of 3 files…"
    three.show_report("/x/b", GOOD)
    three.show_error("/x/c", TargetError("There is no file /x/c."))
    assert three.summary.text() == "2 of 3 files verified."
    assert three.summary.tone == "danger"
    assert three.list.topLevelItem(2).text(0) == "c:  There is no file /x/c."
    two = dialog("a", "b")
    two.show_report("a", GOOD)
    two.show_report("b", GOOD)
    assert two.summary.text() == "All 2 files verified."
