"""Whether a file for torch.load can hold a value that is no plain tensor.

``torch.load(weights_only=True)`` decides, on a file of that value alone.
"""

from __future__ import annotations

import io

import torch

from inspector_app.backend.exporting.torch_form import TorchForm
from inspector_app.backend.exporting.torch_pickle import NotForTorch
from inspector_app.backend.exporting.transforming import Written
from inspector_app.backend.failures import spoken
from inspector_app.backend.states import Spec, StateSource
from inspector_app.protocol.errors import RefusedError

_ADVICE = "Weights only load failed"


def why_not_for_torch(source: StateSource, key: str, spec: Spec) -> str:
    """Why ``torch.load(weights_only=True)`` would not read a value; "" where it does."""
    written = Written(source, {key: key}, {key: spec})
    try:
        torch.load(io.BytesIO(TorchForm(written, [key], {}).content()), weights_only=True)
    except KeyboardInterrupt:
        raise
    except (NotForTorch, RefusedError) as error:
        return str(error)
    except BaseException as error:  # noqa: BLE001 - pickling runs code of the value's class
        what = spec.reason or "its value"
        text = spoken(error)
        if _ADVICE in text:
            return f"{what}, which torch.load(weights_only=True) does not read"
        return f"{what}, and pickling it raised {text}"
    return ""
