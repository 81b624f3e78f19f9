"""The operation SendEmail of the SES API, version 2."""

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import format_datetime, localtime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from local.mail.links import first_link
from local.mail.mailbox import Mailbox

HOST = "127.0.0.1"
_PATH = "/v2/email/outbound-emails"
# The limit of SES for a message is 40 MB.
_MAX_BODY_BYTES = 1024 * 1024


@contextmanager
def ses(mailbox: Mailbox, write_line: Callable[[str], None]) -> Iterator[str]:
    """Keep mails in a mailbox until the end of the block; return the URL for AWS_ENDPOINT_URL_SESV2.

    `write_line` gets a line about each mail, with the first link in it.
    """
    with _Server((HOST, 0), _Handler) as server:
        server.mailbox, server.write_line = mailbox, write_line
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    mailbox: Mailbox
    write_line: Callable[[str], None]


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        if self.path != _PATH or length > _MAX_BODY_BYTES:
            self._respond(HTTPStatus.NOT_FOUND, {"message": "only small mails, and only SendEmail"})
            return
        try:
            mail = _message(json.loads(self.rfile.read(length)))
        except (ValueError, LookupError, TypeError):
            self._respond(HTTPStatus.BAD_REQUEST, {"message": "not a mail with simple content"})
            return
        self.server.mailbox.add(mail)
        self.server.write_line(
            f"mail to {mail['To']}: {mail['Subject']} {first_link(mail.get_content())}".rstrip()
        )
        self._respond(HTTPStatus.OK, {"MessageId": uuid.uuid4().hex})

    def _respond(self, status: HTTPStatus, document: dict[str, str]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status != HTTPStatus.OK:
            self.send_header("x-amzn-ErrorType", "BadRequestException")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401  # as in the base class
        pass


def _message(request: dict[str, Any]) -> EmailMessage:
    """Return the mail that a request describes."""
    simple = request["Content"]["Simple"]
    mail = EmailMessage()
    mail["From"] = request["FromEmailAddress"]
    mail["To"] = ", ".join(request["Destination"]["ToAddresses"])
    mail["Subject"] = simple["Subject"]["Data"]
    mail["Date"] = format_datetime(localtime())
    # Other encodings break long lines, so that a link in the file could not be copied.
    mail.set_content(simple["Body"]["Text"]["Data"], cte="8bit")
    return mail
