"""Login, and the sessions that it opens."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated, Final, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.exceptions import (
    ForbiddenError,
    NotFoundError,
    ServiceError,
    UnauthorizedError,
)
from aws_lambda_powertools.event_handler.openapi.params import Form

from auth import addresses, queries, recovery, refresh_tokens
from auth.rows import ResetRow
from auth.schemas import PasswordReset, PasswordResetConfirmation, Refresh, Token, Verification
from auth.settings import TOKEN_LIFETIME_SECONDS
from common import api, database, mail, mail_texts, opaque_tokens
from common.authentication import INVALID_CREDENTIALS, authenticate_by_email
from common.emails import lower_case, normalize_if_valid
from common.errors import RateLimitError
from common.identity import (
    UNAUTHORIZED,
    client_address,
    current_principal,
    row_within_quota,
    rows_or_unauthorized,
)
from common.keys import Key, KeyRing
from common.passwords import hash_password
from common.principal import Principal
from common.schemas import Message, TypedEmail, TypedPassword
from common.settings import daily_quota
from common.tokens import sign

REFRESHES_PER_DAY: Final = daily_quota("REFRESHES_PER_DAY")
# Mails that an account may have sent to verify an address, in a day.
VERIFICATIONS_PER_DAY: Final = 5
# A request for a new password takes at least this long, which is longer than sending a mail may take. So the
# time does not reveal whether there is an account.
MIN_RESET_SECONDS: Final = 1.8
RESET_SENT = "If there is an account with this e-mail, we have sent a link to set a new password"
UNUSABLE_TOKEN = "This link was used already, has expired, or was replaced by a newer one"  # noqa: S105

# A user agent is shown to the user, who recognizes the device by its beginning.
MAX_USER_AGENT_LENGTH: Final = 200

app = api.resolver()
database.managed_connection()  # reads the settings now, during init
ring = KeyRing()


def _token(principal: Principal, key: Key, refresh_token: str) -> Token:
    access_token = sign(principal, key, lifetime=TOKEN_LIFETIME_SECONDS)
    return Token(access_token=access_token, expires_in=TOKEN_LIFETIME_SECONDS, refresh_token=refresh_token)


def _user_agent() -> str | None:
    """Return the start of the User-Agent header in ASCII, or None if nothing is left of it.

    We read it from the identity, where API Gateway sends one value. Among the headers, the letter case of the
    name is the client's, and there may be several values.
    """
    sent = app.current_event.request_context.identity.user_agent or ""
    # Without control characters, NUL included. Other characters than ASCII could change how a page shows it,
    # and would triple what the end of a hundred sessions writes.
    harmless = (each for each in sent[:MAX_USER_AGENT_LENGTH] if each.isascii() and each.isprintable())
    return "".join(harmless).strip() or None


@app.post("/login", responses=api.responses(Token, 200, 403, 422, 429))
def log_in(
    username: Annotated[TypedEmail, Form()],
    password: Annotated[TypedPassword, Form()],
    grant_type: Annotated[Literal["password"] | None, Form()] = None,  # noqa: ARG001  # only validated
) -> Token:
    """Log in with the e-mail as the username."""
    key = ring.signing_key()  # first, because it may fail: then nothing has been written
    user = authenticate_by_email(normalize_if_valid(username), password, client_address(app))
    token = opaque_tokens.generate()
    sessions = queries.open_session(
        user.attempt,
        user_id=user.user_id,
        verified_hash=user.password_hash,
        token_hash=opaque_tokens.digest(token),
        user_agent=_user_agent(),
    )
    if not sessions:  # the password was changed in the meantime
        raise ForbiddenError(INVALID_CREDENTIALS)
    return _token(Principal(user.user_id, str(sessions[0].id)), key, token)


@app.post("/auth/refresh", security=[], responses=api.responses(Token, 200, 401, 422, 429))
def refresh(body: Refresh) -> Token:
    """Exchange a refresh token for a new access token and the next refresh token."""
    signing_key = ring.signing_key()
    keys = [signing_key, *(key for key in ring.all() if key != signing_key)]
    successors = {
        opaque_tokens.digest(token): token
        for token in (refresh_tokens.successor(body.refresh_token, key) for key in keys)
    }
    sessions = queries.renew_session(
        token_hash=opaque_tokens.digest(body.refresh_token),
        successor_hashes=" ".join(successors),
        per_day=REFRESHES_PER_DAY,
    )
    session = row_within_quota(sessions, "refreshes")
    if session.id is None:
        raise UnauthorizedError(UNAUTHORIZED)
    return _token(Principal(session.user_id, str(session.id)), signing_key, successors[session.token_hash])


@app.post("/auth/logout", status_code=HTTPStatus.NO_CONTENT, responses=api.responses(None, 204, 401))
def log_out() -> Response[None]:
    """End this session; its tokens are refused from the next request on."""
    rows_or_unauthorized(queries.end_session(current_principal(app)))
    return Response(HTTPStatus.NO_CONTENT)


@app.post("/auth/logout-all", status_code=HTTPStatus.NO_CONTENT, responses=api.responses(None, 204, 401))
def log_out_everywhere() -> Response[None]:
    """End all sessions of the user."""
    rows_or_unauthorized(queries.end_sessions(current_principal(app)))
    return Response(HTTPStatus.NO_CONTENT)


def _require_mail() -> None:
    if not mail.is_enabled():
        raise NotFoundError("This deployment sends no mail")


def _email_within_limit(rows: Sequence[ResetRow]) -> str | None:
    """Return the address to which a request to reset a password applies, or None.

    Raises RateLimitError if the client has sent too many of them.
    """
    row = rows[0]
    if row.retry_after_seconds is not None:
        raise RateLimitError(row.retry_after_seconds)
    return row.email


@contextmanager
def _at_least(seconds: float) -> Iterator[None]:
    begin = time.monotonic()
    try:
        yield
    finally:
        time.sleep(max(0.0, begin + seconds - time.monotonic()))


@app.post(
    "/auth/password-reset",
    status_code=HTTPStatus.ACCEPTED,
    security=[],
    responses=api.responses(Message, 202, 404, 422, 429),
)
def request_password_reset(body: PasswordReset) -> Message:
    """Mail a link to set a new password, if there is an account with this e-mail: at most 3 in an hour."""
    _require_mail()
    account = lower_case(normalize_if_valid(body.email))
    token = opaque_tokens.generate()
    token_hash = opaque_tokens.digest(token)
    with _at_least(MIN_RESET_SECONDS):
        rows = recovery.request_reset(account=account, client=client_address(app), token_hash=token_hash)
        email = _email_within_limit(rows)
        if email is not None and not mail.try_to_send(mail_texts.password_reset(email, token)):
            recovery.discard_token(token_hash=token_hash)
    return Message(message=RESET_SENT)


@app.post(
    "/auth/password-reset/confirm",
    status_code=HTTPStatus.NO_CONTENT,
    security=[],
    responses=api.responses(None, 204, 403, 422, 429),
)
def confirm_password_reset(body: PasswordResetConfirmation) -> Response[None]:
    """Set a new password with the token of a mail. All sessions end, and the e-mail is verified."""
    token_hash, client = opaque_tokens.digest(body.token), client_address(app)
    # First, so that an unusable token does not cost a hash.
    if _email_within_limit(recovery.check_reset(token_hash=token_hash, client=client)) is None:
        raise ForbiddenError(UNUSABLE_TOKEN)
    new_hash = hash_password(body.new_password)
    users = recovery.reset_password(token_hash=token_hash, client=client, password=new_hash)
    if not users:  # a simultaneous request was faster
        raise ForbiddenError(UNUSABLE_TOKEN)
    mail.try_to_send(mail_texts.password_changed(users[0].email))
    return Response(HTTPStatus.NO_CONTENT)


@app.post(
    "/auth/verification",
    status_code=HTTPStatus.ACCEPTED,
    responses=api.responses(Message, 202, 401, 404, 409, 429),
)
def request_verification() -> Message:
    """Mail a link to verify your new e-mail, if a change is pending, or else your present one."""
    principal = current_principal(app)
    _require_mail()
    token = opaque_tokens.generate()
    rows = addresses.request_verification(
        principal, token_hash=opaque_tokens.digest(token), per_day=VERIFICATIONS_PER_DAY
    )
    row = row_within_quota(rows, "verification mails")
    if row.email is None:
        raise ServiceError(HTTPStatus.CONFLICT, "Your e-mail is verified already")
    text = mail_texts.new_address if row.is_pending else mail_texts.verification
    if not mail.try_to_send(text(row.email, token)):
        raise ServiceError(HTTPStatus.SERVICE_UNAVAILABLE, "The mail could not be sent, try again later")
    return Message(message="We have sent a link to verify your e-mail")


@app.post(
    "/auth/verification/confirm",
    status_code=HTTPStatus.NO_CONTENT,
    security=[],
    responses=api.responses(None, 204, 403, 409, 422),
)
def confirm_verification(body: Verification) -> Response[None]:
    """Verify an e-mail, change it to a new one, or revert a change, with the token of a mail."""
    revert_token = opaque_tokens.generate()
    rows = addresses.confirm_address(
        token_hash=opaque_tokens.digest(body.token), revert_hash=opaque_tokens.digest(revert_token)
    )
    if not rows:
        raise ForbiddenError(UNUSABLE_TOKEN)
    row = rows[0]
    if row.is_taken:
        raise ServiceError(HTTPStatus.CONFLICT, "A user with this e-mail exists already")
    if row.is_revert:
        mail.try_to_send(mail_texts.address_restored(row.email))
    elif row.email != row.previous_email:
        token = revert_token if row.can_revert else None
        mail.try_to_send(mail_texts.address_changed(row.previous_email, row.email, token))
    return Response(HTTPStatus.NO_CONTENT)


handler = api.handler(app, forms={"/login"})
