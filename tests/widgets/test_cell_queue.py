import pytest

from widgets.cell_queue import CellQueue, RowPart


@pytest.fixture
def queue():
    return CellQueue()


def painted(queue, in_sight=range(30), columns=3):
    """Places of which the plots are painted in the next frame, and whole rows."""
    parts = queue.next_frame(in_sight, columns)
    plots = {place for part in parts for place in range(part.first, part.last + 1)}
    return plots, {part.first // columns for part in parts if part.whole}


def test_what_changed_is_painted_once_and_its_words_in_their_turn(queue):
    queue.add(range(30))
    assert painted(queue) == (set(range(30)), {1})  # of 16 rows one is whole
    turns = []
    while queue:
        plots, whole = painted(queue)
        assert {place // 3 for place in plots} == whole
        turns += whole
    assert sorted(turns) == [0, 2, 3, 4, 5, 6, 7, 8, 9]


def test_what_is_between_two_cells_of_a_row_is_painted_with_them(queue):
    queue.add([3, 5, 10])
    assert queue.next_frame(range(30), 3) == [RowPart(3, 5, True), RowPart(10, 10, False)]


def test_a_slow_machine_paints_some_at_a_time_and_goes_round(queue):
    for _ in range(20):
        queue.learn(8, 1.0)
    order = []
    for _ in range(6):
        queue.add(range(24))
        plots, whole = painted(queue)
        order += [place for place in sorted(plots) if place // 3 not in whole]
        assert len(plots) <= 8 + 2 * 3
    assert {order.count(place) for place in set(order)} <= {1, 2}
    assert set(order) | {3 * row + column for row in range(1, 7) for column in range(3)} == set(
        range(24)
    )


def test_a_fast_one_paints_all_at_once(queue):
    for _ in range(20):
        queue.learn(64, 0.001)
    queue.add(range(600))
    assert len(painted(queue, range(600), 20)[0]) == 600


def test_what_is_out_of_sight_is_not_painted(queue):
    queue.add(range(30))
    assert painted(queue, range(9, 15))[0] == set(range(9, 15))


def test_words_do_not_wait_where_the_plot_is_wrong_without_them(queue):
    queue.add([9, 13, 14], whole=[13])
    assert queue.next_frame(range(9, 30), 3) == [RowPart(9, 9, False), RowPart(13, 14, True)]
    queue.add([13], whole=[13])
    assert queue.next_frame(range(9), 3) == []  # out of sight


def test_nothing_waits_when_it_is_cleared(queue):
    queue.add([1])
    queue.clear()
    assert not queue
    assert queue.next_frame(range(30), 3) == []
