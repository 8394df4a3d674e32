"""Numbers that a loop logs: which step they belong to, and that none breaks it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import inspector_app
from tests.training.test_watch import small, train


def logged(session) -> list[int]:
    """Steps of the numbers that were logged."""
    found = session._session.get_records()
    scalars = {series.key for series in found.series if series.kind == "scalar"}
    assert found.step.tolist() == sorted(found.step.tolist())
    pairs = zip(found.step.tolist(), found.key.tolist(), strict=True)
    return [step for step, key in pairs if key in scalars]


@pytest.mark.parametrize("root", [True, False])
@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("after", [True, False])
def test_a_number_belongs_to_its_step_wherever_it_is_logged(root, told, after):
    model, optimizer = small()
    with inspector_app.watch(
        model, None if told else optimizer, budget=None, window=False
    ) as session:
        for _ in range(3):
            inputs = torch.randn(16, 4)
            loss = (model(inputs) if root else model[0](inputs)).square().mean()
            loss.backward()
            if not after:
                session.log(loss=loss, rate=0.1)
            optimizer.step()
            if told:
                session.step()
            if after:
                session.log(loss=loss, rate=0.1)
        assert logged(session) == [1, 1, 2, 2, 3, 3]


def test_a_loss_that_is_no_number_came_after_what_broke_it():
    model, optimizer = small()
    with inspector_app.watch(model, optimizer, budget=None, window=False) as session:
        for step in (1, 2, 3):
            if step == 2:
                with torch.no_grad():
                    model[3].bias[:] = torch.nan
            loss = model(torch.randn(16, 4)).square().mean()
            loss.backward()
            optimizer.step()
            session.log(loss=loss)
        alarms = {alarm.path: alarm for alarm in session._session.get_records().alarms}
        assert alarms["loss"].first_step == 2
        assert alarms["loss"].sentence == (
            "loss holds NaN or infinity in 1 of 1 values; "
            "in step 2 they came first in the output of 3."
        )


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (torch.randn(4), "it has 4 values, not one"),
        (None, "it is no number but of the type NoneType"),
        ("0.5", "it is no number but of the type str"),
        (10**400, "OverflowError: int too large to convert to float"),
        (torch.ones((), device="meta"), "it has no data (meta device)"),
    ],
)
def test_what_is_no_number_is_told_once_and_breaks_no_loop(value, why):
    model, optimizer = small()
    with inspector_app.watch(model, optimizer, window=False) as session:
        train(model, optimizer, 3, lambda: session.log(loss=value, rate=0.5))
        (failure,) = session._session.get_records().failures
        assert failure.startswith(f"loss is left out: {why}")
        assert logged(session) == [1, 2, 3]


@pytest.mark.parametrize("value", [2, 2.0, torch.tensor([[2]]), np.float32(2), np.full((1,), 2)])
def test_numbers_of_every_kind_are_logged(value):
    with inspector_app.watch(nn.Linear(2, 2), window=False) as session:
        session.log(two=value)
        found = session._session.get_records()
        assert found.failures == []
        assert found.mean.tolist() == [2.0]
