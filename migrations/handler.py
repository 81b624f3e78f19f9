"""The function that migrates the database when a stack is deployed, before its new code is.

CloudFormation calls it for a custom resource and waits for the answer; by hand, any other event will do:
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

from migrations.migrate import migrate

# What is left for telling CloudFormation, which otherwise waits for its ServiceTimeout of fifteen minutes.
MARGIN_SECONDS: Final = 20.0
REPLY_SECONDS: Final = 10

log = logging.getLogger(__name__)


class LambdaContext(Protocol):
    """The part of the Lambda context object that is used here."""

    log_stream_name: str

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda ends the invocation."""


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    """Migrate, and return the revision; raises what `migrate` raises when nobody waits for a reply.

    A stack that goes leaves the database as it is.
    """
    seconds = context.get_remaining_time_in_millis() / 1000 - MARGIN_SECONDS
    if "RequestType" not in event:
        return {"Revision": migrate(seconds)}
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
            data = {"Revision": migrate(seconds)}
        except Exception as error:
            log.exception("the migration failed")
            reply |= {
                "Status": "FAILED",
                "Reason": f"{_reason(error)} (log stream {context.log_stream_name})",
            }
    _send(event["ResponseURL"], reply | {"Data": data})
    return data


def _reason(error: Exception) -> str:
    """Return one line for the events of the stack; a statement's values stay in the log."""
    if isinstance(error, DBAPIError) and error.orig:
        report = error.orig.args[0] if error.orig.args else ""
        return f"PostgreSQL: {report['M'] if isinstance(report, dict) else report}"
    return f"{type(error).__name__}: {error}"


def _send(url: str, reply: dict[str, Any]) -> None:
    # CloudFormation signed the URL for a request with an empty type of content.
    request = urllib.request.Request(  # noqa: S310  # CloudFormation's own, not a user's
        url, json.dumps(reply).encode(), {"Content-Type": ""}, method="PUT"
    )
    trusted = ssl.create_default_context()
    if authorities := os.environ.get("AWS_CA_BUNDLE"):
        # The reply may be that this file is missing, as it is in a region that is newer than the project.
        with suppress(OSError):
            trusted.load_verify_locations(authorities)
    urllib.request.urlopen(request, timeout=REPLY_SECONDS, context=trusted).close()  # noqa: S310
