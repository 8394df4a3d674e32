"""Models from folders of Hugging Face form: ``config.json``, with weights beside it or none.

The model is built by ``transformers``, where that is installed, from its own classes and the files
of the folder alone: no network, and no code that came with the folder.  The weights are laid on
afterwards, by the same reader as any checkpoint; where their names are those of an older version of
the library, it converts them itself.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import torch
from torch import nn

from inspector_app.backend.failures import spoken
from inspector_app.backend.formats.content import open_file
from inspector_app.backend.opening.factory import on_device, seed_everything
from inspector_app.backend.opening.failing import failed
from inspector_app.backend.opening.model import OpenModel
from inspector_app.protocol.errors import TargetError

CONFIG = "config.json"
_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY")
_ONLY_OURS = {"trust_remote_code": False}
_LOCAL = {"local_files_only": True, **_ONLY_OURS}
_NAMED = 5  # keys that are spelt out
_SIZE_LIMIT = 16 << 20  # bytes of a config.json
_BATCH = 2
_LENGTH = 16  # of example texts


class Config(msgspec.Struct):
    """What a ``config.json`` says of the class that it is for."""

    model_type: str = ""
    architectures: list[str] | None = None
    auto_map: dict[str, Any] | None = None
    quantization_config: Any = None

    @property
    def of_transformers(self) -> bool:
        """Whether it is meant for ``transformers``: other libraries write such a file as well."""
        return bool(self.model_type or self.architectures or self.auto_map)


def read_config(folder: Path) -> Config | None:
    """What the folder's ``config.json`` says; None where it has none.  Raises TargetError."""
    path = folder / CONFIG
    try:
        if not path.is_file():
            return None
        if path.stat().st_size > _SIZE_LIMIT:
            raise TargetError(f"{path} has more than {_SIZE_LIMIT:,} bytes, so it is no config.")
        return msgspec.json.decode(path.read_bytes(), type=Config)
    except OSError as error:
        raise TargetError(f"{path} cannot be read: {error.strerror or error}.") from None
    except (ValueError, RecursionError) as error:
        raise TargetError(f"{path} is no config of a model: {error}.") from None


def weights_in(folder: Path) -> Path | None:
    """The weights of a folder: safetensors before pickles, one file before shards."""
    return next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)


@contextmanager
def _offline() -> Iterator[None]:
    """No network, and no messages of the library's own, for as long as this lasts."""
    before = {name: os.environ.get(name) for name in _OFFLINE}
    os.environ.update(dict.fromkeys(_OFFLINE, "1"))
    # Where the hub's library is loaded already, it has read its environment long ago.
    constants = sys.modules.get("huggingface_hub.constants")
    online = vars(constants).get("HF_HUB_OFFLINE") if constants is not None else None
    if constants is not None:
        vars(constants)["HF_HUB_OFFLINE"] = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if constants is not None:
            vars(constants)["HF_HUB_OFFLINE"] = online
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _library(folder: Path) -> ModuleType:
    """``transformers``; raises TargetError where it is not installed."""
    try:
        import transformers
    except Exception as error:  # noqa: BLE001 - one that does not fit the installed torch
        weights = weights_in(folder)
        alone = f" The weights alone can be opened without it: {weights}." if weights else ""
        raise TargetError(
            f"{folder} is a model of Hugging Face's transformers, which cannot be imported here "
            f"({spoken(error)}). Install it with 'pip install transformers'.{alone}"
        ) from None
    module: ModuleType = transformers
    return module


@contextmanager
def _quiet(library: ModuleType) -> Iterator[None]:
    """Without the library's log: what matters of it is told in our own sentences."""
    logging = library.utils.logging
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


