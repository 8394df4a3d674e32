"""Files cut into pieces, read back and compared."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.backend.formats.mapped_file import DamagedFileError
from inspector_app.backend.pieces import (
    PIECE,
    WORDS,
    Comparison,
    Run,
    Uneven,
    in_pieces,
    read_through,
    runs_of,
    words,
)

values = st.lists(st.binary(max_size=30), max_size=8)


def as_array(content):
    return np.frombuffer(content, np.uint8)


@given(values, st.integers(1, 25))
def test_pieces_are_the_bytes_in_order_cut_at_fixed_places(contents, size):
    runs = [run for n, c in enumerate(contents) for run in runs_of(n, len(c), [as_array(c)])]
    pieces = list(in_pieces(runs, size))
    assert b"".join(piece.block.tobytes() for piece in pieces) == b"".join(contents)
    assert all(piece.size == size for piece in pieces[:-1])
    assert all(0 < piece.size <= size for piece in pieces[-1:])
    for piece in pieces:
        assert piece.known
        for run in piece.runs:
            whole = as_array(contents[run.owner])
            assert np.array_equal(run.block, whole[run.start : run.start + run.size])


def test_runs_without_bytes_are_cut_likewise():
    pieces = list(in_pieces([Run(0, 0, 5, None), words(b"ab"), Run(1, 0, 0, None)], 3))
    assert [(piece.size, piece.known) for piece in pieces] == [(3, False), (3, False), (1, True)]
    assert [run.start for piece in pieces for run in piece.runs] == [0, 3, 0, 1]


@pytest.mark.parametrize("blocks", [[b"ab"], [b"abc", b"d"], [b"abcd"], []])
def test_a_source_that_gives_other_bytes_than_it_said(blocks):
    with pytest.raises(Uneven):
        list(runs_of(0, 3, map(as_array, blocks)))


@given(values, st.integers(1, 25), st.data())
def test_every_byte_that_differs_is_counted_for_its_owner(contents, size, data):
    whole = bytearray(b"".join(contents))
    places = data.draw(st.sets(st.integers(0, len(whole) - 1)) if whole else st.just(set()))
    for place in places:
        whole[place] ^= 1
    owners = [owner for owner, content in enumerate(contents) for _ in content]
    expected = {}
    for place in places:
        expected[owners[place]] = expected.get(owners[place], 0) + 1
    runs = [run for n, c in enumerate(contents) for run in runs_of(n, len(c), [as_array(c)])]
    comparison = Comparison([1] * len(contents))
    position = 0
    for piece in in_pieces(runs, size):
        comparison.compare(as_array(bytes(whole))[position : position + piece.size], piece)
        position += piece.size
    assert comparison.differing == expected


def test_a_file_is_read_once_and_handed_to_every_lane(tmp_path):
    path = tmp_path / "x"
    content = os.urandom(2 * PIECE + 77)
    path.write_bytes(b"head" + content)
    seen, moved = [], []

    class Lane:
        def update(self, block):
            seen.append(block.tobytes())

    array = as_array(content)
    runs = [Run(WORDS, 0, 100, array[:100]), Run(0, 0, len(content) - 100, array[100:])]
    comparison = Comparison([4])
    with open(path, "rb") as file:
        end = read_through(
            file.fileno(),
            str(path),
            4,
            in_pieces(runs),
            comparison=comparison,
            lanes=[Lane()],
            moved=moved.append,
        )
        assert end == 4 + len(content)
        assert b"".join(seen) == content
        assert moved == [PIECE, PIECE, 77]
        assert comparison.differing == {}
        with pytest.raises(DamagedFileError, match="cut off"):
            read_through(
                file.fileno(),
                str(path),
                5,
                in_pieces(runs),
                comparison=comparison,
                lanes=[],
                moved=moved.append,
            )
