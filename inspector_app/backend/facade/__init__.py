"""The parts of :class:`~inspector_app.backend.session.Session`, one subject each."""
