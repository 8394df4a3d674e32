"""The walk against torch's own totals and names, and on models made to break it."""

from __future__ import annotations

import collections
import gc
import random
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrizations

from inspector_app.backend import walking
from inspector_app.backend.tree import Tree, build_tree, totals
from inspector_app.protocol.changes import apply, difference
from inspector_app.protocol.table import Flag, Role, RowTable

FACTS = Flag.IN_PARAMETERS | Flag.MOVED | Flag.SAVED


def rows(tree: Tree) -> dict[str, int]:
    """Positions by path; a path may stand for one row only."""
    paths = tree.table.paths
    assert len(set(paths)) == len(paths), [p for p in paths if paths.count(p) > 1]
    return {path: position for position, path in enumerate(paths)}


def flags_of(tree: Tree, path: str) -> Flag:
    return Flag(int(tree.table.flags[rows(tree)[path]]))


def role_of(tree: Tree, path: str) -> Role:
    return Role(int(tree.table.role[rows(tree)[path]]))


def check_against_torch(model: nn.Module) -> Tree:
    """Names, order and sums as torch itself tells them."""
    tree = build_tree(model)
    table = tree.table
    module_rows = [
        p
        for p in range(len(table))
        if table.role[p] == Role.MODULE and not table.has(p, Flag.REPEATED | Flag.REFERENCE)
    ]
    named = list(model.named_modules())
    assert [(table.path(p), id(tree.objects[p])) for p in module_rows] == [
        (name, id(module)) for name, module in named
    ]
    assert all(table.has(p, Flag.IN_MODEL) for p in module_rows)
    for role, flag, all_named in (
        (Role.PARAMETER, Flag.IN_PARAMETERS, model.named_parameters(remove_duplicate=False)),
        (Role.BUFFER, Flag.MOVED, model.named_buffers(remove_duplicate=False)),
    ):
        ours = {
            table.path(p): tree.objects[p]
            for p in range(len(table))
            if table.role[p] == role and table.has(p, flag)
        }
        theirs = dict(all_named)
        assert sorted(ours) == sorted(theirs)
        assert all(ours[name] is theirs[name] for name in ours)
    saved = {table.path(p) for p in range(len(table)) if table.has(p, Flag.SAVED)}
    assert saved - {table.path(p) for p in np.flatnonzero(table.role == Role.ATTRIBUTE)} == {
        key for key in model.state_dict() if not key.endswith("_extra_state")
    }
    sums = totals(tree)
    assert sums.modules == len(named)
    assert sums.parameters == sum(p.numel() for p in model.parameters())
    assert sums.trainable == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert sums.buffers == sum(b.numel() for b in model.buffers())
    storages = {
        t.untyped_storage()._cdata: t.untyped_storage().nbytes()
        for t in [*model.parameters(), *model.buffers()]
    }
    assert sums.bytes == sum(storages.values())
    return tree


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 3)
        self.head = nn.Linear(3, 7, bias=False)
        self.head.weight = self.embed.weight


ORDINARY = {
    "mlp": lambda: nn.Sequential(nn.Linear(10, 8), nn.ReLU(), nn.Linear(8, 3)),
    "norms": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.LayerNorm(4)),
    "lstm": lambda: nn.LSTM(4, 5, num_layers=2, bidirectional=True),
    "transformer": lambda: nn.Transformer(8, 2, 1, 1, 16, batch_first=True),
    "tied": Tied,
    "frozen": lambda: nn.Linear(3, 4).requires_grad_(False),
    "lists": lambda: nn.ModuleDict(
        {
            "a": nn.ModuleList([nn.Linear(2, 2)]),
            "b": nn.ParameterDict({"x": nn.Parameter(torch.ones(2))}),
            "c": nn.ParameterList([torch.ones(3), torch.ones(1)]),
        }
    ),
    "meta": lambda: nn.Linear(1000, 1000, device="meta"),
    "half": lambda: nn.Linear(4, 4).to(torch.bfloat16),
    "empty": lambda: nn.Identity(),
    "zero-sized": lambda: nn.ParameterList([torch.empty(0), torch.empty(3, 0)]),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_agrees_with_torch(name: str) -> None:
    check_against_torch(ORDINARY[name]())


