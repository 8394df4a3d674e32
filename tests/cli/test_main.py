"""The command line as a person meets it: exit codes, one line on stderr, a stdout of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from inspector_app import cli
from inspector_app.gui import app

FACTORIES = """
import atexit, os, sys
import torch
from torch import nn

class Base(BaseException): pass
class Mute(Exception):
    def __str__(self): raise RuntimeError("no words")
class Numbered(nn.Linear):
    def state_dict(self, *given, **named): return {1: torch.ones(1)}
class Silent(nn.Linear):
    def state_dict(self, *given, **named): raise Mute
class Holds(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(2, 2)]

def talks():
    print("hello")
    os.write(1, b"raw")
    atexit.register(print, "farewell")
    return nn.Linear(2, 3)
def closes():
    sys.stdout.close()
    os.close(1)
    return nn.Linear(2, 3)
def raises(): raise ValueError("bad\\nmany\\nlines")
def leaves(): sys.exit(0)
def base(): raise Base("from the bottom")
def mute(): raise Mute
def nothing(): pass
def needs(width): return nn.Linear(width, 1)
def numbered(): return Numbered(2, 2)
def silent(): return Silent(2, 2)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a file of factories."""
    (tmp_path / "mine.py").write_text(FACTORIES)
    monkeypatch.chdir(tmp_path)
    return tmp_path


Ran = tuple[int, str, str]
Run = Callable[..., Ran]


@pytest.fixture
def run(folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process; exit code, stdout, stderr."""
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(*words: str) -> Ran:
        code = cli.main(words)
        return (code, *capfd.readouterr())

    return run


def process(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "inspector_app", *words],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parent.parent.parent)},
    )


def test_what_a_factory_prints_never_mixes_with_ours(folder: Path) -> None:
    done = process("summary", "mine.py:talks", "--json")
    assert done.returncode == cli.DONE
    assert json.loads(done.stdout)["totals"]["parameters"] == 9
    for word in ("hello", "raw", "farewell"):
        assert word in done.stderr


def test_a_factory_may_close_stdout(folder: Path) -> None:
    done = process("summary", "mine.py:closes", "--json")
    assert done.returncode == cli.DONE, done.stderr
    assert json.loads(done.stdout)["kind"] == "model"


def test_modules_of_a_person_do_not_shadow_what_torch_needs(folder: Path) -> None:
    (folder / "random.py").write_text("raise RuntimeError('shadowed')")
    (folder / "widgets.py").write_text("WIDTH = 2")
    (folder / "net.py").write_text(
        "import widgets\nfrom torch import nn\n"
        "def build_model(): return nn.Linear(widgets.WIDTH, 1)\n"
    )
    done = process("summary", "net.py")
    assert done.returncode == cli.DONE, done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["summary", "mine.py:raises"], "ValueError: bad."),
        (["summary", "mine.py:leaves"], "sys.exit(0)"),
        (["summary", "mine.py:base"], "Base: from the bottom"),
        (["summary", "mine.py:mute"], "Mute"),
        (["summary", "mine.py:nothing"], "returned None"),
        (["summary", "mine.py:needs"], "needs the argument 'width'"),
        (["summary", "mine.py:needs", "--arg", "width"], "name=value"),
        (["summary", "mine.py:needs", "--arg", "depth=1"], "no argument 'depth'"),
        (["summary", "mine.py:absent"], "has no 'absent'"),
        (["summary", "absent.module:make"], "no module 'absent'"),
        (["summary", "sample:mlp", "--seed", "9" * 30], "too large"),
        (["summary", "sample:mlp", "--depth", "-1"], "0 or more"),
        (["export", "mine.py:numbered", "out"], "key of class int"),
        (["export", "mine.py:silent", "out"], "state_dict() raised Mute"),
        (["export", "sample:mlp", "."], "is a folder"),
        (["export", "sample:mlp", "absent/out"], "does not exist"),
        (["export", "sample:mlp", "out", "--init", "hidden"], "PATTERN=SCHEME"),
        (["export", "sample:mlp", "out", "--init", "=zeros_"], "PATTERN=SCHEME"),
        (["export", "sample:mlp", "out", "--freeze", ""], "empty pattern"),
        (["export", "sample:mlp", "out", "--only", ""], "empty pattern"),
        (["export", "sample:mlp", "out", "--requires-grad", ""], "name a file"),
        (["export", "sample:mlp", "out", "--shard-size", "much"], "2GB"),
        (["export", "sample:mlp", "out", "--rename", "a"], "OLD=NEW"),
        (["export", "sample:mlp", "out", "--add-prefix", ""], "empty"),
        (["export", "sample:mlp", "out", "--fit"], "--state FILE"),
        (["summary", "sample:mlp", "--prefix", ""], "--state FILE"),
        (["summary", "sample:mlp", "--state", ""], "name a checkpoint"),
        (["summary", "sample:mlp", "--state", "absent"], "absent"),
        (["state", "sample:mlp", "absent"], "absent"),
        (["verify", "absent", "--state", "absent"], "--against"),
        (["factories", "absent.py"], "no file 'absent.py'"),
        (["script", "mine.py:raises"], "ValueError: bad."),
        (["sumary", "sample:mlp"], "Did you mean 'summary'?"),
        (["Export", "sample:mlp", "out"], "Did you mean 'export'?"),
        (["export", "sample:mlp", "out", "--freeze", "absent"], "matches no row"),
        (["export", "sample:mlp", "out", "--only", "absent"], "No key"),
        (["verify", "absent"], "No such file"),
        (["verify", "absent", "--arg", "a=1"], "--against"),
        (["verify", "mine.py"], "is a text file"),
    ],
)
def test_what_is_wrong_is_one_line_and_exit_code_2(run: Run, words: list[str], said: str) -> None:
    code, out, err = run(*words)
    assert (code, out) == (cli.WRONG, "")
    assert len(err.splitlines()) == 1
    assert err.startswith("inspector-app: ")
    assert said in err
    assert not os.path.exists("out")


