"""Records as a table of numbers, one line for each."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from inspector_app.protocol.messages import Phase, Records
from inspector_app.recordings.whole_file import write_whole

_NUMBERS = (
    "count",
    "sampled",
    "minimum",
    "maximum",
    "mean",
    "deviation",
    "norm",
    "zeros",
    "nan",
    "positive_infinity",
    "negative_infinity",
    "dead",
    "saturated",
)
HEADER = ("step", "forward", "call", "phase", "series", "kind", *_NUMBERS)


def write_table(path: Path, answers: Iterable[Records], titles: Mapping[int, str]) -> None:
    """Write all records of the series that ``titles`` names as CSV (RFC 4180).

    Raises OSError.
    """
    write_whole(path, (line.encode() for line in _lines(answers, titles)))


def _lines(answers: Iterable[Records], titles: Mapping[int, str]) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(HEADER)
    for answer in answers:
        kinds = {series.key: series.kind for series in answer.series}
        columns = [getattr(answer, name).tolist() for name in _NUMBERS]
        for place, key in enumerate(answer.key.tolist()):
            if key not in titles:
                continue
            phase = Phase(int(answer.phase[place]))
            writer.writerow(
                [
                    int(answer.step[place]),
                    int(answer.micro[place]),
                    int(answer.call[place]),
                    " ".join(flag.name.lower() for flag in Phase if flag in phase and flag.name),
                    titles[key],
                    kinds.get(key, ""),
                    *(column[place] for column in columns),
                ]
            )
        yield text.getvalue()
        text.seek(0)
        text.truncate()
    yield text.getvalue()
