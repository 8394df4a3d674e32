"""Exports of an open target: all options through the session, and the proof on a fresh model."""

import random
import textwrap

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from inspector_app.backend.exporting import proving
from inspector_app.backend.session import Session
from inspector_app.protocol import messages as m
from inspector_app.protocol.errors import ModelError, RefusedError, RequestError


@pytest.fixture
def session():
    session = Session()
    yield session
    session.close()


def target(tmp_path, code, name="model.py"):
    (tmp_path / name).write_text("import torch\nfrom torch import nn\n" + textwrap.dedent(code))
    return str(tmp_path / name)


PLAIN = """
    def build_model(width=3):
        return nn.Sequential(nn.Linear(width, 2), nn.BatchNorm1d(2))
"""


def exported(session, tmp_path, code, **options):
    session.open(target(tmp_path, code))
    return session.export(str(tmp_path / "out"), m.ExportOptions(**options))


# -- proof -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"format": "torch"},
        {"ties": "alias"},
        {"shard_bytes": 400},
        {"shard_bytes": 400, "format": "torch"},
        {"from_disk": True},
    ],
)
def test_a_fresh_model_loads_it_strictly(session, tmp_path, options):
    session.open("sample:language_model")
    report = session.export(str(tmp_path / "out"), m.ExportOptions(**options))
    assert (report.proof.state, report.proof.sentence) == (
        "proven",
        "A fresh model loads it strictly and equals it bit by bit",
    )
    assert report.proof.seconds > 0
    assert session.verify(report.path, against=".").ok


def test_the_arguments_are_those_of_the_open_target(session, tmp_path):
    session.open(target(tmp_path, PLAIN), arguments={"width": 7})
    report = session.export(str(tmp_path / "out"))
    assert report.proof.state == "proven"
    assert load_file(tmp_path / "out")["0.weight"].shape == (2, 7)


def test_another_data_type_is_compared_in_the_models_own(session, tmp_path):
    report = exported(session, tmp_path, PLAIN, dtype="bfloat16")
    assert report.proof.state == "proven"
    assert "own data types" in report.proof.sentence
    assert load_file(tmp_path / "out")["0.weight"].dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"skip": ["1"]}, "only a part of the keys was written"),
        ({"only": m.Selection(patterns=["0"])}, "only a part of the keys was written"),
        ({"trainable": True}, "only a part of the keys was written"),
        ({"renames": [m.Rename(old="0.", new="x.")]}, "keys have other names in the file"),
    ],
)
def test_what_cannot_load_strictly_is_not_tried(session, tmp_path, options, reason):
    report = exported(session, tmp_path, PLAIN, **options)
    assert report.proof.state == "not tried"
    assert report.proof.sentence == f"Not tried on a fresh model: {reason}"


