"""What the window knows at one moment, as far as it decides which commands can be carried out."""

from __future__ import annotations

from inspector_app.gui.client.session import ClientSession
from inspector_app.gui.command_list import Situation
from inspector_app.gui.live import Live
from inspector_app.gui.models.history_model import HistoryModel
from inspector_app.gui.models.tree_model import RowTreeModel
from inspector_app.gui.selected import Selected
from inspector_app.gui.watch_commands import MEASURED
from inspector_app.gui.watchable import modules_of
from inspector_app.protocol.table import Flag


def is_lost(session: ClientSession) -> bool:
    """Whether the open target has no process, though one may be on its way."""
    return session.state == "lost" or (session.state == "starting" and not session.process_id)


def situation(
    session: ClientSession,
    selected: Selected,
    tree: RowTreeModel,
    history: HistoryModel,
    live: Live,
) -> Situation:
    """Reads all of it now."""
    target = session.target
    rows = selected.rows
    done = [entry for entry in history.entries if entry.done]
    stuck = bool(done) and not done[-1].undoable
    return Situation(
        is_lost=is_lost(session),
        attached=session.remote is not None,
        is_open=target is not None,
        disabled=target.disabled if target is not None else {},
        selected=len(rows),
        selected_modules=int(modules_of(tree.table)[selected.positions].sum()),
        selected_watchable=int(live.watchable[selected.positions].sum()),
        selected_watched=len(live.watched.intersection(rows)),
        watched=len(live.watched),
        matches=tree.match_count,
        unmeasured={kind: why for kind in MEASURED if (why := live.measured.reason(kind))},
        running=live.running,
        training=target is not None and target.training,
        initial=int(((tree.table.flags & Flag.INITIAL) != 0).sum()),
        undo_title=history.undo_title,
        redo_title=history.redo_title,
        can_trust=target is not None and target.trust is not None and not target.trusted,
        dead_end="The newest edit was too large to keep what was there." if stuck else "",
    )
