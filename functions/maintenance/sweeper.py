"""Removes rows in batches until none are left or the time is up; EventBridge calls it once a day.

No other scheduled function uses the database, so that a paused database wakes up once a day only.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from aws_lambda_powertools import Logger

from common import deadline
from common.database import Statement
from maintenance import queries
from maintenance.rows import BatchRow, PartRow

log = Logger()

Batches = Iterator[int]
"""The number of rows that each batch removes."""


def _until_none_are_left(remove_batch: Statement[[], BatchRow]) -> Batches:
    while removed := remove_batch()[0].removed:
        yield removed


def _part_by_part(remove_batch: Statement[..., PartRow]) -> Batches:
    part, is_last = 0, False
    while not is_last:
        removed = -1
        while removed:
            [(removed, is_last)] = remove_batch(part=part)
            yield removed
        part += 1


# Votes before posts and posts before users, so that the cascades of the foreign keys have little to remove.
# Tokens before sessions for the same reason.
REMOVALS: dict[str, Callable[[], Batches]] = {
    "votes of deleted users": partial(_until_none_are_left, queries.remove_votes_of_deleted_users),
    "deleted posts and their votes": partial(_until_none_are_left, queries.remove_deleted_posts),
    "vote deltas": partial(_until_none_are_left, queries.fold_vote_deltas),
    "tokens of ended sessions": partial(_part_by_part, queries.remove_refresh_tokens_of_ended_sessions),
    "old refresh tokens": partial(_part_by_part, queries.remove_refresh_tokens),
    "sessions": partial(_part_by_part, queries.remove_sessions),
    "idempotency keys": partial(_part_by_part, queries.remove_idempotency_keys),
    "login attempts": partial(_until_none_are_left, queries.remove_login_attempts),
    "tokens of mails": partial(_until_none_are_left, queries.remove_mail_tokens),
    "deleted users": partial(_until_none_are_left, queries.remove_deleted_users),
}


def handler(_event: dict[str, Any], context: deadline.LambdaContext) -> dict[str, int]:
    """Return how many rows were removed, by kind.

    Raises what a statement raises; the run of the next day continues.
    """
    deadline.start(context)
    removed = {}
    for kind, batches in REMOVALS.items():
        removed[kind] = 0
        remaining = batches()
        while deadline.seconds_left() > 0 and (number := next(remaining, None)) is not None:
            removed[kind] += number
    log.info("maintenance", removed=removed)
    return removed