def _check_type(library: ModuleType, folder: Path, config: Config) -> None:
    """Raise TargetError where only code of the folder's own could build the model."""
    known = config.model_type in library.models.auto.configuration_auto.CONFIG_MAPPING
    if known:
        return
    name = f"the model type '{config.model_type}'" if config.model_type else "a model of no type"
    if config.auto_map:
        raise TargetError(
            f"{folder / CONFIG} names {name}, which transformers {library.__version__} does not "
            "know: it is built by Python code that comes with the folder, and that is not run "
            "here. Write a Python file with a factory that builds it."
        )
    raise TargetError(
        f"{folder / CONFIG} names {name}, which transformers {library.__version__} does not know: "
        "a newer version may, or a Python file with a factory that builds it."
    )


def _check_kernels(folder: Path, read: Any) -> None:
    """Raise TargetError where the configuration asks for compiled code from the hub."""
    for field in ("_attn_implementation", "_experts_implementation"):
        wanted = str(getattr(read, field, None) or "")
        if "/" in wanted:
            raise TargetError(
                f"{folder / CONFIG} asks for the kernel '{wanted[:100]}' from the hub, which is "
                "not fetched here. Take that line out of it, or open the weights alone."
            )


class _Source:
    """The class and configuration that a folder names; building may raise whatever it likes."""

    def __init__(self, library: ModuleType, folder: Path, config: Config) -> None:
        self._folder = str(folder)
        self._config = library.AutoConfig.from_pretrained(self._folder, **_LOCAL)
        _check_kernels(folder, self._config)
        named = (
            getattr(library, name, None)
            for name in config.architectures or ()
            if name.isidentifier()
        )
        self._class: Any = next(
            (
                found
                for found in named
                if isinstance(found, type) and issubclass(found, library.PreTrainedModel)
            ),
            None,
        )
        self._automatic: Any = library.AutoModel

    def fresh(self) -> nn.Module:
        """The model with initial values, in the data type that the folder names."""
        model: nn.Module
        if self._class is None:
            model = self._automatic.from_config(self._config, **_ONLY_OURS)
        else:
            model = self._class._from_config(self._config)
        return model

    def loaded(self) -> tuple[nn.Module, dict[str, Any]]:
        """The model with the folder's weights, and what of them was missing or left over."""
        cls = self._automatic if self._class is None else self._class
        model, info = cls.from_pretrained(
            self._folder,
            config=self._config,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **_LOCAL,
        )
        return model, info


def _is_by_name(weights: Path, model: nn.Module) -> bool:
    """Whether the weights are named as the model names them, so that they need no conversion."""
    both = (model.named_parameters, model.named_buffers)
    known = {name for named in both for name, _ in named(remove_duplicate=False)}
    with closing(open_file(weights)) as file:
        return known.issuperset(file.state)


def _listed(keys: Iterable[Any]) -> str:
    names = sorted(str(key[0] if isinstance(key, tuple) else key) for key in keys)
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _converted(source: _Source, weights: Path, opened: OpenModel) -> None:
    """Load weights whose names the library has to convert; else they are left to our own loader."""
    try:
        model, info = source.loaded()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever the library raises
        opened.notes.append(
            f"transformers could not load {weights.name} itself: {spoken(error)}. What fits by "
            "name was laid on."
        )
        return
    missing = [*info.get("missing_keys", ()), *info.get("mismatched_keys", ())]
    opened.model, opened.state_path = model, ""
    opened.initial = [str(key[0] if isinstance(key, tuple) else key) for key in missing]
    opened.notes.append(
        f"transformers loaded {weights.name}: it names its tensors unlike this version of the "
        "model, so they were converted."
    )
    if missing:
        opened.notes.append(f"Still at their initial value: {_listed(missing)}.")
    left = list(info.get("unexpected_keys", ()))
    if left:
        opened.notes.append(f"In the file and not in the model: {_listed(left)}.")


