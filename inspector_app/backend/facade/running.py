"""Running the open model: forwards, and steps of training on a copy of it or on itself."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
import torch
from torch import nn

from inspector_app.backend.facade.core import Core
from inspector_app.backend.inputs import (
    Inputs,
    Supply,
    device_of,
    example_inputs,
    input_form,
    make_inputs,
)
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.backend.losses import Loss, make_loss, own_loss
from inspector_app.backend.modules import tensors_of
from inspector_app.backend.opening import OpenModel
from inspector_app.backend.reading_inputs import Batches, describe_data_file, given_tensors
from inspector_app.backend.running import (
    Loan,
    forward_once,
    private_random,
    run,
    why_not_runnable,
)
from inspector_app.backend.tensors import is_lazy
from inspector_app.backend.training_edit import BeforeTraining
from inspector_app.backend.trial_copy import CopyLoan, TrialCopy
from inspector_app.backend.trial_training import OPTIMIZERS, Trained, make_optimizer, train
from inspector_app.protocol import messages as m
from inspector_app.protocol.changes import RowsChange, change_of_rows, difference
from inspector_app.protocol.errors import Cancelled, RefusedError

_TRAINS = "The model itself is being trained: stop that run first."
_EDITS = ("freeze", "initialize", "load", "undo")


@dataclass(frozen=True)
class _Trial:
    """A copy in training, between two runs."""

    way: tuple[Any, ...]  # how it was run: a run in another way begins anew
    loan: CopyLoan
    optimizer: torch.optim.Optimizer
    steps: int = 0


class Running(Core):
    """Requests that run the model."""

    _trial: _Trial | None = None

    def close(self) -> None:
        """Let go of the target, and of what was tried with it."""
        self._trial = None
        super().close()

    def describe_inputs(self, job: Job = NO_JOB) -> m.InputForm:
        """How inputs for a run can be had, and what it can train with."""
        opened = self._model_for("run")
        return input_form(
            opened.model,
            opened.provider,
            own_loss=own_loss(opened.namespace) is not None,
            optimizers=OPTIMIZERS,
        )

    def describe_data_file(self, path: str, job: Job = NO_JOB) -> m.DataFile:
        """The tensors in a file of data; reads no value and runs nothing of it."""
        return describe_data_file(path)

    def run(
        self,
        fields: list[m.InputField] | None = None,
        repeat: int = 1,
        mode: m.RunMode = "eval",
        seed: int = 0,
        pause: float = 0.0,
        batch: int = 0,
        pictures: Mapping[str, m.Pictures] | None = None,
        training: m.TrainSteps | None = None,
        resume: bool = False,
        job: Job = NO_JOB,
    ) -> m.Ran:
        """Run forwards or train; ``repeat`` 0 runs until the job is cancelled.

        That is no error then, and never one where it trains: the steps done are kept.  A copy that
        was trained is held for a run that goes on with it.
        """
        opened = self._model_for("run")
        if reason := why_not_runnable(opened.model):
            raise RefusedError(reason)
        with private_random(seed):
            inputs, supply = _data(opened, fields, seed, batch, pictures or {})
        if training is None:
            return self._run_forwards(opened, supply, repeat, mode, seed, pause, job)
        loss = make_loss(training.loss, opened.namespace, seed)
        if not training.on_copy:
            return self._train_itself(
                opened, inputs, supply, loss, repeat, mode, seed, pause, training, job
            )
        way = (training, mode, seed, self._values_written())
        trial, self._trial = self._trial, None  # kept again where this comes to its end
        if trial is None or not resume or trial.way != way:
            copied = TrialCopy(opened.model, self._tree.objects)
            optimizer = self._prepared(copied.model, inputs, seed, training)
            trial = _Trial(way, CopyLoan(copied, mode, seed, self._probes), optimizer)
        trained = train(
            trial.loan,
            supply,
            trial.optimizer,
            loss,
            repeat=repeat,
            before=trial.steps,
            pause=pause,
            probes=self._probes,
            job=job,
        )
        if not trained.note:
            self._trial = replace(trial, steps=trial.steps + trained.steps)
        return self._ran(trained, change_of_rows(self._tree.table, np.empty(0, np.int32)))

    def _values_written(self) -> list[m.JournalEntry]:
        """The edits that stand and changed values: a copy made before them is another model."""
        kinds = ("initialize", "load", "train")
        return [
            msgspec.structs.replace(entry, undoable=True)
            for _, entry in self._journal.standing
            if entry.kind in kinds
        ]

    @staticmethod
    def _prepared(
        model: nn.Module, inputs: Inputs, seed: int, training: m.TrainSteps
    ) -> torch.optim.Optimizer:
        """The optimizer, once lazy tensors have their shapes."""
        if any(is_lazy(tensor) for _, tensor in tensors_of(model)):
            forward_once(model, inputs, seed)
        return make_optimizer(model, training)

    def _train_itself(
        self,
        opened: OpenModel,
        inputs: Inputs,
        supply: Supply,
        loss: Loss,
        repeat: int,
        mode: m.RunMode,
        seed: int,
        pause: float,
        training: m.TrainSteps,
        job: Job,
    ) -> m.Ran:
        """Training that is an edit: wholly taken back where anything in it fails."""
        before = self._tree.table
        optimizer = self._prepared(opened.model, inputs, seed, training)
        self._rebuilt()
        kept = BeforeTraining(opened.model, self._snapshots)
        try:
            with self._refused_meanwhile():
                trained = train(
                    Loan(opened.model, mode, seed, buffers=False),
                    supply,
                    optimizer,
                    loss,
                    repeat=repeat,
                    pause=pause,
                    probes=self._probes,
                    job=job,
                )
        except BaseException:
            kept.take_back()
            self._rebuilt()
            raise
        edit = kept.edit(self._tree)
        steps = f"{trained.steps:,} {'step' if trained.steps == 1 else 'steps'}"
        entry = m.JournalEntry(
            number=self._journal.next_number,
            kind="train",
            title=f"Train {steps} with {training.optimizer}",
            touched=edit.touched,
            patterns=[],
            seed=seed,
        )
        edited = self._carried_out(edit, entry)
        if not edit.touched:  # stopped before the first step
            edit.forget()
        change = difference(before, self._tree.table)
        if change.empty or self._shown is not None:  # of a live model that edit has told all
            change = edited.change
        return self._ran(trained, change, edited.history)

    def _run_forwards(
        self,
        opened: OpenModel,
        inputs: Supply,
        repeat: int,
        mode: m.RunMode,
        seed: int,
        pause: float,
        job: Job,
    ) -> m.Ran:
        first = self._probes.step
        start = time.perf_counter()
        try:
            _, seconds = run(
                opened.model,
                inputs,
                repeat=repeat,
                mode=mode,
                seed=seed,
                pause=pause,
                probes=self._probes,
                job=job,
            )
        except Cancelled:
            if repeat:
                raise
            seconds = time.perf_counter() - start
        return m.Ran(
            forwards=self._probes.step - first,
            seconds=seconds,
            change=self._told(self._rebuilt()),
            totals=self._totals(),
        )

    def _ran(
        self,
        trained: Trained,
        change: RowsChange,
        history: list[m.JournalEntry] | None = None,
    ) -> m.Ran:
        first, last = trained.losses or (None, None)
        return m.Ran(
            forwards=trained.steps,
            seconds=trained.seconds,
            change=self._told(change),
            totals=self._totals(),
            first_loss=first,
            last_loss=last,
            note=trained.note,
            history=history,
        )

    @contextmanager
    def _refused_meanwhile(self) -> Iterator[None]:
        """Edits are refused inside: between two steps they would get lost in those."""
        allowed = self._disabled
        self._disabled = {**allowed, **dict.fromkeys(_EDITS, _TRAINS)}
        try:
            yield
        finally:
            self._disabled = allowed


def _data(
    opened: OpenModel,
    fields: list[m.InputField] | None,
    seed: int,
    batch: int,
    pictures: Mapping[str, m.Pictures],
) -> tuple[Inputs, Supply]:
    """The arguments of the first step, and where those of each come from."""
    if fields is None:
        inputs = example_inputs(opened.provider)
        return inputs, inputs
    given = given_tensors(fields, pictures, device_of(opened.model))
    inputs = make_inputs(opened.model, fields, seed, given)
    if not (batch and given):
        return inputs, inputs
    batches = Batches(inputs, given.values(), batch)
    return batches.at(0), batches
