"""The principal of a request. The authorizer imports this module, so it imports nothing heavy."""

from typing import NamedTuple


class Principal(NamedTuple):
    """The user and the session of a token.

    Attributes:
        user_id: The id of the user.
        session_id: The UUID of the session that a login opened.

    """

    user_id: int
    session_id: str
