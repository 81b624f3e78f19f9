"""The TLS context of connections to the database.

A module of its own, because the authorizer imports `common.settings` and must not pay for importing `ssl`.
"""

import ssl
from typing import Literal

from common.settings import DatabaseSettings, SettingsError


def database_tls(settings: DatabaseSettings) -> ssl.SSLContext | Literal[False]:
    """Return the context that verifies the database's certificate, or False for a connection without TLS.

    These are the values of pg8000's parameter `ssl_context`. Raises SettingsError if the file with the
    certificate authorities cannot be read.
    """
    if not settings.tls:
        return False
    try:
        return ssl.create_default_context(cafile=settings.ca)
    except OSError as error:  # also ssl.SSLError
        raise SettingsError(
            f"cannot read certificates from {settings.ca}, which sslrootcert in DATABASE_URL names: "
            f"{error.strerror or error}"
        ) from None
