"""Models unpickled on a person's word, and everything that can come of it."""

import sys
import textwrap

import pytest
import torch

from inspector_app.backend.opening import OpenModel, open_target
from inspector_app.backend.session import Session
from inspector_app.protocol.errors import InspectorError, TargetError
from tests.backend.torch_files import (
    Canary,
    archive_of,
    description_of,
    legacy_of,
    with_members,
    written,
)

NET = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(2, 2)
        self.temperature = 0.5

class Shy:
    def __reduce__(self):
        return open_door, ()

def open_door():
    raise RuntimeError("the door is stuck")

class Leaves(Shy):
    def __reduce__(self):
        return sys_exit, ()

def sys_exit():
    raise SystemExit(3)
"""


@pytest.fixture
def persons_folder(tmp_path, monkeypatch):
    """A folder with a module of a person's own, which only lies there."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "a_persons_net.py").write_text(NET)
    yield tmp_path
    sys.modules.pop("a_persons_net", None)


def saved(folder, text, form=archive_of):
    """A file with what an expression over the person's module makes; the module is let go."""
    sys.path.insert(0, str(folder))
    namespace = {"torch": torch}
    exec(f"import a_persons_net as p\nvalue = {text}", namespace)
    path = written(folder, form(namespace["value"]))
    sys.path.remove(str(folder))
    del sys.modules["a_persons_net"]
    return path


def sentence(path, **options):
    with pytest.raises(TargetError) as raised:
        open_target(str(path), **{"trusted": True, **options})
    assert raised.value.sentence.endswith(".")
    return raised.value.sentence


@pytest.mark.parametrize("form", [archive_of, legacy_of])
def test_a_model_is_loaded_with_its_code_beside_the_file(persons_folder, form):
    path = saved(persons_folder, "p.Net()", form)
    with Session() as session:
        before = session.open(str(path))
        assert (before.kind, before.trusted) == ("checkpoint", False)
        assert before.trust is not None
        assert {name.name for name in before.trust.imports if not name.known} == {
            "a_persons_net.Net"
        }
        assert "whole pickled model (a_persons_net.Net): nothing of it was run" in before.notes[0]
        assert "2 names would be imported" in before.notes[0]
        assert "a_persons_net" not in sys.modules
        opened = session.open(str(path), trusted=True)
        assert (opened.kind, opened.trusted, opened.trust) == ("model", True, None)
        assert opened.title == "x.pt"
        assert opened.totals.parameters == before.totals.parameters == 6
        assert not opened.disabled


def test_what_was_never_trusted_is_never_run(tmp_path):
    proof = tmp_path / "proof"
    path = written(tmp_path, {"model": torch.nn.Linear(1, 1), "bad": Canary(proof)})
    with Session() as session:
        session.open(str(path))
        assert not proof.exists()
        session.open(str(path), trusted=True)
        assert proof.exists()  # so the canary does sing


def test_a_model_under_a_usual_name(persons_folder):
    path = saved(persons_folder, "{'net': p.Net(), 'epoch': 3}")
    opened = open_target(str(path), trusted=True)
    assert isinstance(opened, OpenModel)
    assert type(opened.model).__name__ == "Net"
    assert opened.notes == ["The model was found under “net”; what stands beside it was left out."]
    assert (opened.kind, opened.path) == ("trusted", str(path))


def test_what_is_no_model_is_told(persons_folder):
    state = saved(persons_folder, "{'state_dict': p.Net().state_dict(), 'epoch': 3}")
    assert "holds no model but a dict with the keys state_dict, epoch." in sentence(state)
    assert "an object of class list" in sentence(written(persons_folder, [1, 2]))


def test_whatever_the_code_raises_is_a_sentence(persons_folder):
    said = sentence(saved(persons_folder, "p.Shy()"))
    assert "RuntimeError: the door is stuck" in said
    assert "a_persons_net.py, line" in said
    assert "ended the program" in sentence(saved(persons_folder, "p.Leaves()"))


def test_classes_that_are_gone_are_told_with_what_to_do(persons_folder):
    path = saved(persons_folder, "p.Net()")
    (persons_folder / "a_persons_net.py").write_text("")
    assert "the code that the file was saved with has changed" in sentence(path)
    del sys.modules["a_persons_net"]
    (persons_folder / "a_persons_net.py").unlink()
    for name in list(sys.path_importer_cache):
        if name == str(persons_folder):
            del sys.path_importer_cache[name]
    assert "No module named 'a_persons_net'" in sentence(path)


def test_a_class_of_the_script_that_saved_it(tmp_path):
    identity, home = torch.nn.Identity(), b"torch.nn.modules.linear\nIdentity"
    description = description_of(identity)
    assert home in description
    changed = description.replace(home, b"__main__\nIdentity")
    said = sentence(written(tmp_path, with_members(archive_of(identity), data_pkl=changed)))
    assert "defined in the script that saved the file" in said
    assert "factory" in said


def test_changed_source_is_noted(persons_folder):
    path = saved(persons_folder, "p.Net()", legacy_of)
    text = textwrap.dedent(NET).replace("0.5", "0.25")
    (persons_folder / "a_persons_net.py").write_text(text)
    opened = open_target(str(path), trusted=True)
    assert opened.notes == ["The source of a_persons_net.Net has changed since the file was saved."]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch.jit.script
def test_what_cannot_be_trusted_is_refused(tmp_path):
    (tmp_path / "net.py").write_text("def build_model(): ...")
    assert "nothing in it to trust" in sentence(tmp_path / "net.py")
    path = written(tmp_path, torch.nn.Linear(1, 1))
    assert "not on 'meta'" in sentence(path, device="meta")
    assert "takes no arguments" in sentence(path, arguments={"a": 1})
    torch.jit.script(torch.nn.Linear(1, 1)).save(tmp_path / "scripted.pt")
    assert "TorchScript" in sentence(tmp_path / "scripted.pt")


def test_the_session_stays_open_where_trust_fails(persons_folder):
    with Session() as session:
        session.open("sample:mlp")
        path = saved(persons_folder, "p.Shy()")
        with pytest.raises(InspectorError):
            session.open(str(path), trusted=True)
        assert session.tree.table.class_name(0).endswith("MLP")
