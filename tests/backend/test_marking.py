"""Rows that are still at their initial value once a checkpoint was laid on."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from inspector_app.backend.facade import opening as opening_module
from inspector_app.backend.session import Session
from inspector_app.protocol import messages as m
from inspector_app.protocol.changes import apply
from inspector_app.protocol.errors import RefusedError, RequestError, TargetError
from inspector_app.protocol.table import Flag
from tests.backend import load_models
from tests.backend.load_models import randomised
from tests.backend.test_loading import opened, saved

HEAD = ["fc.weight", "fc.bias"]
STILL_INITIAL = m.Selection(patterns=["preset:initial"])


@pytest.fixture
def session():
    with Session() as session:
        yield session


def initial(session: Session) -> list[str]:
    table = session.tree.table
    return [table.path(row) for row in range(len(table)) if table.has(row, Flag.INITIAL)]


def other_head(tmp_path) -> str:
    return saved(tmp_path / "body.safetensors", randomised(load_models.resnet(classes=7)))


def test_what_a_load_of_what_fits_left_is_marked_and_told_to_the_window(session, tmp_path):
    opened(session, "resnet")
    shown = session.tree.table
    assert initial(session) == []
    edited = session.load_state(other_head(tmp_path), fit=True)
    assert initial(session) == HEAD
    shown = apply(shown, edited.change)
    assert (shown.flags == session.tree.table.flags).all()
    shown = apply(shown, session.undo().change)
    assert initial(session) == []
    assert (shown.flags == session.tree.table.flags).all()
    shown = apply(shown, session.redo().change)
    assert initial(session) == HEAD
    assert (shown.flags == session.tree.table.flags).all()


def test_the_details_of_a_row_say_so(session, tmp_path):
    opened(session, "resnet")
    row = session.tree.table.paths.index("fc.weight")
    labels = [fact.label for fact in session.describe_row(row).facts]
    assert "Values" not in labels
    session.load_state(other_head(tmp_path), fit=True)
    told = {fact.label: fact.value for fact in session.describe_row(row).facts}
    assert told["Values"] == "still at their initial value: not among what was loaded"


def test_nothing_is_marked_where_all_was_loaded_or_nothing_yet(session, tmp_path):
    model = opened(session, "resnet")
    session.initialize(m.Selection(patterns=["conv1"]), m.Scheme(name="ones_"))
    assert initial(session) == []
    session.load_state(saved(tmp_path / "all.safetensors", randomised(model)))
    assert initial(session) == []
    with pytest.raises(RequestError, match="all was loaded or initialised since"):
        session.freeze(STILL_INITIAL)


def test_what_is_marked_can_be_initialised_alone_and_then_is_not(session, tmp_path):
    model = opened(session, "resnet")
    session.load_state(other_head(tmp_path), fit=True)
    body = model.conv1.weight.detach().clone()
    edited = session.initialize(STILL_INITIAL, m.Scheme(name="zeros_"))
    assert edited.history[-1].title == "zeros_ on what is still initial"
    assert initial(session) == []
    assert not model.fc.weight.any()
    assert torch.equal(model.conv1.weight, body)
    session.undo()
    assert initial(session) == HEAD
    session.redo()
    assert initial(session) == []


def test_what_was_initialised_before_the_load_is_not_marked(session, tmp_path):
    opened(session, "resnet")
    session.initialize(m.Selection(patterns=["fc.weight"]), m.Scheme(name="ones_"))
    session.load_state(other_head(tmp_path), fit=True)
    assert initial(session) == ["fc.bias"]


def test_a_second_file_gives_the_rest(session, tmp_path):
    model = opened(session, "resnet")
    session.load_state(other_head(tmp_path), fit=True)
    head = {key: value for key, value in randomised(model).items() if key.startswith("fc")}
    session.load_state(saved(tmp_path / "head.safetensors", head), fit=True)
    assert initial(session) == []
    session.undo()
    assert initial(session) == HEAD


def test_buffers_that_are_saved_are_marked_and_others_are_not(session, tmp_path):
    model = opened(session, "peculiar")
    path = saved(tmp_path / "part.safetensors", {"extra.weight": torch.zeros(2, 2)})
    session.load_state(path, fit=True)
    assert "passing" not in initial(session)
    assert "plain" not in initial(session)
    assert "extra.weight" not in initial(session)
    assert "extra.bias" in initial(session)
    model = opened(session, "resnet")
    without = {k: v for k, v in randomised(model).items() if "running" not in k}
    session.load_state(saved(tmp_path / "old.safetensors", without), fit=True)
    assert all("running" in path for path in initial(session))
    assert "bn1.running_mean" in initial(session)


def test_parameters_that_no_state_dict_holds_are_marked(session, tmp_path):
    model = opened(session, "unregistered")
    session.load_state(saved(tmp_path / "all.safetensors", randomised(model)))
    assert initial(session) == ["lost[0].weight", "lost[0].bias"]


def test_every_row_of_a_loaded_tensor_counts_as_loaded(session, tmp_path):
    model = opened(session, "transformer")
    part = {"embed.weight": randomised(model)["embed.weight"]}
    session.load_state(saved(tmp_path / "part.safetensors", part), fit=True)
    assert "head.weight" not in initial(session)
    assert "norm.weight" in initial(session)


def test_marks_stay_when_the_tree_is_walked_again(session, tmp_path):
    model = opened(session, "resnet")
    session.load_state(other_head(tmp_path), fit=True)
    model.added = nn.Linear(2, 2)
    session._rebuilt()
    assert initial(session) == [*HEAD, "added.weight", "added.bias"]
    session.freeze(m.Selection(patterns=["fc"]))
    assert initial(session)[:2] == HEAD


def test_another_target_begins_without_marks(session, tmp_path):
    opened(session, "resnet")
    session.load_state(other_head(tmp_path), fit=True)
    opened(session, "resnet")
    assert initial(session) == []


@pytest.fixture
def open_with(session, monkeypatch):
    """Opens a model to which a checkpoint belongs, as a folder of Hugging Face form does."""

    def opening(name: str, path: str) -> m.Opened:
        with monkeypatch.context() as patch:
            target = opening_module.open_target

            def with_state(*args, **kwargs):
                found = target(*args, **kwargs)
                found.state_path = path
                return found

            patch.setattr(opening_module, "open_target", with_state)
            return session.open(f"tests.backend.load_models:{name}")

    return opening


def test_what_is_laid_on_while_opening_is_no_edit_and_marks_the_rest(session, open_with, tmp_path):
    told = open_with("resnet", other_head(tmp_path))
    assert told.notes[-1] == "2 tensors are still at their initial value: fc.weight, fc.bias"
    assert (told.table.flags == session.tree.table.flags).all()
    assert initial(session) == HEAD
    theirs = randomised(load_models.resnet(classes=7))
    assert torch.equal(session._opened.model.conv1.weight, theirs["conv1.weight"])
    with pytest.raises(RefusedError, match="nothing to undo"):
        session.undo()
    session.initialize(STILL_INITIAL, m.Scheme(name="zeros_"))
    assert initial(session) == []
    session.undo()
    assert initial(session) == HEAD


def test_lazy_tensors_get_their_shapes_while_opening(session, open_with, tmp_path):
    path = saved(tmp_path / "weights.safetensors", randomised(load_models.not_lazy()))
    told = open_with("lazy", path)
    assert told.table.shape(told.table.paths.index("0.weight")) == (4, 3)
    assert session._opened.model(torch.ones(5, 3)).shape == (5, 2)
    assert initial(session) == []


def test_a_checkpoint_that_cannot_be_read_leaves_the_target_before_it_open(
    session, open_with, tmp_path
):
    model = opened(session, "resnet")
    session.load_state(other_head(tmp_path), fit=True)
    path = tmp_path / "broken.safetensors"
    path.write_bytes(b"no checkpoint at all")
    with pytest.raises(TargetError, match=r"broken\.safetensors"):
        open_with("linear", str(path))
    assert session._opened.model is model
    assert initial(session) == HEAD
    session.undo()
    assert initial(session) == []
