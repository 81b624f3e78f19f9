"""Follows the logs of all functions of a stack.

Usage: follow_logs.py STACK [REQUEST]

Prints a line for each log event: its time, function, request id and message. REQUEST is the id of one
request, which the client finds in the header `x-amzn-RequestId`. Ctrl-C ends it.
"""

import contextlib
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import boto3  # type: ignore[import-untyped]

POLL_SECONDS = 2
# CloudWatch shows a log line some seconds after it was written.
DELAY_MILLISECONDS = 30_000
# The functions log the id of a request as `correlation_id`, the gateway as `requestId`.
SHOWN_FIRST = ("timestamp", "time", "level", "requestId", "correlation_id", "message")


def groups_of(stack: str) -> list[str]:
    """Return the log groups of the functions and of the gateway."""
    logs = boto3.client("logs")
    prefixes = (f"/aws/lambda/{stack}/", f"/aws/apigateway/{stack}")
    pages = (
        page
        for prefix in prefixes
        for page in logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix)
    )
    return [group["logGroupName"] for page in pages for group in page["logGroups"]]


def lines(groups: Sequence[str], since: int, request: str | None) -> Iterator[tuple[int, str, str]]:
    """Yield the time, the id and the text of each log event since a time in milliseconds."""
    logs = boto3.client("logs")
    for group in groups:
        arguments: dict[str, Any] = {"logGroupName": group, "startTime": since}
        if request:
            arguments["filterPattern"] = f'"{request}"'
        for page in logs.get_paginator("filter_log_events").paginate(**arguments):
            for event in page["events"]:
                yield event["timestamp"], event["eventId"], line(group, event["timestamp"], event["message"])


def line(group: str, timestamp: int, message: str) -> str:
    """Return a log event as one line for a reader."""
    when = datetime.fromtimestamp(timestamp / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]
    source = group.rsplit("/", 1)[-1] if group.startswith("/aws/lambda/") else "gateway"
    try:
        record = json.loads(message)
    except ValueError:
        record = None
    if not isinstance(record, Mapping):
        return f"{when} {source:11} {message.strip()}"
    request = record.get("correlation_id") or record.get("requestId") or "-"
    rest = {key: value for key, value in record.items() if key not in SHOWN_FIRST}
    level, text = record.get("level", "-"), record.get("message", "-")
    return f"{when} {source:11} {request} {level} {text} {json.dumps(rest)}"


def follow(stack: str, request: str | None = None) -> None:
    """Print the log lines of the last minutes, then each new one."""
    groups = groups_of(stack)
    if not groups:
        raise SystemExit(f"error: no log groups of {stack}: is it deployed in this account and region?")
    newest = int(time.time() * 1000) - 5 * 60_000
    seen: dict[str, int] = {}
    while True:
        for timestamp, identifier, text in sorted(lines(groups, newest - DELAY_MILLISECONDS, request)):
            if identifier not in seen:
                sys.stdout.write(text + "\n")
                seen[identifier] = timestamp
        sys.stdout.flush()
        newest = max([newest, *seen.values()])
        seen = {key: at for key, at in seen.items() if at >= newest - 2 * DELAY_MILLISECONDS}
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        follow(*sys.argv[1:])