def _configs() -> Iterator[tuple[str, object]]:
    import transformers as t

    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 50}
    yield "gpt2", t.GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=50, n_positions=32)
    yield "bert", t.BertConfig(**small, intermediate_size=32)
    yield "llama", t.LlamaConfig(**small, intermediate_size=32, num_key_value_heads=1)
    yield "mixtral", t.MixtralConfig(**small, intermediate_size=32, num_key_value_heads=2)
    yield "t5", t.T5Config(d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, vocab_size=50)
    yield (
        "vit",
        t.ViTConfig(
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            image_size=16,
            patch_size=8,
        ),
    )
    yield "distilbert", t.DistilBertConfig(dim=16, n_layers=2, n_heads=2, hidden_dim=32)
    yield (
        "mamba",
        t.MambaConfig(
            hidden_size=16, num_hidden_layers=2, vocab_size=50, state_size=4, intermediate_size=32
        ),
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", ["gpt2", "bert", "llama", "mixtral", "t5", "vit", "distilbert", "mamba"]
)
def test_agrees_with_torch_on_transformers(name: str) -> None:
    transformers = pytest.importorskip("transformers")
    config = dict(_configs())[name]
    model = transformers.AutoModel.from_config(config)
    check_against_torch(model)


def test_facts_of_tensors() -> None:
    model = nn.Linear(3, 2, dtype=torch.float64)
    model.register_buffer("steps", torch.tensor(3), persistent=False)
    tree = build_tree(model)
    table, at = tree.table, rows(tree)
    weight = at["weight"]
    assert table.shape(weight) == (2, 3)
    assert table.dtype(weight) == "float64"
    assert table.device(weight) == "cpu"
    assert (table.count[weight], table.bytes[weight]) == (6, 48)
    assert table.class_name(weight) == "Parameter"
    assert flags_of(tree, "weight") == (Flag.TENSOR | Flag.REQUIRES_GRAD | Flag.CAN_TRAIN | FACTS)
    assert flags_of(tree, "steps") == Flag.TENSOR | Flag.MOVED
    assert table.shape(at["steps"]) == ()
    assert tree.object_at(int(table.ids[weight])) is model.weight


