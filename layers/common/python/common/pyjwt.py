"""Imports PyJWT without its JWKS client.

`import jwt` imports `jwt.jwks_client`, which imports HTTP, TLS and e-mail modules. That would double the
authorizer's init time, and we do not use the client. So we register an empty module under its name first.
"""

import sys
from types import ModuleType

_stub = ModuleType("jwt.jwks_client")
vars(_stub)["PyJWKClient"] = None
sys.modules.setdefault("jwt.jwks_client", _stub)

import jwt  # noqa: E402  # must follow the stub

__all__ = ["jwt"]