@pytest.mark.parametrize("words", [["summary"], ["export", "x"], ["summary", "x", "--depth", "a"]])
def test_a_wrong_call_is_one_line(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    assert end.value.code == cli.WRONG
    assert len(capfd.readouterr().err.splitlines()) == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_stdout_that_takes_nothing_is_told(folder: Path) -> None:
    command = [sys.executable, "-m", "inspector_app", "summary", "sample:mlp"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == cli.WRONG
    assert len(done.stderr.splitlines()) == 1


def test_export_and_verify(run: Run) -> None:
    words = ["--freeze", "hidden", "--init", "output.weight=zeros_", "--skip", "*.bias", "--json"]
    code, out, _ = run("export", "sample:mlp", "out", *words)
    assert code == cli.DONE
    report = json.loads(out)
    assert report["tensors"] == 2
    assert [left["name"] for left in report["left_out"]] == ["hidden.bias", "output.bias"]
    assert run("verify", "out")[0] == cli.DONE
    code, out, _ = run("verify", "out", "--against", "sample:mlp", "--json")
    assert code == cli.FAILED
    told = {difference["name"]: difference["what"] for difference in json.loads(out)["differences"]}
    assert "values differ" in told["output.weight"]
    assert told["hidden.bias"] == "missing"


def test_a_damaged_file_fails_and_is_told_as_a_whole(run: Run, folder: Path) -> None:
    run("export", "sample:mlp", "out")
    (folder / "out").write_bytes((folder / "out").read_bytes()[:100])
    code, out, _ = run("verify", "out")
    assert code == cli.FAILED
    assert out.splitlines()[-1].startswith("out is damaged")


def test_options_are_not_abbreviated(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["export", "sample:mlp", "out", "--fr", "*"])
    assert end.value.code == cli.WRONG
    assert "unrecognized arguments" in capfd.readouterr().err


def test_a_file_named_like_a_command_is_a_target(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[object, ...]] = []
    monkeypatch.setattr(app, "run", lambda *given, **named: opened.append(given) or 0)
    (folder / "summery").write_text("")
    assert cli.main(["summery"]) == cli.DONE
    assert cli.main(["net.py"]) == cli.DONE
    assert [given[0] for given in opened] == ["summery", "net.py"]


def test_summary_for_a_terminal(run: Run) -> None:
    code, out, err = run("summary", "sample:mlp", "--depth", "1")
    assert (code, err) == (cli.DONE, "")
    assert "115 parameters" in out


def test_every_name_of_a_tied_tensor_is_told(run: Run) -> None:
    words = ["export", "sample:language_model", "out", "--only", "head", "--freeze", "head"]
    code, out, _ = run(*words)
    assert code == cli.DONE
    assert [line for line in out.splitlines() if line.startswith("note: ") and "token" in line]
    assert json.loads(run(*words, "--json")[1])["notes"]
