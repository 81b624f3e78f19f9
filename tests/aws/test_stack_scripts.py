"""The scripts that delete a stack and follow its logs, against moto."""

import json
import re
import time
import uuid
from collections.abc import Callable
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest

from scripts import delete_stack, follow_logs
from tests.aws.conftest import REGION

# moto's CloudFormation cannot create database clusters. A parameter with the id of the cluster replaces it.
TEMPLATE = {
    "Parameters": {name: {"Type": "String"} for name in ("Stage", "GatewayLogging", "Cluster")},
    "Resources": {
        "Database": {
            "Type": "AWS::SSM::Parameter",
            "Properties": {"Name": {"Ref": "Cluster"}, "Type": "String", "Value": "-"},
        }
    },
}

Client = Callable[[str], Any]


@pytest.fixture
def client(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Return a function that returns clients of moto, and let the scripts use moto."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    return lambda service: boto3.client(service, region_name=REGION)


def create_stack(client: Client, name: str, **parameters: str) -> str:
    """Create a stack, a database and a snapshot of it; return the snapshot's id."""
    cluster, snapshot = f"cluster-{name}", f"social-{name}-snapshot"
    client("cloudformation").create_stack(
        StackName=f"social-{name}",
        TemplateBody=json.dumps(TEMPLATE),
        Parameters=[
            {"ParameterKey": key, "ParameterValue": value}
            for key, value in {**parameters, "Cluster": cluster}.items()
        ],
    )
    rds = client("rds")
    rds.create_db_cluster(
        DBClusterIdentifier=cluster,
        Engine="aurora-postgresql",
        MasterUsername="migrator",
        MasterUserPassword="secret-password",
    )
    rds.create_db_cluster_snapshot(DBClusterIdentifier=cluster, DBClusterSnapshotIdentifier=snapshot)
    return snapshot


def snapshots(client: Client) -> list[str]:
    found = client("rds").describe_db_cluster_snapshots()["DBClusterSnapshots"]
    return [snapshot["DBClusterSnapshotIdentifier"] for snapshot in found]


def stacks(client: Client) -> list[str]:
    return [stack["StackName"] for stack in client("cloudformation").describe_stacks()["Stacks"]]


def test_a_personal_stack_is_deleted_with_its_snapshot(client: Client) -> None:
    name, other = f"ann{uuid.uuid4().hex[:6]}", f"bob{uuid.uuid4().hex[:6]}"
    snapshot = create_stack(client, name, Stage="dev", GatewayLogging="false")
    others = create_stack(client, other, Stage="dev", GatewayLogging="false")
    delete_stack.delete(name)
    assert f"social-{name}" not in stacks(client)
    assert f"social-{other}" in stacks(client)
    assert snapshot not in snapshots(client)
    assert others in snapshots(client)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("staging", {"Stage": "dev", "GatewayLogging": "false"}),
        ("eve", {"Stage": "prod", "GatewayLogging": "false"}),
        ("mallory", {"Stage": "dev", "GatewayLogging": "true"}),
    ],
)
def test_the_stack_of_a_stage_is_not_deleted(client: Client, name: str, parameters: dict[str, str]) -> None:
    create_stack(client, name, **parameters)
    with pytest.raises(SystemExit, match=f"social-{name} is not a personal stack"):
        delete_stack.delete(name)
    assert f"social-{name}" in stacks(client)


def test_a_stack_that_does_not_exist_is_an_error(client: Client) -> None:  # noqa: ARG001  # sets the endpoint
    with pytest.raises(SystemExit, match="error: no stack social-nobody"):
        delete_stack.delete("nobody")


def write(client: Client, group: str, *messages: str) -> None:
    """Create a log group with these lines."""
    logs = client("logs")
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="one")
    now = int(time.time() * 1000)
    logs.put_log_events(
        logGroupName=group,
        logStreamName="one",
        logEvents=[{"timestamp": now + n, "message": text} for n, text in enumerate(messages)],
    )


def test_all_logs_of_a_stack_are_followed_and_those_of_others_are_not(
    client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = f"social-{uuid.uuid4().hex[:8]}"
    write(
        client,
        f"/aws/lambda/{stack}/posts",
        '{"level": "ERROR", "correlation_id": "r-1", "message": "failed", "error": "KeyError"}',
        "Task timed out",
    )
    write(client, f"/aws/apigateway/{stack}", '{"requestId": "r-1", "status": "500"}')
    write(client, f"/aws/lambda/{stack}2/posts", '{"message": "of another stack"}')
    polls = iter([None, KeyboardInterrupt()])

    def sleep(_seconds: float) -> None:
        if stop := next(polls):
            raise stop

    monkeypatch.setattr(time, "sleep", sleep)
    with pytest.raises(KeyboardInterrupt):
        follow_logs.follow(stack)
    printed = capsys.readouterr().out.splitlines()
    # Each line once, although the second poll finds it again.
    assert sorted(re.sub(r"^[\d:.]+ +", "", line) for line in printed) == [
        'gateway     r-1 - - {"status": "500"}',
        "posts       Task timed out",
        'posts       r-1 ERROR failed {"error": "KeyError"}',
    ]


def test_the_lines_of_one_request_can_be_followed(client: Client) -> None:
    stack = f"social-{uuid.uuid4().hex[:8]}"
    group = f"/aws/lambda/{stack}/posts"
    write(
        client,
        group,
        '{"correlation_id": "r-1", "message": "a"}',
        '{"correlation_id": "r-2", "message": "b"}',
    )
    [(_, _, found)] = follow_logs.lines([group], 0, "r-2")
    assert " r-2 " in found


def test_a_stack_without_logs_is_an_error(client: Client) -> None:  # noqa: ARG001  # sets the endpoint
    with pytest.raises(SystemExit, match="error: no log groups of social-nobody"):
        follow_logs.follow("social-nobody")