class Registrations(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.registered = nn.Linear(2, 2)
        self.lost = [nn.Linear(2, 3), nn.Linear(3, 2)]
        self.__dict__["alias"] = self.registered.weight
        self.mask = torch.ones(4)
        self.parts = {"k": torch.zeros(2), 3: (torch.zeros(1), "text")}
        self.words = ["no", "tensors"]
        self.width = 12
        self.rate = 0.5
        self.bias = None
        self.register_buffer("kept", torch.zeros(1))
        self.register_buffer("passing", torch.zeros(1), persistent=False)
        self.register_parameter("absent", None)
        self.named = collections.namedtuple("Pair", "a b")(torch.zeros(1), 2)
        self.queue = collections.deque([torch.zeros(1)])


def test_registration_in_three_facts() -> None:
    tree = build_tree(Registrations())
    facts = {path: flags_of(tree, path) & FACTS for path in rows(tree)}
    assert facts["registered.weight"] == FACTS
    assert facts["kept"] == Flag.MOVED | Flag.SAVED
    assert facts["passing"] == Flag.MOVED
    assert facts["mask"] == Flag(0)
    assert facts["lost[0].weight"] == Flag(0)
    assert facts["alias"] == FACTS  # the object is registered, by another name
    assert Flag.IN_MODEL in flags_of(tree, "registered")
    assert Flag.IN_MODEL not in flags_of(tree, "lost[0]")


def test_roles_say_how_the_owner_holds_a_row() -> None:
    tree = build_tree(Registrations())
    assert role_of(tree, "lost") == Role.ATTRIBUTE
    assert role_of(tree, "lost[1]") == Role.ATTRIBUTE
    assert role_of(tree, "lost[1].bias") == Role.PARAMETER
    assert role_of(tree, "alias") == Role.ATTRIBUTE
    assert role_of(tree, "absent") == Role.ATTRIBUTE
    assert role_of(tree, "width") == Role.ATTRIBUTE
    assert role_of(tree, "kept") == Role.BUFFER


def test_plain_containers_are_rows_where_they_hold_tensors() -> None:
    at = rows(build_tree(Registrations()))
    for path in ('parts["k"]', "parts[3]", "parts[3][0]", "named[0]", "queue[0]", "bias"):
        assert path in at
    for path in ("words", "parts[3][1]", "named[1]", "training"):
        assert path not in at


def test_numbers_of_torch_are_no_rows() -> None:
    assert set(rows(build_tree(nn.Linear(2, 2, bias=False)))) == {"", "weight"}

    class Mine(nn.Linear):
        pass

    found = set(rows(build_tree(Mine(2, 2, bias=False))))
    assert found == {"", "weight", "bias", "in_features", "out_features"}


def test_lists_of_what_is_registered_are_no_rows() -> None:
    assert not any("flat" in path for path in rows(build_tree(nn.LSTM(2, 2))))


def test_module_reached_twice_is_shown_again() -> None:
    shared = nn.Linear(2, 2)
    tree = build_tree(nn.Sequential(shared, nn.ReLU(), shared))
    assert Flag.REPEATED not in flags_of(tree, "0.weight")
    assert Flag.REPEATED in flags_of(tree, "2")
    assert Flag.REPEATED in flags_of(tree, "2.weight")
    at = rows(tree)
    assert tree.table.tie[at["2.weight"]] == tree.table.ids[at["0.weight"]]
    assert totals(tree).parameters == 6


def test_module_inside_itself_is_a_reference() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    model.add_module("loop", model)
    model[0].add_module("up", model)
    tree = build_tree(model)
    assert flags_of(tree, "loop") >= Flag.REFERENCE
    assert Flag.REFERENCE in flags_of(tree, "0.up")
    assert len(tree.table) == 6
    assert totals(tree).parameters == 6


def test_list_inside_itself_is_a_reference() -> None:
    model = nn.Module()
    ring: list[object] = [torch.ones(1)]
    ring.append(ring)
    model.ring = ring
    tree = build_tree(model)
    assert Flag.REFERENCE in flags_of(tree, "ring[1]")
    assert set(rows(tree)) == {"", "ring", "ring[0]", "ring[1]"}


def test_parent_held_in_a_list_is_a_reference() -> None:
    model = nn.Sequential(nn.Linear(1, 1))
    model[0].parent = [model]
    tree = build_tree(model)
    assert Flag.REFERENCE in flags_of(tree, "0.parent[0]")
    assert Flag.IN_MODEL in flags_of(tree, "0.parent[0]")


def test_registered_after_it_was_seen_in_a_list() -> None:
    inner = nn.Linear(2, 2)
    first = nn.Module()
    first.borrowed = [inner]
    model = nn.Sequential(first, inner)
    tree = build_tree(model)
    assert flags_of(tree, "0.borrowed[0].weight") & FACTS == FACTS
    assert Flag.IN_MODEL in flags_of(tree, "0.borrowed[0]")
    assert totals(tree).modules == 3
    assert totals(tree).parameters == 6


def test_repeated_rows_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "MAX_REPEATED", 1000)
    model: nn.Module = nn.Linear(1, 1)
    for _ in range(40):  # 2**40 paths
        model = nn.Sequential(model, model)
    tree = build_tree(model)
    assert len(tree.table) < 5000
    assert totals(tree).modules == 41
    assert totals(tree).parameters == 2


def test_ten_thousand_levels() -> None:
    shared = nn.Linear(1, 1)
    model = nn.Sequential(shared)
    for _ in range(10_000):
        model = nn.Sequential(model, shared)
    tree = build_tree(model)
    assert tree.table.depth.max() == 10_002
    assert totals(tree).modules == 10_002
    while len(model) == 2:  # take it apart from above: torch frees it by recursion
        model = model[0]


def test_ties_by_memory() -> None:
    model = nn.Module()
    base = torch.arange(12.0)
    model.a = nn.Parameter(base)
    model.b = nn.Parameter(base)  # another object on the same storage
    model.part = nn.Parameter(base[2:5])
    model.turned = base.view(3, 4).t()  # the same bytes in another order
    model.other = nn.Parameter(base.clone())
    array = np.zeros(4, np.float32)
    model.x, model.y = torch.from_numpy(array), torch.from_numpy(array)
    tree = build_tree(model)
    at, table = rows(tree), tree.table
    assert table.tie[at["a"]] == table.tie[at["b"]] == table.tie[at["turned"]] == at["a"]
    assert table.tie[at["part"]] == table.tie[at["other"]] == -1
    assert table.tie[at["x"]] == table.tie[at["y"]] == at["x"]
    assert totals(tree).parameters == 12 + 3 + 12
    assert totals(tree).bytes == 4 * (12 + 12)  # the part lies inside


