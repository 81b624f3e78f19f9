"""Deployments: the migration first, then new versions, which take over the traffic step by step."""

import pytest

from common.settings import MAX_DAILY_QUOTA
from tests.template.conftest import MAIL
from tests.template.stack import LIVE, TEMPLATE, Stack

# Lambda's limit: https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html
MAX_DESCRIPTION = 256
# The maximum lengths of the number of a layer version, the id of a cluster, an origin and a path.
LONGEST = {
    "Layer": 6,
    "Architecture": len("x86_64"),
    "Snapshots": len("snap"),
    "Database.DBClusterResourceId": 34,
    "CorsOrigin": 50,
    "Authorities": 0,
}
# These properties belong to the function, and not to a version of it.
NOT_IN_A_VERSION = {"Description", "ReservedConcurrentExecutions"}


def test_new_code_is_deployed_after_the_migration(stack: Stack) -> None:
    for name in LIVE:
        assert stack.resources[name].get("DependsOn") == "Migration", name


def test_new_revisions_make_a_new_migration(stack: Stack) -> None:
    migration = stack.resources["Migration"]
    version = migration["Properties"]["Version"]
    assert migration["Properties"]["ServiceToken"] == "MigrationFunctionAliaslive"
    assert stack.properties(version)["FunctionName"] == "MigrationFunction"
    assert migration["DependsOn"] == [
        "Writer",
        "SecretsEndpoint",
        "S3Endpoint",
        "SubnetARouteTable",
        "SubnetBRouteTable",
        "DatabaseAcceptsMigration",
    ]


def test_a_migration_that_times_out_is_not_retried(stack: Stack) -> None:
    configs = stack.of_type("AWS::Lambda::EventInvokeConfig").values()
    by_function = {config["FunctionName"]: config for config in configs}
    assert by_function.keys() == {"MigrationFunction", "MaintenanceFunction"}
    assert all(config["MaximumRetryAttempts"] == 0 for config in configs)
    config = by_function["MigrationFunction"]
    # The custom resource invokes this alias.
    own = {"FunctionName": "MigrationFunction", "Qualifier": "live", "MaximumRetryAttempts": 0}
    assert config == {"DestinationConfig": {}} | own


def test_another_database_is_migrated_as_well(stack: Stack) -> None:
    function = stack.properties("MigrationFunction")
    assert "Database.DBClusterResourceId" in function["Description"]
    assert version_of(stack, "MigrationFunction")["Description"] == function["Description"]


def test_the_api_invokes_aliases_of_published_versions(stack: Stack) -> None:
    for name in (*LIVE, "MigrationFunction"):
        alias = stack.properties(f"{name}Aliaslive")
        version = alias["FunctionVersion"].removesuffix(".Version")
        assert alias == {"Name": "live", "FunctionName": name, "FunctionVersion": f"{version}.Version"}
        assert stack.properties(version)["FunctionName"] == name


@pytest.mark.parametrize("parameter", TEMPLATE["Parameters"])
def test_a_parameter_that_changes_a_function_changes_its_description(prod: Stack, parameter: str) -> None:
    value = another_value(parameter, prod.parameters[parameter])
    changed = Stack("prod", **{parameter: value})
    for name in LIVE:
        old, new = prod.properties(name), changed.properties(name)
        is_changed = any(old.get(key) != new[key] for key in new.keys() - NOT_IN_A_VERSION)
        is_described = old.get("Description") != new.get("Description")
        # Another stage is another stack.
        assert parameter == "Stage" or not is_changed or is_described, name


def another_value(parameter: str, current: str) -> str:
    """Return another value that a parameter accepts."""
    declared = TEMPLATE["Parameters"][parameter]
    if "AllowedValues" in declared:
        return next(str(value) for value in declared["AllowedValues"] if str(value) != current)
    if parameter in MAIL:
        return MAIL[parameter]
    return str(float(current) + 1) if declared["Type"] == "Number" else f"{current}x"


@pytest.mark.parametrize("name", LIVE)
def test_a_version_is_named_by_its_layer_and_has_the_description_of_its_function(
    stack: Stack, name: str
) -> None:
    function = stack.properties(name)
    [layer] = function["Layers"]
    assert "Description" in function, f"{name} needs a VersionDescription and a Description, such as *version"
    assert f"{stack.parameters['Architecture']} {layer.split(':')[7]} " in function["Description"]
    assert version_of(stack, name)["Description"] == function["Description"]


def version_of(stack: Stack, function: str) -> dict[str, str]:
    """Return the properties of the version of a function."""
    versions = stack.of_type("AWS::Lambda::Version").values()
    [version] = [version for version in versions if version["FunctionName"] == function]
    return version


def test_a_description_is_short_enough_for_lambda(prod: Stack) -> None:
    text = TEMPLATE["Resources"]["AuthorizerFunction"]["Properties"]["Description"]["Fn::Sub"][0]
    length = len(text)
    for variable in text.split("${")[1:]:
        name = variable.partition("}")[0]
        length += LONGEST.get(name, len(prod.parameters.get(name, ""))) - len("${}") - len(name)
    # The longest values that a function appends.
    mail = sum(1 + TEMPLATE["Parameters"][name]["MaxLength"] for name in ("MailFrom", "AppUrl"))
    assert length + len(f" reference 86400 {MAX_DAILY_QUOTA}") + mail <= MAX_DESCRIPTION


@pytest.mark.parametrize(
    ("stage", "config"),
    [
        ("dev", "LambdaAllAtOnce"),
        ("staging", "LambdaCanary10Percent5Minutes"),
        ("prod", "LambdaCanary10Percent10Minutes"),
    ],
)
def test_traffic_shifts_step_by_step_and_back_on_an_alarm(stage: str, config: str) -> None:
    stack = Stack(stage)
    assert len(stack.of_type("AWS::CodeDeploy::DeploymentGroup")) == len(LIVE)
    for name in LIVE:
        group = stack.properties(f"{name}DeploymentGroup")
        assert group["DeploymentConfigName"] == f"CodeDeployDefault.{config}"
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
        alias = stack.resources[f"{name}Aliaslive"]
        update = alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
        assert update["DeploymentGroupName"] == f"{name}DeploymentGroup"


@pytest.mark.parametrize(
    ("stage", "applies_to"),
    [("dev", "None"), ("staging", "PublishedVersions"), ("prod", "PublishedVersions")],
)
def test_only_functions_of_the_api_start_from_snapshots(stage: str, applies_to: str) -> None:
    for name, function in Stack(stage).of_type("AWS::Lambda::Function").items():
        assert function["SnapStart"] == {"ApplyOn": applies_to if name in LIVE else "None"}


def test_maintenance_runs_once_a_day_and_nothing_else_wakes_the_database_on_a_schedule(stack: Stack) -> None:
    assert stack.of_type("AWS::Scheduler::Schedule") == {}
    [rule] = stack.of_type("AWS::Events::Rule").values()
    assert rule["ScheduleExpression"] == "rate(1 day)"
    assert rule["Targets"] == [{"Id": "maintenance", "Arn": "MaintenanceFunction.Arn"}]
    assert "State" not in rule
    assert stack.properties("MaintenancePermission") == {
        "Action": "lambda:InvokeFunction",
        "FunctionName": "MaintenanceFunction",
        "Principal": "events.amazonaws.com",
        "SourceArn": "MaintenanceSchedule.Arn",
    }
