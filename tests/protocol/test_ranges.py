import sys

import numpy as np

from inspector_app.protocol.ranges import bin_range, bin_ranges


def test_a_single_value_lies_within_its_range():
    for value in (0.0, 5e-324, -3.0, sys.float_info.max):
        low, high = bin_range(value, value)
        assert low <= value <= high
        assert low < high
    assert bin_range(-1.0, 2.0) == (-1.0, 2.0)


def test_linear_bins_follow_each_other_and_octaves_end_at_powers_of_two():
    low, high = bin_ranges(
        np.array([-4.0, 7.0, np.nan, 0.0]),
        np.array([-3, 3, 2000, 1024], np.int32),
        np.array([False, True, False, True]),
        64,
    )
    assert (low[0], high[0]) == (-4.0, 4.0)
    assert (low[1], high[1]) == (-8.0, 8.0)
    assert np.isnan(low[2])
    assert (low[3], high[3]) == (-sys.float_info.max, sys.float_info.max)
