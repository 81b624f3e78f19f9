"""Login: an e-mail and a password for an access token."""

from typing import Annotated

from aws_lambda_powertools.event_handler.exceptions import ForbiddenError
from aws_lambda_powertools.event_handler.openapi.params import Form

from auth import queries
from auth.schemas import Token
from common import api
from common.keys import KeyRing
from common.passwords import verify_password
from common.schemas import Text
from common.settings import whole_number
from common.tokens import sign

LIFETIME_SECONDS = whole_number("TOKEN_LIFETIME", least=60, most=24 * 60 * 60)

app = api.resolver()
ring = KeyRing()


@app.post("/login", responses=api.answers(Token, 200, 403, 422))
def log_in(username: Annotated[Text, Form()], password: Annotated[Text, Form()]) -> Token:
    """Log in with the e-mail as the username."""
    rows = queries.credentials(email=username)
    hashed = rows[0].password if rows else None
    if not verify_password(password, hashed):
        raise ForbiddenError("Invalid Credentials")
    return Token(access_token=sign(rows[0].id, ring.newest(), lifetime=LIFETIME_SECONDS))


handler = api.handler(app)
