"""Bits of a record as one of three phases."""

from __future__ import annotations

import pytest

from inspector_app.protocol.messages import Phase
from inspector_app.protocol.phases import EVALUATION, RECOMPUTE, TRAINING, phase_of


@pytest.mark.parametrize(
    ("bits", "phase"),
    [
        (0, TRAINING),  # a frozen part in evaluation mode, or a parameter
        (Phase.TRAIN, TRAINING),
        (Phase.TRAIN | Phase.BACKWARD, TRAINING),
        (Phase.EVALUATION, EVALUATION),
        (Phase.EVALUATION | Phase.BACKWARD, EVALUATION),
        (Phase.TRAIN | Phase.RECOMPUTE, RECOMPUTE),
        (Phase.TRAIN | Phase.RECOMPUTE | Phase.BACKWARD, TRAINING),
    ],
)
def test_which(bits, phase):
    assert phase_of(int(bits)) == phase
