"""A loop stands where it was told to, carries out what is asked, and goes on."""

from __future__ import annotations

import threading
import time

from inspector_app.backend.training.gate import Gate


class Pending:
    def __init__(self) -> None:
        self.calls = 0

    def safe_point(self) -> None:
        self.calls += 1


def until(condition, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.002)


def looping(gate: Gate, pending: Pending, steps: list[int]) -> threading.Thread:
    def work() -> None:
        while steps[0] < 1_000_000 and not steps[1]:
            steps[0] += 1
            gate.pass_through(pending)
            time.sleep(0.0005)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_open_it_lets_through_at_once():
    gate, pending = Gate(), Pending()
    for _ in range(1_000):
        gate.pass_through(pending)
    assert pending.calls == 1_000
    assert not gate.held


def test_pause_step_resume():
    gate, pending, steps = Gate(), Pending(), [0, 0]
    gate.attend(True)
    assert gate.pause()
    thread = looping(gate, pending, steps)
    until(lambda: gate.held)
    assert steps[0] == 1
    before = pending.calls
    gate.wake()
    until(lambda: pending.calls > before)
    gate.step()
    until(lambda: steps[0] == 2 and gate.held)
    gate.step()
    gate.step()
    until(lambda: steps[0] == 4 and gate.held)
    gate.resume()
    until(lambda: steps[0] > 10)
    assert not gate.shut
    steps[1] = 1
    thread.join(5)
    assert not thread.is_alive()


def test_pausing_again_forgets_steps():
    gate = Gate()
    gate.attend(True)
    gate.step()
    gate.pause()
    steps = [0, 0]
    thread = looping(gate, Pending(), steps)
    until(lambda: gate.held)
    assert steps[0] == 1
    steps[1] = 1
    gate.resume()
    thread.join(5)


def test_nobody_is_waited_for_who_is_not_there():
    gate, pending, steps = Gate(), Pending(), [0, 0]
    assert not gate.pause()
    gate.step()
    assert not gate.pass_through(pending)
    gate.attend(True)
    gate.pause()
    thread = looping(gate, pending, steps)
    until(lambda: gate.held)
    gate.attend(False)
    until(lambda: steps[0] > 10)
    assert not gate.shut
    steps[1] = 1
    thread.join(5)
