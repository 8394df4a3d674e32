"""A screen of our own: Xvfb, a window manager, and a hand on mouse and keys.

The real program is started on it and used as a person uses it.  Everything started here is ended
by its process id, and nothing waits for ever.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QImage

T = TypeVar("T")

NEEDED = ("Xvfb", "openbox", "xdotool", "xwininfo")
SIZE = (1600, 1000)  # pixels
PATIENCE = 30.0  # seconds until something that should happen has to have happened

_XWD_HEADER = struct.Struct(">25I")


def missing() -> list[str]:
    """Programs that are needed for a screen and not installed."""
    return [name for name in NEEDED if shutil.which(name) is None]


class Screen:
    """One running X server; ``environment`` makes a program appear on it."""

    def __init__(self, display: str, framebuffer: Path) -> None:
        self.display = display
        self._framebuffer = framebuffer
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "WAYLAND_DISPLAY"},
            "DISPLAY": display,
            "QT_QPA_PLATFORM": "xcb",
        }

    # -- seeing --------------------------------------------------------------------------------

    def pixels(self) -> NDArray[np.uint8]:
        """What is on the screen now, (height, width, red-green-blue).

        Xvfb keeps its memory in a file in the format of ``xwd`` (XWDFile.h).
        """
        content = self._framebuffer.read_bytes()
        header = _XWD_HEADER.unpack_from(content)
        header_size, width, height = header[0], header[4], header[5]
        stride, colours = header[12], header[19]
        start = header_size + 12 * colours
        rows = np.frombuffer(content, np.uint8, stride * height, start).reshape(height, stride)
        return rows[:, : 4 * width].reshape(height, width, 4)[:, :, 2::-1].copy()

    def screenshot(self, path: str | Path) -> Path:
        """Save the whole screen as a PNG file."""
        pixels = self.pixels()
        height, width, _ = pixels.shape
        image = QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888)
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not image.save(str(path)):
            raise OSError(f"cannot write {path}")
        return path

    def settled(self, quiet: float = 0.3, timeout: float = PATIENCE) -> NDArray[np.uint8]:
        """The screen once nothing on it has changed for ``quiet`` seconds."""
        deadline = time.monotonic() + timeout
        before, since = self.pixels(), time.monotonic()
        while time.monotonic() - since < quiet:
            if time.monotonic() > deadline:
                raise TimeoutError("the screen kept changing")
            time.sleep(0.05)
            now = self.pixels()
            if not np.array_equal(before, now):
                before, since = now, time.monotonic()
        return before

    # -- acting --------------------------------------------------------------------------------

    def xdotool(self, *words: str | int) -> str:
        """Run one xdotool command and give back what it printed."""
        done = subprocess.run(
            ["xdotool", *map(str, words)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        return done.stdout

    def move(self, x: int, y: int) -> None:
        """Put the pointer somewhere."""
        self.xdotool("mousemove", "--sync", x, y)

    def click(self, x: int, y: int, button: int = 1, times: int = 1) -> None:
        """Click where a person would; ``times`` 2 is a double click."""
        # Moving to where the pointer already stands would wait for a move that never comes.
        self.xdotool("mousemove", x, y)
        time.sleep(0.05)
        self.xdotool("click", "--repeat", times, "--delay", 60, button)

    def drag(self, start: tuple[int, int], stop: tuple[int, int]) -> None:
        """Press at one place, move in steps, let go at another."""
        self.xdotool("mousemove", *start, "mousedown", 1)
        for part in np.linspace(0, 1, 12)[1:]:
            x, y = (round(a + (b - a) * part) for a, b in zip(start, stop, strict=True))
            self.xdotool("mousemove", x, y)
            time.sleep(0.02)
        self.xdotool("mouseup", 1)

    def scroll(self, x: int, y: int, clicks: int) -> None:
        """Turn the wheel; positive is down."""
        self.xdotool("mousemove", x, y)
        self.xdotool("click", "--repeat", abs(clicks), "--delay", 20, 5 if clicks > 0 else 4)

    def key(self, *keys: str) -> None:
        """Press keys in turn, each as xdotool writes it: "ctrl+z", "Return", "alt+F4"."""
        self.xdotool("key", "--delay", 40, *keys)

    def type(self, text: str) -> None:
        """Write a text where the keyboard's focus is."""
        self.xdotool("type", "--delay", 15, "--", text)

    # -- windows -------------------------------------------------------------------------------

    def windows(self, title: str) -> list[int]:
        """Ids of visible windows whose title matches a regular expression."""
        try:
            found = self.xdotool("search", "--onlyvisible", "--name", title)
        except subprocess.CalledProcessError:  # none
            return []
        return [int(word) for word in found.split()]

    def wait_window(self, title: str, timeout: float = PATIENCE) -> int:
        """Id of the first visible window whose title matches; it gets the keyboard's focus."""
        window = wait_for(lambda: self.windows(title), timeout, f"a window titled {title!r}")[0]
        self.xdotool("windowactivate", "--sync", window)
        return window

    def wait_no_window(self, title: str, timeout: float = PATIENCE) -> None:
        """Wait until no visible window has such a title."""
        wait_for(lambda: not self.windows(title), timeout, f"the end of window {title!r}")

    def geometry(self, window: int) -> tuple[int, int, int, int]:
        """Left, top, width and height of a window's inside on the screen."""
        # Not xdotool's getwindowgeometry: older releases add the frame twice.
        told = subprocess.run(
            ["xwininfo", "-id", str(window)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        ).stdout
        values = dict(line.strip().split(":", 1) for line in told.splitlines() if ":" in line)
        labels = ("Absolute upper-left X", "Absolute upper-left Y", "Width", "Height")
        left, top, width, height = (int(values[label]) for label in labels)
        return left, top, width, height

    @contextmanager
    def program(self, command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
        """A program on this screen, ended with all it started; its output goes to ``log``."""
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            end(process)
            # What it left behind belongs to its session.
            for signal_number in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(process.pid, signal_number)
                except ProcessLookupError:
                    break
                time.sleep(0.2)


def wait_for(condition: Callable[[], T], timeout: float = PATIENCE, what: str = "it") -> T:
    """The first true value of ``condition``; raises TimeoutError saying ``what`` did not come."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout:.0f} s for {what}")
        time.sleep(0.05)
    return value


def end(process: subprocess.Popen[bytes]) -> None:
    """End one process: kindly, then for certain."""
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def open_screen(folder: Path) -> Iterator[Screen]:
    """A screen with a window manager; ``folder`` takes its memory and its logs."""
    width, height = SIZE
    reader, writer = os.pipe()
    with (folder / "xvfb.log").open("wb") as log:
        server = subprocess.Popen(
            [
                *("Xvfb", "-displayfd", str(writer), "-screen", "0", f"{width}x{height}x24"),
                *("-fbdir", str(folder), "-nolisten", "tcp", "-noreset"),
            ],
            pass_fds=[writer],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    os.close(writer)
    try:
        ready, _, _ = select.select([reader], [], [], PATIENCE)
        number = os.read(reader, 16).strip().decode() if ready else ""
        if not number:
            raise RuntimeError(f"Xvfb did not start: {(folder / 'xvfb.log').read_text()}")
        screen = Screen(f":{number}", folder / "Xvfb_screen0")
        with screen.program(["openbox", "--sm-disable"], folder / "openbox.log"):
            wait_for(lambda: _is_managed(screen), what="the window manager")
            yield screen
    finally:
        os.close(reader)
        end(server)


def _is_managed(screen: Screen) -> bool:
    try:
        return bool(screen.xdotool("get_num_desktops"))
    except subprocess.CalledProcessError:
        return False
