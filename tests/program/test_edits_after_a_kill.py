"""Random edits in a real worker, which is killed: what is carried out again is the same model."""

from __future__ import annotations

import json
import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from inspector_app.gui.client.session import ClientSession
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import InspectorError
from inspector_app.protocol.schemes import SCHEMES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
PATIENCE = 60_000  # milliseconds
EDITS = 12
PATTERNS = ("", "*weight*", "*bias*", "*[0-9]*", "preset:body", "preset:norms", "class:Linear")


class Person:
    """Asks a worker and waits for its answers."""

    def __init__(self, qtbot, session: ClientSession) -> None:
        self._qtbot = qtbot
        self.session = session

    def until(self, condition) -> None:
        self._qtbot.waitUntil(condition, timeout=PATIENCE)

    def ask(self, request: m.Request) -> Any:
        """The answer, or the error that came instead."""
        outcome: list[Any] = []
        self.session.request(request, outcome.append, outcome.append)
        self.until(lambda: bool(outcome))
        return outcome[0]

    def state(self, path: Path) -> dict[str, Any]:
        """All values bit by bit, requires_grad, and whose statistics are held."""
        exported = self.ask(m.Export(path=str(path), options=m.ExportOptions(prove=False)))
        assert isinstance(exported, m.Exported), exported
        with safe_open(path, "np") as file:
            noted = json.loads(file.metadata()["model_inspector.requires_grad"])
            values = {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118
        moving = self.ask(m.PlanHoldStatistics(selection=m.Selection(patterns=[""])))
        return {"values": values, "requires_grad": noted, "moving": moving.changes.tolist()}


@pytest.fixture
def person(qtbot, qapp):
    session = ClientSession()
    yield Person(qtbot, session)
    session.shutdown()


def random_edit(chance: random.Random, checkpoint: str) -> m.Request:
    selection = m.Selection(patterns=[chance.choice(PATTERNS)])
    match chance.choice(
        ("freeze", "hold", "init", "init", "load", "requires_grad", "undo", "redo")
    ):
        case "freeze":
            return m.Freeze(selection=selection, frozen=chance.random() < 0.6)
        case "hold":
            return m.HoldStatistics(selection=selection, held=chance.random() < 0.6)
        case "init":
            scheme = m.Scheme(name=chance.choice(list(SCHEMES)))
            return m.Initialize(selection=selection, scheme=scheme, seed=chance.randrange(2**40))
        case "load":
            return m.LoadState(path=checkpoint)
        case "requires_grad":
            return m.ApplyRequiresGrad(path=checkpoint)
        case "undo":
            return m.Undo()
        case _:
            return m.Redo()


@pytest.mark.parametrize("factory", ["layers", "parametrized"])
def test_a_random_sequence_is_the_same_after_a_kill(person, tmp_path, factory):
    chance = random.Random(factory)
    person.session.open_target(f"tests.backend.property_models:{factory}", seed=5)
    person.until(lambda: person.session.state == "ready")
    checkpoint = tmp_path / "first.safetensors"
    person.ask(m.Freeze(selection=m.Selection(patterns=["*weight*"])))
    person.state(checkpoint)
    done = 0
    while done < EDITS:
        answer = person.ask(random_edit(chance, str(checkpoint)))
        assert isinstance(answer, m.Edited | InspectorError)
        done += isinstance(answer, m.Edited)
    before = person.state(tmp_path / "before.safetensors")
    standing = [entry.title for entry in person.session.journal if entry.done]
    assert len(standing) > 2

    ended: list[str] = []
    replayed: list[m.Edited] = []
    person.session.lost.connect(lambda *told: ended.append(told[0]))
    person.session.replayed.connect(replayed.append)
    os.kill(person.session.process_id, signal.SIGKILL)
    person.until(lambda: bool(ended))
    person.session.restart_and_replay()
    person.until(lambda: bool(replayed))
    assert not replayed[0].notes
    assert [entry.title for entry in person.session.journal] == standing
    assert person.state(tmp_path / "after.safetensors") == before
