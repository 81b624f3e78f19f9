"""Deletes a personal stack with the last snapshot of its database.

Usage: delete_stack.py NAME

Deletes `social-NAME`, which `make deploy STAGE=dev NAME=...` created. A stack of a stage is not deleted.
"""

import sys

import boto3  # type: ignore[import-untyped]
from botocore.exceptions import ClientError, WaiterError  # type: ignore[import-untyped]

# The stage whose parameters a personal stack has.
STAGE = "dev"
STAGES = ("dev", "staging", "prod")
POLL_SECONDS = 15
MAX_POLLS = 240


def delete(name: str) -> None:
    """Delete the stack and the snapshots that CloudFormation made of its database.

    Raises:
        SystemExit: the stack is not a personal one, does not exist, or could not be deleted.

    """
    stack = f"social-{name}"
    cloudformation, rds = boto3.client("cloudformation"), boto3.client("rds")
    try:
        described = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        raise SystemExit(f"error: no stack {stack}: {error.response['Error']['Message']}") from error
    parameters = {item["ParameterKey"]: item["ParameterValue"] for item in described["Parameters"]}
    if name in STAGES or parameters["Stage"] != STAGE or parameters["GatewayLogging"] != "false":
        raise SystemExit(f"error: {stack} is not a personal stack; docs/deploy.md says how to delete a stage")
    resource = cloudformation.describe_stack_resource(StackName=stack, LogicalResourceId="Database")
    cluster = resource["StackResourceDetail"]["PhysicalResourceId"]
    sys.stdout.write(f"Deleting {stack}, which can take half an hour ...\n")
    cloudformation.delete_stack(StackName=stack)
    try:
        cloudformation.get_waiter("stack_delete_complete").wait(
            StackName=described["StackId"], WaiterConfig={"Delay": POLL_SECONDS, "MaxAttempts": MAX_POLLS}
        )
    except WaiterError as error:
        raise SystemExit(f"error: {stack} was not deleted: see its events in CloudFormation") from error
    found = rds.describe_db_cluster_snapshots(DBClusterIdentifier=cluster, SnapshotType="manual")
    for snapshot in found["DBClusterSnapshots"]:
        rds.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=snapshot["DBClusterSnapshotIdentifier"])
    sys.stdout.write(f"Deleted {stack} and {len(found['DBClusterSnapshots'])} snapshot(s) of its database.\n")


if __name__ == "__main__":
    delete(sys.argv[1])
