"""Certificates for servers in tests, issued by an authority that only a test trusts."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trustme


class Authority:
    """A certificate authority."""

    def __init__(self) -> None:
        self._authority = trustme.CA()

    @contextmanager
    def file(self) -> Iterator[Path]:
        """Yield a file with the authority's certificate."""
        with self._authority.cert_pem.tempfile() as path:
            yield Path(path)

    def server_context(self, host: str) -> ssl.SSLContext:
        """Return the TLS context of a server with a certificate for this host."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(host).configure_cert(context)
        return context
