"""The tour through the window, against a session that answers from plain data."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector_app.gui import app
from inspector_app.gui.main_window import MainWindow
from inspector_app.gui.settings import Settings
from inspector_app.gui.tour import Tour
from inspector_app.protocol.errors import RefusedError
from inspector_app.protocol.messages import Export, Freeze, Initialize, Run, Watch
from widgets.theme import ThemeManager


@pytest.fixture
def window(qtbot, qapp, fake_session, tmp_path):
    app.make_application()
    before = qapp.palette(), qapp.styleSheet(), qapp.font()
    themes = ThemeManager(qapp, "light")
    window = MainWindow(fake_session, Settings(tmp_path / "settings.ini"), themes)
    qtbot.addWidget(window)
    window.show()
    yield window
    window.close()
    themes.deleteLater()
    qapp.setPalette(before[0])
    qapp.setStyleSheet(before[1])
    qapp.setFont(before[2])


def test_the_whole_main_job_ends_with_a_picture(qtbot, window, tmp_path, capsys):
    session = window.session

    def export(request):
        Path(request.path).write_bytes(b"written")
        return session.backend.answer(request)

    session.answers[Export] = export
    picture = tmp_path / "pictures" / "tour.png"
    tour = Tour(window, "sample:small", tmp_path, picture)
    with qtbot.waitSignal(tour.finished, timeout=20_000) as finished:
        tour.start()
    told = capsys.readouterr().out
    assert finished.args == [0], told
    assert picture.stat().st_size > 10_000
    for kind in (Freeze, Initialize, Watch, Run, Export):
        assert any(isinstance(request, kind) for request in session.requests)
    assert "export, verified" in told


def test_a_step_that_fails_ends_it_with_a_sentence(qtbot, window, tmp_path, capsys):
    window.session.answers[Export] = RefusedError("The disk is full.")
    tour = Tour(window, "sample:small", tmp_path, tmp_path / "tour.png")
    with qtbot.waitSignal(tour.finished, timeout=20_000) as finished:
        tour.start()
    assert finished.args == [1]
    assert "failed: export, verified: The disk is full." in capsys.readouterr().out
