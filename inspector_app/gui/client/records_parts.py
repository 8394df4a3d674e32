"""Records taken apart and put together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from inspector_app.protocol.messages import Records

Column = np.ndarray[Any, Any]


def columns_of(records: Records) -> dict[str, Column]:
    """What records have one value of each, by name."""
    values = ((name, getattr(records, name)) for name in Records.__struct_fields__)
    return {name: value for name, value in values if isinstance(value, np.ndarray)}


def cut(records: Records, chosen: slice | NDArray[np.bool_]) -> Records:
    """Some of the records, with all that stands beside them."""
    columns = {name: column[chosen] for name, column in columns_of(records).items()}
    return msgspec.structs.replace(records, **columns)


def joined(parts: Sequence[Records]) -> Records:
    """Records of one session, one after the other; what stands beside them is of the last."""
    if len(parts) == 1:
        return parts[0]
    names = columns_of(parts[-1])
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return msgspec.structs.replace(parts[-1], **columns)
