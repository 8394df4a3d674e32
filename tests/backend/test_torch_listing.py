"""What a pickle's values become: names of a state dict, and what stands beside it."""

import time
import types

import pytest
import torch

from inspector_app.backend.formats.pickle_values import Items
from inspector_app.backend.formats.torch_listing import list_values
from inspector_app.backend.formats.torch_storages import StoredTensor
from inspector_app.backend.opening import open_checkpoint
from inspector_app.backend.session import Session
from inspector_app.protocol.table import Flag
from tests.backend.torch_files import archive_of, description_of, with_members, written


class Mixed(torch.nn.Module):
    """Holds a tensor in every way."""

    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(3, 2, bias=False)
        self.register_buffer("kept", torch.ones(2))
        self.register_buffer("passing", torch.ones(3), persistent=False)
        self.register_buffer("nothing", None)
        self.plain = torch.ones(4)
        self.temperature = 0.5
        self.sizes = (3, 4)
        self.options = {"depth": 3}
        self.weight = torch.nn.Parameter(torch.ones(5), requires_grad=False)


@pytest.fixture
def mixed(tmp_path):
    model = Mixed()
    checkpoint = open_checkpoint(written(tmp_path, model))
    yield model, checkpoint
    checkpoint.close()


def test_the_state_of_a_module_is_that_of_its_state_dict(mixed):
    model, checkpoint = mixed
    assert checkpoint.names() == list(model.state_dict())
    entries = checkpoint.file.entries
    roles = {name: (entry.role, entry.saved) for name, entry in entries.items()}
    assert roles == {
        "weight": ("parameter", True),
        "inner.weight": ("parameter", True),
        "kept": ("buffer", True),
        "passing": ("buffer", False),
        "plain": ("attribute", False),
    }
    assert checkpoint.requires_grad == {"weight": False, "inner.weight": True}
    totals = checkpoint.totals()
    assert (totals.parameters, totals.trainable, totals.buffers) == (11, 6, 2)


def test_what_is_not_saved_has_no_flag_of_it(mixed):
    _, checkpoint = mixed
    table = checkpoint.tree.table
    saved = {table.path(row) for row in range(len(table)) if table.has(row, Flag.SAVED)}
    assert saved == {"weight", "inner.weight", "kept"}


def test_plain_attributes_are_told_in_the_row_of_their_module(mixed):
    _, checkpoint = mixed
    values = checkpoint.file.values
    assert set(values) == {"(the whole file)", "inner", "options.depth"}
    root = values["(the whole file)"]
    assert root.class_name == f"{Mixed.__module__}.Mixed"
    assert "temperature=0.5" in root.text
    assert "sizes=(3, 4)" in root.text
    assert "nothing=None" in root.text
    assert "in_features=3" in values["inner"].text
    assert "bias=None" in values["inner"].text


def test_a_set_of_names_that_is_none_hides_nothing(tmp_path):
    model = torch.nn.BatchNorm1d(2)
    for odd in (3, ["running_mean"], {3, "running_mean"}):
        model._non_persistent_buffers_set = odd
        checkpoint = open_checkpoint(written(tmp_path, model))
        lost = {"running_mean"} if isinstance(odd, set) else set()
        assert set(checkpoint.names()) == {*torch.nn.BatchNorm1d(2).state_dict()} - lost
        checkpoint.close()


def test_an_object_that_may_be_a_model_is_named(tmp_path):
    traced = torch.fx.symbolic_trace(torch.nn.Sequential(torch.nn.ReLU()))
    for value in (traced, {"model": traced, "epoch": 3}):
        checkpoint = open_checkpoint(written(tmp_path, value))
        assert checkpoint.file.model == "torch.fx.graph_module.reduce_graph_module"
        assert checkpoint.trust is not None
        assert not all(name.known for name in checkpoint.trust.imports)
        checkpoint.close()


def test_foreign_values_beside_a_state_dict_make_no_model(tmp_path):
    value = {"state_dict": {"a": torch.ones(1)}, "args": types.SimpleNamespace(x=1)}
    checkpoint = open_checkpoint(written(tmp_path, value))
    assert checkpoint.trust is None
    assert checkpoint.notes == [
        "Nothing of this file was run: with torch.load, 1 name would be imported."
    ]
    checkpoint.close()


def test_harmless_files_have_no_notes(tmp_path):
    checkpoint = open_checkpoint(written(tmp_path, {"a": torch.ones(1), "epoch": 3}))
    assert (checkpoint.notes, checkpoint.trust) == ([], None)
    checkpoint.close()


def test_limits_are_those_of_the_file(tmp_path):
    with pytest.raises(ValueError, match="more than 2 values"):
        list_values([1, "2", 3.0, (4, [5])], 9, limit=16)
    twice = [StoredTensor("float32", (1,))]
    for _ in range(40):
        twice = [twice, twice]
    with pytest.raises(ValueError, match="again and again"):
        list_values(twice, 9)
    long = Items()
    long.extend(["a" * 2000, 1])
    with pytest.raises(ValueError, match="names are too long"):
        list_values(long, 9, limit=100)


def test_keys_of_other_classes_are_spelt(tmp_path):
    value = {3: torch.ones(1), True: 1, 2.5: 2, None: 3, ("a", 1): 4, b"b": 5}
    checkpoint = open_checkpoint(written(tmp_path, value))
    assert checkpoint.names() == ["3", "True", "2.5", "None", "<tuple>", "<bytes>"]
    checkpoint.close()


def test_the_last_of_two_equal_keys_holds(tmp_path):
    content = archive_of({"aa": 1, "ab": 2})
    description = description_of({"aa": 1, "ab": 2}).replace(b"ab", b"aa")
    checkpoint = open_checkpoint(written(tmp_path, with_members(content, data_pkl=description)))
    assert {name: value.value for name, value in checkpoint.file.values.items()} == {"aa": 2}
    checkpoint.close()


def test_the_facts_of_a_row_say_how_its_module_holds_it(tmp_path):
    path = written(tmp_path, Mixed())
    with Session() as session:
        session.open(str(path))
        paths = session.tree.table.paths
        held = {
            name: {fact.label: fact.value for fact in session.describe_row(paths.index(name)).facts}
            for name in ("weight", "kept", "passing", "plain")
        }
    assert {name: facts["Held as"] for name, facts in held.items()} == {
        "weight": "parameter",
        "kept": "buffer",
        "passing": "buffer, not persistent: state_dict() leaves it out",
        "plain": "plain attribute: state_dict() leaves it out",
    }


def test_what_is_held_twice_is_listed_once_unless_it_holds_tensors(tmp_path):
    config, layer = {"width": 3, "deeper": {"x": 1}}, {"weight": torch.ones(2)}
    value = {"a": {"config": config, "layer": layer}, "b": {"config": config, "layer": layer}}
    checkpoint = open_checkpoint(written(tmp_path, value))
    assert checkpoint.names()[:2] == ["a.layer.weight", "b.layer.weight"]
    values = {name: value.text for name, value in checkpoint.file.values.items()}
    assert values == {
        "a.config.width": "3",
        "a.config.deeper.x": "1",
        "b.config": "the same as a.config",
    }
    checkpoint.close()


def test_values_doubled_again_and_again_are_listed_soon():
    doubled = [3, "x"]
    for _ in range(60):
        doubled = [doubled, doubled, {}]
    start = time.process_time()
    assert len(list_values(doubled, 500).values) < 500
    assert time.process_time() - start < 1
