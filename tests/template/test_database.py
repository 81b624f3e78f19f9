"""The database: private and encrypted, with the capacity and the protection that its stage needs."""

import pytest

from common.database import MAX_CONNECTION_AGE_SECONDS
from tests.template.stack import LIVE, Stack

# Maximum number of connections by DatabaseMaxCapacity, and the limit for a minimum of at most half a unit:
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2.setting-capacity.html
CONNECTIONS = {1: 189, 4: 823, 8: 1_669, 16: 3_360, 32: 5_000}
CONNECTIONS_WHEN_SMALL = 2_000

CLUSTER = {
    "Engine": "aurora-postgresql",
    "EngineVersion": "17",
    "DatabaseName": "social",
    "MasterUsername": "migrator",
    "MasterUserPassword": "{{resolve:secretsmanager:DatabaseSecret:SecretString:password}}",
    "EnableIAMDatabaseAuthentication": True,
    "StorageEncrypted": True,
    "DBSubnetGroupName": "DatabaseSubnets",
    "VpcSecurityGroupIds": ["DatabaseGroup"],
    "DBClusterParameterGroupName": "DatabaseParameters",
    "PreferredBackupWindow": "02:00-03:00",
    "PreferredMaintenanceWindow": "sun:03:30-sun:04:30",
    "CopyTagsToSnapshot": True,
}
BY_STAGE = {
    "dev": {
        # After ten minutes without connections, the database pauses.
        "ServerlessV2ScalingConfiguration": {
            "MinCapacity": "0",
            "MaxCapacity": "1",
            "SecondsUntilAutoPause": 600,
        },
        "BackupRetentionPeriod": "1",
        "DeletionProtection": False,
    },
    "staging": {
        "ServerlessV2ScalingConfiguration": {"MinCapacity": "0.5", "MaxCapacity": "1"},
        "BackupRetentionPeriod": "1",
        "DeletionProtection": False,
    },
    "prod": {
        "ServerlessV2ScalingConfiguration": {"MinCapacity": "1", "MaxCapacity": "4"},
        "BackupRetentionPeriod": "14",
        "DeletionProtection": True,
        "EnableCloudwatchLogsExports": ["postgresql"],
    },
}


@pytest.mark.parametrize("stage", BY_STAGE)
def test_the_cluster_is_as_its_stage_needs_it(stage: str) -> None:
    assert Stack(stage).properties("Database") == CLUSTER | BY_STAGE[stage]


def test_a_snapshot_remains_when_the_stack_deletes_or_replaces_the_database(stack: Stack) -> None:
    assert stack.resources["Database"]["DeletionPolicy"] == "Snapshot"
    assert stack.resources["Database"]["UpdateReplacePolicy"] == "Snapshot"


def test_the_database_refuses_connections_without_tls_and_logs_slow_statements(stack: Stack) -> None:
    assert stack.properties("DatabaseParameters") == {
        "Description": "Parameters of social",
        "Family": f"aurora-postgresql{CLUSTER['EngineVersion']}",
        "Parameters": {
            "rds.force_ssl": "1",
            "log_statement": "ddl",
            "log_min_duration_statement": "1000",
        },
    }


@pytest.mark.parametrize(("stage", "is_prod"), [("dev", False), ("staging", False), ("prod", True)])
def test_only_prod_has_a_standby_and_performance_insights(stage: str, *, is_prod: bool) -> None:
    instances = Stack(stage).of_type("AWS::RDS::DBInstance")
    assert instances.keys() == ({"Writer", "Standby"} if is_prod else {"Writer"})
    for instance in instances.values():
        assert instance == {
            "Engine": CLUSTER["Engine"],
            "DBClusterIdentifier": "Database",
            "DBInstanceClass": "db.serverless",
            "AutoMinorVersionUpgrade": True,
            "PubliclyAccessible": False,
            "EnablePerformanceInsights": is_prod,
        }


def test_the_writer_is_created_first(prod: Stack) -> None:
    assert prod.resources["Standby"]["DependsOn"] == "Writer"
    assert prod.resources["ProxyTargets"]["DependsOn"] == "Writer"


def test_the_password_is_generated_and_only_letters_and_digits(stack: Stack) -> None:
    # The password becomes part of a URL and of a dynamic reference.
    assert stack.properties("DatabaseSecret")["GenerateSecretString"] == {
        "SecretStringTemplate": '{"username": "migrator"}',
        "GenerateStringKey": "password",
        "PasswordLength": 40,
        "ExcludePunctuation": True,
    }


def test_dev_has_nothing_that_costs_money_while_the_database_pauses(dev: Stack) -> None:
    for kind in ("AWS::RDS::DBProxy", "AWS::RDS::DBProxyTargetGroup", "AWS::WAFv2::WebACL"):
        assert not dev.of_type(kind)


def test_the_proxy_accepts_iam_tokens_over_tls_and_knows_no_password(prod: Stack) -> None:
    proxy = prod.properties("Proxy")
    assert proxy == {
        "DBProxyName": "social",
        "EngineFamily": "POSTGRESQL",
        "RequireTLS": True,
        "DefaultAuthScheme": "IAM_AUTH",
        "RoleArn": "ProxyRole.Arn",
        "VpcSubnetIds": ["SubnetA", "SubnetB"],
        "VpcSecurityGroupIds": ["ProxyGroup"],
        "IdleClientTimeout": 1_800,
    }
    # The functions close a connection before the proxy does.
    assert proxy["IdleClientTimeout"] > MAX_CONNECTION_AGE_SECONDS


def test_the_proxy_serves_the_cluster_and_reports_that_it_is_full_in_time(prod: Stack) -> None:
    assert prod.properties("ProxyTargets") == {
        "DBProxyName": "Proxy",
        "TargetGroupName": "default",
        "DBClusterIdentifiers": ["Database"],
        "ConnectionPoolConfigurationInfo": {"MaxConnectionsPercent": "90", "ConnectionBorrowTimeout": 2},
    }


def test_every_execution_environment_can_have_a_connection(stack: Stack) -> None:
    reserved = sum(
        int(function.get("ReservedConcurrentExecutions", 0))
        for name, function in stack.of_type("AWS::Lambda::Function").items()
        if "VpcConfig" in function and name in LIVE
    )
    # A migration and an operator need connections too.
    available = max_connections(stack) * int(stack.parameters["ProxyConnectionsPercent"]) // 100
    assert reserved <= available < max_connections(stack)
    assert int(stack.parameters["DatabaseConnectionsAlarm"]) < available


def max_connections(stack: Stack) -> int:
    """Return the number of connections that the database accepts."""
    connections = CONNECTIONS[int(stack.parameters["DatabaseMaxCapacity"])]
    is_small = float(stack.parameters["DatabaseMinCapacity"]) <= 0.5
    return min(connections, CONNECTIONS_WHEN_SMALL) if is_small else connections


def test_a_snapshot_replaces_the_database_and_brings_its_names_and_its_password() -> None:
    cluster = Stack("prod", DatabaseSnapshot="social-before").properties("Database")
    assert cluster["SnapshotIdentifier"] == "social-before"
    assert not {"DatabaseName", "MasterUsername", "MasterUserPassword"} & cluster.keys()
