"""PyJWT, without its client of key servers.

`import jwt` imports that client, and with it HTTP, TLS and e-mail: half of the authorizer's start, for what
nothing here uses. An empty module stands in its place, so that `jwt.PyJWKClient` is None here.
"""

import sys
from types import ModuleType

_jwks_client = ModuleType("jwt.jwks_client")
vars(_jwks_client)["PyJWKClient"] = None
sys.modules.setdefault("jwt.jwks_client", _jwks_client)

import jwt  # noqa: E402  # after the stand-in, which it would import otherwise

__all__ = ["jwt"]
