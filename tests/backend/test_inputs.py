"""Example inputs: from the model file, or from a form that is guessed without running anything."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Optional

import pytest
import torch
from torch import nn

from inspector_app.backend.inputs import Inputs, example_inputs, input_form, make_inputs
from inspector_app.protocol.errors import ModelError, RequestError
from inspector_app.protocol.messages import InputField


def namespace(make: Any) -> ModuleType:
    module = ModuleType("model_file")
    if make is not None:
        module.example_inputs = make
    return module


class Forward(nn.Module):
    """Base of models whose forward never runs here."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was read from the instance")


# -- example_inputs() ----------------------------------------------------------------------------


def test_every_form_that_example_inputs_may_return():
    one, two = torch.ones(1), torch.zeros(2)
    for made, expected in [
        (one, Inputs((one,), {})),
        ((one, two), Inputs((one, two), {})),
        ([one], Inputs((one,), {})),
        ({"x": one}, Inputs((), {"x": one})),
        (((one,), {"y": two}), Inputs((one,), {"y": two})),
        ((), Inputs((), {})),
    ]:
        found = example_inputs(namespace(lambda made=made: made))
        assert [id(value) for value in found.args] == [id(value) for value in expected.args]
        assert found.kwargs.keys() == expected.kwargs.keys()


def test_example_inputs_that_fail():
    with pytest.raises(RequestError, match="an int"):
        example_inputs(namespace(lambda: 3))
    with pytest.raises(RequestError, match="names are strings"):
        example_inputs(namespace(lambda: {1: torch.ones(1)}))
    with pytest.raises(RequestError, match="no example_inputs"):
        example_inputs(None)

    def broken():
        raise KeyError("tokens")

    with pytest.raises(ModelError, match=r"example_inputs\(\) raised KeyError: 'tokens'") as caught:
        example_inputs(namespace(broken))
    assert "in broken" in caught.value.detail
    assert "inspector_app" not in caught.value.detail


def test_the_model_file_comes_first():
    form = input_form(nn.Linear(2, 2), namespace(lambda: None))
    assert form.provided
    assert [field.name for field in form.fields] == ["input"]
    assert not input_form(nn.Linear(2, 2), namespace(None)).provided


# -- the form ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "shape", "dtype"),
    [
        (nn.Linear(7, 2), (2, 7), "float32"),
        (nn.Linear(7, 2).double(), (2, 7), "float64"),
        (nn.Conv1d(3, 2, 1), (2, 3, 32), "float32"),
        (nn.Conv2d(3, 2, 1), (2, 3, 32, 32), "float32"),
        (nn.Conv3d(1, 2, 1).bfloat16(), (2, 1, 32, 32, 32), "bfloat16"),
        (nn.ConvTranspose2d(5, 2, 1), (2, 5, 32, 32), "float32"),
        (nn.LSTM(4, 2), (16, 2, 4), "float32"),
        (nn.GRU(4, 2, batch_first=True), (2, 16, 4), "float32"),
        (nn.LayerNorm((3, 4)), (2, 3, 4), "float32"),
        (nn.Embedding(50, 4), (2, 16), "int64"),
    ],
)
def test_guessed_inputs_fit_the_first_layer(layer, shape, dtype):
    model = nn.Sequential(nn.Identity(), layer)
    (field,) = input_form(model).fields
    assert (field.name, field.shape, field.dtype) == ("input", shape, dtype)
    assert field.required
    assert field.used
    inputs = make_inputs(model, [field])
    assert inputs.args[0].dtype == getattr(torch, dtype)
    model(*inputs.args)


def test_a_transformer_takes_its_guess_twice():
    model = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
    form = input_form(model)
    assert [field.name for field in form.fields if field.used] == ["src", "tgt"]
    assert "src_mask" in [field.name for field in form.fields]
    assert "src_is_causal" not in [field.name for field in form.fields]
    inputs = make_inputs(model, form.fields)
    assert model(*inputs.args, **inputs.kwargs).shape == (2, 16, 8)


def test_a_lazy_layer_tells_nothing():
    (field,) = input_form(nn.Sequential(nn.LazyLinear(3))).fields
    assert field.shape == (1,)


def test_optional_arguments():
    class Model(Forward):
        def forward(
            self,
            tokens: Optional[torch.Tensor] = None,  # noqa: UP045
            mask: torch.Tensor | None = None,
            cache: list[int] | None = None,
            scale: float = 1.0,
            untyped=None,
            **options: Any,
        ) -> None: ...

    form = input_form(Model())
    names = [(field.name, field.required, field.used) for field in form.fields]
    assert names == [("tokens", False, True), ("mask", False, False), ("untyped", False, False)]


