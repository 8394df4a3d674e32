import os
import shutil

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.backend import snapshots
from inspector_app.backend.snapshots import SnapshotStore, bits, stored_size
from tests.backend.edit_models import raw

DTYPES = [
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn),
    *(torch.complex64, torch.complex128, torch.int64, torch.int8, torch.uint8, torch.bool),
    *(torch.uint16, torch.uint32, torch.float8_e5m2),
]
BUDGETS = {"memory": (10**6, 0), "disk": (0, 10**6)}


def random_bits(shape, dtype):
    """Any bit patterns: NaN payloads, subnormals, negative zeros."""
    size = torch.empty(0, dtype=dtype).element_size()
    high = 2 if dtype is torch.bool else 256
    data = torch.randint(0, high, (*shape[:-1], shape[-1] * size), dtype=torch.uint8)
    return data.view(dtype)


@pytest.fixture(params=BUDGETS)
def store(request, tmp_path):
    memory, disk = BUDGETS[request.param]
    store = SnapshotStore(memory, disk, str(tmp_path))
    yield store
    store.close()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_bit_comes_back(store, dtype):
    tensors = [
        random_bits((3, 4), dtype),
        random_bits((4, 6), dtype)[:, 1::2],
        random_bits((3, 5), dtype).t(),
        random_bits((1, 1), dtype).reshape(()),
        torch.empty(0, 3, dtype=dtype),
    ]
    before = [raw(t) for t in tensors]
    snapshot = store.reserve(sum(map(stored_size, tensors)))
    for tensor in tensors:
        snapshot.put(tensor)
    for tensor in tensors:
        tensor.copy_(random_bits((*tensor.shape, 1), dtype).reshape(tensor.shape))
    after = [raw(t) for t in tensors]
    snapshot.exchange(tensors)
    assert [raw(t) for t in tensors] == before
    snapshot.exchange(tensors)
    assert [raw(t) for t in tensors] == after


def test_conjugated_and_negated_views(store):
    conjugated = torch.randn(3, dtype=torch.complex64).conj()
    negated = conjugated.imag
    assert conjugated.is_conj()
    assert negated.is_neg()
    for tensor in (conjugated, negated):
        before = raw(tensor)
        snapshot = store.reserve(stored_size(tensor))
        snapshot.put(tensor)
        tensor.fill_(7)
        snapshot.exchange([tensor])
        assert raw(tensor) == before


def test_overlapping_tensors_go_there_and_back(store):
    base = torch.arange(10.0)
    tensors = [base[:6], base[4:], base[2:5]]
    before = raw(base)
    snapshot = store.reserve(100)
    for tensor in tensors:
        snapshot.put(torch.randn_like(tensor))
    snapshot.exchange(tensors)
    after = raw(base)
    for _ in range(2):
        snapshot.exchange(tensors)
        assert raw(base) == before
        snapshot.exchange(tensors)
        assert raw(base) == after


def test_a_write_counts_as_a_change():
    tensor = torch.nn.Parameter(torch.randn(3))
    version = tensor._version
    with torch.no_grad():
        bits(tensor).zero_()
    assert tensor._version == version + 1
    assert raw(tensor) == bytes(12)


def test_a_failing_exchange_changes_nothing(store):
    locked = torch.zeros(1).expand(3)  # torch refuses to write it
    free = torch.ones(3)
    snapshot = store.reserve(24)
    snapshot.put(torch.full((3,), 5.0))
    snapshot.put(torch.full((3,), 6.0))
    with pytest.raises(RuntimeError):
        snapshot.exchange([free, locked])
    assert free.tolist() == [1, 1, 1]
    replacement = torch.zeros(3)
    snapshot.exchange([free, replacement])
    assert (free.tolist(), replacement.tolist()) == ([5, 5, 5], [6, 6, 6])


def test_same_tells_a_single_bit(store):
    tensor = torch.tensor([0.0, float("nan")])
    snapshot = store.reserve(8)
    snapshot.put(tensor)
    assert snapshot.same(0, tensor)
    assert not snapshot.same(0, torch.tensor([-0.0, float("nan")]))


