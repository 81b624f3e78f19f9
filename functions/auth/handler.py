"""Login, and the sessions that it opens."""

from http import HTTPStatus
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.exceptions import ForbiddenError, UnauthorizedError
from aws_lambda_powertools.event_handler.openapi.params import Form

from auth import queries, refresh_tokens
from auth.rows import SessionRow
from auth.schemas import Refresh, Token
from auth.settings import TOKEN_LIFETIME_SECONDS
from common import api, database
from common.authentication import INVALID_CREDENTIALS, authenticate_by_email
from common.emails import normalize_if_valid
from common.identity import UNAUTHORIZED, current_session_id, current_user_id, rows_or_unauthorized
from common.keys import Key, KeyRing
from common.schemas import Text
from common.tokens import Principal, sign

app = api.resolver()
database.managed_connection()  # reads its settings during init, so that the first request does not
ring = KeyRing()


def _token(session: SessionRow, key: Key, refresh_token: str) -> Token:
    principal = Principal(session.user_id, str(session.id))
    access_token = sign(principal, key, lifetime=TOKEN_LIFETIME_SECONDS)
    return Token(access_token=access_token, expires_in=TOKEN_LIFETIME_SECONDS, refresh_token=refresh_token)


@app.post("/login", responses=api.responses(Token, 200, 403, 422, 429))
def log_in(username: Annotated[Text, Form()], password: Annotated[Text, Form()]) -> Token:
    """Log in with the e-mail as the username."""
    key = ring.newest()  # may fail, so before anything is written
    user = authenticate_by_email(normalize_if_valid(username), password)
    token = refresh_tokens.generate()
    sessions = queries.open_session(
        user_id=user.user_id, verified_hash=user.password_hash, token_hash=refresh_tokens.digest(token)
    )
    if not sessions:  # the password was changed in the meantime
        raise ForbiddenError(INVALID_CREDENTIALS)
    return _token(sessions[0], key, token)


@app.post("/auth/refresh", responses=api.responses(Token, 200, 401, 422))
def refresh(presented: Refresh) -> Token:
    """Exchange a refresh token, once, for a new access token and a new refresh token."""
    key = ring.newest()
    token = refresh_tokens.generate()
    sessions = queries.renew_session(
        token_hash=refresh_tokens.digest(presented.refresh_token), next_hash=refresh_tokens.digest(token)
    )
    if not sessions:
        raise UnauthorizedError(UNAUTHORIZED)
    return _token(sessions[0], key, token)


@app.post("/auth/logout", status_code=HTTPStatus.NO_CONTENT, responses=api.responses(None, 204, 401))
def log_out() -> Response[None]:
    """End this session: its refresh tokens stop working, its access token works until it expires."""
    rows_or_unauthorized(
        queries.end_session(user_id=current_user_id(app), session_id=current_session_id(app))
    )
    return Response(HTTPStatus.NO_CONTENT)


@app.post("/auth/logout-all", status_code=HTTPStatus.NO_CONTENT, responses=api.responses(None, 204, 401))
def log_out_everywhere() -> Response[None]:
    """End all sessions of the user."""
    rows_or_unauthorized(queries.end_sessions(user_id=current_user_id(app)))
    return Response(HTTPStatus.NO_CONTENT)


handler = api.handler(app)
