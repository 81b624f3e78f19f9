"""The Lambda function that migrates the database, before the new code of the other functions is deployed.

CloudFormation invokes it for a custom resource and waits for a reply. An operator can invoke it with any
other event, and gets the revision as the result:
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requesttypes.html
"""

import json
import logging
import os
import ssl
import urllib.request
from contextlib import suppress
from typing import Any, Final, Protocol

from sqlalchemy.exc import DBAPIError

from common import aws
from common.settings import DatabaseSettings, database_settings
from migrations.runner import migrate

# Time reserved for the reply: without a reply, CloudFormation waits for its ServiceTimeout of 15 minutes.
REPLY_MARGIN_SECONDS: Final = 20.0
REPLY_TIMEOUT_SECONDS: Final = 10

log = logging.getLogger(__name__)


class LambdaContext(Protocol):
    """The part of the Lambda context object that this function uses."""

    log_stream_name: str

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda ends the invocation."""


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    """Migrate the database and return its revision.

    A failure is reported to CloudFormation, or raised if the event is not CloudFormation's. When the stack is
    deleted, the database stays as it is.
    """
    seconds = context.get_remaining_time_in_millis() / 1000 - REPLY_MARGIN_SECONDS
    if "RequestType" not in event:
        return _migrate(seconds)
    reply = {
        "Status": "SUCCESS",
        "PhysicalResourceId": "schema",
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
    }
    data = {}
    if event["RequestType"] != "Delete":
        try:
            data = _migrate(seconds)
        except Exception as error:
            log.exception("the migration failed")
            reply |= {
                "Status": "FAILED",
                "Reason": f"{_reason(error)} (log stream {context.log_stream_name})",
            }
    _send(event["ResponseURL"], reply | {"Data": data})
    return data


def _migrate(seconds: float) -> dict[str, str]:
    return {"Revision": migrate(_settings(), seconds=seconds, manages_roles=True)}


def _settings() -> DatabaseSettings:
    settings = database_settings()
    if secret := os.environ.get("DATABASE_SECRET"):
        return settings._replace(password=json.loads(aws.secret_value(secret))["password"])
    return settings


def _reason(error: Exception) -> str:
    """Return one line for the events of the stack. It contains no statement and none of its values."""
    if isinstance(error, DBAPIError) and error.orig:
        report = error.orig.args[0] if error.orig.args else ""
        return f"PostgreSQL: {report['M'] if isinstance(report, dict) else report}"
    return f"{type(error).__name__}: {error}"


def _send(url: str, reply: dict[str, Any]) -> None:
    # CloudFormation signed the URL for a request with an empty content type.
    request = urllib.request.Request(  # noqa: S310  # CloudFormation's URL, not a user's
        url, json.dumps(reply).encode(), {"Content-Type": ""}, method="PUT"
    )
    tls = ssl.create_default_context()
    if authorities := os.environ.get("AWS_CA_BUNDLE"):
        # In a region that is newer than the project, the file is missing. Send the reply all the same,
        # because it may report this.
        with suppress(OSError):
            tls.load_verify_locations(authorities)
    urllib.request.urlopen(request, timeout=REPLY_TIMEOUT_SECONDS, context=tls).close()  # noqa: S310