def test_ties_on_meta() -> None:
    with torch.device("meta"):
        tied = Tied()
        loose = nn.Linear(3, 3)
        view = nn.Parameter(loose.weight.data)
    model = nn.Module()
    model.tied, model.loose, model.view = tied, loose, view
    tree = build_tree(model)
    at, table = rows(tree), tree.table
    assert table.tied_to(at["tied.head.weight"]).tolist() == [at["tied.embed.weight"]]
    assert table.tied_to(at["view"]).tolist() == [at["loose.weight"]]
    assert table.tie[at["loose.bias"]] == -1
    assert Flag.META in flags_of(tree, "view")


def test_overlapping_slices_count_each_byte_once() -> None:
    base = torch.zeros(100)
    model = nn.ParameterList([base[0:50], base[25:75], base[70:80], base[90:]])
    assert totals(build_tree(model)).bytes == 4 * (80 + 10)


def test_expanded_tensor_stores_one_element() -> None:
    model = nn.Module()
    model.register_buffer("wide", torch.zeros(1).expand(1000, 1000))
    tree = build_tree(model)
    at = rows(tree)["wide"]
    assert (tree.table.count[at], tree.table.bytes[at]) == (1_000_000, 4)


def test_memory_given_back() -> None:
    model = nn.Linear(4, 4)
    model.weight.untyped_storage().resize_(0)
    tree = build_tree(model)
    assert tree.table.bytes[rows(tree)["weight"]] == 0
    assert tree.table.count[rows(tree)["weight"]] == 16


class Liar(torch.Tensor):
    """A subclass that tells nonsense, or raises, whatever is asked."""

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        raise RuntimeError("no shape")

    @property
    def dtype(self) -> torch.dtype:  # type: ignore[override]
        return torch.int8

    def __getattribute__(self, name: str) -> object:
        raise RuntimeError(f"asked for {name}")

    @classmethod
    def __torch_function__(cls, *args: object, **kwargs: object) -> object:
        raise RuntimeError("called")


@pytest.mark.filterwarnings("ignore")
def test_tensors_of_every_kind() -> None:
    eye = torch.eye(3)
    model = nn.Module()
    strange = {
        "coo": (eye.to_sparse(), (3, 3), 2 * 3 * 8 + 3 * 4),
        "csr": (eye.to_sparse_csr(), (3, 3), 4 * 8 + 3 * 8 + 3 * 4),
        "bsr": (torch.eye(4).to_sparse_bsr((2, 2)), (4, 4), None),
        "jagged": (
            torch.nested.nested_tensor([eye[0], eye[0, :2]], layout=torch.jagged),
            None,
            None,
        ),
        "nested": (torch.nested.nested_tensor([eye[0], eye[0, :2]]), None, 20),
        "quantized": (torch.quantize_per_tensor(eye, 0.1, 0, torch.qint8), (3, 3), 9),
        "mkldnn": (eye.to_mkldnn(), (3, 3), 36),
        "conjugate": (torch.zeros(2, dtype=torch.complex64).conj(), (2,), 16),
        "liar": (torch.ones(2, 3).as_subclass(Liar), (2, 3), 24),
        "scalar": (torch.tensor(1.0), (), 4),
        "slice": (torch.zeros(10, 10)[:, 3], (10,), 4 * 91),
    }
    for name, (tensor, _, _) in strange.items():
        model._buffers[name] = tensor  # as torch itself keeps it
    tree = build_tree(model)
    at, table = rows(tree), tree.table
    for name, (_, shape, size) in strange.items():
        assert table.shape(at[name]) == shape, name
        assert table.has(at[name], Flag.TENSOR | Flag.MOVED)
        if size is not None:
            assert table.bytes[at[name]] == size, name
    assert table.dtype(at["liar"]) == "float32"
    totals(tree)


