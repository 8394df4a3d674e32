"""Verified export: what is written, what is refused, and that the destination is never broken."""

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import textwrap

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from inspector_app.backend import exporting, states, verifying
from inspector_app.backend.exporting import ExportFacts, export, keys_matching, plan_export
from inspector_app.backend.opening.safetensors_file import KINDS, SafetensorsFile
from inspector_app.backend.states import StateDict, describe_value, tensor_blocks
from inspector_app.backend.verifying import verify
from inspector_app.protocol.errors import Cancelled, RefusedError, RequestError
from inspector_app.protocol.messages import JournalEntry

DTYPES = [kind.torch_dtype for kind in KINDS.values() if kind.torch_dtype is not None]


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5, 4)
        self.norm = nn.BatchNorm1d(4)
        self.head = nn.Linear(4, 5, bias=False)
        self.head.weight = self.embedding.weight


def bits(tensor):
    spelled = tensor.resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format)
    return spelled.as_strided((spelled.numel(),), (1,)).view(torch.uint8).numpy().tobytes()


def random_tensor(dtype, shape, seed):
    """Any bits at all: NaN payloads, subnormal numbers and -0.0 among them."""
    generator = np.random.default_rng(seed)
    size = int(np.prod(shape)) * dtype.itemsize
    raw = generator.integers(0, 2 if dtype is torch.bool else 256, size, np.uint8)
    if not size:
        return torch.empty(shape, dtype=dtype)
    return torch.from_numpy(raw).view(dtype).reshape(shape)


class Made:
    """A tensor that may be of a type torch cannot print."""

    def __init__(self, tensor):
        self.tensor = tensor

    def __repr__(self):
        return f"<{self.tensor.dtype} {tuple(self.tensor.shape)} {self.tensor.stride()}>"


@st.composite
def tensors(draw):
    dtype = draw(st.sampled_from(DTYPES))
    pairs = dtype is getattr(torch, "float4_e2m1fn_x2", None)  # have no scalars in the format
    shape = draw(st.lists(st.integers(0, 5), min_size=int(pairs), max_size=3))
    tensor = random_tensor(dtype, shape, draw(st.integers(0, 2**32)))
    for _ in range(draw(st.integers(0, 2))):
        change = draw(st.sampled_from(["transpose", "stride", "expand", "conj", "neg", "flip"]))
        if change == "transpose" and tensor.dim() > 1:
            tensor = tensor.transpose(0, -1)
        elif change == "stride" and tensor.dim():
            tensor = tensor[..., ::2]
        elif change == "expand":
            tensor = tensor.unsqueeze(0).expand(3, *tensor.shape)
        elif change == "conj" and tensor.is_complex():
            tensor = tensor.conj()
        elif change == "neg" and tensor.is_complex():
            tensor = tensor.resolve_conj().conj().imag
            assert tensor.is_neg()
    return Made(tensor)


@given(st.dictionaries(st.text('abc.é"\\\n/', max_size=6), tensors(), max_size=5))
def test_every_bit_arrives(tmp_path_factory, values):
    values = {name: made.tensor for name, made in values.items()}
    path = str(tmp_path_factory.mktemp("out") / "file of any.ending")
    report = export(StateDict(values), path)
    file = SafetensorsFile(path)
    assert set(file.entries) == set(values)
    assert file.data_start % 8 == 0
    with safe_open(path, "pt") as library:
        for name, value in values.items():
            theirs, ours = library.get_tensor(name), file.tensor(name)
            assert theirs.dtype == ours.dtype == value.dtype
            assert theirs.shape == ours.shape == value.shape
            assert bits(theirs) == bits(ours) == bits(value)
    with open(path, "rb") as written:
        content = written.read()
    assert report.bytes == len(content)
    assert report.sha256 == hashlib.sha256(content).hexdigest()
    assert report.tensors == len(values)
    assert verify(path).ok
    assert verify(path, against=StateDict(values)).ok
    # Alignment: every tensor begins at a multiple of its element's size.
    for entry in file.entries.values():
        assert (file.data_start + entry.start) % entry.torch_dtype.itemsize == 0


@given(tensors(), st.integers(1, 40))
def test_blocks_are_the_bytes_however_small_they_are_cut(made, limit):
    tensor = made.tensor
    before, states.BLOCK = states.BLOCK, limit
    try:
        blocks = list(tensor_blocks(tensor))
    finally:
        states.BLOCK = before
    assert b"".join(block.tobytes() for block in blocks) == bits(tensor)
    assert all(len(block) <= max(limit, tensor.element_size()) for block in blocks)


