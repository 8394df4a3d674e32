"""Runs of instructions carried out at once: nothing that comes out may differ for it."""

import random
import struct

import pytest
import torch

from inspector_app.backend.formats import pickle_shortcut
from inspector_app.backend.formats.pickle_reader import Machine, PickleError, read_pickle
from inspector_app.backend.formats.pickle_values import Foreign, Global, Items, Members
from inspector_app.backend.formats.torch_storages import Storages
from inspector_app.backend.formats.torch_values import Builders
from tests.backend.fuzzing import mutated
from tests.backend.torch_files import description_of, legacy_of

ROUNDS = 300


class Records(Storages):
    """All that are asked for are there, as large as 64 floats."""

    def __init__(self):
        self.seen = {}

    def number(self, key, dtype, size):
        if size > 256:
            raise ValueError("a record is too small")
        return self.seen.setdefault(key, len(self.seen) + 1)


def described(data, *, shortcut, prepared=True):
    """What a pickle describes, or that it is refused."""
    storages, builders = Records(), Builders(1000)
    prepare = builders.maker(storages) if prepared else None
    options = {"builders": builders.table, "persistent": storages.persistent, "prepare": prepare}
    try:
        value, end, names = read_pickle(data, "x", **options, shortcut=shortcut)
    except PickleError:
        return "refused"
    return told(value), end, [name.full_name for name in names]


def told(value):
    """A value to compare; the empty dictionary of hooks may be left out."""
    if type(value) is Foreign:
        return value.full_name, [told(part) for part in value.arguments], told(value.state)
    if type(value) is Items:
        return [told(part) for part in value] or None
    if type(value) is Members:
        return value.kind, [told(part) for part in value.values]
    if type(value) in (list, tuple):
        return [told(part) for part in value]
    return value.full_name if type(value) is Global else value


def both(data):
    """What comes of a pickle either way, and that it is the same."""
    slow = described(data, shortcut=False)
    assert described(data, shortcut=True) == slow
    assert described(data, shortcut=True, prepared=False) == slow
    return slow


def many(count=400):
    shared = torch.ones(64)
    state = {f"layer.{number}": torch.ones(number % 4 + 1, 3) for number in range(count)}
    state |= {f"view.{number}": shared[number % 64 :] for number in range(count // 2)}
    state |= {f"odd.{number}": torch.ones(2, dtype=torch.uint16) for number in range(20)}
    state |= {f"scalar.{number}": torch.tensor(number) for number in range(20)}
    state |= {f"deep.{number}": torch.ones(1, 2, 1, 2) for number in range(20)}
    return state | {f"leaf.{n}": torch.ones(2, requires_grad=True) for n in range(20)}


def description_of_legacy(value):
    """The fourth of its pickles, with what stands behind."""
    content = legacy_of(value)
    end = 0
    for _ in range(3):
        end = read_pickle(content, "x", start=end)[1]
    return content[end:]


@pytest.mark.parametrize("describe", [description_of, description_of_legacy])
def test_it_changes_nothing(describe):
    assert both(describe(many())) != "refused"
    model = torch.nn.Sequential(*(torch.nn.BatchNorm1d(3) for _ in range(40)))
    assert both(describe(model.state_dict())) != "refused"
    assert both(describe({"state_dict": many(30), "optimizer": [many(30)]})) != "refused"


def test_it_takes_nearly_all_of_a_state_dict(monkeypatch):
    """Or the others here would compare the slow way with itself."""
    called = []
    real = Machine.called
    monkeypatch.setattr(
        Machine, "called", lambda *given: called.append(given[1].name) or real(*given)
    )
    shapes = ((3,), (2, 5), (), (1, 2, 3))
    state = {f"layer.{number}": torch.ones(shapes[number % 4]) for number in range(400)}
    for describe in (description_of, description_of_legacy):
        called.clear()
        described(describe(state), shortcut=True)
        assert (
            called.count("_rebuild_tensor_v2") < 150
        )  # scalars, and those kept under short numbers


def test_what_is_asked_for_again_is_there():
    data = description_of({f"layer.{number}": torch.ones(3) for number in range(400)})
    answers = set()
    for number in range(3000, 3020):  # a tuple of arguments or of an id among them
        asking = data[:-1] + b"j" + struct.pack("<I", number) + b"."
        answers.add(str(both(asking)))
    assert len(answers) > 5


def test_a_number_that_is_given_away_anew():
    """From the middle on, what all tensors call their device is another one."""
    data = description_of({f"layer.{number}": torch.ones(3) for number in range(400)})
    at = data.index(b"X\x09\0\0\0layer.200")
    number = data[data.index(b"X\x03\0\0\0cpuq") + 9]
    changed = data[:at] + b"X\4\0\0\0metaq" + bytes([number]) + b"0" + data[at:]
    values = both(changed)[0]
    devices = [tensor.device for tensor in values[1::2]]
    assert devices == ["cpu"] * 200 + ["meta"] * 200


@pytest.mark.parametrize("describe", [description_of, description_of_legacy])
def test_mutations_come_to_the_same(describe):
    data = describe(many(120))
    start = data.index(b"layer.50")
    refused = 0
    for seed in range(ROUNDS):
        chance = random.Random(seed)
        changed = data[:start] + mutated(data[start:], chance)
        refused += both(changed) == "refused"
    assert 0 < refused < ROUNDS


def test_few_forms_are_remembered(monkeypatch):
    monkeypatch.setattr(pickle_shortcut, "_FORMS_LIMIT", 2)
    assert both(description_of(many())) != "refused"


def test_long_runs_come_back_to_the_machine(monkeypatch):
    monkeypatch.setattr(pickle_shortcut, "_TENSORS", 3)
    data = description_of({f"layer.{number}": torch.ones(3) for number in range(2_000)})
    assert both(data) != "refused"
    with pytest.raises(PickleError, match="900 containers"):
        read_pickle(data, "x", persistent=lambda identity: identity, limit=3_000)