def test_wrapper_subclass_shows_what_it_wraps() -> None:
    from torch.testing._internal.two_tensor import TwoTensor

    first, second = torch.ones(4), torch.zeros(4)
    model = nn.Module()
    model.pair = TwoTensor(first, second)
    tree = build_tree(model)
    at = rows(tree)["pair"]
    assert tree.table.shape(at) == (4,)
    assert tree.table.bytes[at] == 32


def test_lazy_modules_stay_lazy() -> None:
    model = nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d())
    tree = build_tree(model)
    weight = rows(tree)["0.weight"]
    assert Flag.LAZY in flags_of(tree, "0.weight")
    assert tree.table.shape(weight) is None
    assert tree.table.count[weight] == 0
    assert isinstance(model[0], nn.LazyLinear)
    assert totals(tree).parameters == 0
    model(torch.zeros(2, 5))
    assert totals(build_tree(model)).parameters == 5 * 3 + 3 + 3 + 3


def test_parametrized_code_never_runs() -> None:
    runs: list[int] = []

    class Noisy(nn.Module):
        def forward(self, weight: torch.Tensor) -> torch.Tensor:
            runs.append(1)
            return weight + torch.randn(1)

    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    nn.utils.parametrize.register_parametrization(model[0], "weight", Noisy())
    parametrizations.spectral_norm(model[1]).train()
    runs.clear()
    vector = model[1].parametrizations.weight[0]._u.clone()
    state = torch.get_rng_state(), random.getstate()
    tree = build_tree(model)
    assert not runs
    assert torch.equal(model[1].parametrizations.weight[0]._u, vector)
    assert torch.equal(torch.get_rng_state(), state[0])
    assert random.getstate() == state[1]
    assert "0.parametrizations.weight.original" in rows(tree)
    assert "0.in_features" not in rows(tree)