def test_without_a_wish_for_it_there_is_no_proof(session, tmp_path):
    code = """
        def build_model(built=[]):
            built.append(1)
            assert len(built) < 2, "built again"
            return nn.Linear(1, 1)
    """
    assert exported(session, tmp_path, code, prove=False).proof == m.Proof(
        state="not tried", sentence=""
    )
    report = session.export(str(tmp_path / "out"))
    assert report.proof.state == "not tried"
    assert "building a fresh model failed" in report.proof.sentence
    assert "built again" in report.proof.sentence
    assert session.verify(str(tmp_path / "out"), against=".").ok


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("build_model = nn.Linear(1, 1)", "a model itself"),
        (
            """
            held = nn.Linear(1, 1)
            def build_model():
                return held
            """,
            "gives back the model that is open",
        ),
        (
            """
            held = nn.Linear(1, 1)
            def build_model():
                return nn.Sequential(held)
            """,
            "gives back the model that is open",
        ),
        (
            """
            def build_model(built=[]):
                built.append(1)
                if len(built) > 1:
                    raise SystemExit(3)
                return nn.Linear(1, 1)
            """,
            "building a fresh model failed",
        ),
    ],
)
def test_a_factory_that_gives_no_fresh_model(session, tmp_path, code, reason):
    report = exported(session, tmp_path, code)
    assert report.proof.state == "not tried"
    assert reason in report.proof.sentence
    assert session.verify(str(tmp_path / "out"), against=".").ok


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            """
            def build_model(built=[]):
                built.append(1)
                return nn.Linear(len(built), 1)
            """,
            "does not load it: size mismatch for weight",
        ),
        (
            """
            class Renaming(nn.Linear):
                def state_dict(self, *args, **kwargs):
                    return {"w": self.weight}
            def build_model():
                return Renaming(1, 1)
            """,
            "does not load it: Missing key",
        ),
        (
            """
            class Forgetful(nn.Linear):
                def load_state_dict(self, state, strict=True):
                    pass
            def build_model(built=[]):
                built.append(1)
                model = Forgetful(1, 1)
                nn.init.constant_(model.weight, len(built))
                return model
            """,
            "does not hold the same values: weight",
        ),
        (
            """
            class Odd(nn.Linear):
                def load_state_dict(self, state, strict=True):
                    raise SystemExit("enough")
            def build_model():
                return Odd(1, 1)
            """,
            "does not load it: SystemExit: enough",
        ),
        (
            """
            def build_model(built=[]):
                built.append(1)
                model = nn.Linear(1, 1)
                if len(built) > 1:
                    model.parameters = None
                return model
            """,
            "raised TypeError",
        ),
    ],
)
def test_a_fresh_model_that_does_not_take_it(session, tmp_path, code, words):
    report = exported(session, tmp_path, code)
    assert report.proof.state == "failed"
    assert words in report.proof.sentence
    assert session.verify(str(tmp_path / "out"), against=".").ok


def test_extra_state_is_loaded_too(session, tmp_path):
    code = """
        class Extra(nn.Module):
            def __init__(self):
                super().__init__()
                self.weight = nn.Parameter(torch.ones(1))
                self.seen = {"steps": 5}
            def get_extra_state(self):
                return self.seen
            def set_extra_state(self, state):
                assert state == {"steps": 5}
        def build_model():
            return Extra()
    """
    with pytest.raises(RefusedError, match="_extra_state"):
        exported(session, tmp_path, code)
    report = session.export(str(tmp_path / "out"), m.ExportOptions(format="torch"))
    assert report.proof.state == "proven"


def test_random_numbers_and_words_of_the_factory_stay_unseen(session, tmp_path, capfd):
    code = """
        import random, sys
        import numpy as np
        def build_model():
            print("words of the factory")
            print("more", file=sys.stderr)
            torch.manual_seed(5); np.random.seed(5); random.seed(5)
            torch.rand(3), np.random.rand(3), random.random()
            return nn.Linear(2, 2)
    """
    session.open(target(tmp_path, code))
    capfd.readouterr()
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    before = torch.rand(1).item(), np.random.rand(), random.random()
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    report = session.export(str(tmp_path / "out"))
    assert (torch.rand(1).item(), np.random.rand(), random.random()) == before
    assert report.proof.state == "proven"
    assert capfd.readouterr() == ("", "")


def test_without_memory_for_a_second_model_only_shapes_are_compared(session, tmp_path, monkeypatch):
    monkeypatch.setattr(proving, "_free_memory", lambda: 10)
    report = exported(session, tmp_path, PLAIN)
    assert report.proof.state == "proven"
    assert "its values were not compared" in report.proof.sentence
    code = """
        def build_model(built=[]):
            built.append(1)
            return nn.Linear(len(built), 1)
    """
    report = exported(session, tmp_path, code)
    assert report.proof.state == "failed"
    assert report.proof.sentence == "A fresh model has other keys or shapes: weight"


def test_free_memory_is_a_number_of_bytes():
    assert 1 << 20 < proving._free_memory() < 1 << 63


def test_a_checkpoint_has_no_factory(session, tmp_path):
    report = exported(session, tmp_path, PLAIN)
    session.open(report.path)
    again = session.export(str(tmp_path / "again"))
    assert again.proof.state == "not tried"
    assert "no factory" in again.proof.sentence
    assert session.verify(str(tmp_path / "again"), against=".").ok