def _passed_over(config: Config, built: str) -> list[str]:
    """Sentences about what the configuration asks for and this model is not."""
    notes = []
    named = [name[:100] for name in config.architectures or ()]
    if named and built not in named:
        why = "transformers has no such class"
        if config.auto_map:
            why = "its code comes with the folder, which is not run here"
        notes.append(f"{CONFIG} names {', '.join(named[:_NAMED])}: {why}, so this is a {built}.")
    elif config.auto_map:
        notes.append(f"The folder's own code (auto_map) is not run: this is transformers' {built}.")
    if config.quantization_config is not None:
        notes.append(
            f"The quantization_config of {CONFIG} is passed over: the model is built unquantized, "
            "and of quantized weights only what fits by name and type is laid on."
        )
    return notes


def _vocabulary(config: Any) -> int:
    """Number of words that a text model knows; 0 where it is none."""
    for part in (config, getattr(config, "text_config", None)):
        size = getattr(part, "vocab_size", 0)
        if type(size) is int and size > 0:
            return size
    return 0


def _example(model: Any) -> Callable[[], dict[str, torch.Tensor]] | None:
    """What makes arguments of one call, where the configuration tells what the model takes."""
    config, main = model.config, model.main_input_name
    words = _vocabulary(config)
    size, channels = getattr(config, "image_size", 0), getattr(config, "num_channels", 0)
    sides = tuple(size) if isinstance(size, (list, tuple)) else (size, size)
    if main == "input_ids" and words:
        longest = getattr(config, "max_position_embeddings", 0)
        length = min(_LENGTH, longest) if type(longest) is int and longest > 4 else _LENGTH
        names = ["input_ids"]
        if getattr(config, "is_encoder_decoder", False):
            names.append("decoder_input_ids")
        return lambda: {name: torch.randint(words, (_BATCH, length)) for name in names}
    shape = (channels, *sides)
    if main == "pixel_values" and all(type(extent) is int and extent > 0 for extent in shape):
        return lambda: {"pixel_values": torch.randn(_BATCH, *shape)}
    return None


def _inputs(model: nn.Module) -> ModuleType | None:
    """Something with ``example_inputs()``, where that can be made."""
    try:
        make = _example(model)
    except AttributeError:
        return None  # a model without a configuration like others
    if make is None:
        return None
    module = ModuleType("hugging_face_inputs")
    vars(module)["example_inputs"] = make
    return module


def _weights_onto(source: _Source, folder: Path, opened: OpenModel) -> None:
    """Load the folder's weights, or name them for our own loader; tell what was not loaded."""
    weights = weights_in(folder)
    if weights is None:
        opened.notes.append("The folder holds no weights: all values are initial ones.")
        return
    if opened.device == "meta":
        opened.notes.append(f"{weights.name} was not loaded: on meta, tensors hold no values.")
        return
    opened.state_path = str(weights)
    if not _is_by_name(weights, opened.model):
        seed_everything(opened.seed)  # what the weights lack is drawn again
        _converted(source, weights, opened)
    opened.model.eval()  # as the library gives a model with weights


def open_hugging_face(
    folder: Path, config: Config, target: str, device: str, seed: int
) -> OpenModel:
    """The model of a folder, built from its ``config.json``.

    ``state_path`` names its weights where they are still to be laid on.  Raises TargetError.
    """
    failure = None
    with _offline():
        library = _library(folder)
        with _quiet(library):
            seed_everything(seed)
            try:
                _check_type(library, folder, config)
                source = _Source(library, folder, config)
                with on_device(device):
                    model = source.fresh()
            except (TargetError, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001 - whatever the library raises
                failure = failed(error, f"Building the model of {folder / CONFIG}", str(folder))
            if failure is not None:
                raise failure
            notes = _passed_over(config, type(model).__name__)
            opened = OpenModel(
                model=model,
                target=target,
                title=folder.name,
                path=str(folder),
                arguments={},
                device=device,
                seed=seed,
                kind="hugging_face",
            )
            opened.notes += notes
            _weights_onto(source, folder, opened)
    opened.inputs = _inputs(opened.model)
    return opened
