"""Accounts: sign-up, what anyone may know of a user, and what users do with their own."""

from http import HTTPStatus

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.exceptions import ForbiddenError, NotFoundError, ServiceError

from common import api
from common.credentials import WRONG_PASSWORD, prove_as_user
from common.identity import current_session, current_user, rows_for_user
from common.passwords import hash_password
from common.schemas import UserOut
from users import queries
from users.schemas import Account, AccountChange, PasswordChange, PasswordProof, UserCreate

TAKEN = "A user with this e-mail exists already"

app = api.resolver()


def _outdated(user: int) -> ForbiddenError:
    """Return the refusal of a password that was changed while it was being checked; 401 for who has gone."""
    rows_for_user(queries.account(user_id=user))
    return ForbiddenError(WRONG_PASSWORD)


@app.post("/users", status_code=HTTPStatus.CREATED, responses=api.answers(UserOut, 201, 409, 422))
def sign_up(user: UserCreate) -> UserOut:
    """Create an account."""
    rows = queries.create(email=user.email, password=hash_password(user.password))
    if not rows:
        raise ServiceError(HTTPStatus.CONFLICT, TAKEN)
    return UserOut(**rows[0]._asdict())


@app.get("/users/me", responses=api.answers(Account, 200, 401))
def read_account() -> Account:
    """Show one's own account."""
    return Account(**rows_for_user(queries.account(user_id=current_user(app)))[0]._asdict())


@app.patch("/users/me", responses=api.answers(Account, 200, 401, 403, 409, 422, 429))
def update_account(change: AccountChange) -> Account:
    """Change one's phone number, and with the current password one's e-mail."""
    user = current_user(app)
    if change.email is None or change.current_password is None:
        if "phone_number" not in change.model_fields_set:
            return read_account()
        rows = queries.change_phone_number(user_id=user, phone_number=change.phone_number)
        return Account(**rows_for_user(rows)[0]._asdict())
    proven = prove_as_user(user, change.current_password)
    changed = queries.change_email(
        user_id=user,
        seen_hash=proven.hashed,
        email=change.email,
        phone_number=change.phone_number,
        keeps_phone_number="phone_number" not in change.model_fields_set,
    )
    row = rows_for_user(changed)[0]
    if row.is_taken:
        raise ServiceError(HTTPStatus.CONFLICT, TAKEN)
    if row.id is None:
        raise _outdated(user)
    return Account(**row._asdict())


@app.put(
    "/users/me/password",
    status_code=HTTPStatus.NO_CONTENT,
    responses=api.answers(None, 204, 401, 403, 422, 429),
)
def update_password(change: PasswordChange) -> Response[None]:
    """Change one's password; all other sessions end."""
    user, session = current_user(app), current_session(app)
    proven = prove_as_user(user, change.current_password)
    hashed = hash_password(change.new_password)
    if not queries.change_password(
        user_id=user, seen_hash=proven.hashed, password=hashed, session_id=session
    ):
        raise _outdated(user)
    return Response(HTTPStatus.NO_CONTENT)


@app.delete(
    "/users/me",
    status_code=HTTPStatus.NO_CONTENT,
    responses=api.answers(None, 204, 401, 403, 422, 429),
)
def delete_account(proof: PasswordProof) -> Response[None]:
    """Delete one's account with all posts and votes."""
    user = current_user(app)
    proven = prove_as_user(user, proof.current_password)
    if not queries.remove(user_id=user, seen_hash=proven.hashed):
        raise _outdated(user)
    return Response(HTTPStatus.NO_CONTENT)


@app.get("/users/<user_id>", responses=api.answers(UserOut, 200, 404, 422))
def read_user(user_id: api.PathId) -> UserOut:
    """Show a user."""
    rows = queries.read(user_id=user_id)
    if not rows:
        raise NotFoundError("There is no such user")
    return UserOut(**rows[0]._asdict())


handler = api.handler(app)
