"""Uses the program as a person does: looks where a thing stands, then moves mouse and keys."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.end_to_end.display import Screen, wait_for

_AT_REST = 0.15  # seconds in which a thing does not move


class Person:
    """Sits before one running program."""

    def __init__(self, screen: Screen, guide: socket.socket, pictures: Path) -> None:
        self.screen = screen
        self._stream = guide.makefile("rw")
        self._pictures = pictures
        self._number = 0

    def look(self, *question: Any) -> Any:
        """The guide's answer."""
        self._stream.write(json.dumps(question) + "\n")
        self._stream.flush()
        answer = json.loads(self._stream.readline())
        if isinstance(answer, dict) and "error" in answer:
            raise AssertionError(f"{question}: {answer['error']}")
        return answer

    def place(self, *question: Any) -> list[int]:
        """Where a thing stands, once it can be used and has come to rest.

        A dialog that has just been shown is still being placed by the window manager.
        """

        def at_rest() -> list[int] | None:
            first: list[int] | None = self.look(*question)
            time.sleep(_AT_REST)
            return first if first and self.look(*question) == first else None

        return wait_for(at_rest, what=" ".join(map(str, question)))

    def click(self, *question: Any, button: int = 1, times: int = 1) -> None:
        """Click on a thing: ("widget", name), ("command", id), ("row", path, part)."""
        x, y = self.place(*question)
        self.screen.click(x, y, button, times)

    def read(self, what: str) -> Any:
        """One thing that the window shows; see ``guided.state``."""
        return self.look("state").get(what)

    def wait(self, what: str, fits: Callable[[Any], bool], timeout: float = 60.0) -> Any:
        """Wait until something that the window shows is as expected."""
        end = time.monotonic() + timeout
        while not fits(value := self.read(what)):
            if time.monotonic() > end:
                raise AssertionError(f"{what} stayed {value!r}; all: {self.look('state')}")
            time.sleep(0.05)
        return value

    def choose_theme(self, theme: str) -> None:
        """View > Theme > ..."""
        self.click("menu", "View")
        self.click("menu", "Theme")
        self.click("command", f"view.theme_{theme}")

    def picture(self, name: str) -> Path:
        """Save what is on the screen, numbered in the order of the story."""
        self._number += 1
        time.sleep(0.3)  # hover effects and blinking cursors come to rest
        return self.screen.screenshot(self._pictures / f"{self._number:02}-{name}.png")


@contextmanager
def person(screen: Screen, folder: Path, pictures: Path, *arguments: str) -> Iterator[Person]:
    """A person before the program, started with ``arguments``; ended with all it started."""
    place = folder / "guide"
    command = [sys.executable, "-m", "tests.end_to_end.guided", str(place), *arguments]
    screen.environment["XDG_CONFIG_HOME"] = str(folder / "config")
    with screen.program(command, folder / "program.log") as process:

        def connect() -> socket.socket | None:
            assert process.poll() is None, (folder / "program.log").read_text()
            guide = socket.socket(socket.AF_UNIX)
            try:
                guide.connect(str(place))
            except OSError:
                guide.close()
                return None
            return guide

        with wait_for(connect, what="the program") as guide:
            guide.settimeout(30)
            yield Person(screen, guide, pictures)
