"""The Lambda function that migrates on deploy: its replies to CloudFormation and to an operator."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from common import aws
from migrations import runner
from migrations.handler import handler
from tests.migrations.commands import head
from tests.support.database import connect
from tests.support.lambdas import Context

EVENT = {
    "StackId": "arn:aws:cloudformation:eu-central-1:123456789012:stack/social-dev/1",
    "RequestId": "4f1c",
    "LogicalResourceId": "Migration",
}
SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:one"


@pytest.fixture
def url(migrator_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the function an empty database, and return its URL."""
    monkeypatch.setenv("DATABASE_URL", migrator_url)
    return migrator_url


@contextmanager
def cloudformation() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Run a server in place of CloudFormation's bucket; give its URL and the list of received replies."""
    replies: list[dict[str, Any]] = []

    class Bucket(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            assert self.headers["Content-Type"] == ""
            replies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with HTTPServer(("127.0.0.1", 0), Bucket) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", replies
        finally:
            # Without this, a failed test would wait for the thread without end.
            server.shutdown()
            thread.join()


def reply_to(kind: str) -> dict[str, Any]:
    """Send an event of CloudFormation to the function and return its only reply."""
    with cloudformation() as (address, replies):
        handler({**EVENT, "RequestType": kind, "ResponseURL": address}, Context(120_000))
    [reply] = replies
    return reply


def fail_to_upgrade(connection: Any) -> str:  # noqa: ANN401  # an SQLAlchemy connection
    connection.exec_driver_sql("ALTER TABLE nothing ADD COLUMN one integer")
    return ""


def test_an_operator_gets_the_revision_every_time(url: str) -> None:
    for _ in range(2):
        assert handler({}, Context(120_000)) == {"Revision": head()}
        with connect(url) as connection:
            assert connection.run("SELECT version_num FROM alembic_version") == [[head()]]


@pytest.mark.usefixtures("url")
def test_an_operator_gets_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_upgrade_to_head", fail_to_upgrade)
    with pytest.raises(DBAPIError):
        handler({}, Context(120_000))


@pytest.mark.usefixtures("url")
def test_the_password_comes_from_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    arns = []

    def secret_value(arn: str) -> str:
        arns.append(arn)
        return '{"username": "migrator", "password": "any, because the server of the tests trusts everyone"}'

    monkeypatch.setattr(aws, "secret_value", secret_value)
    monkeypatch.setenv("DATABASE_SECRET", SECRET)
    handler({}, Context(120_000))
    assert arns == [SECRET]


@pytest.mark.usefixtures("url")
@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_cloudformation_gets_the_revision(kind: str) -> None:
    assert reply_to(kind) == {
        **EVENT,
        "Status": "SUCCESS",
        "PhysicalResourceId": "schema",
        "Data": {"Revision": head()},
    }


@pytest.mark.usefixtures("url")
def test_a_failed_migration_fails_the_deployment_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_upgrade_to_head", fail_to_upgrade)
    reply = reply_to("Update")
    assert reply["Status"] == "FAILED"
    assert reply["PhysicalResourceId"] == "schema"
    assert reply["Reason"].startswith('PostgreSQL: relation "nothing" does not exist (log stream ')


@pytest.mark.usefixtures("url")
def test_a_wrong_setting_fails_the_deployment_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "nonsense")
    # The reply must arrive even if this file is missing, as in a region that is newer than the project.
    monkeypatch.setenv("AWS_CA_BUNDLE", "/var/task/authorities/xx-new-1.pem")
    reply = reply_to("Create")
    assert reply["Status"] == "FAILED"
    assert reply["Reason"].startswith("SettingsError: DATABASE_URL is not of the form ")


@pytest.mark.usefixtures("url")
def test_a_region_without_certificates_fails_the_deployment_with_the_missing_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = "/var/task/authorities/xx-new-1.pem"
    monkeypatch.setenv("DATABASE_SECRET", SECRET)
    monkeypatch.setenv("AWS_CA_BUNDLE", file)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "any")
    assert reply_to("Create")["Reason"].startswith(
        f"SettingsError: cannot read certificates from {file}, which AWS_CA_BUNDLE names: No such file"
    )


def test_a_deleted_stack_leaves_the_database_as_it_is(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    assert reply_to("Delete")["Status"] == "SUCCESS"
    with connect(url) as connection:
        assert connection.run("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [[0]]
