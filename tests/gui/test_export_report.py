from __future__ import annotations

import msgspec
import pytest

from inspector_app.gui.panels.export_report import ExportPlanList, plan_sentence, show_report
from inspector_app.protocol.messages import Exported, ExportPlan, LeftOut, Tie
from widgets.facts_view import FactsView

PLAN = ExportPlan(tensors=3, bytes=1200, ties=[], left_out=[], refused=[])
REFUSED = [LeftOut(name="a._extra_state", reason="is no tensor")]


@pytest.mark.parametrize(
    ("more", "text", "tone"),
    [
        ({}, "Would write 3 tensors, 1.2 kB.", "plain"),
        ({"tensors": 1}, "Would write 1 tensor, 1.2 kB.", "plain"),
        ({"tensors": 0}, "There is nothing to write.", "warning"),
        (
            {"files": 2, "renamed": 1, "converted": 2},
            "Would write 3 tensors, 1.2 kB, in 2 files and an index; 1 under another name and 2 "
            "in another data type.",
            "plain",
        ),
        (
            {"refused": REFUSED},
            "1 entry cannot be held by safetensors. Without such, the rest can be written.",
            "warning",
        ),
    ],
)
def test_a_plan_in_words(more, text, tone):
    assert plan_sentence(msgspec.structs.replace(PLAN, **more), "safetensors") == (text, tone)


def test_what_needs_a_look_stands_in_the_list(qtbot):
    view = ExportPlanList()
    qtbot.addWidget(view)
    ties = [Tie(names=["a", "b"], kept="written twice")]
    left = [LeftOut(name=f"x{n}", reason="skipped") for n in range(300)]
    view.show_plan(
        msgspec.structs.replace(
            PLAN, ties=ties, left_out=left, refused=REFUSED, notes=["digits are lost"]
        )
    )
    texts = [view.topLevelItem(at).text(0) for at in range(view.topLevelItemCount())]
    assert texts == [
        "The format cannot hold: 1 entry",
        "digits are lost",
        "Tied: 1 group",
        "Left out: 300 entries",
    ]
    assert view.topLevelItem(3).child(200).text(0) == "and 100 more"
    view.show_plan(PLAN)
    assert view.topLevelItemCount() == 0


def test_a_report_can_be_copied_in_full(qtbot):
    view = FactsView()
    qtbot.addWidget(view)
    report = Exported(
        path="/x/out.safetensors.index.json",
        files=["/x/out.safetensors.index.json", *(f"/x/{n}.safetensors" for n in range(300))],
        tensors=3,
        bytes=1234,
        sha256="12" * 32,
        payload_sha256="",
        ties=[Tie(names=["a", "b"], kept="written twice")],
        left_out=REFUSED,
        seconds=0.5,
        notes=["digits are lost"],
    )
    show_report(view, report)
    text = view.text()
    for words in ("/x/7.safetensors", "and 101 more files", "12" * 32, "a = b: written twice"):
        assert words in text
    assert "a._extra_state: is no tensor" in text
    assert "of the values" not in text  # there is no hash of them
