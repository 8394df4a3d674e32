"""Executors carry tasks out one at a time; jobs report, stop and give way."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from inspector_app.backend.jobs import (
    NO_JOB,
    InlineExecutor,
    Job,
    SafePointExecutor,
    Task,
    ThreadExecutor,
)
from inspector_app.protocol.errors import Cancelled, RefusedError, RequestError


class Outcomes:
    """What became of each task, by name."""

    def __init__(self) -> None:
        self.results: dict[str, Any] = {}
        self.errors: dict[str, BaseException] = {}
        self.order: list[str] = []

    def task(self, name: str, work: Any, **options: Any) -> Task:
        def done(result: Any, error: BaseException | None) -> None:
            assert name not in self.order, "answered twice"
            self.order.append(name)
            if error is None:
                self.results[name] = result
            else:
                self.errors[name] = error

        return Task(work, on_done=done, **options)


@pytest.fixture
def outcomes() -> Outcomes:
    return Outcomes()


@pytest.fixture
def thread_executor():
    executor = ThreadExecutor()
    thread = threading.Thread(target=executor.run_forever)
    thread.start()
    yield executor
    executor.close()
    thread.join(5)
    assert not thread.is_alive()


def wait_for(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


def test_inline_runs_while_it_is_submitted(outcomes):
    InlineExecutor().submit(outcomes.task("a", lambda job: threading.current_thread()))
    assert outcomes.results == {"a": threading.current_thread()}


def test_what_work_raises_is_handed_on(outcomes):
    def fail(job: Job) -> None:
        raise RequestError("wrong")

    def leave(job: Job) -> None:
        raise SystemExit(3)

    executor = InlineExecutor()
    executor.submit(outcomes.task("fails", fail))
    executor.submit(outcomes.task("exits", leave))
    assert isinstance(outcomes.errors["fails"], RequestError)
    assert isinstance(outcomes.errors["exits"], SystemExit)


def test_thread_runs_in_order(outcomes, thread_executor):
    for name in "abc":
        thread_executor.submit(outcomes.task(name, lambda job, name=name: name))
    wait_for(lambda: len(outcomes.order) == 3)
    assert outcomes.order == ["a", "b", "c"]


def test_cancelled_before_it_began(outcomes):
    executor = SafePointExecutor()
    task = outcomes.task("a", lambda job: pytest.fail("ran though it was cancelled"))
    executor.submit(task)
    task.cancel()
    executor.safe_point()
    assert isinstance(outcomes.errors["a"], Cancelled)


def test_cancelled_between_chunks(outcomes, thread_executor):
    begun = threading.Event()

    def work(job: Job) -> None:
        while True:
            begun.set()
            job.check()
            time.sleep(0.001)

    task = outcomes.task("a", work)
    thread_executor.submit(task)
    assert begun.wait(5)
    task.cancel()
    wait_for(lambda: "a" in outcomes.errors)
    assert isinstance(outcomes.errors["a"], Cancelled)


def test_safe_point_lets_others_in_but_not_those_that_must_not(outcomes, thread_executor):
    seen: list[bool] = []

    def outer(job: Job) -> str:
        thread_executor.submit(outcomes.task("never inside", str, may_interrupt=False))
        seen.append(job.waiting())
        thread_executor.submit(outcomes.task("inside", lambda job: 1))
        seen.append(job.waiting())
        job.safe_point()
        seen.append(job.waiting())
        return "outer"

    thread_executor.submit(outcomes.task("outer", outer))
    wait_for(lambda: len(outcomes.order) == 3)
    assert outcomes.order == ["inside", "outer", "never inside"]
    assert seen == [False, True, False]


def test_safe_point_runs_in_the_callers_thread(outcomes):
    executor = SafePointExecutor()
    submitting = threading.Thread(
        target=lambda: executor.submit(outcomes.task("a", lambda job: threading.get_ident()))
    )
    submitting.start()
    submitting.join()
    assert outcomes.order == []
    executor.safe_point()
    assert outcomes.results == {"a": threading.get_ident()}


def test_what_waits_is_refused_when_the_thread_of_the_safe_points_has_ended(outcomes):
    executor, go_on = SafePointExecutor(), threading.Event()

    def loop() -> None:
        executor.safe_point()
        go_on.wait(30)

    executor.submit(outcomes.task("a", lambda job: threading.get_ident()))
    executor.refuse_if_ended()  # no safe point was seen: nothing is known
    thread = threading.Thread(target=loop)
    thread.start()
    wait_for(lambda: outcomes.results == {"a": thread.ident})
    executor.submit(outcomes.task("b", lambda job: pytest.fail("ran in no thread of the loop")))
    executor.refuse_if_ended()
    assert outcomes.order == ["a"]
    go_on.set()
    thread.join()
    executor.refuse_if_ended()
    assert isinstance(outcomes.errors["b"], RefusedError)
    assert "has ended" in outcomes.errors["b"].sentence
    executor.submit(outcomes.task("c", lambda job: 3))
    executor.safe_point()  # another thread trains on
    assert outcomes.results["c"] == 3


def test_close_answers_what_waits(outcomes):
    executor = SafePointExecutor()
    executor.submit(outcomes.task("a", lambda job: pytest.fail("ran after close")))
    executor.close()
    assert isinstance(outcomes.errors["a"], Cancelled)


def test_what_comes_after_the_end_is_answered_too(outcomes):
    executor = SafePointExecutor()
    executor.close()
    executor.submit(outcomes.task("late", lambda job: pytest.fail("ran after close")))
    executor.safe_point()
    assert isinstance(outcomes.errors["late"], Cancelled)


def test_progress_is_thinned_but_the_last_report_comes(outcomes):
    reports: list[tuple[int, int, str]] = []

    def work(job: Job) -> None:
        for done in range(1001):
            job.progress(done, 1000, "Counting")

    task = outcomes.task("a", work, on_progress=lambda *report: reports.append(report))
    InlineExecutor().submit(task)
    assert reports[-1] == (1000, 1000, "Counting")
    assert len(reports) < 200


def test_no_job_does_nothing():
    NO_JOB.progress(1, 2, "")
    NO_JOB.check()
    NO_JOB.safe_point()
    assert not NO_JOB.waiting()
