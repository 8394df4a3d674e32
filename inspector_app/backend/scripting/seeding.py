"""How a script draws random numbers: generators of its own, or seeded global ones."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch

from inspector_app.backend.scripting.source import Script, indented

_SEEDED = '''\
@contextlib.contextmanager
def seeded(seed):
    """Freshly seeded generators of torch, numpy and Python inside, untouched ones outside."""
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before[0])
        np.random.set_state(before[1])
        random.setstate(before[2])
'''


def generator_name(device: torch.device) -> str:
    """What a script calls the generator for a device."""
    return "generator" if device.type == "cpu" else "generator_" + re.sub(r"\W", "_", str(device))


def generator_line(device: torch.device, seed: int) -> str:
    """Make it."""
    place = "" if device.type == "cpu" else f'"{device}"'
    return f"{generator_name(device)} = torch.Generator({place}).manual_seed({seed})"


def seeded_lines(
    lines: Sequence[str], seed: int, script: Script, *, torch_alone: bool
) -> list[str]:
    """Lines that draw from the global generators, seeded for them and then put back.

    ``torch_alone`` says that neither numpy nor Python is asked for numbers.
    """
    script.imports.add("torch")
    if torch_alone:
        head = "with torch.random.fork_rng(devices=[]):"
        return [head, *indented([f"torch.manual_seed({seed})", *lines])]
    script.imports.update(("contextlib", "numpy", "random"))
    script.helpers["seeded"] = _SEEDED
    return [f"with seeded({seed}):", *indented(lines)]
