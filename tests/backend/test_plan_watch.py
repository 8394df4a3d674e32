"""Which rows a selection would watch."""

from __future__ import annotations

import pytest
from torch import nn

from inspector_app.backend.session import Session
from inspector_app.protocol.errors import RequestError
from inspector_app.protocol.messages import Selection


@pytest.fixture
def session():
    shared = nn.Linear(2, 2)
    body = nn.Sequential(shared, nn.ReLU(), nn.Sequential(nn.LayerNorm(2)), shared)
    with Session() as session:
        session.adopt(nn.Sequential(body, nn.Linear(2, 2)), "model")
        yield session


@pytest.mark.parametrize(
    ("pattern", "which", "paths"),
    [
        ("0", "modules", ["0", "0.0", "0.1", "0.2", "0.2.0"]),
        ("0", "leaves", ["0.0", "0.1", "0.2.0"]),
        ("0", "parameters", ["0.0.weight", "0.0.bias", "0.2.0.weight", "0.2.0.bias"]),
        ("class:Linear", "modules", ["0.0", "1"]),
        ("preset:norms", "modules", ["0.2.0"]),
        ("preset:biases", "parameters", ["0.0.bias", "0.2.0.bias", "1.bias"]),
    ],
)
def test_rows_of_a_selection(session, pattern, which, paths):
    planned = session.plan_watch(Selection(patterns=[pattern]), which)
    table = session.tree.table
    found = [table.path(position) for position in table.positions(planned.changes).tolist()]
    assert found == paths
    assert planned.tensors == len(paths)
    assert session.watch(planned.changes.tolist(), ("output", "value")).rows
    assert len(session.probes.rows) == len(paths)


def test_nothing_to_watch_is_a_sentence(session):
    with pytest.raises(RequestError, match="There is no module in biases"):
        session.plan_watch(Selection(patterns=["preset:biases"]))