def test_the_file_loads_strictly_and_equals_the_model(tmp_path):
    model, path = Tied(), str(tmp_path / "m.safetensors")
    report = export(StateDict(model.state_dict()), path)
    fresh = Tied()
    fresh.load_state_dict(load_file(path), strict=True)
    for name, value in model.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], value)
    assert [tie.names for tie in report.ties] == [["embedding.weight", "head.weight"]]
    assert "written under each of the 2 names" in report.ties[0].kept
    assert report.left_out == []
    assert report.tensors == len(model.state_dict())


def test_parameters_and_their_subclasses_are_written(tmp_path):
    class Loud(torch.Tensor):
        @classmethod
        def __torch_function__(cls, *args, **kwargs):
            raise AssertionError("code of the subclass ran")

    loud = torch.Tensor._make_subclass(Loud, torch.arange(3.0))
    values = {"p": nn.Parameter(torch.ones(2)), "b": nn.Buffer(torch.zeros(1)), "s": loud}
    export(StateDict(values), str(tmp_path / "x"))
    assert load_file(tmp_path / "x")["s"].tolist() == [0, 1, 2]


def test_the_metadata_tell_what_rebuilds_the_model(tmp_path):
    entry = JournalEntry(number=1, kind="freeze", title="Freeze head", touched=1, patterns=["head"])
    facts = ExportFacts(
        target="m.py:build",
        arguments={"hidden": 128, "odd": object},
        device="cpu",
        seed=3,
        class_name="Tied",
        edits=[entry],
        requires_grad={"embedding.weight": False, "norm.bias": True, "elsewhere": True},
    )
    path = str(tmp_path / "x")
    export(StateDict(Tied().state_dict()), path, skip=["norm.weight"], facts=facts)
    with safe_open(path, "pt") as library:
        metadata = library.metadata()
    ours = {
        key.removeprefix("model_inspector."): value
        for key, value in metadata.items()
        if key.startswith("model_inspector.")
    }
    assert metadata["format"] == "pt"
    assert (ours["target"], ours["device"], ours["seed"]) == ("m.py:build", "cpu", "3")
    assert ours["class"] == "Tied"
    assert ours["torch"] == str(torch.__version__)
    assert json.loads(ours["arguments"]) == {"hidden": 128, "odd": "<class 'object'>"}
    assert json.loads(ours["edits"])[0]["title"] == "Freeze head"
    assert json.loads(ours["requires_grad"]) == {"embedding.weight": False, "norm.bias": True}
    assert json.loads(ours["ties"]) == [["embedding.weight", "head.weight"]]
    assert ours["payload"].startswith("sha256:")


def test_the_payload_hash_is_what_its_docstring_says(tmp_path):
    path = str(tmp_path / "x")
    report = export(StateDict({"b": torch.arange(3), "ä": torch.ones(2, 1)}), path)
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        data = file.read()
    notes = header.pop("__metadata__")
    notes.pop("model_inspector.payload")
    tensors = [
        [name, value["dtype"], value["shape"], *value["data_offsets"]]
        for name, value in sorted(header.items(), key=lambda item: item[1]["data_offsets"])
    ]
    text = json.dumps([sorted(notes.items()), tensors], separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(text.encode() + data).hexdigest() == report.payload_sha256


def test_the_same_state_makes_the_same_file(tmp_path):
    state = Tied().state_dict()
    first = export(StateDict(state), str(tmp_path / "a"))
    second = export(StateDict(dict(reversed(state.items()))), str(tmp_path / "b"))
    assert first.sha256 == second.sha256 or first.ties != second.ties


# -- what is written, and what is not -------------------------------------------------------------

KEYS = ["fc1.weight", "fc1.bias", "fc10.weight", "enc.0.w", "enc.1.w", "enc", "a[0]", ".x", "y"]


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["fc1"], ["fc1.weight", "fc1.bias"]),
        (["fc1.bias"], ["fc1.bias"]),
        (["fc1*"], ["fc1.weight", "fc1.bias", "fc10.weight"]),
        (["enc"], ["enc", "enc.0.w", "enc.1.w"]),
        (["enc.?"], ["enc.0.w", "enc.1.w"]),
        (["*.w"], ["enc.0.w", "enc.1.w"]),
        (["a[0]"], ["a[0]"]),
        ([""], KEYS),
        (["*"], KEYS),
        (["y", "fc1.bias"], ["fc1.bias", "y"]),
        ([".x"], [".x"]),
    ],
)
def test_patterns(patterns, expected):
    assert keys_matching(KEYS, patterns) == set(expected)