@pytest.mark.filterwarnings("ignore")  # transformers warns of its own past
def test_a_folder_of_hugging_face_builds_a_fresh_model(session, tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        vocab_size=11,
    )
    config.architectures = ["BertModel"]
    config.save_pretrained(tmp_path / "bert")
    session.open(str(tmp_path / "bert"))
    report = session.export(str(tmp_path / "out"))
    assert report.proof.state == "proven", report.proof.sentence
    (tmp_path / "bert" / "config.json").unlink()
    report = session.export(str(tmp_path / "out"))
    assert "no config.json any more" in report.proof.sentence


def test_the_model_is_as_it_was(session, tmp_path):
    session.open(target(tmp_path, PLAIN))
    model = session._opened.model
    before = {name: (value, value.clone()) for name, value in model.state_dict().items()}
    session.export(str(tmp_path / "out"))
    for name, value in model.state_dict().items():
        assert value.data_ptr() == before[name][0].data_ptr()
        assert torch.equal(value, before[name][1])


# -- what is exported ------------------------------------------------------------------------------


def test_only_what_is_trained_goes_by_the_freezing(session, tmp_path):
    session.open(target(tmp_path, PLAIN))
    session.freeze(m.Selection(patterns=["0"]))
    options = m.ExportOptions(trainable=True)
    assert session.plan_export(options).tensors == 2
    session.export(str(tmp_path / "out"), options)
    assert set(load_file(tmp_path / "out")) == {"1.weight", "1.bias"}
    session.freeze(m.Selection(patterns=["1"]))
    assert session.plan_export(options).tensors == 0
    session.open(str(tmp_path / "out"))
    assert session.plan_export(options).tensors == 2  # as noted in the file


def test_what_is_trained_is_known_of_keys_that_hooks_rename(session, tmp_path):
    code = """
        class Odd(nn.Module):
            def __init__(self):
                super().__init__()
                self.weight = nn.Parameter(torch.ones(2))
                self.fixed = nn.Parameter(torch.ones(2), requires_grad=False)
                self._register_state_dict_hook(self.change)
            @staticmethod
            def change(module, state, prefix, metadata):
                state[prefix + "w"] = state.pop(prefix + "weight")
                state[prefix + "f"] = state.pop(prefix + "fixed")
        def build_model():
            return Odd()
    """
    exported(session, tmp_path, code, trainable=True)
    assert set(load_file(tmp_path / "out")) == {"w"}


def test_ready_selections_mean_keys(session, tmp_path):
    session.open("sample:resnet")
    norms = session.plan_export(m.ExportOptions(only=m.Selection(patterns=["preset:norms"])))
    rest = session.plan_export(m.ExportOptions(skip=["preset:norms"]))
    every = session.plan_export()
    assert norms.tensors + rest.tensors == every.tensors
    assert 0 < norms.tensors < every.tensors
    assert {left.name for left in rest.left_out}.isdisjoint({left.name for left in norms.left_out})
    convolutions = session.plan_export(m.ExportOptions(skip=["class:Conv2d"]))
    assert 0 < convolutions.tensors < every.tensors
    with pytest.raises(RequestError, match="preset:nothing"):
        session.plan_export(m.ExportOptions(skip=["preset:nothing"]))


def test_a_ready_selection_without_a_key_is_told(session, tmp_path):
    session.open("sample:resnet")
    with pytest.raises(RequestError, match=r"means no key|selects nothing"):
        session.plan_export(m.ExportOptions(skip=["class:ReLU"]))


def test_rows_of_the_tree_can_be_chosen(session, tmp_path):
    table = session.open(target(tmp_path, PLAIN)).table
    row = int(table.ids[[table.path(p) for p in range(len(table))].index("1")])
    options = m.ExportOptions(only=m.Selection(rows=[row]), skip=["1.running_*"])
    assert session.plan_export(options).tensors == 3


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise ValueError('no state')", r"state_dict\(\) raised ValueError: no state"),
        ("return {1: torch.ones(1)}", "has a key of class int"),
        ("return 5", r"state_dict\(\) raised TypeError"),
    ],
)
def test_a_state_dict_that_fails_is_told(session, tmp_path, code, words):
    model = f"""
        class Odd(nn.Module):
            def state_dict(self, *args, **kwargs):
                {code}
        def build_model():
            return Odd()
    """
    with pytest.raises(ModelError, match=words):
        exported(session, tmp_path, model)
