"""Summarises samples."""

from collections.abc import Iterable
from statistics import quantiles
from typing import NamedTuple


class Spread(NamedTuple):
    """The median and the 95th percentile of a sample."""

    p50: float
    p95: float


def spread(sample: Iterable[float]) -> Spread:
    """Summarise a sample of at least two values."""
    percentiles = quantiles(sample, n=100, method="inclusive")
    return Spread(percentiles[49], percentiles[94])
