"""Where the files stand that the program carries with it: icons, fonts and sample models.

In a clone they lie beside the package, in an installed wheel inside it (see ``force-include`` in
pyproject.toml).  Imports neither torch nor Qt.
"""

from __future__ import annotations

from pathlib import Path

from inspector_app.protocol.errors import TargetError

_PACKAGE = Path(__file__).resolve().parent


def _folder(name: str) -> Path:
    """The carried folder ``name``, from the wheel where it is installed, else from the clone."""
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def asset_folder(name: str) -> Path:
    """The folder of one kind of asset ("icons", "fonts")."""
    return _folder("assets") / name


def sample_names() -> list[str]:
    """Names of the sample models, as ``sample:NAME`` takes them, in alphabetical order."""
    return sorted(
        path.stem for path in _folder("sample_models").glob("*.py") if not path.stem.startswith("_")
    )


def sample_file(name: str) -> Path:
    """The Python file of a sample model; raises TargetError naming the samples there are."""
    names = sample_names()
    if name not in names:
        known = ", ".join(names) if names else "none is installed"
        raise TargetError(f"There is no sample model '{name}'. The samples are: {known}.")
    return _folder("sample_models") / f"{name}.py"
