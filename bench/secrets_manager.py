"""A stand-in for Secrets Manager, from which the authorizer fetches the key ring during init, as on AWS."""

import json
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from bench import ROOT
from bench.packages import KEY

HOST: Final = "localhost"
REGION: Final = "eu-west-1"
# The authorities that a deployed function trusts, to which the one of this stand-in is added.
AUTHORITIES: Final = ROOT / "layers" / "common" / "authorities" / f"{REGION}.pem"
RESPONSE: Final = json.dumps({"SecretString": json.dumps({KEY.kid: KEY.secret})}).encode()


class _Endpoint(BaseHTTPRequestHandler):
    """Returns the key ring, whatever is requested."""

    def do_POST(self) -> None:
        """Respond."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(RESPONSE)))
        self.end_headers()
        self.wfile.write(RESPONSE)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def serving() -> Iterator[dict[str, str]]:
    """Serve the key ring over TLS; yield the environment variables of a deployed function that fetches it."""
    with (
        tempfile.TemporaryDirectory() as directory,
        ThreadingHTTPServer(("127.0.0.1", 0), _Endpoint) as server,
    ):
        certificate, key, trusted = (Path(directory, name) for name in ("cert.pem", "key.pem", "trusted.pem"))
        # fmt: off
        subprocess.run(  # noqa: S603  # a certificate for this process only
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={HOST}",  # noqa: S607
             "-addext", f"subjectAltName=DNS:{HOST}", "-keyout", key, "-out", certificate],
            check=True, capture_output=True,
        )
        # fmt: on
        trusted.write_text(AUTHORITIES.read_text() + certificate.read_text())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield {
                "STAGE": "prod",
                "JWT_KEYS": f"arn:aws:secretsmanager:{REGION}:123456789012:secret:keys-AbCdEf",
                "AWS_CA_BUNDLE": str(trusted),
                "AWS_ENDPOINT_URL_SECRETS_MANAGER": f"https://{HOST}:{server.server_port}",
                "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
                "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                "AWS_SESSION_TOKEN": "FwoGZXIvYXdzE+/=",
            }
        finally:
            server.shutdown()
            thread.join()
