"""Files that hold several state dicts: which is loaded, which is exported, and what is told."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from inspector_app.backend.choosing_state import chosen_state
from inspector_app.backend.opening import open_checkpoint
from inspector_app.backend.session import Session
from inspector_app.cli import DONE, WRONG, main
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import RefusedError, RequestError

CODE = """
from torch import nn
def build():
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
"""


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "nets.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def session(folder):
    with Session() as session:
        session.open("nets.py:build")
        yield session


def saved(**held: object) -> str:
    torch.save(held, "several.pt")
    return "several.pt"


def holds(session: Session, wanted: dict[str, torch.Tensor]) -> bool:
    state = session._opened.model.state_dict()
    return all(torch.equal(state[key], value) for key, value in wanted.items())


@pytest.mark.parametrize(
    ("first", "second"),
    [("state_dict", "state_dict_ema"), ("model", "ema"), ("generator", "discriminator")],
)
def test_a_prefix_chooses_among_the_state_dicts_of_a_file(session, first, second):
    one, two = net().state_dict(), net().state_dict()
    two = {f"module.{key}": value for key, value in two.items()} if second == "ema" else two
    path = saved(**{first: one, second: two, "epoch": 3})
    plan = session.plan_state(path)
    assert plan.complete
    assert any(f"also holds {second}" in note and f"{second}." in note for note in plan.notes)
    session.load_state(path, f"{second}.")
    assert holds(session, {key.removeprefix("module."): value for key, value in two.items()})
    assert session.load_state(path, f"{first}.").history[-1].prefix == f"{first}."
    assert holds(session, one)


def test_a_prefix_goes_on_inside_of_the_state_dict_that_it_chose(session):
    two = {f"module.{key}": value for key, value in net().state_dict().items()}
    path = saved(model=net().state_dict(), ema={"state_dict": two, "updates": 7})
    for prefix in ("ema.state_dict.module.", "ema.state_dict.", "ema.state_dict", "ema."):
        plan = session.plan_state(path, prefix)
        assert plan.matching == plan.tensors, prefix
    with pytest.raises(RefusedError, match=r"No key of several\.pt begins with the prefix"):
        session.plan_state(path, "ema.state_dict.nope.")


def test_a_prefix_that_no_key_has_is_refused_with_those_that_there_are(session):
    path = saved(state_dict=net().state_dict(), ema=net().state_dict())
    with pytest.raises(RefusedError) as refused:
        session.load_state(path, "nope.")
    assert refused.value.sentence == (
        "No key of several.pt begins with the prefix “nope.”: they begin with “0.”, “1.”, and "
        "beside them with “ema.”."
    )


def test_the_choice_is_repeated_by_the_replay_and_by_the_script(session, folder):
    two = net().state_dict()
    path = saved(generator=net().state_dict(), discriminator=two)
    history = session.load_state(path, "discriminator.").history
    code = session.get_script().text
    assert '["discriminator"]' in code
    session.open("nets.py:build")
    session.replay(history)
    assert holds(session, two)


def test_a_module_pickled_whole_beside_the_state_dict_is_one_too(session):
    path = saved(model=net(), ema=net())
    checkpoint, rest = chosen_state(open_checkpoint(path), "ema.")
    assert rest is None
    assert checkpoint.file.model.endswith("Sequential")
    assert checkpoint.names() == list(net().state_dict())
    assert checkpoint.requires_grad is not None
    assert session.plan_state(path, "ema.").complete
    checkpoint.close()


def test_an_export_tells_what_stands_beside_and_writes_it_by_its_name(folder):
    two = net().state_dict()
    path = saved(state_dict=net().state_dict(), state_dict_ema=two, epoch=3)
    with Session() as session:
        session.open(path)
        notes = session.plan_export().notes
        assert notes[0].endswith("not what stands beside it: state_dict_ema, epoch")
        assert "--only state_dict_ema" in notes[1]
        options = m.ExportOptions(
            only=m.Selection(patterns=["state_dict_ema"]), renames=[m.Rename(old="state_dict_ema.")]
        )
        assert session.plan_export(options).notes == []
        session.export("out.safetensors", options)
        part = m.ExportOptions(only=m.Selection(patterns=["state_dict_ema.0", "1"]))
        assert session.plan_export(part).tensors == 7
        glob = m.ExportOptions(only=m.Selection(patterns=["*.running_mean"]))
        assert session.plan_export(glob).tensors == 1  # of the state dict alone
        with pytest.raises(RequestError, match="nope"):
            session.plan_export(m.ExportOptions(only=m.Selection(patterns=["nope"])))
    written = load_file("out.safetensors")
    assert all(torch.equal(written[key], value) for key, value in two.items())


def test_the_command_line_lays_on_what_was_chosen(folder, capfd):
    two = net().state_dict()
    path = saved(model=net().state_dict(), ema=two)
    call = ["export", "nets.py:build", "o.safetensors", "--state", path, "--prefix"]
    assert main([*call, "ema."]) == DONE
    assert torch.equal(load_file("o.safetensors")["0.weight"], two["0.weight"])
    assert main([*call, "nope."]) == WRONG
    assert main(["summary", path, "--depth", "0"]) == DONE
    out = capfd.readouterr().out
    assert "7 tensors · 28 elements · 116 B in the state dict\n" in out
    assert "7 more tensors stand beside it and are not counted here.\n" in out
