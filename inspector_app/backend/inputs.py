"""Example inputs: those that a model file makes itself, or those of a small form.

The form is read from the signature of ``forward`` and from the first layers; nothing of the model
is run for it.  What it guesses is a start for the person to correct.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple, Protocol

import torch
from torch import nn

from inspector_app.backend.failures import model_error
from inspector_app.backend.modules import modules_of, tensors_of
from inspector_app.backend.walking import instance_dict, items_of
from inspector_app.protocol.errors import RequestError
from inspector_app.protocol.messages import InputField, InputForm

BATCH = 2  # batch normalisation cannot train on one
LENGTH = 16  # of sequences
EXTENT = 32  # of images and other grids
MAX_ELEMENTS = 1 << 31


class Inputs(NamedTuple):
    """Arguments of one call of a model."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def at(self, step: int) -> Inputs:
        """Those of one step, from 0 on: the same in each."""
        return self


class Supply(Protocol):
    """Where the arguments of each step of a run come from."""

    def at(self, step: int) -> Inputs:
        """Those of one step, from 0 on."""


# -- made by the model file ------------------------------------------------------------------------


def provider(namespace: ModuleType | None) -> Callable[[], Any] | None:
    """The ``example_inputs`` of a model file, where it has one."""
    found = None if namespace is None else vars(namespace).get("example_inputs")
    return found if callable(found) else None


def example_inputs(namespace: ModuleType | None) -> Inputs:
    """What ``example_inputs()`` returns, as arguments.

    It may return a tensor, a tuple of positional arguments, a dict of keyword arguments, or a pair
    of both.  Draws from the global random generators: call it inside of
    :func:`running.private_random`.
    """
    make = provider(namespace)
    if make is None:
        raise RequestError("The model file has no example_inputs(): fill in the form of inputs.")
    failure = None
    try:
        made = make()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a user's code raises
        failure = model_error(error, "example_inputs()")
    if failure is not None:
        raise failure
    if isinstance(made, Mapping):
        return Inputs((), _named(made))
    if isinstance(made, (tuple, list)):
        if len(made) == 2 and isinstance(made[0], (tuple, list)) and isinstance(made[1], Mapping):
            return Inputs(tuple(made[0]), _named(made[1]))
        return Inputs(tuple(made), {})
    if isinstance(made, torch.Tensor):
        return Inputs((made,), {})
    raise RequestError(
        f"example_inputs() returned {_article(type(made).__name__)}: it must return a tensor, a "
        "tuple of arguments, a dict of keyword arguments, or (arguments, keyword arguments)."
    )


def _named(arguments: Mapping[Any, Any]) -> dict[str, Any]:
    for name in arguments:
        if not isinstance(name, str):
            raise RequestError(f"example_inputs() named an argument {name!r}: names are strings.")
    return dict(arguments)


