"""``inspector-app attach``: which session is meant, where its token comes from, what is said."""

from __future__ import annotations

import io
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from inspector_app import cli
from inspector_app.gui import app
from inspector_app.sessions import TOKEN_VARIABLE, SessionEntry, announce, make_folder

TOKEN = "ab" * 32
PORTS = itertools.count(7_000)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions of these tests stand apart."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)


@pytest.fixture
def attached(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Address and token of each window that was shown."""
    found: list[tuple[str, str]] = []

    def run_attached(address: str, token: str) -> int:
        found.append((address, token))
        return 0

    monkeypatch.setattr(app, "run_attached", run_attached, raising=False)
    return found


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run ``attach`` with some words; exit code, stdout, stderr."""
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(*words: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        code = cli.main(["attach", *words])
        return (code, *capfd.readouterr())

    return run


def running(title: str, *, process: int = 0, rank: int = 0, ranks: int = 1) -> SessionEntry:
    """Announce a session of a process that runs (this one)."""
    folder = make_folder()
    entry = SessionEntry(
        address=f"tcp:127.0.0.1:{next(PORTS)}",
        title=title,
        process=process or os.getpid(),
        started=1_750_000_000.0 + rank,
        rank=rank,
        ranks=ranks,
        folder=str(folder),
    )
    announce(folder, entry, TOKEN)
    return entry


def test_the_only_session_is_attached_to_at_once(run: Run, attached: list[tuple[str, str]]) -> None:
    entry = running("ResNet")
    assert run() == (cli.DONE, "", "")
    assert attached == [(entry.address, TOKEN)]


def test_without_a_session_one_sentence(run: Run, attached: list[tuple[str, str]]) -> None:
    code, out, err = run()
    assert (code, out) == (cli.WRONG, "")
    assert len(err.splitlines()) == 1
    assert "No session runs here" in err
    assert f"Looked for in {os.environ['XDG_RUNTIME_DIR']}" in err
    assert "another TMPDIR or XDG_RUNTIME_DIR" in err
    assert attached == []


def test_several_are_listed(run: Run, attached: list[tuple[str, str]]) -> None:
    first = running("ResNet", rank=0, ranks=2)
    second = running("ResNet", process=os.getppid(), rank=1, ranks=2)
    code, out, err = run()
    assert (code, err, attached) == (cli.DONE, "", [])
    header, *rows = out.splitlines()[:3]
    assert header.split() == ["title", "rank", "process", "since", "address"]
    assert [row.split()[:5] for row in rows] == [
        ["ResNet", "0", "of", "2", str(os.getpid())],
        ["ResNet", "1", "of", "2", str(os.getppid())],
    ]
    assert [row.split()[-1] for row in rows] == [first.address, second.address]


def test_the_list_as_json(run: Run, attached: list[tuple[str, str]]) -> None:
    assert json.loads(run("--json")[1]) == {"sessions": []}
    entry = running("ResNet")
    code, out, _ = run("--json")
    assert code == cli.DONE
    (one,) = json.loads(out)["sessions"]
    assert (one["title"], one["address"], one["rank"]) == ("ResNet", entry.address, 0)
    assert TOKEN not in out
    assert attached == []


def test_a_process_or_an_address_chooses(run: Run, attached: list[tuple[str, str]]) -> None:
    running("ResNet")
    other = running("Encoder", process=os.getppid())
    assert run(str(os.getppid()))[0] == cli.DONE
    assert run(other.address)[0] == cli.DONE
    assert attached == [(other.address, TOKEN)] * 2


def test_a_process_with_several_sessions(run: Run, attached: list[tuple[str, str]]) -> None:
    entries = [running("one"), running("two")]
    code, _, err = run(str(os.getpid()))
    assert code == cli.WRONG
    assert all(entry.address in err for entry in entries)
    assert attached == []


@pytest.mark.parametrize("source", ["stdin", "environment"])
def test_the_token_of_a_session_elsewhere(
    run: Run, attached: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    if source == "environment":
        monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    code, _, _ = run("tcp:localhost:7000", stdin=f"{TOKEN}\n" if source == "stdin" else "")
    assert code == cli.DONE
    assert attached == [("tcp:127.0.0.1:7000", TOKEN)]


def test_a_session_here_needs_no_other_token(
    run: Run, attached: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = running("ResNet")
    monkeypatch.setenv(TOKEN_VARIABLE, "cd" * 32)  # of a session long gone
    run()
    assert attached == [(entry.address, TOKEN)]


@pytest.mark.parametrize(
    ("address", "stdin", "said"),
    [
        ("tcp:127.0.0.1:7000", "", "The token of tcp:127.0.0.1:7000 is not known here"),
        ("unix:/somewhere/socket", "", "Give it on stdin, or in INSPECTOR_TOKEN"),
        ("tcp:127.0.0.1:7000", "secret\n", "a token has 64 hexadecimal digits"),
        ("tcp:gpu7:7000", "", "ssh -L 7000:127.0.0.1:7000 gpu7"),
        ("gpu7", "", "'gpu7' is no address"),
        ("tcp:127.0.0.1:x", "", "is no address"),
        ("unix:", "", "is no address"),
        ("1", "", "Process 1 has no session"),
    ],
)
def test_what_is_wrong_is_one_line(
    run: Run, attached: list[tuple[str, str]], address: str, stdin: str, said: str
) -> None:
    code, out, err = run(address, stdin=stdin)
    assert (code, out, attached) == (cli.WRONG, "", [])
    assert len(err.splitlines()) == 1
    assert said in err
    assert "secret" not in err


def test_without_the_gui_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    running("ResNet")
    monkeypatch.delattr("inspector_app.gui.app")
    monkeypatch.setitem(sys.modules, "inspector_app.gui.app", None)
    code, _, err = run()
    assert code == cli.WRONG
    assert len(err.splitlines()) == 1
    assert "The window cannot be shown here" in err


def test_listing_imports_neither_torch_nor_qt() -> None:
    program = (
        "import sys; from inspector_app.cli import main\n"
        "code = main(['attach', '--json'])\n"
        "print([name for name in ('torch', 'PySide6', 'numpy') if name in sys.modules])\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout.splitlines() == ['{"sessions": []}', "[]"]
