"""Mutations of checkpoints, each opened and looked at, in a process of its own.

``python -m tests.backend.fuzzing FOLDER FIRST LAST`` carries out the mutations of these numbers and
prints what came of them as JSON.  The seed of a mutation is its number, so a failure names what to
run again.  Seconds are those of the processor; megabytes are the most that the process held while
it opened one file, beyond what it held before.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import time
import warnings
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import save, save_file

from inspector_app.backend.opening import open_checkpoint
from inspector_app.protocol.errors import InspectorError
from tests.backend.pickle_programs import program
from tests.backend.torch_files import Canary, archive_of, description_of, legacy_of, with_members

SECONDS = 2.0
MEGABYTES = 500.0
_INDEX = "model.safetensors.index.json"
_TOKENS = (
    *(b'"', b"{", b"}", b"[", b"]", b",", b":", b"null", b"true", b"-1", b"1e999", b"\\", b"\xff"),
    *(b"../outside.safetensors", b"/", b"..", b"\\u0000", b'"weight_map"', b"{" * 3000),
    *(b"shard_1.bin", b"a.weight", b"b.weight"),
)


class TooLong(Exception):
    """A mutation took more than its seconds."""


def mutated(content: bytes, chance: random.Random, tokens: tuple[bytes, ...] = ()) -> bytes:
    """Bytes changed, cut out, doubled, moved or put in, in a few places."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 1, 1, 1, 2, 2, 4, 16))):
        at = chance.randrange(len(data))
        length = chance.choice((1, 1, 2, 4, 8, 40))
        kind = chance.randrange(8 if tokens else 7)
        if kind == 0:
            data[at] = chance.randrange(256)
        elif kind == 1:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 2 and len(data) > 100:
            del data[at : at + length]
        elif kind == 3:
            data[at:at] = data[at : at + length]
        elif kind == 4:
            data[at : at + length] = chance.randbytes(length)
        elif kind == 5:
            other = chance.randrange(len(data))
            data[at : at + length] = data[other : other + length]
        elif kind == 6:  # a small number of a pickle
            at = data.find(b"K", at)
            data[at + 1 : at + 2] = bytes([chance.choice((0, 1, 2, 4, 127, 128, 255))])
        elif kind == 7:
            data[at:at] = chance.choice(tokens)
    return bytes(data)


class Corpus:
    """Files to mutate, and the folder in which they are opened."""

    def __init__(self, folder: Path) -> None:
        self.proof = folder / "proof"
        self.inside = folder / "inside"
        self.inside.mkdir(exist_ok=True)
        model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
        model.register_buffer("passing", torch.ones(2), persistent=False)
        values = [
            {"state_dict": model.state_dict(), "epoch": 3, "bad": Canary(self.proof)},
            model,
            {f"layer.{number}.weight": torch.ones(2, 3) for number in range(60)},
            {"a": torch.eye(2).to_sparse(), "l": [1, 2, {3: "x"}], "v": torch.ones(9)[2:5]},
        ]
        self.archives = [(archive_of(value), description_of(value)) for value in values]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.legacy = [legacy_of(value) for value in values] + [legacy_of(values[0], 4)]
        self.safetensors = save({"a.weight": torch.ones(2, 3), "b": torch.ones(2).half()})
        save_file({"secret": torch.ones(1)}, folder / "outside.safetensors")
        self.shards = {
            "shard_1.bin": archive_of({"a.weight": torch.ones(2), "bad": Canary(self.proof)}),
            "shard_2.bin": legacy_of({"b.weight": torch.ones(3)}),
        }
        places = {"a.weight": "shard_1.bin", "b.weight": "shard_2.bin"}
        index = {"metadata": {"total_size": 20}, "weight_map": places}
        self.index = json.dumps(index, indent=2).encode()

    def written(self, number: int) -> Path:
        """The file of one mutation."""
        chance = random.Random(number)
        kind = number % 8
        if kind == 7:
            return self._index_file(chance)
        path = self.inside / "x.pt"
        if kind == 6:
            content = mutated(self.safetensors, chance, _TOKENS)
        elif kind > 3:
            content = mutated(chance.choice(self.legacy), chance)
        else:
            content, description = chance.choice(self.archives)
            if kind == 3:
                content = with_members(content, data_pkl=program(chance))
            elif kind:
                content = with_members(content, data_pkl=mutated(description, chance))
            else:
                content = mutated(content, chance)
        path.write_bytes(content)
        return path

    def _index_file(self, chance: random.Random) -> Path:
        """An index or one of its shards changed."""
        for name, content in self.shards.items():
            changed = chance.random() < 0.2
            (self.inside / name).write_bytes(mutated(content, chance) if changed else content)
        path = self.inside / _INDEX
        path.write_bytes(mutated(self.index, chance, _TOKENS))
        return path


def look(path: Path) -> None:
    """Open a file and ask for all that a session asks for; raises AssertionError for an untruth."""
    checkpoint = open_checkpoint(path)
    try:
        table = checkpoint.tree.table
        assert len(table) == 1 + len(set(table.paths[1:]))
        checkpoint.totals()
        checkpoint.fingerprint()
        assert all(note.endswith(".") for note in checkpoint.notes)
        assert checkpoint.trust is None or checkpoint.trust.imports is not None
        assert "secret" not in checkpoint.names()
        for name in checkpoint.names():
            spec = checkpoint.spec(name)
            if not spec.reason and spec.nbytes < 1 << 20:
                assert sum(len(block) for block in checkpoint.blocks(name)) == spec.nbytes
                assert checkpoint.tensor(name).nbytes == spec.nbytes
    finally:
        checkpoint.close()


def _held(word: str) -> float:
    """Megabytes that this process holds ("VmRSS") or held at most ("VmHWM")."""
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith(word))
    return int(line.split()[1]) / 1e3


def _forget_peak() -> None:
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


@contextmanager
def _limited():
    """Raises TooLong where the processor is busy with it for more than ``SECONDS``."""

    def stop(*_: object) -> None:
        raise TooLong

    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def main(folder: str, first: int, last: int) -> None:
    """Carry out some mutations and print what came of them."""
    corpus = Corpus(Path(folder))
    opened, slowest, largest = 0, (0.0, -1), (0.0, -1)
    kinds: dict[str, int] = {}
    wrong: list[str] = []
    for number in range(first, last):
        path = corpus.written(number)
        _forget_peak()
        before, start = _held("VmRSS"), time.process_time()
        try:
            with _limited():
                look(path)
            opened += 1
        except InspectorError as error:
            kinds[type(error).__name__] = kinds.get(type(error).__name__, 0) + 1
            said = error.sentence
            if not said.endswith(".") or said.endswith(("..", "?.")) or "\n" in said:
                wrong.append(f"{number}: {error.sentence}")
        except (Exception, TooLong) as error:  # noqa: BLE001 - what is to be found
            wrong.append(f"{number}: {type(error).__name__}: {error}")
        slowest = max(slowest, (time.process_time() - start, number))
        largest = max(largest, (_held("VmHWM") - before, number))
        if corpus.proof.exists():
            wrong.append(f"{number}: code of the file was run")
            corpus.proof.rmdir()
    found = {"opened": opened, "slowest": slowest, "largest": largest}
    print(json.dumps({**found, "errors": kinds, "wrong": wrong}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
