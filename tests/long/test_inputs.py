"""Thousands of requests generated from the OpenAPI document, also in sequences that depend on each other."""

from pathlib import Path

from common.keys import Key
from local.postgres import Cluster
from tests.long.traffic import populate
from tests.support.database import Database
from tests.support.local_gateway import local_gateway
from tests.support.schemathesis_run import run_schemathesis


def test_every_response_to_thousands_of_requests_matches_the_document(
    cluster: Cluster, key: Key, tmp_path: Path
) -> None:
    cluster.create_database("inputs")
    url = cluster.url("inputs")
    with local_gateway(url, tmp_path / "log") as gateway:
        with Database(url) as database:
            [somebody] = populate(database, 1, key)
        number = run_schemathesis(
            gateway.url, somebody.token, tmp_path, examples=250, phases="coverage,fuzzing,stateful"
        )
    print(f"\n{number} requests")  # noqa: T201  # for docs/reliability.md
    assert number > 3_000
    assert "Traceback" not in (tmp_path / "log").read_text()
