"""The functions: what they run, with which settings, and how their time limits relate."""

from typing import Any

import pytest

from common import aws, database, deadline, keys
from tests.template.stack import LIVE, TEMPLATE, Stack, layer_version
from tests.template.test_privileges import ALLOWED, CONNECT

# https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html
GATEWAY_TIMEOUT_SECONDS = 29
CODE = {"S3Bucket": "bucket", "S3Key": "code"}
SHARED_VARIABLES = {
    "CORS_ORIGIN": "http://localhost:5173",
    "AWS_CA_BUNDLE": "/opt/authorities/eu-central-1.pem",
    "POWERTOOLS_SERVICE_NAME": "social",
    "POWERTOOLS_METRICS_NAMESPACE": "social",
    "POWERTOOLS_LOG_LEVEL": "INFO",
}
CA_BUNDLE = "sslrootcert=/opt/authorities/eu-central-1.pem"
NO_MAIL = {"MAIL_FROM": "", "MAIL_CONFIGURATION_SET": "", "APP_URL": ""}
# The variables of one function only.
VARIABLES = {
    "AuthFunction": {
        "JWT_KEYS": "KeyRing",
        "PASSWORD_POLICY": "strict",
        "TOKEN_LIFETIME": "1800",
        "REFRESHES_PER_DAY": "500",
    }
    | NO_MAIL,
    "UsersFunction": {"PASSWORD_POLICY": "strict", "PROFILE_CHANGES_PER_DAY": "20"} | NO_MAIL,
    "PostsFunction": {"POSTS_PER_DAY": "200", "VERIFIED_WRITERS_ONLY": "false"},
    "VotesFunction": {"VOTES_PER_DAY": "5000", "VERIFIED_WRITERS_ONLY": "false"},
}
# An HTTP request waits for these; the other functions run in the background.
HANDLERS = [name for name in LIVE if name != "AuthorizerFunction"]


def url(stack: Stack) -> dict[str, str]:
    """Return the variable with the address of the database, whose user authenticates with IAM."""
    host = "Proxy.Endpoint" if stack.of_type("AWS::RDS::DBProxy") else "Database.Endpoint.Address"
    return {"DATABASE_URL": f"postgresql://app@{host}:5432/social?auth=iam&{CA_BUNDLE}"}


def expected(stack: Stack) -> dict[str, dict[str, Any]]:
    """Return the properties in which the functions differ."""
    handlers = {
        name: {
            "Handler": f"{name.removesuffix('Function').lower()}.handler.handler",
            "MemorySize": 1_769,
            "Timeout": 10,
            "Variables": url(stack) if CONNECT in ALLOWED[name] else {},
        }
        for name in HANDLERS
    }
    for name, variables in VARIABLES.items():
        handlers[name]["Variables"] = url(stack) | variables
    migration_bundle = "/var/task/authorities/eu-central-1.pem"
    return handlers | {
        "AuthorizerFunction": {
            "Handler": "auth.authorizer.handler",
            "MemorySize": 512,
            "Timeout": 5,
            "Variables": {"JWT_KEYS": "KeyRing"},
        },
        "MigrationFunction": {
            "Handler": "migrations.handler.handler",
            "MemorySize": 512,
            "Timeout": 900,
            "Variables": {
                "AWS_CA_BUNDLE": migration_bundle,
                "DATABASE_URL": "postgresql://migrator@Database.Endpoint.Address:5432/social"
                f"?auth=iam&sslrootcert={migration_bundle}",
                "DATABASE_SECRET": "DatabaseSecret",
            },
        },
        "MaintenanceFunction": {
            "Handler": "maintenance.sweeper.handler",
            "MemorySize": 256,
            "Timeout": 900,
            "Variables": url(stack),
        },
        "RotationFunction": {
            "Handler": "auth.rotation.handler",
            "MemorySize": 256,
            "Timeout": 30,
            "Variables": {"TOKEN_LIFETIME": "1800"},
        },
    }


def test_a_function_is_defined_like_this(stack: Stack) -> None:
    functions = stack.of_type("AWS::Lambda::Function")
    definitions = expected(stack)
    assert functions.keys() == definitions.keys()
    for name, definition in definitions.items():
        stage = {"STAGE": stack.parameters["Stage"]}
        # Operators read the logs of background functions, so INFO is logged.
        level = {} if name in LIVE else {"ApplicationLogLevel": "INFO"}
        properties = {
            "Handler": definition["Handler"],
            "MemorySize": definition["MemorySize"],
            "Timeout": definition["Timeout"],
            "Environment": {"Variables": SHARED_VARIABLES | stage | definition["Variables"]},
            "Runtime": "python3.13",
            "Architectures": ["arm64"],
            "TracingConfig": {"Mode": "Active"},
            "Code": CODE,
            "LoggingConfig": {"LogGroup": name.replace("Function", "Logs"), "LogFormat": "JSON"} | level,
        }
        assert {key: functions[name].get(key) for key in properties} == properties, name
        assert stack.resources[name].get("Metadata") == {
            "BuildMethod": "makefile",
            "ContextPath": "sam_build",
            "WorkingDirectory": ".",
        }, name


def test_only_functions_that_use_the_database_are_in_the_network(stack: Stack) -> None:
    for name, function in stack.of_type("AWS::Lambda::Function").items():
        assert ("VpcConfig" in function) == ("DATABASE_URL" in function["Environment"]["Variables"]), name


