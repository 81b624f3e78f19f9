"""Figures and how they are summed up."""

import math
from collections.abc import Iterable
from typing import NamedTuple


class Spread(NamedTuple):
    """The median and the 95th percentile of a sample."""

    p50: float
    p95: float


def spread(sample: Iterable[float]) -> Spread:
    """Sum up a sample that is not empty."""
    ordered = sorted(sample)
    return Spread(_quantile(ordered, 0.5), _quantile(ordered, 0.95))


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
