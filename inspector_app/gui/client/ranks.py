"""What is mirrored of a training by several processes: one rank's records, or those of all merged.

The window stays attached to its own rank.  For the others there are conversations of their own,
which only read, but for the kind of bins: only equal ones can be merged.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from PySide6.QtCore import QObject, Signal

from inspector_app.gui.client.rank_merger import RankMerger, ranks_of_newest_step
from inspector_app.gui.client.rank_session import RankSession
from inspector_app.gui.client.records import INTERVAL, MOST, RecordsFeed
from inspector_app.protocol.errors import RequestError
from inspector_app.protocol.messages import Done, Opened, Records, Series, SetBins
from inspector_app.protocol.table import RowTable
from inspector_app.sessions import SessionEntry, token_of

_BETWEEN = 0.9e-3 * INTERVAL  # seconds between two merges: answers of several ranks count once
_WAITING = "waiting for all ranks"


class _Paths:
    """Paths of the rows that series are of, looked up as they come."""

    def __init__(self, table: Callable[[], RowTable]) -> None:
        self._table = table
        self._known: dict[int, str] = {}

    def of(self, series: Iterable[Series]) -> dict[int, str]:
        """Paths by row; without rows that the tree does not have."""
        missing = {one.row for one in series}.difference(self._known, (-1,))
        if missing:
            table = self._table()
            for row in missing:
                with suppress(KeyError):
                    self._known[row] = table.path(table.position(row))
        return self._known


class _Other:
    """Another rank: the conversation with it, and what is fetched from it."""

    def __init__(self, session: RankSession) -> None:
        self.session = session
        self.feed = RecordsFeed(session, session)
        self.paths: _Paths | None = None  # known once it is joined
        self.bins_asked: bool | None = None  # whether it was asked for octaves

    def leave(self) -> None:
        self.feed.stop()
        self.session.leave()
        self.session.deleteLater()


class Ranks(QObject):
    """Passes on what a feed of the own rank tells, or merges it with what the others have.

    ``arrived(Records)`` is to be mirrored; ``restarted`` says that what was mirrored is to be
    forgotten, since other records follow; ``told(text, tone, detail)`` tells a person.
    """

    arrived = Signal(object)
    restarted = Signal()
    told = Signal(str, str, str)

    def __init__(self, feed: RecordsFeed, table: Callable[[], RowTable], parent: QObject) -> None:
        super().__init__(parent)
        self._feed = feed
        self._table = table
        self._own = 0
        self._total = 1
        self._merger: RankMerger | None = None
        self._paths = _Paths(table)
        self._others: dict[int, _Other] = {}
        self._tried: set[int] = set()  # ranks that were joined, and the own one
        self._octaves: bool | None = None  # how the own rank counts
        self._given = 0.0  # when it was merged last, in seconds
        self.standing = ""  # how many ranks the newest picture stands for, in words
        feed.told.connect(self._took_own)

    @property
    def merging(self) -> bool:
        """Whether the statistics of all ranks are merged."""
        return self._merger is not None

    @property
    def late(self) -> int:
        """Records that came too late to be merged."""
        return self._merger.late if self._merger else 0

    # -- choosing ------------------------------------------------------------------------------

    def merge(self, own: int, total: int) -> None:
        """Merge from now on; ``own`` is the rank that the window is attached to."""
        self.stop()
        self._own, self._total = own, total
        self._tried = {own}
        self._merger = RankMerger(own)
        self._paths = _Paths(self._table)
        self.standing = _WAITING
        self._begin_again()

    def join(self, entries: Iterable[SessionEntry]) -> None:
        """Join those of these ranks that were not joined before, while merging."""
        if self._merger is None:
            return
        for entry in entries:
            if entry.rank not in self._tried:
                self._tried.add(entry.rank)
                self._merger.expect(entry.rank)
                self._join(entry)

    def show_own(self) -> None:
        """Back to the records of the own rank."""
        if self.merging:
            self.stop()
            self._begin_again()

    def finish(self) -> None:
        """The own rank has ended: give what waits, and leave the others."""
        merger = self._merger
        self.stop()
        if merger is not None:
            merger.end()
            while (merged := merger.take(time.monotonic())) is not None:
                self.arrived.emit(merged.records)

    def stop(self) -> None:
        """Leave the other ranks."""
        self._merger = None
        self.standing = ""
        self._octaves = None
        others, self._others = self._others, {}
        for other in others.values():
            other.leave()

    def _begin_again(self) -> None:
        self.restarted.emit()
        self._feed.begin_again()

    # -- the other ranks -----------------------------------------------------------------------

    def _join(self, entry: SessionEntry) -> None:
        rank = entry.rank
        try:
            token = token_of(entry.address)
        except (OSError, RequestError):
            token = ""  # it refuses, and says so
        other = self._others[rank] = _Other(RankSession(entry.address, token, self))
        other.session.joined.connect(lambda opened: self._joined(other, opened))
        other.session.ended.connect(lambda sentence: self._ended(rank, sentence))
        other.feed.told.connect(lambda records: self._took(rank, other, records))
        other.feed.failed.connect(lambda error: self._ended(rank, error.sentence))
        other.session.start()

    def _joined(self, other: _Other, opened: Opened) -> None:
        other.paths = _Paths(lambda: opened.table)

    def _ended(self, rank: int, sentence: str) -> None:
        """It is not joined again before all ranks are chosen anew."""
        if self._merger is not None:
            self._others.pop(rank).leave()
            self._merger.gone(rank)
            self.told.emit(f"Rank {rank} is merged no more. {sentence}", "warning", "")
            self._give_due()

    # -- records -------------------------------------------------------------------------------

    def _took_own(self, records: Records) -> None:
        if self._merger is None:
            self.arrived.emit(records)
            return
        if len(records.octaves):
            self._octaves = bool(records.octaves[-1])
        paths = self._paths.of(records.series)
        self._merger.add(self._own, records, paths, time.monotonic(), self._feed.whole)
        self._give_due()

    def _took(self, rank: int, other: _Other, records: Records) -> None:
        if self._merger is None or other.paths is None:
            return
        paths = other.paths.of(records.series)
        self._merger.add(rank, records, paths, time.monotonic(), other.feed.whole)
        if len(records.octaves):
            self._align_bins(other, bool(records.octaves[-1]))
        self._give_due()

    def _align_bins(self, other: _Other, octaves: bool) -> None:
        """Let it count into the bins of the own rank."""
        wanted = self._octaves
        if wanted is not None and wanted != octaves and other.bins_asked != wanted:
            other.bins_asked = wanted
            other.session.request(SetBins(octaves=wanted), _done, lambda error: None)
        elif wanted == octaves:
            other.bins_asked = None

    def _give_due(self) -> None:
        merger, now = self._merger, time.monotonic()
        if merger is None or now < self._given + _BETWEEN:
            return
        self._given = now
        merged = merger.take(now)
        feeds = [(self._own, self._feed), *((rank, one.feed) for rank, one in self._others.items())]
        for rank, feed in feeds:
            feed.limit = 0 if merger.ahead(rank) else MOST
        if merged is not None:
            number = ranks_of_newest_step(merged)
            if number is not None:
                self.standing = standing_text(*number, self._total)
            self.arrived.emit(merged.records)


def standing_text(fewest: int, most: int, total: int) -> str:
    """How many ranks a picture stands for: "all 2 ranks", "1 of 2 ranks", "1 to 2 of 3 ranks"."""
    if fewest == most:
        return f"all {total} ranks" if most >= total else f"{most} of {total} ranks"
    return f"{fewest} to {most} of {total} ranks"


def _done(_: Done) -> None:
    """The next records are counted so."""
