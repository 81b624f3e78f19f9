"""TLS contexts, which verify the other side's certificate.

A module of its own, because importing `ssl` is slow and the authorizer rarely needs it.
"""

import ssl
from typing import Literal

from common.settings import DatabaseSettings, SettingsError


def database_tls(settings: DatabaseSettings) -> ssl.SSLContext | Literal[False]:
    """Return the context for connections to the database, or False for connections without TLS.

    These are the values of pg8000's parameter `ssl_context`. Raises what `tls_context` raises.
    """
    return settings.tls and tls_context(settings.ca, "sslrootcert in DATABASE_URL")


def tls_context(file: str | None, setting: str) -> ssl.SSLContext:
    """Return a context that trusts the certificate authorities in a PEM file, or those of the system.

    Raises SettingsError with the name of the file and of the setting that names it.
    """
    try:
        return ssl.create_default_context(cafile=file)
    except OSError as error:  # also ssl.SSLError
        reason = error.strerror or error
        raise SettingsError(
            f"cannot read certificates from {file}, which {setting} names: {reason}"
        ) from None
