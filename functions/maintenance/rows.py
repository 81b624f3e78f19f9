"""The rows that the statements of this package return."""

from typing import NamedTuple


class BatchRow(NamedTuple):
    """How many rows one batch removed."""

    removed: int
