"""Where no window can find a session, training goes on without one."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest
import torch
from torch import nn

import inspector_app
from inspector_app.backend.training import publishing
from inspector_app.protocol.errors import RefusedError


@pytest.fixture(params=["unwritable", "full", "open to others"])
def no_folder(
    request: pytest.FixtureRequest, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No session can be announced."""

    def announce(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if request.param == "full":
        monkeypatch.setattr(publishing, "announce", announce)
    elif request.param == "unwritable":
        (own_folder / "model-inspector").touch()
    else:
        (own_folder / "model-inspector").mkdir()
        (own_folder / "model-inspector").chmod(0o777)


def servers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "inspector-server"]


def test_training_goes_on_and_is_told_once(no_folder, capsys, own_folder, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with inspector_app.watch(model, optimizer) as session:
        assert session.address == ""
        for _ in range(3):
            model(torch.ones(1, 2)).sum().backward()
            optimizer.step()
            session.log(loss=1.0)
        session.step()
        assert session.state.step == 5
        kinds = {series.kind for series in session._session.get_records().series}
        assert kinds == {"output", "gradient", "scalar"}
        session.close()
    assert not model._forward_hooks
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("Model Inspector: No window can attach to this session: ")
    assert told.endswith(". Training goes on without one.")
    assert servers() == []
    assert not list(own_folder.glob("*/*"))


def test_a_look_at_a_model_is_refused_in_one_sentence(no_folder, own_folder):
    model = nn.Linear(2, 1)
    with pytest.raises(RefusedError, match=r"^No window can attach to this session: .*[^.]\.$"):
        inspector_app.inspect(model, window=False)
    assert not model._forward_hooks
    assert servers() == []
    assert not list(own_folder.glob("*/*"))