def test_memory_first_then_disk_then_the_oldest_go(tmp_path):
    store = SnapshotStore(100, 150, str(tmp_path))
    first, second, third = (store.reserve(80) for _ in range(3))
    assert [first.kept, first.on_disk] == [False, False]  # made room for the third
    assert [second.kept, second.on_disk] == [True, True]
    assert [third.kept, third.on_disk] == [True, False]
    large = store.reserve(140)
    assert (large.on_disk, second.kept) == (True, False)
    assert store.can_keep(150)
    assert not store.can_keep(151)
    assert store.reserve(151) is None
    assert large.kept
    store.close()
    assert not large.kept


def test_free_disk_space_is_respected(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=snapshots.DISK_RESERVE + 50)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    store = SnapshotStore(0, 10**6, str(tmp_path))
    assert store.can_keep(50)
    assert not store.can_keep(51)
    assert SnapshotStore(0, 10**6, str(tmp_path / "gone")).reserve(10) is None


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files by /proc")
def test_nothing_stays_on_the_disk(tmp_path):
    def links():
        for fd in os.listdir("/proc/self/fd"):
            try:
                yield os.readlink(f"/proc/self/fd/{fd}")
            except OSError:
                continue

    store = SnapshotStore(0, 10**6, str(tmp_path))
    kept = [store.reserve(100) for _ in range(5)]
    kept[0].put(torch.randn(10))
    assert os.listdir(tmp_path) == []  # nameless: gone even where the process is killed
    assert sum(str(tmp_path) in link for link in links()) == 5
    store.close()
    assert not any(str(tmp_path) in link for link in links())


@given(st.lists(st.integers(0, 300), max_size=20))
def test_budgets_hold(sizes):
    store = SnapshotStore(200, 250)
    kept = []
    for size in sizes:
        promised = store.can_keep(size)
        snapshot = store.reserve(size)
        assert (snapshot is not None) == promised
        kept += [snapshot] if snapshot else []
        live = [s for s in kept if s.kept]
        assert sum(s.size for s in live if not s.on_disk) <= 200
        assert sum(s.size for s in live if s.on_disk) <= 250
        assert live == kept[len(kept) - len(live) :]  # always the newest ones
    store.close()


def test_a_large_tensor_on_disk_is_swapped_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(snapshots, "PIECE", 64)
    store = SnapshotStore(0, 10**6, str(tmp_path))
    whole, turned, small = torch.randn(7, 9), torch.randn(9, 7).t(), torch.randn(3)
    tensors = [whole, turned, small]
    before = [raw(tensor) for tensor in tensors]
    snapshot = store.reserve(sum(map(stored_size, tensors)))
    for tensor in tensors:
        snapshot.put(tensor)
        tensor.neg_()
    after = [raw(tensor) for tensor in tensors]
    sizes = []
    copy = snapshots._copy
    monkeypatch.setattr(
        snapshots, "_copy", lambda values: sizes.append(stored_size(values)) or copy(values)
    )
    snapshot.exchange(tensors)
    assert [raw(tensor) for tensor in tensors] == before
    assert sizes == [64, 64, 64, 60, 252, 12]  # what does not lie in order goes as a whole
    snapshot.exchange(tensors)
    assert [raw(tensor) for tensor in tensors] == after
    store.close()


def test_a_disk_that_fails_in_the_middle_of_a_tensor_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(snapshots, "PIECE", 64)
    store = SnapshotStore(0, 10**6, str(tmp_path))
    tensors = [torch.arange(40.0), torch.ones(40)]
    snapshot = store.reserve(320)
    for tensor in tensors:
        snapshot.put(tensor * 2)
    write, left = snapshot._write, [4]

    def failing(offset, values):
        left[0] -= 1
        if left[0] == 0:
            raise OSError(28, "No space left on device")
        write(offset, values)

    monkeypatch.setattr(snapshot, "_write", failing)
    with pytest.raises(OSError, match="No space left"):
        snapshot.exchange(tensors)
    assert torch.equal(tensors[0], torch.arange(40.0))
    assert torch.equal(tensors[1], torch.ones(40))
    snapshot.exchange(tensors)
    assert torch.equal(tensors[0], torch.arange(40.0) * 2)
    assert torch.equal(tensors[1], torch.ones(40) * 2)
    store.close()
