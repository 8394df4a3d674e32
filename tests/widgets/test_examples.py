import pytest

from tests.widgets import examples


@pytest.mark.parametrize("name", examples.EXAMPLES)
def test_every_example_can_be_saved_in_every_theme(name, manager, tmp_path):
    files = examples.save_all(tmp_path, manager, [name])
    assert len({file.read_bytes() for file in files}) == 3
