"""The successors of refresh tokens, which are opaque tokens (`common.opaque_tokens`)."""

import base64
import hmac

from common.keys import Key


def successor(token: str, key: Key) -> str:
    """Return the token that replaces a refresh token: the same one for every use of it.

    It cannot be derived without the key. The prefix keeps its HMAC apart from the signatures of access
    tokens.
    """
    mac = hmac.digest(key.secret.encode(), b"refresh token " + token.encode(), "sha256")
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