class Hostile(nn.Module):
    """Raises at whatever is asked of an instance."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(1, 1)

    def __getattribute__(self, name: str) -> object:
        if object.__getattribute__(self, "__dict__").get("armed"):
            raise RuntimeError(f"asked for {name}")
        return super().__getattribute__(name)

    def __repr__(self) -> str:
        raise RuntimeError("asked for repr")

    def __len__(self) -> int:
        raise RuntimeError("asked for len")

    def __hash__(self) -> int:
        raise RuntimeError("asked for hash")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("asked for eq")


class HostileList(list[object]):
    def __iter__(self) -> Iterator[object]:
        raise RuntimeError("iterated")

    def __len__(self) -> int:
        raise RuntimeError("asked for len")


class Proxy:
    @property
    def __class__(self) -> type:  # type: ignore[override]
        raise RuntimeError("asked for class")


class BadKey:
    def __repr__(self) -> str:
        raise RuntimeError("asked for repr")


def test_no_code_of_the_model_runs() -> None:
    model = Hostile()
    model.listed = HostileList([torch.ones(1)])
    model.__dict__["proxy"] = Proxy()
    model.keyed = {BadKey(): torch.ones(1)}
    model.__dict__["armed"] = True
    tree = build_tree(model)
    found = rows(tree)
    assert {"inner.weight", "listed[0]", "keyed[<BadKey 0>]"} <= set(found)
    assert "proxy" not in found


def test_without_super_init() -> None:
    class Forgot(nn.Module):
        def __init__(self) -> None:
            self.scale = 3
            self.table = torch.ones(2)

    tree = build_tree(Forgot())
    assert set(rows(tree)) == {"", "scale", "table"}
    assert flags_of(tree, "table") == Flag.TENSOR


def test_names_of_every_kind() -> None:
    model = nn.Module()
    names = ["a.b", "line\nbreak", "\ud800", "x" * 100_000, "", "weight é"]
    for name in names:
        model._parameters[name] = nn.Parameter(torch.ones(1))
    model._modules[3] = nn.ReLU()  # type: ignore[index]
    tree = build_tree(model)
    assert [tree.table.name(p) for p in range(1, 7)] == names
    assert tree.table.name(7) == "<int>"


def test_attribute_that_shadows_a_parameter() -> None:
    model = nn.Linear(2, 2)
    model.__dict__["weight"] = torch.zeros(3)
    tree = build_tree(model)
    table = tree.table
    found = [(table.path(p), Role(int(table.role[p])).word) for p in range(len(table))]
    assert found.count(("weight", "parameter")) == 1
    assert found.count(("weight", "attribute")) == 1


def test_parameter_registered_as_buffer_is_a_buffer() -> None:
    model = nn.Module()
    model.register_buffer("b", nn.Parameter(torch.ones(2)))
    tree = build_tree(model)
    assert flags_of(tree, "b") & (FACTS | Flag.CAN_TRAIN) == Flag.MOVED | Flag.SAVED
    assert totals(tree).parameters == 0


@pytest.mark.filterwarnings("ignore")
def test_scripted_and_traced_models() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    plain = totals(build_tree(model))
    for compiled in (
        torch.jit.script(model),
        torch.jit.trace(model.eval(), torch.ones(2, 3)),
    ):
        tree = build_tree(compiled)
        assert {"0.weight", "1.running_mean"} <= set(rows(tree))
        assert totals(tree).parameters == plain.parameters
        assert totals(tree).bytes == plain.bytes


def test_the_collector_is_left_as_it_was() -> None:
    build_tree(nn.Linear(1, 1))
    assert gc.isenabled()
    gc.disable()
    try:
        build_tree(nn.Linear(1, 1))
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_walk_keeps_nothing_alive() -> None:
    class Own(nn.Module):
        pass

    model = nn.Sequential(Own())
    gone = weakref.ref(model), weakref.ref(Own)
    build_tree(model)
    del model, Own
    gc.collect()
    assert gone[0]() is None
    assert gone[1]() is None


# -- ids -------------------------------------------------------------------------------------------


def ids_by_path(tree: Tree) -> dict[str, int]:
    return {path: int(tree.table.ids[p]) for path, p in rows(tree).items()}


def test_ids_survive_and_are_never_used_again() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    first = build_tree(model)
    del model[1]
    model.insert(0, nn.ReLU())
    second = build_tree(model, first)
    model.append(nn.Linear(1, 1))
    third = build_tree(model, second)
    before, after = ids_by_path(first), ids_by_path(third)
    assert after["0"] == before["0"]  # the row is its name: another module stands there now
    assert after["1.weight"] == before["1.weight"]
    assert ids_by_path(second)["1.weight"] == before["1.weight"]
    assert len(set(after.values())) == len(after)
    fresh = {after[path] for path in after if path not in before}
    assert not fresh & (set(before.values()) | set(ids_by_path(second).values()))


def test_the_same_model_keeps_its_ids_and_values() -> None:
    model = Registrations()
    first = build_tree(model)
    model.registered.weight.requires_grad_(False)
    second = build_tree(model, first)
    assert np.array_equal(first.table.ids, second.table.ids)
    change = difference(first.table, second.table)
    assert not change.structural
    changed = {second.table.path(p) for p in second.table.positions(change.changed.ids)}
    assert changed == {"registered.weight", "alias"}


@st.composite
def models(draw: st.DrawFn) -> nn.Module:
    """Small nests of modules, some shared, some in plain lists."""
    made: list[nn.Module] = [nn.Linear(1, 1)]
    for _ in range(draw(st.integers(1, 8))):
        module = nn.Module()
        for index in range(draw(st.integers(0, 3))):
            child = draw(st.sampled_from(made))
            if draw(st.booleans()):
                module.add_module(f"m{index}", child)
            else:
                setattr(module, f"l{index}", [child, torch.ones(1)])
        made.append(module)
    return made[-1]


@given(models(), models())
def test_any_change_is_told_completely(first: nn.Module, second: nn.Module) -> None:
    before = build_tree(first)
    after = build_tree(second, before)
    table: RowTable = apply(before.table, difference(before.table, after.table))
    assert table.paths == after.table.paths
    for column in ("ids", "parent", "end", "role", "flags", "count", "bytes", "tie"):
        assert np.array_equal(getattr(table, column), getattr(after.table, column)), column


@given(models())
def test_any_model_agrees_with_torch(model: nn.Module) -> None:
    tree = build_tree(model)
    sums = totals(tree)
    assert sums.modules == len(list(model.modules()))
    assert sums.parameters == sum(p.numel() for p in model.parameters())
    registered = {id(p) for p in model.parameters()}
    for position, value in enumerate(tree.objects):
        if tree.table.has(position, Flag.TENSOR):
            expected = id(value) in registered
            assert tree.table.has(position, Flag.IN_PARAMETERS) == expected