def _article(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


# -- the form --------------------------------------------------------------------------------------


def input_form(
    model: nn.Module,
    namespace: ModuleType | None = None,
    *,
    own_loss: bool = False,
    optimizers: Sequence[str] = (),
) -> InputForm:
    """How example inputs can be had; runs nothing of the model.

    A file that provides its own inputs still has a form where one can be made.  The rest is told
    on, for runs that train.
    """
    fields, reason = _form(model)
    provided = provider(namespace) is not None
    if provided:
        reason = ""
    elif reason:
        advice = "give the model file an example_inputs() that returns the arguments."
        reason = f"No form of inputs: {reason}; {advice}"
    return InputForm(
        provided=provided,
        fields=fields,
        reason=reason,
        own_loss=own_loss,
        optimizers=list(optimizers),
    )


def _form(model: nn.Module) -> tuple[list[InputField], str]:
    """One field per tensor that ``forward`` takes, or none and the reason why."""
    parameters, reason = _parameters(model)
    fields: list[InputField] = []
    guess = _first_guess(model)
    for parameter in parameters:
        required = parameter.default is inspect.Parameter.empty
        if not _may_be_tensor(parameter):
            if required:
                reason = f"forward needs {parameter.name}, which is not a tensor"
            continue
        name = parameter.name
        fields.append(guess(name=name, required=required, used=required))
    if not fields and not reason:
        reason = "forward names no tensor that it takes"
    if reason:
        return [], reason
    if not any(field.used for field in fields):  # all optional: the first one is the likeliest
        fields[0] = guess(name=fields[0].name, required=False, used=True)
    return fields, ""


def _unwrapped(model: nn.Module) -> nn.Module:
    """The model itself, where ``torch.compile`` stands around it."""
    inner = dict(items_of(instance_dict(model).get("_modules"))).get("_orig_mod")
    return _unwrapped(inner) if isinstance(inner, nn.Module) else model


def _parameters(model: nn.Module) -> tuple[list[inspect.Parameter], str]:
    """Named parameters of ``forward`` without ``self``, or the reason why there are none."""
    if issubclass(type(model), torch.jit.ScriptModule):
        return [], "a ScriptModule does not tell what forward takes"
    model = _unwrapped(model)
    patched = instance_dict(model).get("forward")
    forward = patched or inspect.getattr_static(type(model), "forward", None)
    if forward is None or getattr(forward, "__name__", "") == "_forward_unimplemented":
        return [], f"{type(model).__name__} has no forward"
    try:
        # Annotations stay text: to evaluate them could run the person's code.
        signature = inspect.signature(forward)
    except (TypeError, ValueError):
        return [], f"the forward of {type(model).__name__} has no signature"
    parameters = list(signature.parameters.values())
    if parameters and patched is None:
        named_self = parameters[0].kind in (
            inspect.Parameter.POSITIONAL_ONLY,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
        )
        parameters = parameters[1:] if named_self else parameters
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    named = [parameter for parameter in parameters if parameter.kind not in kinds]
    if not named and parameters:
        return [], "forward takes whatever it is given (*args, **kwargs)"
    if not named:
        return [], "forward takes no arguments"
    return named, ""


def _may_be_tensor(parameter: inspect.Parameter) -> bool:
    """Whether an argument can be filled by a tensor, going by its annotation and default."""
    default = parameter.default
    if default is not inspect.Parameter.empty and default is not None:
        return isinstance(default, torch.Tensor)
    annotation = parameter.annotation
    if annotation is inspect.Parameter.empty or annotation is Any:
        return True
    text = annotation if isinstance(annotation, str) else str(annotation)
    return "Tensor" in text or text in ("Any", "typing.Any", "object")


def _first_guess(model: nn.Module) -> Callable[..., InputField]:
    """What makes a field out of the shape and kind that the first telling layer takes."""
    for _, module in modules_of(model):
        try:
            facts = _taken_by(module)
        except (KeyError, TypeError):  # half-constructed, or its sizes were changed
            facts = None
        if facts is not None:
            return lambda **more: InputField(**facts, **more)
    return InputField


def _taken_by(module: nn.Module) -> dict[str, Any] | None:
    """Shape, dtype and distribution of what a layer takes; None where its class does not tell."""
    own = instance_dict(module)
    if issubclass(type(module), (nn.Embedding, nn.EmbeddingBag)):
        facts = {"dtype": "int64", "distribution": "integers", "high": own["num_embeddings"]}
        return {"shape": (BATCH, LENGTH), **facts}
    shape: tuple[int, ...] | None = None
    if issubclass(type(module), nn.Linear):
        shape = (BATCH, own["in_features"])
    elif issubclass(type(module), nn.modules.conv._ConvNd):
        shape = (BATCH, own["in_channels"]) + (EXTENT,) * len(own["kernel_size"])
    elif issubclass(type(module), nn.RNNBase):
        lead = (BATCH, LENGTH) if own["batch_first"] else (LENGTH, BATCH)
        shape = (*lead, own["input_size"])
    elif issubclass(type(module), nn.MultiheadAttention):
        lead = (BATCH, LENGTH) if own["batch_first"] else (LENGTH, BATCH)
        shape = (*lead, own["embed_dim"])
    elif issubclass(type(module), nn.LayerNorm):
        shape = (BATCH, *own["normalized_shape"])
    if shape is None or not all(shape):  # 0 features: lazy, not known before the first forward
        return None
    weights = (value for value in own["_parameters"].values() if isinstance(value, torch.Tensor))
    dtype = next((weight.dtype for weight in weights if weight.is_floating_point()), torch.float32)
    return {"shape": shape, "dtype": str(dtype).removeprefix("torch.")}


# -- tensors of a form -----------------------------------------------------------------------------


def make_inputs(
    model: nn.Module,
    fields: Sequence[InputField],
    seed: int = 0,
    given: Mapping[str, torch.Tensor] | None = None,
) -> Inputs:
    """Tensors as the fields say, as arguments of ``model``; the same ones for the same seed.

    ``given`` are those, by name and on the model's device, that need not be made.  Draws from a
    generator of its own.  Raises RequestError for a field that cannot be made.
    """
    generator = torch.Generator(device="cpu").manual_seed(seed)
    device = device_of(model)
    tensors = dict(given or {})
    for field in fields:
        if field.used and field.name not in tensors:
            tensors[field.name] = _tensor(field, generator).to(device)
    parameters, _ = _parameters(model)
    args: list[torch.Tensor] = []
    kwargs = dict(tensors)
    for parameter in parameters:
        # A gap ends what can be given by position; hooks of the model see arguments as in a call.
        if parameter.name not in kwargs or parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            break
        args.append(kwargs.pop(parameter.name))
    known = {parameter.name for parameter in parameters}
    for name in kwargs:
        if name not in known:
            raise RequestError(f"forward of {type(model).__name__} takes no argument {name!r}.")
    return Inputs(tuple(args), kwargs)


def device_of(model: nn.Module) -> torch.device:
    """Where the first tensor of a model is."""
    return next((tensor.device for _, tensor in tensors_of(model)), torch.device("cpu"))


def dtype_of(field: InputField) -> torch.dtype:
    """The dtype that a field asks for; raises RequestError where there is none of that name."""
    dtype = getattr(torch, field.dtype, None)
    if not isinstance(dtype, torch.dtype):
        raise RequestError(f"{field.name}: there is no dtype {field.dtype!r}; write float32, say.")
    return dtype


def _tensor(field: InputField, generator: torch.Generator) -> torch.Tensor:
    dtype = dtype_of(field)
    elements = 1
    for extent in field.shape:
        if extent < 0:
            raise RequestError(f"{field.name}: a shape cannot hold {extent}.")
        elements *= extent
    if elements > MAX_ELEMENTS:
        raise RequestError(f"{field.name}: {elements:,} elements are too many for an example.")
    fractional = dtype.is_floating_point or dtype.is_complex
    if field.distribution in ("normal", "uniform") and not fractional:
        raise RequestError(
            f"{field.name}: {field.distribution} values need a floating point dtype; choose "
            f"integers for {field.dtype}."
        )
    if field.distribution == "integers" and field.high < 1:
        raise RequestError(f"{field.name}: integers need an upper bound of at least 1.")
    # Drawn in a dtype that every generator knows, then converted.
    draw = torch.complex64 if dtype.is_complex else torch.float32
    options: dict[str, Any] = {"generator": generator, "device": "cpu"}
    try:
        if field.distribution == "normal":
            return torch.randn(field.shape, dtype=draw, **options).to(dtype)
        if field.distribution == "uniform":
            return torch.rand(field.shape, dtype=draw, **options).to(dtype)
        if field.distribution == "integers":
            drawn = torch.randint(field.high, field.shape, dtype=torch.int64, **options)
            return drawn.to(dtype)
        return torch.full(field.shape, float(field.distribution == "ones"), device="cpu").to(dtype)
    except (RuntimeError, NotImplementedError) as error:
        reason = str(error).split("\n", 1)[0]
        raise RequestError(f"{field.name}: cannot be made ({reason}).") from None