def test_functions_that_use_the_database_reserve_concurrency_and_the_authorizer_their_sum() -> None:
    for concurrency in TEMPLATE["Parameters"]["Concurrency"]["AllowedValues"]:
        functions = Stack("prod", Concurrency=str(concurrency)).of_type("AWS::Lambda::Function")
        reserved = {
            name: int(function["ReservedConcurrentExecutions"])
            for name, function in functions.items()
            if "ReservedConcurrentExecutions" in function
        }
        users = [name for name in HANDLERS if "VpcConfig" in functions[name]]
        expected_users = dict.fromkeys(users, concurrency)
        authorizer = {"AuthorizerFunction": sum(expected_users.values())}
        # A new account cannot reserve concurrency.
        assert reserved == (authorizer | expected_users if concurrency else {})


def test_functions_have_other_settings_where_the_parameters_say_so() -> None:
    local = Stack("dev", Stage="local", DatabaseUrl="postgresql://app@db/social", Authorities="/ca.pem")
    assert local.properties("UsersFunction")["Environment"]["Variables"]["DATABASE_URL"] == (
        "postgresql://app@db/social"
    )
    own = Stack("dev", Authorities="/ca.pem")
    for name in HANDLERS:
        variables = own.properties(name)["Environment"]["Variables"]
        assert variables["AWS_CA_BUNDLE"] == "/ca.pem"
        assert variables.get("DATABASE_URL", "&sslrootcert=/ca.pem").endswith("&sslrootcert=/ca.pem")
    migration = own.properties("MigrationFunction")["Environment"]["Variables"]
    assert migration["AWS_CA_BUNDLE"] == "/ca.pem"
    assert migration["DATABASE_URL"].endswith("&sslrootcert=/ca.pem")


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_the_layer_has_the_architecture_of_the_functions(architecture: str) -> None:
    stack = Stack("dev", Architecture=architecture)
    [(name, layer)] = stack.of_type("AWS::Lambda::LayerVersion").items()
    assert layer["CompatibleArchitectures"] == [architecture]
    assert layer["CompatibleRuntimes"] == ["python3.13"]
    assert layer["Content"] == CODE
    assert stack.resources[name]["DeletionPolicy"] == "Delete"
    for function_name, function in stack.of_type("AWS::Lambda::Function").items():
        assert function["Architectures"] == [architecture]
        # The migration function contains its dependencies.
        layers = [] if function_name == "MigrationFunction" else [layer_version(name)]
        assert function.get("Layers", []) == layers


def test_each_function_reports_a_failure_before_its_caller_gives_up(stack: Stack) -> None:
    functions = stack.of_type("AWS::Lambda::Function")
    timeouts = {name: function["Timeout"] for name, function in functions.items()}
    longest = max(timeouts[name] for name in HANDLERS)
    # The gateway waits for the authorizer and then for the function.
    assert timeouts["AuthorizerFunction"] + longest < GATEWAY_TIMEOUT_SECONDS
    # If the key ring cannot be read, the authorizer fails with an error before its timeout.
    assert timeouts["AuthorizerFunction"] > aws.TIMEOUT_SECONDS
    # Two attempts of a statement end before the deadline of the shortest function.
    statement = database.STATEMENT_TIMEOUT_SECONDS + database.RETRY_DELAY_SECONDS
    shortest = min(timeouts[name] for name in HANDLERS)
    assert 2 * statement < shortest - deadline.RESPONSE_MARGIN_SECONDS
    assert timeouts["MigrationFunction"] == stack.properties("Migration")["ServiceTimeout"]
    # The longest that Lambda allows.
    assert timeouts["MigrationFunction"] == 15 * 60
    # A rotation reads, writes and reads its secret.
    assert timeouts["RotationFunction"] > 3 * aws.TIMEOUT_SECONDS


def test_the_proxy_reports_that_it_is_full_before_a_statement_times_out(prod: Stack) -> None:
    pool = prod.properties("ProxyTargets")["ConnectionPoolConfigurationInfo"]
    assert pool["ConnectionBorrowTimeout"] < database.STATEMENT_TIMEOUT_SECONDS


def test_a_token_expires_before_the_keys_rotate_twice(stack: Stack) -> None:
    days = int(stack.parameters["KeyRotationDays"])
    assert days * 86_400 > 2 * int(stack.parameters["TokenLifetime"]) + keys.CACHE_SECONDS


def test_the_keys_rotate_on_schedule(stack: Stack) -> None:
    assert stack.properties("KeyRotation") == {
        "SecretId": "KeyRing",
        "RotationLambdaARN": "RotationFunction.Arn",
        "RotateImmediatelyOnUpdate": False,
        "RotationRules": {"ScheduleExpression": "rate(30 days)"},
    }
    assert stack.resources["KeyRotation"]["DependsOn"] == "RotationPermission"


def test_the_first_key_is_long_enough_for_the_functions(stack: Stack) -> None:
    generated = stack.properties("KeyRing")["GenerateSecretString"]
    assert generated == {
        "SecretStringTemplate": "{}",
        "GenerateStringKey": "first",
        "PasswordLength": 64,
        "ExcludePunctuation": True,
    }
    assert generated["PasswordLength"] >= keys.MIN_KEY_BYTES


def test_every_log_group_has_a_name_and_expires(stack: Stack) -> None:
    groups = stack.of_type("AWS::Logs::LogGroup")
    functions = [name.removesuffix("Function") for name in stack.of_type("AWS::Lambda::Function")]
    assert {name: group["LogGroupName"] for name, group in groups.items()} == {
        "AccessLogs": "/aws/apigateway/social",
        "FlowLogs": "/aws/vpc/social",
    } | {f"{name}Logs": f"/aws/lambda/social/{name.lower()}" for name in functions}
    days = {"dev": "14", "staging": "14", "prod": "90"}[stack.parameters["Stage"]]
    assert {name: group.get("RetentionInDays") for name, group in groups.items()} == dict.fromkeys(
        groups, days
    )
