"""How new code comes to serve: after the migration, as a version, step by step."""

import pytest

from tests.template.stack import LIVE, Stack, references


def test_no_new_code_comes_before_the_schema_that_it_needs(stack: Stack) -> None:
    for name in LIVE:
        assert stack.resources[name]["DependsOn"] in ("Migration", ["Migration"])


def test_new_revisions_make_a_new_migration(stack: Stack) -> None:
    version = stack.properties("Migration")["Version"]["Ref"]
    assert stack.resources[version]["Type"] == "AWS::Lambda::Version"
    assert stack.properties(version)["FunctionName"] == {"Ref": "MigrationFunction"}
    assert "Writer" in stack.resources["Migration"]["DependsOn"]


def test_another_database_is_migrated_anew(stack: Stack) -> None:
    version = stack.properties(stack.properties("Migration")["Version"]["Ref"])
    assert version["Description"] == stack.properties("MigrationFunction")["Description"]
    assert {"Database", "Authorities"} <= references(version["Description"])


def test_the_migration_goes_to_the_cluster_and_not_through_the_proxy(prod: Stack) -> None:
    variables = prod.properties("MigrationFunction")["Environment"]["Variables"]
    assert "Database" in references(variables["DATABASE_URL"])
    assert "Proxy" not in references(variables)


def test_a_migration_that_times_out_is_not_retried(stack: Stack) -> None:
    [config] = stack.of_type("AWS::Lambda::EventInvokeConfig").values()
    assert config["FunctionName"] == {"Ref": "MigrationFunction"}
    assert config["MaximumRetryAttempts"] == 0
    # The custom resource invokes this alias.
    alias = stack.properties("Migration")["ServiceToken"]["Ref"]
    assert config["Qualifier"] == stack.properties(alias)["Name"]


def test_the_api_calls_aliases(stack: Stack) -> None:
    api = stack.properties("Api")["Body"]
    called = {name for name in references(api) if name.startswith(tuple(LIVE))}
    assert called == {f"{name}Aliaslive" for name in LIVE}


@pytest.mark.parametrize("name", LIVE)
def test_a_version_names_every_parameter_and_layer_that_its_function_has(stack: Stack, name: str) -> None:
    function = stack.properties(name)
    [version] = [
        one for one in stack.of_type("AWS::Lambda::Version").values() if one["FunctionName"] == {"Ref": name}
    ]
    assert version["Description"] == function["Description"]
    named = references(version["Description"]) | {"Stage", "Architecture"}
    settings = {key: function[key] for key in ("Environment", "Layers", "SnapStart")}
    needed = references(settings) & (stack.parameters.keys() | stack.resources.keys())
    # Both are replaced only with the template, and so with the code.
    assert needed - {"KeyRing", "Database", "Proxy"} <= named
    assert "Database" not in needed or {"DatabaseProxy", "Database"} <= named


def test_a_description_is_short_enough_for_lambda(prod: Stack) -> None:
    for name in LIVE:
        text = prod.properties(name)["Description"]["Fn::Sub"][0]
        ids = {"Layer": 100, "Database.DBClusterResourceId": 34, "CorsOrigin": 60, "Authorities": 0}
        length = len(text)
        for variable in text.split("${")[1:]:
            key = variable.split("}")[0]
            length += ids.get(key, len(prod.parameters.get(key, ""))) - len(key) - len("${}")
        assert length <= 256, name


def test_prod_shifts_traffic_step_by_step_and_goes_back_on_alarms(prod: Stack) -> None:
    for name in LIVE:
        group = prod.properties(f"{name}DeploymentGroup")
        config = group["DeploymentConfigName"]["Fn::Sub"]
        assert prod.value(config[1]["ConfigName"]).startswith("Canary10Percent")
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
        assert {alarm["Name"]["Ref"] for alarm in group["AlarmConfiguration"]["Alarms"]} == {
            "FunctionErrorsAlarm",
            "ServerErrorsAlarm",
        }


def test_prod_starts_from_snapshots_and_dev_does_not_pay_for_them(prod: Stack, dev: Stack) -> None:
    for name in LIVE:
        assert prod.value(prod.properties(name)["SnapStart"]["ApplyOn"]) == "PublishedVersions"
        assert dev.value(dev.properties(name)["SnapStart"]["ApplyOn"]) == "None"


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_the_layer_is_of_the_architecture_of_the_functions(architecture: str) -> None:
    stack = Stack("dev", Architecture=architecture)
    [layer] = stack.of_type("AWS::Lambda::LayerVersion").values()
    assert layer["CompatibleArchitectures"] == [architecture]
    for function in stack.of_type("AWS::Lambda::Function").values():
        assert [stack.value(one) for one in function["Architectures"]] == [architecture]


def test_the_functions_run_on_arm_unless_told_otherwise(stack: Stack) -> None:
    assert stack.parameters["Architecture"] == "arm64"


def test_keys_are_renewed_less_often_than_tokens_expire(stack: Stack) -> None:
    days = int(stack.parameters["KeyRotationDays"])
    assert days * 86_400 > 2 * int(stack.parameters["TokenLifetime"])
    assert "KeyRotation" in stack.resources
