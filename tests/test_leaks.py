"""The leak fixtures can fail: each kind of leak is made, named and cleaned up."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading

import pytest
from PySide6.QtCore import QThread, QTimer
from PySide6.QtWidgets import QWidget

from tests import leaks


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch):
    monkeypatch.setattr(leaks, "GRACE", 0.05)


def look(make):
    """Leaks found while what ``make`` made is there, and once its second part has ended it."""
    before = leaks.snapshot()
    with leaks.watch_starts() as started:
        made = make()
        thing = next(made)
        found = leaks.leaks(before, started)
        next(made, None)
        del thing, made
        assert leaks.leaks(before, started) == []
    return found


def test_a_thread_is_named():
    def make():
        stop = threading.Event()
        thread = threading.Thread(target=stop.wait, name="forgotten")
        thread.start()
        yield thread
        stop.set()
        thread.join()

    assert look(make) == ["thread 'forgotten' is still running"]


def test_a_process_is_named():
    def make():
        process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        yield process
        process.communicate()

    (told,) = look(make)
    assert "input()" in told


def test_a_socket_is_named():
    def make():
        ends = socket.socketpair()
        yield ends
        for end in ends:
            end.close()

    first, second = look(make)
    assert "socket:" in first
    assert "socket:" in second


def test_a_window_is_named(qapp):
    def make():
        widget = QWidget()
        widget.setWindowTitle("Forgotten")
        yield widget
        widget.deleteLater()

    assert look(make) == ["top-level widget QWidget('Forgotten')"]


def test_a_timer_is_named_with_its_line(qapp):
    def make():
        timer = QTimer()
        timer.start(1000)
        yield timer
        timer.stop()

    (told,) = look(make)
    assert told.startswith("QTimer started at ")
    assert "test_leaks.py:" in told


def test_a_qt_thread_is_named_with_its_line(qapp):
    def make():
        thread = QThread()
        thread.start()
        yield thread
        thread.quit()
        thread.wait()

    (told,) = look(make)
    assert told.startswith("QThread started at ")


def test_what_has_ended_is_no_leak(qapp):
    before = leaks.snapshot()
    with leaks.watch_starts() as started:
        timer = QTimer()
        timer.setSingleShot(True)
        timer.start(0)
        qapp.processEvents()
        widget = QWidget()
        widget.cycle = [widget]  # only the garbage collector can free it
        del widget
    assert leaks.leaks(before, started) == []


def test_hooks_are_found_below_a_model_and_in_cycles():
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.ReLU())
    model[1].parent = model
    assert leaks.hooks(model) == []
    handle = model[0].register_forward_hook(lambda *_: None)
    assert leaks.hooks(model) == ["Linear: _forward_hooks"]
    handle.remove()
    assert leaks.hooks(model) == []
