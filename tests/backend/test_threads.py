"""The number of torch's threads is 1 inside, and what it was outside."""

from __future__ import annotations

import threading

import pytest
import torch

from inspector_app.backend.threads import one_thread


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_one_inside_and_as_before_outside(two_threads):
    with one_thread:
        with one_thread:
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


def test_restored_after_an_error(two_threads):
    with pytest.raises(ValueError, match="x"), one_thread:
        raise ValueError("x")
    assert torch.get_num_threads() == 2


def test_several_at_once_leave_it_as_it_was(two_threads):
    start = threading.Barrier(4)

    def work():
        start.wait()
        for _ in range(500):
            with one_thread:
                pass

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert torch.get_num_threads() == 2
