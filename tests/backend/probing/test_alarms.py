"""Alarms: what is told of records, that nothing is lost, and that a loop stands for them."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest
import torch
from torch import nn

import inspector_app
from inspector_app.backend.probing import alarms as module
from inspector_app.backend.probing.alarms import Alarms
from inspector_app.backend.probing.probe_set import ProbeSet
from inspector_app.backend.probing.records import ROW, RecordRing, Rows
from inspector_app.backend.session import Session
from inspector_app.protocol.errors import RefusedError
from inspector_app.protocol.messages import Alarm, AlarmRules, ProbeKind, Series
from tests.training.test_gate import until

KINDS: tuple[ProbeKind, ...] = ("output", "gradient", "value", "input", "scalar")


@pytest.fixture
def alarms():
    """Series 0 to 4, of the kinds above."""
    alarms = Alarms()
    for key, kind in enumerate(KINDS):
        alarms.register(Series(key=key, row=10 + key, leaf="", kind=kind), f"layer{key}")
    return alarms


def record(key: int, step: int = 1, **columns: float) -> Rows:
    """A record of ordinary values, save for what is given."""
    rows = np.zeros(1, ROW)
    rows["key"], rows["step"], rows["count"] = key, step, 50
    rows["minimum"], rows["maximum"], rows["norm"] = -1.0, 1.0, 3.0
    rows["dead"] = rows["saturated"] = math.nan
    for name, value in columns.items():
        rows[name] = value
    return rows


def judged(alarms: Alarms, *rows: Rows) -> list[Alarm]:
    alarms.judge(np.concatenate(rows))
    return alarms.since(0)[0]


def test_ordinary_records_raise_none(alarms):
    assert judged(alarms, *(record(key) for key in range(5))) == []
    assert alarms.since(0) == ([], 0)


def test_nan_is_told_with_where_it_came_from(alarms):
    first, second = judged(
        alarms,
        record(3),
        record(0, nan=2, negative_infinity=1),
        record(1, nan=50, minimum=math.nan, maximum=math.nan),
    )
    assert (first.kind, first.key, first.row, first.origin) == ("nan", 0, 10, 0)
    assert first.sentence == (
        "The output of layer0 holds NaN or infinity in 3 of 50 values: "
        "nothing before it in step 1 does."
    )
    assert (second.origin, second.worst) == (0, 50.0)
    assert second.sentence.endswith("in step 1 they came first in the output of layer0.")


def test_the_origin_outlives_a_flush_and_not_a_step(alarms):
    judged(alarms, record(0, nan=1))
    judged(alarms, record(1, nan=1))
    judged(alarms, record(2, step=2, nan=1))
    assert [alarm.origin for alarm in alarms.since(0)[0]] == [0, 0, 2]


def test_vanishing_is_of_gradients_and_tells_zero_apart(alarms):
    tiny = {"minimum": -1e-9, "maximum": 5e-8, "norm": 1e-7}
    (alarm,) = judged(alarms, record(0, **tiny), record(1, **tiny), record(2, **tiny))
    assert (alarm.kind, alarm.key, alarm.worst) == ("vanishing", 1, 5e-8)
    assert alarm.sentence == "The output gradient of layer1 is nowhere larger than 5e-08."
    (alarm,) = judged(alarms, record(1, step=2, minimum=0, maximum=0, norm=0))
    assert (alarm.worst, alarm.first_step, alarm.last_step, alarm.count) == (0.0, 1, 2, 2)
    assert "nothing reaches it from the loss" in alarm.sentence


def test_an_empty_gradient_is_no_vanished_one(alarms):
    assert judged(alarms, record(1, count=0, minimum=math.nan, maximum=math.nan)) == []


def test_exploding_is_by_magnitude_and_of_gradients_by_norm(alarms):
    large = {"minimum": -101.0, "norm": 200.0}
    norm = {"norm": 150.0}
    found = judged(alarms, *(record(key, **large) for key in (0, 2, 3, 4)), record(1, **norm))
    assert [(alarm.key, alarm.worst) for alarm in found] == [(0, 101.0), (2, 101.0), (1, 150.0)]
    assert found[0].sentence == "The output of layer0 reaches 101."
    assert found[2].sentence == "The output gradient of layer1 has the norm 150."
    assert judged(Alarms(), record(0, norm=150.0)) == []


def test_dead_and_saturated(alarms):
    dead, saturated = judged(alarms, record(0, dead=0.5), record(2, saturated=0.75))
    assert (dead.kind, saturated.kind) == ("dead", "saturated")
    assert "in 50% of its units" in dead.sentence
    assert "in 75% of its values" in saturated.sentence


@pytest.mark.parametrize(
    "rules",
    [
        AlarmRules(nan=False, vanishing=None, exploding=None, dead=None, saturated=None),
        AlarmRules(nan=False, vanishing=1e-12, exploding=1e6, dead=1.0, saturated=0.95),
    ],
)
def test_rules_can_be_moved_and_switched_off(alarms, rules):
    alarms.set_rules(rules)
    assert alarms.rules == rules
    bad = {"nan": 1, "dead": 0.9, "saturated": 0.9, "minimum": -200.0}
    assert judged(alarms, record(0, **bad), record(1, minimum=0, maximum=1e-9)) == []


def test_what_changed_is_told_once(alarms):
    judged(alarms, record(0, nan=1))
    _, version = alarms.since(0)
    assert alarms.since(version) == ([], version)
    judged(alarms, record(2, nan=1), record(0))
    changed, later = alarms.since(version)
    assert [alarm.key for alarm in changed] == [2]
    assert later > version
    alarms.set_rules(AlarmRules(), clear=True)
    assert alarms.since(0)[0] == []


def test_the_list_is_bounded(alarms, monkeypatch):
    monkeypatch.setattr(module, "MAX_ALARMS", 2)
    for key in (0, 1, 0, 2):
        judged(alarms, record(key, nan=1))
    assert [alarm.key for alarm in alarms.since(0)[0]] == [0, 2]


def test_more_series_than_there_was_room_for():
    alarms = Alarms()
    for key in range(300):
        alarms.register(Series(key=key, row=key, leaf="", kind="output"), str(key))
    (alarm,) = judged(alarms, record(299, maximum=1e3), record(130))
    assert alarm.row == 299


def test_only_kinds_that_pause_do_and_each_alarm_once(alarms):
    paused = []
    alarms.pause = lambda: paused.append(True) is None
    judged(alarms, record(0, nan=1))
    alarms.set_rules(AlarmRules(pause=("nan",)))
    assert alarms.prompt
    judged(alarms, record(0, minimum=-1e9))
    assert paused == []
    found = judged(alarms, record(0, nan=1), record(1, nan=1))  # it goes on, and may pause now
    assert len(paused) == 1
    assert all(alarm.paused for alarm in found if alarm.kind == "nan")
    judged(alarms, record(0, step=2, nan=1))
    assert len(paused) == 1


def test_a_loop_that_does_not_stand_is_no_pause(alarms):
    attended = []
    alarms.pause = lambda: bool(attended)
    alarms.set_rules(AlarmRules(pause=("nan",)))
    assert not judged(alarms, record(0, nan=1))[0].paused
    attended.append("a window")
    assert judged(alarms, record(0, step=2, nan=1))[0].paused


def test_overflows_of_a_scaled_loss_pause_nothing(alarms):
    paused = []
    alarms.pause = lambda: paused.append(True) is None
    alarms.set_rules(AlarmRules(pause=("nan",)))
    alarms.judge(record(1, positive_infinity=1), scaled=True)
    assert (len(alarms.since(0)[0]), paused) == (1, [])
    alarms.judge(record(0, positive_infinity=1), scaled=True)  # an activation overflows for real
    assert paused == [True]


# -- in a model ----------------------------------------------------------------------------------


def test_every_record_is_judged_however_small_the_ring():
    with ProbeSet(RecordRing(ROW.itemsize)) as probes:
        model = nn.Identity()
        probes.watch(0, model, "layer")
        for step in range(20):
            probes.begin_step()
            model(torch.tensor([math.nan if step == 3 else 1.0]))
        found = probes.records()
    assert len(found.sequence) == 1
    (alarm,) = found.alarms
    assert (alarm.first_step, alarm.last_step, alarm.count) == (4, 4, 1)
    assert found.alarms_version == 1


@pytest.mark.parametrize("scale", [1.0, 1000.0, 1024.0])
def test_overflows_pause_nothing_whatever_the_scale(scale):
    paused: list[float] = []
    with ProbeSet() as probes:
        probes.alarms.pause = lambda: paused.append(scale) is None
        probes.alarms.set_rules(AlarmRules(pause=("nan",)))
        probes.loss_scale.value = scale
        model = nn.Identity()
        probes.watch(0, model, "layer", ("gradient",))
        output = model(torch.ones(3, requires_grad=True))
        output.backward(torch.full((3,), math.inf))
        probes.flush()
    assert paused == ([] if scale != 1.0 else [1.0])


@pytest.fixture
def own_folder(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("r")))
    monkeypatch.delenv("INSPECTOR_TOKEN", raising=False)


@pytest.mark.usefixtures("own_folder")
def test_an_alarm_lets_the_loop_stand_in_the_step_that_raised_it():
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    begun: list[int] = []

    def loop() -> None:
        for step in range(1, 8):
            begun.append(step)
            inputs = torch.full((3, 2), math.inf if step == 4 else 1.0)
            model(inputs).sum().backward()
            optimizer.step()
            optimizer.zero_grad()

    with inspector_app.watch(model, optimizer, budget=None, window=False) as session:
        session._gate.attend(True)
        inner = session._session
        inner.set_alarm_rules(AlarmRules(pause=("nan",)))
        thread = threading.Thread(target=loop)
        thread.start()
        until(lambda: session.state.held)
        assert begun == [1, 2, 3, 4]
        found = inner.get_records().alarms
        assert any(alarm.kind == "nan" and alarm.paused for alarm in found)
        inner.set_alarm_rules(AlarmRules())
        inner.resume()
        thread.join(60)
        assert begun[-1] == 7


def test_pausing_is_refused_where_the_loop_cannot_stand():
    with Session() as session:
        session.adopt(nn.Linear(2, 2), "model", edits=False)
        session.set_alarm_rules(AlarmRules(dead=None))
        with pytest.raises(RefusedError, match="several processes"):
            session.set_alarm_rules(AlarmRules(pause=("dead",)))
        assert session.get_records().alarm_rules == AlarmRules(dead=None)
