"""Mail to users, in plain text, through the API of Amazon SES."""

import os
import re
from typing import Any, Final, NamedTuple

from aws_lambda_powertools import Logger, single_metric
from aws_lambda_powertools.metrics import MetricUnit

from common import aws
from common.aws import AwsError
from common.settings import env_str

# One address. SES reads commas, brackets and quotes as a list of addresses or as a name before an address.
ONE_ADDRESS: Final = re.compile(r"""[^\s\x00-\x1f\x7f"(),:;<>@\[\\\]]+@[^\s\x00-\x1f\x7f"(),:;<>@\[\\\]]+""")
CONTROL_CHARACTER: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

log = Logger()


class Mail(NamedTuple):
    """A mail.

    Attributes:
        recipient: One address, in its stored form (`common.emails`).
        subject: One line.
        text: Plain text. Lines end with a line feed.

    """

    recipient: str
    subject: str
    text: str


class MailError(Exception):
    """The mail was not sent, or SES did not confirm it in time. The message quotes nothing of the mail."""


def is_enabled() -> bool:
    """Return whether this deployment sends mail."""
    return os.environ.get("MAIL_FROM", "") != ""


def app_url() -> str:
    """Return the address of the web application: a link in a mail adds a fragment to it.

    Raises SettingsError if it is not set.
    """
    return env_str("APP_URL")


def send(mail: Mail) -> None:
    """Send a mail with one request to SES, which takes at most about 1.5 seconds and is not repeated.

    Raises MailError. If SES is the reason, it is logged and counted as the metric `MailFailed`.
    """
    try:
        aws.send_email(_request(mail))
    except AwsError as error:
        log.error("mail was not sent", reason=str(error))  # noqa: TRY400  # the reason says it all
        with single_metric(name="MailFailed", unit=MetricUnit.Count, value=1):
            pass
        raise MailError("SES did not accept the mail") from None


def try_to_send(mail: Mail) -> bool:
    """Send a mail whose failure must not fail the request; return whether it was sent."""
    try:
        send(mail)
    except MailError:
        return False
    return True


def _request(mail: Mail) -> dict[str, Any]:
    """Return the body of the request. With simple content, SES itself writes and encodes the headers."""
    if CONTROL_CHARACTER.search(mail.subject):
        raise MailError("the subject has a control character")
    request: dict[str, Any] = {
        "FromEmailAddress": env_str("MAIL_FROM"),
        "Destination": {"ToAddresses": [_ascii_address(mail.recipient)]},
        "Content": {"Simple": {"Subject": _utf8(mail.subject), "Body": {"Text": _utf8(mail.text)}}},
    }
    if configuration_set := os.environ.get("MAIL_CONFIGURATION_SET"):
        request["ConfigurationSetName"] = configuration_set
    return request


def _utf8(text: str) -> dict[str, str]:
    return {"Data": text, "Charset": "UTF-8"}


def _ascii_address(address: str) -> str:
    """Return an address as SES accepts it: with the domain in ASCII (`xn--`).

    Raises MailError if the part before the @ is not ASCII, which SES does not support.
    https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_Destination.html
    """
    if not ONE_ADDRESS.fullmatch(address):
        raise MailError("the recipient is not one address")
    if address.isascii():
        return address
    # Imported here because few addresses need it and the import is slow.
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415

    try:
        ascii_address = validate_email(address, check_deliverability=False).ascii_email
    except EmailNotValidError:
        ascii_address = None
    if ascii_address is None:
        raise MailError("the recipient has no form in ASCII")
    return ascii_address
