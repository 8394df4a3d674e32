"""What tests of the whole window do with it."""

from __future__ import annotations


def settle(qtbot, window) -> None:
    qtbot.waitUntil(lambda: not window.session.pending)


def asked(window, kind) -> list:
    return [request for request in window.session.requests if isinstance(request, kind)]


def trigger(window, name: str) -> None:
    action = window.registry.action(name)
    assert action.isEnabled(), action.toolTip()
    action.trigger()