@pytest.mark.parametrize("pattern", ["fc", "FC1", "enc.2", "fc1.", "x", "a[1]"])
def test_a_pattern_that_means_nothing_is_an_error_that_names_it(pattern, tmp_path):
    source = StateDict({key: torch.zeros(1) for key in KEYS})
    for arguments in ({"only": [pattern]}, {"skip": [pattern]}):
        with pytest.raises(RequestError, match="No key") as raised:
            export(source, str(tmp_path / "x"), **arguments)
        assert f'"{pattern}"' in raised.value.sentence
    assert os.listdir(tmp_path) == []


def test_only_and_skip(tmp_path):
    source = StateDict(Tied().state_dict())
    report = export(source, str(tmp_path / "x"), only=["norm", "head"], skip=["norm.running_*"])
    assert set(load_file(tmp_path / "x")) == {
        "norm.weight",
        "norm.bias",
        "norm.num_batches_tracked",
        "head.weight",
    }
    assert {left.name: left.reason for left in report.left_out} == {
        "embedding.weight": "not selected",
        "norm.running_mean": "skipped as asked",
        "norm.running_var": "skipped as asked",
    }
    assert report.ties == []
    assert plan_export(source, only=[]).tensors == 7


def quantized():
    return torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)


class Extra(nn.Module):
    def get_extra_state(self):
        return {"any": "thing"}

    def set_extra_state(self, state): ...


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: torch.zeros(2, dtype=torch.complex32), "complex32"),
        (lambda: torch.zeros(2, dtype=torch.complex128), "complex128"),
        (lambda: torch.zeros(2, 2).to_sparse(), "sparse"),
        (lambda: torch.eye(2).to_sparse_csr(), "sparse"),
        (lambda: torch.nested.nested_tensor([torch.ones(1), torch.ones(2)]), "nested"),
        (quantized, "quantized"),
        (lambda: torch.zeros(2, device="meta"), "meta"),
        (lambda: nn.UninitializedParameter(), "lazy"),
        (lambda: nn.UninitializedBuffer(), "lazy"),
        (lambda: torch.ones(1, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)[0], "pairs"),
        (lambda: {"any": "thing"}, "not a tensor but dict"),
        (lambda: 3, "not a tensor but int"),
    ],
)
@pytest.mark.filterwarnings("ignore")  # torch warns of its prototypes
def test_what_the_format_cannot_hold_is_refused_by_name(tmp_path, make, reason):
    source = StateDict({"good": torch.ones(1), "layer.odd": make()})
    path = str(tmp_path / "x")
    plan = plan_export(source)
    assert [(left.name, reason in left.reason) for left in plan.refused] == [("layer.odd", True)]
    with pytest.raises(RefusedError, match=r'"layer\.odd".*--skip') as raised:
        export(source, path)
    assert reason in raised.value.sentence
    assert os.listdir(tmp_path) == []
    report = export(source, path, skip=["layer"])
    assert [left.name for left in report.left_out] == ["layer.odd"]
    assert reason in report.left_out[0].reason
    assert set(load_file(path)) == {"good"}
    assert export(source, path, only=["good"]).tensors == 1


def test_extra_state_is_refused(tmp_path):
    model = nn.Sequential(nn.Linear(1, 1), Extra())
    with pytest.raises(RefusedError, match=r"1\._extra_state"):
        export(StateDict(model.state_dict()), str(tmp_path / "x"))


def test_names_the_format_cannot_hold_are_refused(tmp_path):
    for name in ("__metadata__", "\ud800"):
        plan = plan_export(StateDict({name: torch.ones(1)}))
        assert [left.name for left in plan.refused] == [name]


def test_many_refusals_are_counted(tmp_path):
    source = StateDict({f"x{number}": number for number in range(9)})
    with pytest.raises(RefusedError, match="and 4 more") as raised:
        export(source, str(tmp_path / "x"))
    assert len(raised.value.detail.splitlines()) == 9


def test_wrappers_without_memory_of_their_own_are_refused():
    from torch._subclasses import FakeTensorMode

    with FakeTensorMode() as mode:
        fake = torch.ones(2)
    assert mode
    assert "no data" in describe_value(fake).reason


