"""The number of votes on each post, from its counter and from the stored votes."""

from collections.abc import Callable
from typing import Any

# One statement reads both numbers, so that they are from the same snapshot.
COUNTERS = """
SELECT id,
    (SELECT vote_count FROM post_ranks WHERE post_id = id)
        + (SELECT coalesce(sum(step), 0) FROM vote_deltas WHERE post_id = posts.id),
    (SELECT count(*) FROM votes WHERE post_id = posts.id)
FROM posts ORDER BY id
"""
Run = Callable[[str], list[list[Any]]]


def vote_counts(run: Run) -> dict[int, int]:
    """Return the counted votes of each post by its id; `run` runs a statement."""
    return {post_id: counted for post_id, counted, _ in run(COUNTERS)}


def wrong_counters(run: Run) -> list[list[int]]:
    """Return the id and the counted and stored votes of each post that is counted wrongly."""
    return [[post_id, counted, stored] for post_id, counted, stored in run(COUNTERS) if counted != stored]
