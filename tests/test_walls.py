"""The walls hold while the program runs: no torch in the window, no Qt in the backend.

import-linter checks what modules say; these tests check what a process really has loaded.
"""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import typing
from pathlib import Path

import pytest

from inspector_app.protocol import messages

ROOT = Path(__file__).resolve().parent.parent

GUI = """
import importlib, json, pkgutil, sys
import inspector_app.gui, widgets

for package in (inspector_app.gui, widgets):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)

from inspector_app.gui.app import make_application
from inspector_app.gui.client.session import ClientSession
from inspector_app.gui.main_window import MainWindow
from inspector_app.gui.settings import Settings
from widgets.theme import ThemeManager
from pathlib import Path

application = make_application()
settings = Settings(Path(sys.argv[1]) / "settings.ini")
window = MainWindow(ClientSession(), settings, ThemeManager(application, "light"))
window.show()
for _ in range(5):
    application.processEvents()
assert window.isVisible()
window.close()
print(json.dumps(sorted(sys.modules)))
"""

BACKEND = """
import sys

class NoQt:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"PySide6", "shiboken6", "pyqtgraph", "widgets"}:
            raise ImportError(f"{name} must not be needed here")

sys.meta_path.insert(0, NoQt())

import importlib, json, pkgutil
import inspector_app.backend

for module in pkgutil.walk_packages(inspector_app.backend.__path__, "inspector_app.backend."):
    importlib.import_module(module.name)

from inspector_app.backend.session import Session
from inspector_app.protocol.messages import Scheme, Selection

out = sys.argv[1]
with Session() as session:
    opened = session.open("sample:mlp")
    assert opened.totals.parameters == 115, opened.totals
    weight = next(p for p in opened.table.paths if p.endswith("weight"))
    everything = Selection(patterns=["*"])
    session.initialize(everything, Scheme(name="normal_", arguments={"std": 0.5}))
    assert session.freeze(Selection(patterns=[weight])).totals.trainable < 115
    session.watch([int(opened.table.ids[0])])
    assert session.run(repeat=2).forwards == 2
    assert len(session.get_records().sequence) == 2
    assert session.export(out).tensors == 4
    report = session.verify(out, against=".")
    assert report.ok, report
    assert report.recorded == "matches"
print(json.dumps(sorted(sys.modules)))
"""

COMMAND_LINE = """
import json, sys
from inspector_app import cli
try:
    cli.main(["--help"])
except SystemExit as end:
    assert not end.code
print()
print(json.dumps(sorted(sys.modules)))
"""


def modules_after(code: str, *arguments: str) -> set[str]:
    """Top-level names of all that a process of its own had loaded at its end."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_the_window_never_loads_torch(tmp_path):
    loaded = modules_after(GUI, str(tmp_path))
    assert "PySide6" in loaded
    assert not loaded & {"torch", "safetensors"}


def test_the_backend_does_its_whole_job_without_qt(tmp_path):
    loaded = modules_after(BACKEND, str(tmp_path / "mlp.safetensors"))
    assert "torch" in loaded
    assert not loaded & {"PySide6", "shiboken6", "pyqtgraph", "widgets"}


def test_the_command_line_loads_neither_before_a_command_needs_it():
    loaded = modules_after(COMMAND_LINE)
    assert "inspector_app" in loaded
    assert not loaded & {"torch", "safetensors", "PySide6", "pyqtgraph", "numpy"}


def test_the_package_itself_loads_neither():
    loaded = modules_after("import inspector_app, json, sys; print(json.dumps(list(sys.modules)))")
    assert not loaded & {"torch", "PySide6", "numpy"}


@pytest.mark.parametrize(
    "request_type",
    [r for r in typing.get_args(messages.AnyRequest) if r is not messages.CancelJob],
    ids=lambda request_type: request_type.__name__,
)
def test_session_has_a_method_for_every_request(request_type):
    """Its name, its arguments, its defaults, and the result that the request promises."""
    from inspector_app.backend.session import Session

    values = dict.fromkeys(request_type.__struct_fields__)
    method = getattr(Session, request_type(**values).method)
    parameters = inspect.signature(method).parameters
    assert list(parameters) == ["self", *request_type.__struct_fields__, "job"]
    promised = inspect.getdoc(request_type).partition("-> ")[2].partition(".")[0].split()[0]
    assert typing.get_type_hints(method)["return"].__name__ == promised
