import pytest

from inspector_app.protocol.sampling import SAMPLES, sample_error


def test_error_of_known_sizes():
    assert [sample_error(size) for size in (512, 2_048, 16_384)] == pytest.approx(
        [0.06, 0.03, 0.0106], rel=0.01
    )


def test_smaller_samples_tell_less():
    errors = [sample_error(size) for size in SAMPLES]
    assert errors == sorted(errors)
