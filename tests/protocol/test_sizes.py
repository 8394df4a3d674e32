"""Sizes as a person types them."""

from __future__ import annotations

import pytest

from inspector_app.protocol.errors import RequestError
from inspector_app.protocol.sizes import parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("2GB", 2 * 10**9),
        ("2 gb", 2 * 10**9),
        ("500MiB", 500 * 2**20),
        ("1.5k", 1500),
        ("1e9", 10**9),
        ("4TiB", 4 * 2**40),
        (".5KB", 500),
        ("100B", 100),
    ],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "GB", "-1", "0", "2GX", "2 G B", "iB", "3iB", "1e99", "٣KB GB"]
)
def test_what_is_no_size(text):
    with pytest.raises(RequestError):
        parse_size(text)
