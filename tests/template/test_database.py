"""The database: closed, encrypted, and as safe and as big as its stage says."""

from tests.template.stack import LIVE, Stack

# Connections that Aurora PostgreSQL takes by the most capacity units it may grow to, and how many at most
# where it may shrink to half a unit or pause:
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2.setting-capacity.html
CONNECTIONS = {1: 189, 4: 823, 8: 1_669, 16: 3_360, 32: 5_000}
CONNECTIONS_WHEN_SMALL = 2_000


def connections(stack: Stack) -> int:
    most = CONNECTIONS[int(stack.parameters["DatabaseMaxCapacity"])]
    is_small = float(stack.parameters["DatabaseMinCapacity"]) <= 0.5
    return min(most, CONNECTIONS_WHEN_SMALL) if is_small else most


def test_it_is_encrypted_and_asks_for_tls_and_tokens(stack: Stack) -> None:
    cluster = stack.properties("Database")
    assert cluster["StorageEncrypted"] is True
    assert cluster["EnableIAMDatabaseAuthentication"] is True
    assert stack.properties("DatabaseParameters")["Parameters"]["rds.force_ssl"] == "1"
    for instance in stack.of_type("AWS::RDS::DBInstance").values():
        assert instance["PubliclyAccessible"] is False


def test_its_data_can_be_had_again_whatever_happens_to_the_stack(stack: Stack) -> None:
    assert stack.resources["Database"]["DeletionPolicy"] == "Snapshot"
    assert stack.resources["Database"]["UpdateReplacePolicy"] == "Snapshot"


def test_prod_is_protected_backed_up_and_stands_in_two_zones(prod: Stack) -> None:
    cluster = prod.properties("Database")
    assert cluster["DeletionProtection"] is True
    assert int(prod.value(cluster["BackupRetentionPeriod"])) >= 7
    assert len(prod.of_type("AWS::RDS::DBInstance")) == 2
    assert len(prod.properties("SecretsEndpoint")["SubnetIds"]) == 2


def test_dev_pauses_and_has_nothing_that_costs_while_it_does(dev: Stack) -> None:
    scaling = dev.properties("Database")["ServerlessV2ScalingConfiguration"]
    assert dev.value(scaling["MinCapacity"]) == "0"
    assert scaling["SecondsUntilAutoPause"] == 600
    assert len(dev.of_type("AWS::RDS::DBInstance")) == 1
    assert len(dev.properties("SecretsEndpoint")["SubnetIds"]) == 1
    for kind in ("AWS::RDS::DBProxy", "AWS::RDS::DBProxyTargetGroup", "AWS::WAFv2::WebACL"):
        assert not dev.of_type(kind)


def test_the_proxy_takes_tokens_over_tls_and_knows_no_password(prod: Stack) -> None:
    proxy = prod.properties("Proxy")
    assert proxy["RequireTLS"] is True
    assert proxy["DefaultAuthScheme"] == "IAM_AUTH"
    assert "Auth" not in proxy


def test_a_stage_with_a_proxy_does_not_pause(stack: Stack) -> None:
    if stack.of_type("AWS::RDS::DBProxy"):
        assert float(stack.parameters["DatabaseMinCapacity"]) > 0


def test_every_environment_can_have_its_connection(stack: Stack) -> None:
    reserved = sum(
        int(stack.value(stack.properties(name).get("ReservedConcurrentExecutions", 0))) for name in LIVE
    )
    percent = int(stack.parameters["ProxyConnectionsPercent"])
    assert reserved <= connections(stack) * percent // 100
    assert int(stack.parameters["DatabaseConnectionsAlarm"]) < connections(stack) * percent // 100
    assert percent < 100  # for a migration and a person there has to be one left


def test_only_a_protected_prod_can_be_deployed_and_no_proxy_before_what_pauses(prod: Stack) -> None:
    assert prod.parameters["DatabaseProtection"] == "true"


def test_the_log_of_a_precious_database_is_kept(prod: Stack, dev: Stack) -> None:
    assert prod.properties("Database")["EnableCloudwatchLogsExports"] == ["postgresql"]
    assert "EnableCloudwatchLogsExports" not in dev.properties("Database")


def test_a_snapshot_takes_the_place_of_the_database_with_the_names_that_it_has() -> None:
    cluster = Stack("prod", DatabaseSnapshot="social-before").properties("Database")
    assert cluster["SnapshotIdentifier"] == {"Ref": "DatabaseSnapshot"}
    assert not {"DatabaseName", "MasterUsername"} & cluster.keys()
