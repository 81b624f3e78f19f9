"""common.mail: the mails that SES gets, and each failure."""

import io
import json
import socket
import time
from http.server import ThreadingHTTPServer
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
from moto.ses.models import ses_backends

from common import aws, mail
from common.mail import Mail, MailError
from common.settings import SettingsError
from local.mail import Mailbox
from tests.aws.conftest import REGION, Endpoint

SENDER = "app@example.com"
MAIL = Mail("ann@example.org", "Réset: 密码", "Open:\nhttps://app.example.com/#reset=T0ken\n")
PATH = "/v2/email/outbound-emails"
# Parts of the mail and of the responses that no error and no line of the log may contain.
PRIVATE = ("ann", "example", "set:", "Open", "T0ken", "private")


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_FROM", SENDER)
    monkeypatch.delenv("MAIL_CONFIGURATION_SET", raising=False)


@pytest.fixture
def ses_endpoint(endpoint: type[Endpoint], url: str, monkeypatch: pytest.MonkeyPatch) -> type[Endpoint]:
    """Return the endpoint that gets the mails of this test."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SESV2", url)
    return endpoint


@pytest.fixture
def moto(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let moto get the mails of this test; return its URL."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SESV2", moto_url)
    # moto imports a service at its first request.
    monkeypatch.setattr(aws, "MAIL_TIMEOUT_SECONDS", 60)
    return moto_url


class Failures:
    """What is logged while SES fails."""

    def __init__(self, stream: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
        self._stream = stream
        self._capsys = capsys

    def reason(self) -> str:
        """Send the mail, expect that SES is the reason of a failure, and return the reason in the log."""
        with pytest.raises(MailError, match=r"^SES did not accept the mail$") as caught:
            mail.send(MAIL)
        assert caught.value.__suppress_context__
        metric = json.loads(self._capsys.readouterr().out)
        assert metric["MailFailed"] == [1.0]
        line = json.loads(self._stream.getvalue())
        assert (line["level"], line["message"]) == ("ERROR", "mail was not sent")
        assert [text for text in PRIVATE if text in self._stream.getvalue() + json.dumps(metric)] == []
        return str(line["reason"])


@pytest.fixture
def failures(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Failures:
    """Return what is logged from now on."""
    stream = io.StringIO()
    monkeypatch.setattr(mail.log.registered_handler, "stream", stream)
    return Failures(stream, capsys)


def sent_request(endpoint: type[Endpoint]) -> dict[str, Any]:
    [(_, _, _, body)] = endpoint.requests
    found: dict[str, Any] = json.loads(body)
    return found


def test_mail_is_enabled_by_its_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    assert mail.is_enabled()
    monkeypatch.setenv("MAIL_FROM", "")
    assert not mail.is_enabled()
    monkeypatch.delenv("MAIL_FROM")
    assert not mail.is_enabled()


def test_the_page_that_links_lead_to_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_URL", "https://app.example.com/account")
    assert mail.app_url() == "https://app.example.com/account"
    monkeypatch.delenv("APP_URL")
    with pytest.raises(SettingsError, match=r"^APP_URL is not set"):
        mail.app_url()


def test_ses_sends_a_mail(moto: str) -> None:
    client = boto3.client("sesv2", region_name=REGION, endpoint_url=moto)
    client.create_email_identity(EmailIdentity=SENDER)
    mail.send(MAIL)
    message = ses_backends["123456789012"][REGION].sent_messages[-1]
    assert (message.source, message.destinations) == (SENDER, {"ToAddresses": [MAIL.recipient]})
    assert (message.subject, message.body) == (MAIL.subject, MAIL.text)


def test_the_stand_in_of_the_local_run_keeps_a_mail(mailbox: Mailbox) -> None:
    mail.send(MAIL)
    [kept] = mailbox.mails().values()
    assert (kept["From"], kept["To"], kept["Subject"]) == (SENDER, MAIL.recipient, MAIL.subject)
    assert kept.get_content() == MAIL.text


def test_one_signed_request_is_sent(ses_endpoint: type[Endpoint]) -> None:
    mail.send(MAIL)
    [(method, path, headers, _)] = ses_endpoint.requests
    assert (method, path) == ("POST", PATH)
    assert headers["content-type"] == "application/json"
    assert f"/{REGION}/ses/aws4_request, " in headers["authorization"]
    assert headers["x-amz-security-token"] == "FwoGZXIvYXdzE+/="
    assert sent_request(ses_endpoint) == {
        "FromEmailAddress": SENDER,
        "Destination": {"ToAddresses": [MAIL.recipient]},
        "Content": {
            "Simple": {
                "Subject": {"Data": MAIL.subject, "Charset": "UTF-8"},
                "Body": {"Text": {"Data": MAIL.text, "Charset": "UTF-8"}},
            }
        },
    }


def test_a_deployment_names_its_configuration_set(
    ses_endpoint: type[Endpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_CONFIGURATION_SET", "social-prod")
    mail.send(MAIL)
    assert sent_request(ses_endpoint)["ConfigurationSetName"] == "social-prod"


def test_without_an_endpoint_variable_mail_goes_to_ses(monkeypatch: pytest.MonkeyPatch) -> None:
    urls = []

    def exchange(_method: str, url: str, *_request: object) -> dict[str, Any]:
        urls.append(url)
        return {}

    monkeypatch.delenv("AWS_ENDPOINT_URL_SESV2", raising=False)
    monkeypatch.setattr(aws, "_request_json", exchange)
    mail.send(MAIL)
    assert urls == [f"https://email.{REGION}.amazonaws.com{PATH}"]


@pytest.mark.parametrize(
    ("address", "recipient"),
    [
        ("o'neil+tag@sub.example.org", "o'neil+tag@sub.example.org"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@例え.example", "ann@xn--r8jz45g.example"),
    ],
)
def test_a_domain_is_sent_in_ascii(address: str, recipient: str, ses_endpoint: type[Endpoint]) -> None:
    mail.send(MAIL._replace(recipient=address))
    assert sent_request(ses_endpoint)["Destination"] == {"ToAddresses": [recipient]}


@pytest.mark.parametrize(
    "recipient",
    [
        "jörg@example.org",
        "ann@-ü.example",
        "ann@example.org, eve@example.org",
        "Ann <ann@example.org>",
        '"ann, eve"@example.org',
        "ann@example.org\r\nBcc: eve@example.org",
        "ann@example.org\n",
        "ann@eve@example.org",
        "ann(comment)@example.org",
        "@example.org",
        "",
    ],
)
def test_anything_but_one_address_that_ses_supports_is_refused_before_a_request(
    recipient: str, ses_endpoint: type[Endpoint]
) -> None:
    with pytest.raises(MailError) as caught:
        mail.send(MAIL._replace(recipient=recipient))
    assert not recipient or recipient.strip() not in str(caught.value)
    assert ses_endpoint.requests == []


@pytest.mark.parametrize("character", ["\n", "\r", "\0", "\x1f", "\x7f", "\x85", "\u2028"])
def test_a_subject_is_one_line(character: str, ses_endpoint: type[Endpoint]) -> None:
    with pytest.raises(MailError, match=r"^the subject has a control character$"):
        mail.send(MAIL._replace(subject=f"Reset{character}Bcc: eve@example.org"))
    assert ses_endpoint.requests == []


@pytest.mark.parametrize(
    ("status", "response", "reason"),
    [
        (400, b'{"message": "private"}', "returned 400 MessageRejected"),
        (403, b'{"message": "private"}', "returned 403 MessageRejected"),
        (429, b"{}", "returned 429 MessageRejected"),
        (500, b'{"message": "private"}', "returned 500 MessageRejected"),
        (503, b"<html>private", "no response"),
        (200, b"private", "no response"),
        (200, b'["private"]', "no response"),
        (200, b"5", "no response"),
        (301, b"{}", "returned 301 MessageRejected"),
    ],
)
def test_an_error_of_ses_is_logged_and_counted(
    status: int, response: bytes, reason: str, ses_endpoint: type[Endpoint], failures: Failures
) -> None:
    ses_endpoint.status, ses_endpoint.response = status, response
    ses_endpoint.error_type = "MessageRejected:http://private/"
    assert reason in failures.reason()
    assert len(ses_endpoint.requests) == 1


@pytest.mark.usefixtures("moto")
def test_a_sender_that_is_not_verified_is_an_error(
    failures: Failures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_FROM", "other@example.net")
    assert "returned 400" in failures.reason()


def test_a_refused_connection_is_an_error(failures: Failures, monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as closed:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SESV2", f"http://127.0.0.1:{closed.server_port}")
    assert "ConnectionRefusedError" in failures.reason()


def test_an_endpoint_without_a_response_holds_a_request_up_for_one_wait(
    failures: Failures, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SESV2", f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        assert "TimeoutError" in failures.reason()
    assert aws.MAIL_TIMEOUT_SECONDS <= time.monotonic() - started < 4 * aws.MAIL_TIMEOUT_SECONDS
