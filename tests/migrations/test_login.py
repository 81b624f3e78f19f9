"""How the migration logs in: with its password, or with an IAM token once the server accepts nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from common import aws
from common.settings import parse_database_url
from local.postgres import Cluster
from migrations import connect
from migrations.handler import handler
from tests.migrations.commands import head
from tests.support.lambdas import Context

TOKEN = "an IAM token"
# RDS lets members of rds_iam, including indirect ones, log in with a token only. Here the token is the stored
# password of the role, and everyone else is trusted with any password.
RULES = """
host social +rds_iam 127.0.0.1/32 scram-sha-256
host social migrator 127.0.0.1/32 trust
"""


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """Return the list of requests for an IAM token."""
    requests: list[tuple[object, ...]] = []

    def rds_auth_token(*request: object) -> str:
        requests.append(request)
        return TOKEN

    monkeypatch.setattr(aws, "rds_auth_token", rds_auth_token)
    return requests


@pytest.fixture
def url(cluster: Cluster, migrator_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give the function a password and a database whose server checks logins as RDS does; return its URL."""
    monkeypatch.setenv("DATABASE_URL", f"{migrator_url}?auth=iam")
    monkeypatch.setenv("DATABASE_SECRET", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:one")
    monkeypatch.setattr(aws, "secret_value", lambda _: '{"password": "the password"}')
    file = Path(cluster.execute("SHOW hba_file"))
    before = file.read_text()
    cluster.execute(f"ALTER ROLE migrator PASSWORD '{TOKEN}'")
    file.write_text(RULES + before)
    cluster.execute("SELECT pg_reload_conf()")
    yield f"{migrator_url}?auth=iam"
    file.write_text(before)
    cluster.execute("SELECT pg_reload_conf()")
    cluster.execute("DROP ROLE IF EXISTS rds_iam")


def test_the_second_migration_logs_in_although_its_role_became_a_member_of_rds_iam(
    url: str, cluster: Cluster, tokens: list[tuple[object, ...]]
) -> None:
    assert handler({}, Context(120_000)) == {"Revision": head()}
    assert tokens == []
    # Only now, because the role of the tests may not grant rds_iam, unlike the master user of RDS.
    cluster.execute("CREATE ROLE rds_iam")
    cluster.execute("GRANT rds_iam TO app")
    settings = parse_database_url(url, local=True)._replace(password="the password")
    with pytest.raises(DBAPIError, match="28P01"):
        connect.engine(settings._replace(iam=False)).connect()
    assert handler({}, Context(120_000)) == {"Revision": head()}
    assert set(tokens) == {(settings.host, settings.port, "migrator")}


@pytest.mark.usefixtures("url")
def test_a_rejected_token_is_an_error(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    handler({}, Context(120_000))
    cluster.execute("CREATE ROLE rds_iam")
    cluster.execute("GRANT rds_iam TO app")
    monkeypatch.setattr(aws, "rds_auth_token", lambda *_: "another token")
    with pytest.raises(DBAPIError, match="28P01"):
        handler({}, Context(120_000))
