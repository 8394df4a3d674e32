"""The reader of safetensors headers, against the format's own library and against mutations."""

import json
import os
import struct
import warnings

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open
from safetensors.torch import save, save_file

from inspector_app.backend.formats.mapped_file import DamagedFileError
from inspector_app.backend.formats.safetensors_file import (
    BLOCK,
    CODES,
    KINDS,
    SafetensorsFile,
    TensorEntry,
    parse_header,
)
from inspector_app.protocol.errors import RefusedError, TargetError

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def file_of(tmp_path, header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return str(path)


def entry(dtype, shape, start, stop):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


def test_entries_and_metadata_are_what_the_library_wrote(tmp_path):
    tensors = {
        "a.weight": torch.arange(6, dtype=torch.float32).reshape(2, 3),
        "a.steps": torch.tensor(7),
        "b": torch.zeros(0, 4, dtype=torch.float16),
        "c": torch.tensor([True, False]),
    }
    path = str(tmp_path / "x.bin")
    save_file(tensors, path, metadata={"format": "pt", "ключ": 'quote " and \\ and {'})
    file = SafetensorsFile(path)
    assert file.metadata == {"format": "pt", "ключ": 'quote " and \\ and {'}
    assert set(file.entries) == set(tensors)
    for name, tensor in tensors.items():
        found = file.entries[name]
        assert (found.shape, found.dtype) == (tuple(tensor.shape), str(tensor.dtype)[6:])
        assert found.nbytes == tensor.nbytes
        assert found.count == tensor.numel()
        assert torch.equal(file.tensor(name), tensor)
        assert b"".join(bytes(block) for block in file.blocks(name)) == bytes(
            tensor.reshape(-1).view(torch.uint8).numpy()
        )
    starts = [found.start for found in file.entries.values()]
    assert starts == sorted(starts)


@pytest.mark.parametrize("code", sorted(KINDS))
def test_every_kind_is_read_as_the_library_reads_it(tmp_path, code):
    kind = KINDS[code]
    path = file_of(tmp_path, {"x": entry(code, [2, 4], 0, kind.bits)}, bytes(range(kind.bits)))
    file = SafetensorsFile(path)
    if kind.torch_dtype is None:
        with pytest.raises(RefusedError, match=kind.word):
            file.tensor("x")
        return
    with safe_open(path, "pt") as library:
        theirs = library.get_tensor("x")
    ours = file.tensor("x")
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    assert file.entries["x"].shape == tuple(theirs.shape)
    assert torch.equal(ours.view(torch.uint8), theirs.view(torch.uint8))
    assert file.entries["x"].torch_dtype == ours.dtype


def test_codes_and_words_are_one_to_one():
    assert len(CODES) == len(KINDS)


U8 = {"a": entry("U8", [1], 0, 1)}
REFUSED = {
    "duplicate entry": b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
    b'"a":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}}',
    "duplicate entry, one escaped": b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
    b'"\\u0061":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}}',
    "duplicate field": b'{"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}',
    "duplicate note": b'{"__metadata__":{"k":"1","k":"2"},'
    b'"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
    "duplicate metadata": b'{"__metadata__":{"k":"1"},"__metadata__":{"k":"1"},'
    b'"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
    "further field": {"a": {**U8["a"], "more": 1}},
    "missing field": {"a": {"dtype": "U8", "shape": [1]}},
    "unknown dtype": {"a": entry("U9", [1], 0, 1)},
    "dtype no text": {"a": entry(8, [1], 0, 1)},
    "negative size": {"a": entry("U8", [-1], 0, 1)},
    "bool as size": b'{"a":{"dtype":"U8","shape":[true],"data_offsets":[0,1]}}',
    "float as size": b'{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}',
    "NaN": b'{"a":{"dtype":"U8","shape":[NaN],"data_offsets":[0,1]}}',
    "shape no list": {"a": entry("U8", 1, 0, 1)},
    "shape too large": {"a": entry("U8", [2], 0, 1)},
    "shape overflows": {"a": entry("U8", [2**32, 2**32, 1], 0, 1)},
    "empty shape overflows": {"a": entry("U8", [1], 0, 1), "b": entry("U8", [2**63, 2, 0], 1, 1)},
    "gigantic number": b'{"a":{"dtype":"U8","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,1]}}',
    "backward range": {"a": entry("U8", [1], 1, 0)},
    "three offsets": {"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1, 1]}},
    "hole at the start": {"a": entry("U8", [0], 1, 1)},
    "overlap": {"a": entry("U8", [1], 0, 1), "b": entry("U8", [1], 0, 1)},
    "beyond the end": {"a": entry("U8", [2], 0, 2)},
    "not to the end": {},
    "metadata not strings": {**U8, "__metadata__": {"k": 1}},
    "metadata no object": {**U8, "__metadata__": ["k"]},
    "metadata null": {**U8, "__metadata__": None},
    "not UTF-8": b'{"\xff":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
    "lone surrogate": b'{"\\ud800":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
    "not JSON": b"{",
    "two objects": b"{}{}",
    "deep": b'{"a":' + b"[" * 100_000,
    "odd half bytes": {"a": entry("F4", [3], 0, 1)},
    "half byte pairs across rows": {"a": entry("F4", [2, 1], 0, 1)},
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_header_that_breaks_a_rule_is_refused_with_a_sentence(tmp_path, case):
    path = file_of(tmp_path, REFUSED[case], b"x")
    with pytest.raises(DamagedFileError) as raised:
        SafetensorsFile(path)
    sentence = raised.value.sentence
    assert sentence.startswith(f"{path} is damaged: ")
    assert sentence.endswith("Download or write the file again.")
    assert len(sentence) < 600 + len(path)


def test_the_sentence_names_the_entry(tmp_path):
    path = file_of(tmp_path, {**U8, "layer.weight": entry("F32", [3], 1, 5)}, b"12345")
    with pytest.raises(DamagedFileError, match=r'"layer.weight".*needs 12 bytes'):
        SafetensorsFile(path)


@pytest.mark.parametrize("length", [0, 1, 10**8 + 1, 2**63, 2**64 - 1, 5000])
def test_a_wrong_length_of_the_header_is_refused(tmp_path, length):
    with pytest.raises(TargetError):
        SafetensorsFile(file_of(tmp_path, U8, b"x", length=length))


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"version https://git-lfs.github.com/spec/v1\n", b"<!DOCTYPE html>" * 9]
)
def test_other_files_are_not_called_damaged(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(TargetError, match="not a safetensors file") as raised:
        SafetensorsFile(path)
    assert not isinstance(raised.value, DamagedFileError)


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, words in (
        (tmp_path / "none", "No such file"),
        (tmp_path, "is a folder"),
        (tmp_path / "pipe", "not a regular file"),
        ("/dev/null", "not a regular file"),
        ("a\0b", "null"),
    ):
        with pytest.raises(TargetError, match=words):
            SafetensorsFile(path)


def test_padding_after_the_header_is_allowed(tmp_path):
    path = file_of(tmp_path, json.dumps(U8).encode() + b" \n\t  ", b"x")
    assert SafetensorsFile(path).tensor("a").tolist() == [ord("x")]


names = st.text(min_size=0, max_size=12).filter(
    lambda name: name != "__metadata__" and not any("\ud800" <= c <= "\udfff" for c in name)
)
shapes = st.lists(st.integers(0, 4), max_size=4)
dtypes = st.sampled_from([torch.float32, torch.float64, torch.int8, torch.bfloat16, torch.bool])


@QUICK
@given(st.dictionaries(names, st.tuples(dtypes, shapes), max_size=6))
def test_what_the_library_writes_is_accepted(tensors):
    values = {name: torch.zeros(shape, dtype=dtype) for name, (dtype, shape) in tensors.items()}
    content = save(values)
    length = struct.unpack("<Q", content[:8])[0]
    entries, _ = parse_header(content[8 : 8 + length], len(content) - 8 - length, "x")
    assert {name: (found.dtype, found.shape) for name, found in entries.items()} == {
        name: (str(value.dtype)[6:], tuple(value.shape)) for name, value in values.items()
    }


VALID = save(
    {"a.b": torch.zeros(2, 3), "a.c": torch.zeros(4, dtype=torch.int8), "d": torch.zeros(0)},
    {"format": "pt", "x": "y"},
)
mutation = st.tuples(
    st.integers(0, len(VALID) - 1),
    st.one_of(
        st.binary(min_size=1, max_size=1),
        st.sampled_from([b"0", b"9", b"-", b'"', b"{", b"}", b"[", b",", b":", b" ", b"\\", b""]),
    ),
)


@settings(QUICK, max_examples=400)
@given(st.lists(mutation, min_size=1, max_size=4), st.integers(0, 40))
def test_a_mutated_file_is_refused_or_read_as_the_library_reads_it(
    tmp_path_factory, mutations, cut
):
    content = VALID
    for place, replacement in mutations:
        content = content[:place] + replacement + content[place + 1 :]
    content = content[: len(content) - cut] if cut > 30 else content
    path = str(tmp_path_factory.mktemp("mutated") / "x")
    with open(path, "wb") as file:
        file.write(content)
    try:
        ours = SafetensorsFile(path)
    except TargetError:
        return
    with safe_open(path, "pt") as library:  # whatever we accept, the library accepts as well
        assert set(library.keys()) == set(ours.entries)
        for name, found in ours.entries.items():
            theirs = library.get_tensor(name)
            assert (str(theirs.dtype)[6:], tuple(theirs.shape)) == (found.dtype, found.shape)
            assert torch.equal(theirs.view(torch.uint8), ours.tensor(name).view(torch.uint8))


def test_the_library_would_have_swallowed_a_duplicate(tmp_path):
    """Why ours looks: the library takes the last of two and says nothing."""
    path = file_of(tmp_path, REFUSED["duplicate entry"], b"x")
    with safe_open(path, "pt") as library:
        assert library.get_tensor("a").dtype == torch.int8
    with (
        pytest.raises(SafetensorError),
        safe_open(file_of(tmp_path, REFUSED["overlap"], b"x"), "pt"),
    ):
        pass


# -- values ---------------------------------------------------------------------------------------


def test_mapping_a_tensor_does_not_warn_and_lives_on(tmp_path):
    path = str(tmp_path / "x")
    save_file({"a": torch.arange(10.0)}, path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        file = SafetensorsFile(path)
        tensor = file.tensor("a")
    file.close()
    del file
    assert tensor.sum() == 45
    assert tensor.is_contiguous()


def test_tensors_share_one_mapping_without_copies(tmp_path):
    path = str(tmp_path / "x")
    save_file({"a": torch.arange(10.0), "b": torch.arange(3)}, path)
    file = SafetensorsFile(path)
    begin = file.tensor("a").data_ptr() - file.entries["a"].start
    assert file.tensor("b").data_ptr() == begin + file.entries["b"].start
    file.release()
    assert file.tensor("a").tolist() == list(range(10))


def test_a_file_replaced_by_rename_is_read_as_it_was(tmp_path):
    path, other = str(tmp_path / "x"), str(tmp_path / "y")
    save_file({"a": torch.ones(10)}, path)
    save_file({"a": torch.zeros(3)}, other)
    file = SafetensorsFile(path)
    os.replace(other, path)
    assert file.tensor("a").tolist() == [1.0] * 10
    assert sum(len(block) for block in file.blocks("a")) == 40


def test_unaligned_data_are_read(tmp_path):
    path = file_of(
        tmp_path,
        {"a": entry("U8", [1], 0, 1), "b": entry("F32", [1], 1, 5)},
        b"x" + struct.pack("<f", 2.5),
    )
    assert SafetensorsFile(path).tensor("b").tolist() == [2.5]


def test_a_file_cut_off_meanwhile_is_told(tmp_path):
    path = str(tmp_path / "x")
    save_file({"a": torch.ones(1000)}, path)
    file = SafetensorsFile(path)
    os.truncate(path, 500)
    with pytest.raises(DamagedFileError, match="cut off"):
        list(file.blocks("a"))


def test_large_tensors_come_in_blocks(tmp_path):
    path = str(tmp_path / "x")
    tensor = torch.randint(0, 255, (BLOCK * 2 + 5,), dtype=torch.uint8)
    save_file({"a": tensor}, path)
    blocks = list(SafetensorsFile(path).blocks("a"))
    assert [len(block) for block in blocks] == [BLOCK, BLOCK, 5]
    assert b"".join(bytes(block) for block in blocks) == bytes(tensor.numpy())


def test_no_descriptor_stays_open(tmp_path):
    path = file_of(tmp_path, REFUSED["overlap"], b"x")
    good = str(tmp_path / "good")
    save_file({"a": torch.ones(1)}, good)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with pytest.raises(TargetError):
            SafetensorsFile(path)
        SafetensorsFile(good).close()
        SafetensorsFile(good)
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_entry_counts_its_elements():
    assert TensorEntry("a", "float32", (), 0, 4).count == 1


@pytest.mark.parametrize("bit", [*range(24, 64), *range(64, 72)])
def test_damaged_first_bytes_before_long_notes_are_called_damaged(tmp_path, bit):
    path = tmp_path / "file.safetensors"
    save_file({"a": torch.zeros(2)}, path, metadata={"note": "x" * 5000})
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)
    with pytest.raises(DamagedFileError):
        SafetensorsFile(path)