def test_shared_memory_is_told_and_parts_of_it_are_not_ties(tmp_path):
    base = torch.arange(6.0)
    array = np.arange(4.0)
    values = {
        "base": base,
        "same": base.detach(),
        "turned": base.reshape(2, 3).t(),
        "part": base[2:],
        "one": torch.from_numpy(array),
        "other": torch.from_numpy(array),
        "empty": torch.zeros(0),
        "empty too": torch.zeros(0),
    }
    report = export(StateDict(values), str(tmp_path / "x"))
    assert [tie.names for tie in report.ties] == [["base", "same", "turned"], ["one", "other"]]
    found = load_file(tmp_path / "x")
    assert all(torch.equal(found[name], value) for name, value in values.items())


# -- the destination ------------------------------------------------------------------------------

STATE = StateDict({"w": torch.arange(1000.0)})


def test_a_new_file_has_the_rights_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        export(STATE, str(tmp_path / "x"))
    finally:
        os.umask(before)
    assert os.stat(tmp_path / "x").st_mode & 0o777 == 0o640


def test_a_replaced_file_keeps_its_rights(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"old")
    path.chmod(0o604)
    export(STATE, str(path))
    assert path.stat().st_mode & 0o777 == 0o604
    assert verify(str(path)).ok


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "x").write_bytes(b"old")
    (tmp_path / "link").symlink_to("far/x")
    (tmp_path / "dangling").symlink_to("far/new")
    for link, file in (("link", "x"), ("dangling", "new")):
        export(STATE, str(tmp_path / link))
        assert (tmp_path / link).is_symlink()
        assert verify(str(tmp_path / "far" / file)).ok
    assert sorted(os.listdir(tmp_path / "far")) == ["new", "x"]


def test_the_file_that_takes_our_own_words_is_not_replaced(tmp_path):
    path = tmp_path / "log"
    with open(path, "w") as log:
        kept = os.dup(2)
        os.dup2(log.fileno(), 2)
        try:
            with pytest.raises(RequestError, match="own words"):
                export(STATE, str(path))
        finally:
            os.dup2(kept, 2)
            os.close(kept)
    assert path.read_bytes() == b""


