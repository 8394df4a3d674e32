"""The façade: one open target and all that can be done with it.

The server, the command line, the tests and a notebook call the same methods.  Each takes a ``job``
for progress and cancel, and each is one request of :mod:`inspector_app.protocol.messages` by its
name.  Which thread carries it out is not known here, with one exception:
:meth:`Session.get_records` may be called from any thread at any time.  The methods are written in
:mod:`inspector_app.backend.facade`, one module a subject.
"""

from __future__ import annotations

from inspector_app.backend.facade.capturing import Capturing
from inspector_app.backend.facade.exporting import Exporting
from inspector_app.backend.facade.looking import Looking
from inspector_app.backend.facade.opening import Opening
from inspector_app.backend.facade.replaying import Replaying
from inspector_app.backend.facade.running import Running
from inspector_app.backend.facade.scripting import Scripting
from inspector_app.backend.facade.watching import Watching
from inspector_app.backend.jobs import NO_JOB, Job
from inspector_app.protocol import messages as m


class Session(Opening, Looking, Replaying, Watching, Running, Capturing, Exporting, Scripting):
    """One open target; opening another one lets go of it, hooks and snapshots included."""

    def handle(self, request: m.Request, job: Job = NO_JOB) -> m.Result:
        """Carry out one request."""
        arguments = {name: getattr(request, name) for name in request.__struct_fields__}
        result: m.Result = getattr(self, request.method)(**arguments, job=job)
        return result

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
