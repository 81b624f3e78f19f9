"""Accounts: sign-up, public profiles, and your own account."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.exceptions import ForbiddenError, NotFoundError, ServiceError

from common import api, database, mail, mail_texts, opaque_tokens
from common.authentication import WRONG_PASSWORD, authenticate_principal
from common.emails import lower_case
from common.identity import client_address, current_principal, row_within_quota, rows_or_unauthorized
from common.passwords import hash_password
from common.principal import Principal
from common.schemas import UserOut
from common.settings import daily_quota
from users import queries
from users.rows import AccountChangeRow, Address, EmailChange
from users.schemas import (
    Account,
    AccountChange,
    PasswordChange,
    PasswordProof,
    PathUuid,
    Session,
    UserCreate,
)

EMAIL_TAKEN = "A user with this e-mail exists already"
PROFILE_CHANGES_PER_DAY: Final = daily_quota("PROFILE_CHANGES_PER_DAY")

app = api.resolver()
database.managed_connection()  # reads the settings now, during init


def _changed_account(principal: Principal, rows: Sequence[AccountChangeRow]) -> Account:
    row = row_within_quota(rows, "profile changes")
    if row.email_taken:
        raise ServiceError(HTTPStatus.CONFLICT, EMAIL_TAKEN)
    if row.id is None:
        raise _password_changed_error(principal)
    return Account(**row._asdict())


def _password_changed_error(principal: Principal) -> ForbiddenError:
    """Return the error for a password that was changed while we checked it.

    Raises UnauthorizedError if the session ended instead.
    """
    rows_or_unauthorized(queries.account(principal))
    return ForbiddenError(WRONG_PASSWORD)


@app.post("/users", status_code=HTTPStatus.CREATED, responses=api.responses(UserOut, 201, 409, 422))
def sign_up(user: UserCreate) -> UserOut:
    """Create an account. If the deployment sends mail, a link to verify the e-mail is sent."""
    address = Address(user.email, lower_case(user.email))
    token = opaque_tokens.generate()
    rows = queries.create(
        address,
        password=hash_password(user.password),
        token_hash=opaque_tokens.digest(token) if mail.is_enabled() else None,
    )
    if not rows:
        raise ServiceError(HTTPStatus.CONFLICT, EMAIL_TAKEN)
    if mail.is_enabled():
        mail.try_to_send(mail_texts.verification(rows[0].email, token))
    return UserOut(**rows[0]._asdict())


@app.get("/users/me", responses=api.responses(Account, 200, 401))
def read_account() -> Account:
    """Read your own account."""
    return Account(**rows_or_unauthorized(queries.account(current_principal(app)))[0]._asdict())


@app.patch("/users/me", responses=api.responses(Account, 200, 401, 403, 409, 422, 429))
def update_account(change: AccountChange) -> Account:
    """Change your phone number, or with the current password your e-mail.

    If the deployment sends mail, the e-mail changes when the link in a mail to the new address is used.
    """
    principal = current_principal(app)
    if change.email is None or change.current_password is None:
        if "phone_number" not in change.model_fields_set:
            return read_account()
        rows = queries.change_phone_number(
            principal, phone_number=change.phone_number, per_day=PROFILE_CHANGES_PER_DAY
        )
        return _changed_account(principal, rows)
    verified = authenticate_principal(principal, change.current_password, client_address(app))
    email_change = EmailChange(
        email=change.email,
        lower_case_email=lower_case(change.email),
        verified_hash=verified.password_hash,
        phone_number=change.phone_number,
        keep_phone_number="phone_number" not in change.model_fields_set,
    )
    if not mail.is_enabled():
        rows = queries.change_email(
            principal, verified.attempt, email_change, per_day=PROFILE_CHANGES_PER_DAY
        )
        return _changed_account(principal, rows)
    token = opaque_tokens.generate()
    rows = queries.request_email(
        principal,
        verified.attempt,
        email_change,
        token_hash=opaque_tokens.digest(token),
        per_day=PROFILE_CHANGES_PER_DAY,
    )
    account = _changed_account(principal, rows)
    if account.pending_email is not None:
        mail.try_to_send(mail_texts.new_address(account.pending_email, token))
    return account


@app.put(
    "/users/me/password",
    status_code=HTTPStatus.NO_CONTENT,
    responses=api.responses(None, 204, 401, 403, 422, 429),
)
def update_password(change: PasswordChange) -> Response[None]:
    """Change your password. All other sessions end."""
    principal = current_principal(app)
    verified = authenticate_principal(principal, change.current_password, client_address(app))
    new_hash = hash_password(change.new_password)
    users = queries.change_password(
        principal, verified.attempt, verified_hash=verified.password_hash, password=new_hash
    )
    if not users:
        raise _password_changed_error(principal)
    if mail.is_enabled():
        mail.try_to_send(mail_texts.password_changed(users[0].email))
    return Response(HTTPStatus.NO_CONTENT)


@app.delete(
    "/users/me",
    status_code=HTTPStatus.NO_CONTENT,
    responses=api.responses(None, 204, 401, 403, 422, 429),
)
def delete_account(proof: PasswordProof) -> Response[None]:
    """Delete your account with all posts and votes."""
    principal = current_principal(app)
    verified = authenticate_principal(principal, proof.current_password, client_address(app))
    if not queries.mark_deleted(principal, verified.attempt, verified_hash=verified.password_hash):
        raise _password_changed_error(principal)
    return Response(HTTPStatus.NO_CONTENT)


@app.get("/users/me/sessions", responses=api.responses(list[Session], 200, 401))
def list_sessions() -> list[Session]:
    """List your sessions, the most recently renewed one first."""
    rows = rows_or_unauthorized(queries.sessions(current_principal(app)))
    return [Session(**row._asdict()) for row in rows]


@app.delete(
    "/users/me/sessions/<session_id>",
    status_code=HTTPStatus.NO_CONTENT,
    responses=api.responses(None, 204, 401, 404, 422),
)
def end_session(session_id: PathUuid) -> Response[None]:
    """End one of your sessions; its tokens are refused from the next request on."""
    [row] = rows_or_unauthorized(queries.end_session(current_principal(app), target=session_id))
    if row.session_id is None:
        raise NotFoundError("There is no such session")
    return Response(HTTPStatus.NO_CONTENT)


@app.get("/users/<user_id>", responses=api.responses(UserOut, 200, 404, 422))
def read_user(user_id: api.PathId) -> UserOut:
    """Read a user."""
    rows = queries.read(user_id=user_id)
    if not rows:
        raise NotFoundError("There is no such user")
    return UserOut(**rows[0]._asdict())


handler = api.handler(app)
