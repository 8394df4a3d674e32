"""Values that are no plain tensors: a file that holds the same is no different."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

from inspector_app.backend.session import Session
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import RefusedError

CODE = """
import torch
from torch import nn
from torch.ao import quantization
def net():
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
def dynamic():
    return quantization.quantize_dynamic(net().eval(), {nn.Linear}, dtype=torch.qint8)
def static():
    model = nn.Sequential(quantization.QuantStub(), net(), quantization.DeQuantStub()).eval()
    model.qconfig = quantization.get_default_qconfig("fbgemm")
    quantization.prepare(model, inplace=True)
    model(torch.randn(8, 4))
    return quantization.convert(model, inplace=True)
class Extra(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(2))
        self.state = {"mean": torch.zeros(2), "words": ["a", 3]}
    def get_extra_state(self):
        return self.state
    def set_extra_state(self, state):
        self.state = state
def extra(words="b"):
    model = Extra()
    model.state["words"][0] = words
    return model
"""
OLD = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


@pytest.fixture
def session(tmp_path, monkeypatch):
    (tmp_path / "holds.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    with Session() as session:
        yield session


@OLD
@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("name", ["dynamic", "static", "extra"])
def test_what_the_model_itself_saves_is_equal_and_loads(session, name, wrapped):
    session.open(f"holds.py:{name}")
    state = session._opened.model.state_dict()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save({"ema": state, "model": {"w": torch.ones(1)}} if wrapped else state, "own.pt")
    prefix = "ema." if wrapped else None
    plan = session.plan_state("own.pt", prefix)
    assert plan.differences == []
    assert plan.matching == plan.tensors
    assert session.load_state("own.pt", prefix).notes == plan.notes


@OLD
@pytest.mark.parametrize("name", ["dynamic", "static"])
def test_an_export_of_a_quantized_model_is_proven_and_loads(session, name):
    session.open(f"holds.py:{name}")
    report = session.export("out.pt", m.ExportOptions(format="torch"))
    assert report.proof.state == "proven"
    assert session.plan_state("out.pt").complete


def test_what_differs_is_refused_in_words(session):
    session.open("holds.py:extra", arguments={"words": "other"})
    torch.save(session._opened.model.state_dict(), "own.pt")
    session.open("holds.py:extra")
    (one,) = session.plan_state("own.pt").differences
    assert one.sentence == (
        "it is no tensor but dict, which only the model's own load_state_dict() can set"
    )
    with pytest.raises(RefusedError):
        session.load_state("own.pt")


def test_lazy_layers_that_got_their_shapes_from_a_file_are_exported_and_never_ran(session):
    (lazily := nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3))).requires_grad_(True)
    torch.save(lazily.state_dict(), "shapes.pt")
    with open("lazily.py", "w") as file:
        file.write(
            "from torch import nn\n"
            "def build(): return nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d())\n"
        )
    session.open("lazily.py:build")
    session.load_state("shapes.pt")
    assert session.export("out.safetensors").proof.state == "proven"
    assert "ran here" not in session.get_script().text
