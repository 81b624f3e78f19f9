"""Votes: cast and retract them."""

from http import HTTPStatus
from typing import Final

from aws_lambda_powertools.event_handler.exceptions import NotFoundError, ServiceError

from common import api, database
from common.identity import current_principal, row_of_writer
from common.schemas import Message
from common.settings import daily_quota, verified_writers_only
from votes import queries
from votes.schemas import Ballot

VOTES_PER_DAY: Final = daily_quota("VOTES_PER_DAY")
VERIFIED_ONLY: Final = verified_writers_only()

app = api.resolver()
database.managed_connection()  # reads the settings now, during init


@app.post(
    "/vote",
    status_code=HTTPStatus.CREATED,
    responses=api.responses(Message, 201, 401, 403, 404, 409, 422, 429),
)
def vote(ballot: Ballot) -> Message:
    """Cast a vote (dir = 1) or retract it (any lower dir)."""
    casts = ballot.dir == 1
    statement = queries.cast if casts else queries.retract
    rows = statement(
        current_principal(app), post_id=ballot.post_id, per_day=VOTES_PER_DAY, verified_only=VERIFIED_ONLY
    )
    outcome = row_of_writer(rows, "votes")
    if not outcome.post_exists:
        raise NotFoundError("There is no such post")
    if casts and not outcome.changed:
        raise ServiceError(HTTPStatus.CONFLICT, "You have voted on this post already")
    if not outcome.changed:
        raise NotFoundError("You have not voted on this post")
    return Message(message="Vote cast" if casts else "Vote taken back")


handler = api.handler(app)