def test_what_cannot_be_written_says_why_and_stays(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    before = sorted(os.listdir(tmp_path))
    for path, words in (
        (str(tmp_path), "is a folder"),
        (f"{tmp_path}/new/", "is a folder"),
        (str(tmp_path / "none" / "x"), "does not exist"),
        (str(tmp_path / "file" / "x"), "Not a directory|does not exist"),
        (str(tmp_path / "pipe"), "a device or a pipe"),
        (str(tmp_path / "loop"), "leads to itself"),
        ("/dev/null", "a device or a pipe"),
        ("/dev/full", "a device or a pipe"),
        ("", "without a name"),
        (str(tmp_path / ("x" * 300)), "too long"),
    ):
        with pytest.raises(RequestError, match=words):
            export(STATE, path)
    assert sorted(os.listdir(tmp_path)) == before
    assert (tmp_path / "file").read_bytes() == b"old"


def test_the_current_folder_and_long_names_will_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("x", "ü" * 120):
        export(STATE, name)
        assert verify(name).ok


def test_a_full_disk_leaves_the_old_file(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(RequestError, match=r"files of this size.*Nothing was changed"):
            export(STATE, str(path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert os.listdir(tmp_path) == ["x"]
    assert path.read_bytes() == b"old"


class CancelAt:
    """A job that is cancelled after so many bytes."""

    def __init__(self, limit):
        self.limit = limit
        self.seen = []

    def progress(self, done, total, label):
        self.seen.append((done, total, label))

    def check(self):
        if self.seen and self.seen[-1][0] >= self.limit:
            raise Cancelled

    def waiting(self):
        return False

    def safe_point(self): ...


def test_cancel_leaves_the_old_file_at_every_moment(tmp_path):
    source = StateDict({str(number): torch.ones(1 << 19) for number in range(10)})
    path = tmp_path / "x"
    watched = CancelAt(2**62)
    export(source, str(path), job=watched)
    assert [label for _, _, label in watched.seen] == sorted(
        (label for _, _, label in watched.seen), reverse=True
    )
    done = [done for done, _, _ in watched.seen]
    assert done == sorted(done)
    assert done[-1] == watched.seen[-1][1] == 2 * 10 * (1 << 21)
    path.write_bytes(b"old")
    for moment in done[:-1:3]:
        with pytest.raises(Cancelled):
            export(source, str(path), job=CancelAt(moment))
        assert os.listdir(tmp_path) == ["x"]
        assert path.read_bytes() == b"old"


def test_a_disk_that_lies_is_found_out(tmp_path, monkeypatch):
    real = os.write

    def flip(descriptor, data):
        data = bytearray(data)
        if len(data) == 4000:
            data[100] ^= 4
        return real(descriptor, data)

    monkeypatch.setattr(exporting.os, "write", flip)
    with pytest.raises(RefusedError, match=r'"w" \(values differ in 1 of 1,000 elements\)'):
        export(STATE, str(tmp_path / "x"))
    assert os.listdir(tmp_path) == []


def test_a_model_that_changes_meanwhile_is_found_out(tmp_path, monkeypatch):
    tensor = torch.zeros(10)
    real = verifying.examine

    def change(*arguments, **keywords):
        tensor[3] = -0.0
        return real(*arguments, **keywords)

    monkeypatch.setattr(exporting, "examine", change)
    with pytest.raises(RefusedError, match="the model changed meanwhile"):
        export(StateDict({"w": tensor}), str(tmp_path / "x"))
    assert os.listdir(tmp_path) == []


def test_a_model_mapped_from_the_file_it_replaces_survives(tmp_path):
    path = str(tmp_path / "x")
    export(STATE, path)
    values = SafetensorsFile(path).tensor("w")
    export(StateDict({"w": values, "more": torch.ones(3)}), path)
    assert values.sum() == 499500
    assert torch.equal(load_file(path)["w"], values)


def test_a_file_that_the_library_wrote_is_replaced_by_ours(tmp_path):
    save_file({"w": torch.ones(2)}, tmp_path / "x")
    export(STATE, str(tmp_path / "x"))
    assert load_file(tmp_path / "x")["w"].numel() == 1000


def run_python(code, **options):
    code = textwrap.dedent(code)
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, **options)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_folder_without_rights_says_so():
    """In a process of another user, as rights do not bind root."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        os.mkdir(f"{folder}/closed", 0o755)
        with open(f"{folder}/protected", "w"):
            pass
        result = run_python(
            f"""
            import os, torch
            from inspector_app.backend.exporting import export
            from inspector_app.backend.states import StateDict
            from inspector_app.protocol.errors import RequestError
            os.setgid(65534)
            os.setuid(65534)
            source = StateDict({{"w": torch.ones(1)}})
            for name in ("closed/x", "protected"):
                try:
                    export(source, {folder!r} + "/" + name)
                except RequestError as error:
                    print(error.sentence)
            export(source, {folder!r} + "/x")
            """
        )
        assert "cannot be written to" in result.stdout, result.stderr
        assert "write-protected" in result.stdout
        assert sorted(os.listdir(folder)) == ["closed", "protected", "x"], result.stderr


@pytest.mark.slow
def test_killed_at_any_moment_the_destination_is_whole(tmp_path):
    """Children export one of two states over the same file and are killed at random."""
    result = run_python(
        f"""
        import os, random, signal, time, torch
        torch.set_num_threads(1)
        from inspector_app.backend.exporting import export
        from inspector_app.backend.states import StateDict
        states = [
            StateDict({{str(n): torch.full((1 << 17,), float(k)) for n in range(16)}})
            for k in (1, 2)
        ]
        path = {str(tmp_path / "x")!r}
        good = [export(state, path).sha256 for state in states]
        start = time.perf_counter(); export(states[0], path)
        whole = time.perf_counter() - start
        random.seed(1)
        for turn in range(30):
            child = os.fork()
            if not child:
                try:
                    export(states[turn % 2], path)
                finally:
                    os._exit(0)
            time.sleep(random.random() * 1.5 * whole)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            import hashlib
            with open(path, "rb") as file:
                print(good.index(hashlib.sha256(file.read()).hexdigest()))
        """
    )
    seen = result.stdout.split()
    assert len(seen) == 30, result.stderr
    assert set(seen) == {"0", "1"}  # both the old and the new one were found, nothing else


def test_memory_stays_small_however_large_a_tensor_is(tmp_path):
    """A turned tensor of 200 MB, in a process of its own: its copy would show in the peak."""
    result = run_python(
        f"""
        import resource, torch
        from inspector_app.backend.exporting import export
        from inspector_app.backend.states import StateDict
        export(StateDict({{"w": torch.ones(3, 3).t()}}), {str(tmp_path / "small")!r})
        tensor = torch.ones(5000, 10000).t()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        export(StateDict({{"w": tensor}}), {str(tmp_path / "x")!r})
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        """
    )
    assert int(result.stdout) < 64_000, result.stderr
