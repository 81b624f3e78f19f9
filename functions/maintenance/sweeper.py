"""Removes rows in batches until none are left or the time is up; EventBridge calls it once a day.

No other scheduled function uses the database, so that a paused database wakes up once a day only.
"""

from typing import Any

from aws_lambda_powertools import Logger

from common import deadline
from maintenance import queries

log = Logger()

# Votes before posts and posts before users, so that the cascades of the foreign keys have little to remove.
STATEMENTS = {
    "votes of deleted users": queries.remove_votes_of_deleted_users,
    "deleted posts and their votes": queries.remove_deleted_posts,
    "vote deltas": queries.fold_vote_deltas,
    "refresh tokens": queries.remove_refresh_tokens,
    "sessions": queries.remove_sessions,
    "idempotency keys": queries.remove_idempotency_keys,
    "login attempts": queries.remove_login_attempts,
    "tokens of mails": queries.remove_mail_tokens,
    "deleted users": queries.remove_deleted_users,
}


def handler(_event: dict[str, Any], context: deadline.LambdaContext) -> dict[str, int]:
    """Return how many rows were removed, by kind.

    Raises what a statement raises; the run of the next day continues.
    """
    deadline.start(context)
    removed = {}
    for kind, remove_batch in STATEMENTS.items():
        removed[kind] = 0
        while deadline.seconds_left() > 0 and (batch := remove_batch()[0].removed):
            removed[kind] += batch
    log.info("maintenance", removed=removed)
    return removed
