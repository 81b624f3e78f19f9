"""The rows that the statements of this package return."""

from typing import NamedTuple


class BatchRow(NamedTuple):
    """How many rows one batch removed."""

    removed: int


class PartRow(NamedTuple):
    """How many rows one batch removed, and whether no further part of the table follows."""

    removed: int
    is_last: bool
