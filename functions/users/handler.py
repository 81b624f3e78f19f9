"""Sign-up, and what anyone may know of a user."""

from http import HTTPStatus

from aws_lambda_powertools.event_handler.exceptions import NotFoundError, ServiceError

from common import api
from common.passwords import hash_password
from common.schemas import UserOut
from users import queries
from users.schemas import UserCreate

app = api.resolver()


@app.post("/users", status_code=HTTPStatus.CREATED, responses=api.answers(UserOut, 201, 409, 422))
def sign_up(user: UserCreate) -> UserOut:
    """Create an account."""
    rows = queries.create(email=user.email, password=hash_password(user.password))
    if not rows:
        raise ServiceError(HTTPStatus.CONFLICT, "A user with this e-mail exists already")
    return UserOut(**rows[0]._asdict())


@app.get("/users/<user_id>", responses=api.answers(UserOut, 200, 404, 422))
def read_user(user_id: api.PathId) -> UserOut:
    """Show a user."""
    rows = queries.read(user_id=user_id)
    if not rows:
        raise NotFoundError("There is no such user")
    return UserOut(**rows[0]._asdict())


handler = api.handler(app)