@pytest.mark.parametrize(
    ("forward", "reason"),
    [
        (lambda self, *args, **kwargs: None, "whatever it is given"),
        (lambda self: None, "takes no arguments"),
        (None, "has no forward"),
    ],
)
def test_no_form_has_a_reason(forward, reason):
    model = type("Model", (Forward,), {} if forward is None else {"forward": forward})()
    form = input_form(model)
    assert reason in form.reason
    assert "example_inputs()" in form.reason
    assert form.fields == []


def test_a_required_argument_that_is_no_tensor():
    class Model(Forward):
        def forward(self, x: torch.Tensor, steps: int) -> None: ...

    assert "needs steps" in input_form(Model()).reason


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_scripted_and_patched_models():
    assert "ScriptModule" in input_form(torch.jit.script(nn.Linear(1, 1))).reason
    model = nn.Linear(3, 1)
    model.forward = lambda image, size=None: None
    assert [field.name for field in input_form(model).fields] == ["image", "size"]


def test_a_compiled_model_shows_the_original():
    class OptimizedModule(nn.Module):  # as torch.compile makes it, without a second of imports
        def __init__(self, model: nn.Module) -> None:
            super().__init__()
            self._orig_mod = model
            self.forward = lambda *args, **kwargs: None

    model = OptimizedModule(nn.Linear(3, 1))
    (field,) = input_form(model).fields
    assert (field.name, field.shape) == ("input", (2, 3))


def test_a_module_inside_itself():
    model = nn.Sequential(nn.Identity())
    model[0].add_module("up", model)
    assert input_form(model).fields[0].name == "input"


# -- tensors -------------------------------------------------------------------------------------


class Many(nn.Module):
    def forward(self, a, b, c=None, *, d=None):
        return a, b, c, d


def test_arguments_stand_where_the_signature_has_them():
    fields = [InputField(name=name, shape=(i,)) for i, name in enumerate("abcd")]
    inputs = make_inputs(Many(), fields)
    assert [len(tensor) for tensor in inputs.args] == [0, 1, 2]
    assert list(inputs.kwargs) == ["d"]
    gap = [fields[0], InputField(name="b", used=False), fields[2]]
    inputs = make_inputs(Many(), gap)
    assert len(inputs.args) == 1
    assert list(inputs.kwargs) == ["c"]


def test_distributions_and_seeds():
    def made(**field: Any) -> torch.Tensor:
        return make_inputs(Many(), [InputField(name="a", **field)], seed=3).args[0]

    state = torch.get_rng_state()
    normal = made(shape=(2000,))
    assert abs(normal.mean()) < 0.1
    assert abs(normal.std() - 1) < 0.1
    assert torch.equal(normal, made(shape=(2000,)))
    uniform = made(shape=(2000,), distribution="uniform", dtype="float16")
    assert uniform.dtype == torch.float16
    assert 0 <= uniform.min() < uniform.max() <= 1
    integers = made(shape=(200,), distribution="integers", high=5, dtype="int32")
    assert sorted(set(integers.tolist())) == [0, 1, 2, 3, 4]
    assert made(distribution="ones", dtype="bool").tolist() == [True]
    assert made(distribution="zeros", dtype="complex64").tolist() == [0j]
    assert made(distribution="normal", dtype="float8_e4m3fn").dtype == torch.float8_e4m3fn
    assert torch.equal(state, torch.get_rng_state())


def test_inputs_stand_on_the_models_device():
    model = nn.Linear(2, 2, device="meta")
    assert make_inputs(model, [InputField(name="input")]).args[0].is_meta


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ({"dtype": "float33"}, "no dtype 'float33'"),
        ({"dtype": "nn"}, "no dtype 'nn'"),
        ({"shape": (2, -1)}, "cannot hold -1"),
        ({"shape": (1 << 20, 1 << 20)}, "too many"),
        ({"dtype": "int64"}, "choose integers"),
        ({"dtype": "int64", "distribution": "integers", "high": 0}, "upper bound"),
        ({"name": "z"}, "no argument 'z'"),
    ],
)
def test_fields_that_cannot_be_made(field, words):
    with pytest.raises(RequestError, match=words):
        make_inputs(Many(), [InputField(**{"name": "a", **field})])
