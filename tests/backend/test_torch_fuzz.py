"""Mutations of archives: a typed error or a listing, soon, and no code run.

``FUZZ=20000 pytest tests/backend/test_torch_fuzz.py`` is the long run (``make fuzz``).  The seed of
a mutation is its number, so a failure names what to run again.
"""

import os
import random
import time

import pytest
import torch

from inspector_app.backend.checkpoint import Checkpoint
from inspector_app.protocol.errors import InspectorError
from tests.backend.torch_files import Canary, archive_of, description_of, with_members

ROUNDS = int(os.environ.get("FUZZ", "400"))
SECONDS = 20.0  # a bound against hanging; the slowest is printed, and is to stay under 2 s


def mutated(content, chance):
    """Bytes changed, cut out, doubled or moved, in a few places."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 4, 16))):
        at = chance.randrange(len(data))
        length = chance.choice((1, 1, 2, 4, 8, 40))
        kind = chance.randrange(6)
        if kind == 0:
            data[at] = chance.randrange(256)
        elif kind == 1:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 2 and len(data) > 200:
            del data[at : at + length]
        elif kind == 3:
            data[at:at] = data[at : at + length]
        elif kind == 4:
            data[at : at + length] = chance.randbytes(length)
        else:
            other = chance.randrange(len(data))
            data[at : at + length] = data[other : other + length]
    return bytes(data)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    proof = tmp_path_factory.mktemp("canary") / "proof"
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    many = {f"layer.{number}.weight": torch.ones(2, 3) for number in range(60)}
    values = [
        {"state_dict": model.state_dict(), "epoch": 3, "bad": Canary(proof)},
        model,
        many,
        {"a": torch.ones(3).to(torch.uint16), "b": torch.eye(2).to_sparse(), "l": [1, 2, {3: "x"}]},
    ]
    return proof, [(archive_of(value), description_of(value)) for value in values]


def test_mutations(corpus, tmp_path):
    proof, files = corpus
    path = tmp_path / "x.pt"
    opened = 0
    slowest = 0.0
    sentences = []
    for seed in range(ROUNDS):
        chance = random.Random(seed)
        content, description = files[seed % len(files)]
        if seed % 3:
            content = with_members(content, data_pkl=mutated(description, chance))
        else:
            content = mutated(content, chance)
        path.write_bytes(content)
        start = time.process_time()
        try:
            checkpoint = Checkpoint(path)
            table = checkpoint.tree.table
            assert len(table) == len(set(table.paths)), seed
            checkpoint.totals()
            for name in checkpoint.names():
                if not checkpoint.spec(name).reason and checkpoint.spec(name).nbytes < 1 << 20:
                    size = sum(len(block) for block in checkpoint.blocks(name))
                    assert size == checkpoint.spec(name).nbytes, seed
            checkpoint.close()
            opened += 1
        except InspectorError as error:
            sentences.append(error.sentence)
        except Exception as error:
            raise AssertionError(f"mutation {seed}") from error
        slowest = max(slowest, time.process_time() - start)
        assert slowest < SECONDS, seed
        assert not proof.exists(), seed
    print(f"{ROUNDS:,} mutations, {opened:,} opened, the slowest took {slowest:.2f} s")
    assert 0 < opened < ROUNDS
    assert all(sentence.endswith(".") for sentence in sentences)
