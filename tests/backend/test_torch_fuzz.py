"""Mutations of checkpoints: a typed error or a listing, soon, with little memory, and no code run.

``FUZZ=20000 pytest tests/backend/test_torch_fuzz.py`` is the long run (``make fuzz``); see
:mod:`tests.backend.fuzzing`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.backend.fuzzing import MEGABYTES, SECONDS, Corpus

ROUNDS = int(os.environ.get("FUZZ", "400"))
AT_ONCE = 2_000  # in one process
ROOT = Path(__file__).resolve().parents[2]


def carried_out(folder, first, last):
    folder.mkdir()
    arguments = ["-m", "tests.backend.fuzzing", str(folder), str(first), str(last)]
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr  # a process that died names its signal
    return json.loads(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_mutations(tmp_path):
    parts = [
        carried_out(tmp_path / str(first), first, min(first + AT_ONCE, ROUNDS))
        for first in range(0, ROUNDS, AT_ONCE)
    ]
    opened = sum(part["opened"] for part in parts)
    slowest = max(part["slowest"] for part in parts)
    largest = max(part["largest"] for part in parts)
    print(
        f"{ROUNDS:,} mutations, {opened:,} opened; the slowest took {slowest[0]:.2f} s, "
        f"the largest {largest[0]:.0f} MB"
    )
    assert [line for part in parts for line in part["wrong"]] == []
    assert slowest[0] < SECONDS, slowest
    assert largest[0] < MEGABYTES, largest
    assert 0 < opened < ROUNDS
    assert sum(sum(part["errors"].values()) for part in parts) == ROUNDS - opened


def test_the_canary_sings_where_code_is_run(tmp_path):
    corpus = Corpus(tmp_path)
    path = tmp_path / "x.pt"
    path.write_bytes(corpus.archives[0][0])
    assert not corpus.proof.exists()
    torch.load(path, weights_only=False)
    assert corpus.proof.exists()
