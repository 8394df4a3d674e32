"""A command in a process of its own, so that a model's code which ends it leaves one clear line.

``os._exit``, a crash in C and a machine out of memory give no chance to say anything: what is left
to speak is the parent, which has imported nothing and run nothing.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from types import FrameType

from inspector_app.cli.output import WRONG, complain


def guarded(work: Callable[[], int], target: str) -> int:
    """The exit code of ``work``, done in a child; one line and code 2 where that died in it.

    ``target`` names what was opened.  Where the system cannot fork, the work is done right here.
    """
    if not hasattr(os, "fork"):
        return work()
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receiving)
        _end_with_parent()
        code = 1  # of a mistake of ours, whose traceback Python prints
        try:
            code = work()
        finally:
            # Said before the interpreter shuts down: exit handlers of a model may crash as well.
            os.write(sending, bytes([code]))
        return code
    os.close(sending)
    status = _waited(child)
    with open(receiving, "rb") as pipe:
        told = pipe.read(1)
    if told:
        return told[0]
    complain(_died(target, os.waitstatus_to_exitcode(status)))
    return WRONG


def _end_with_parent() -> None:
    """Let the child not outlive a parent that is killed, where the system can see to it."""
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG, of Linux


def _waited(child: int) -> int:
    """The child's status once it has ended; who asks this process to end, ends both."""
    asked: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to both
    before = signal.signal(signal.SIGTERM, pass_on)
    status = os.waitpid(child, 0)[1]
    signal.signal(signal.SIGTERM, before)
    if asked:
        os.kill(os.getpid(), asked[0])
    return status


def _died(target: str, code: int) -> str:
    """What to say of a child that ended without a word."""
    if code >= 0:
        return (
            f"{target} ended the program without a word (exit code {code}, as os._exit does): "
            "let it return the model instead."
        )
    name = signal.Signals(-code).name
    reasons = {
        signal.SIGKILL: "perhaps the machine ran out of memory",
        signal.SIGSEGV: "code in C crashed",
        signal.SIGABRT: "code in C gave up",
    }
    reason = reasons.get(signal.Signals(-code))
    return f"{target} ended the program by the signal {name}{': ' + reason if reason else ''}."
