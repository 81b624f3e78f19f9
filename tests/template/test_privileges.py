"""Roles and permissions: each role may do exactly what its function calls."""

import pytest

from tests.template.stack import LIVE, Resource, Stack, policy

ACCOUNT = "eu-central-1:123456789012"
TRACING = {
    "Effect": "Allow",
    "Action": ["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
    # X-Ray has no resource-level permissions.
    "Resource": "*",
}
# Lambda connects a function to a subnet with these actions.
INTERFACES = {
    "Action": [
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:UnassignPrivateIpAddresses",
    ],
    "Resource": "*",
}
# Lambda may use these actions, but the code of a function may not.
NETWORK: list[Resource] = [
    {"Effect": "Allow"} | INTERFACES,
    {
        "Effect": "Deny",
        "Condition": {"ArnLike": {"lambda:SourceFunctionArn": f"arn:aws:lambda:{ACCOUNT}:function:*"}},
    }
    | INTERFACES,
]
READ_KEYS = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "KeyRing"}
CONNECT = {"Effect": "Allow", "Action": "rds-db:connect"}
SEND_MAIL = {
    "Effect": "Allow",
    "Action": "ses:SendEmail",
    "Resource": [
        f"arn:aws:ses:{ACCOUNT}:identity/*",
        f"arn:aws:ses:{ACCOUNT}:configuration-set/MailConfiguration",
    ],
    "Condition": {"StringEquals": {"ses:FromAddress": "app@mail.example.com"}},
}
# The statements of each role, in addition to those for its log and its traces.
ALLOWED: dict[str, list[Resource]] = {
    "AuthorizerFunction": [READ_KEYS],
    "AuthFunction": [*NETWORK, CONNECT, READ_KEYS],
    "UsersFunction": [*NETWORK, CONNECT],
    "PostsFunction": [*NETWORK, CONNECT],
    "VotesFunction": [*NETWORK, CONNECT],
    "ApidocsFunction": [],
    "MigrationFunction": [
        *NETWORK,
        {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "DatabaseSecret"},
        # RDS may reject the password and require a token.
        {
            "Effect": "Allow",
            "Action": "rds-db:connect",
            "Resource": f"arn:aws:rds-db:{ACCOUNT}:dbuser:Database.DBClusterResourceId/migrator",
        },
    ],
    "MaintenanceFunction": [*NETWORK, CONNECT],
    "RotationFunction": [
        {
            "Effect": "Allow",
            "Action": [
                "secretsmanager:DescribeSecret",
                "secretsmanager:GetSecretValue",
                "secretsmanager:PutSecretValue",
                "secretsmanager:UpdateSecretVersionStage",
            ],
            "Resource": "KeyRing",
        }
    ],
}


def write_log(role: str) -> Resource:
    """Return the statement that lets a role write to the log group of its function."""
    return {
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": f"{role.removesuffix('Role')}Logs.Arn",
    }


def assumed_by(service: str) -> Resource:
    """Return the statement that lets a service assume a role."""
    return {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}


def database_user(resource_id: str) -> str:
    """Return the ARN of the database role `app` at a cluster or at a proxy."""
    return f"arn:aws:rds-db:{ACCOUNT}:dbuser:{resource_id}/app"


@pytest.mark.parametrize(
    ("stage", "resource_id"), [("dev", "Database.DBClusterResourceId"), ("prod", "prx-1")]
)
def test_a_role_allows_exactly_what_its_function_calls(stage: str, resource_id: str) -> None:
    stack = Stack(stage)
    functions = stack.of_type("AWS::Lambda::Function")
    assert functions.keys() == ALLOWED.keys()
    for name, allowed in ALLOWED.items():
        role = functions[name]["Role"].removesuffix(".Arn")
        assert role == name.replace("Function", "Role"), name
        properties = stack.properties(role)
        assert properties.keys() == {"AssumeRolePolicyDocument", "Policies"}
        assert properties["AssumeRolePolicyDocument"] == policy(assumed_by("lambda.amazonaws.com"))
        statements = [
            statement
            for inline in properties["Policies"]
            for statement in inline["PolicyDocument"]["Statement"]
        ]
        assert statements == [write_log(role), TRACING] + [
            {**statement, "Resource": database_user(resource_id)} if statement == CONNECT else statement
            for statement in allowed
        ], name


def test_a_function_that_sends_mail_may_send_it_from_one_address(prod: Stack, mailing: Stack) -> None:
    for name in ("AuthRole", "UsersRole"):
        *others, mail = mailing.properties(name)["Policies"]
        assert others == prod.properties(name)["Policies"]
        assert mail == {"PolicyName": "mail", "PolicyDocument": policy(SEND_MAIL)}
    for name, role in prod.of_type("AWS::IAM::Role").items():
        assert name in {"AuthRole", "UsersRole"} or mailing.properties(name) == role


def test_policies_have_the_version_that_supports_variables_and_unique_names(prod: Stack) -> None:
    for role in prod.of_type("AWS::IAM::Role").values():
        policies = role.get("Policies", [])
        assert all(inline["PolicyDocument"]["Version"] == "2012-10-17" for inline in policies)
        names = [inline["PolicyName"] for inline in policies]
        assert len(set(names)) == len(names)


def test_the_proxy_connects_to_the_cluster_with_the_same_database_role(prod: Stack) -> None:
    role = prod.properties("ProxyRole")
    assert role["AssumeRolePolicyDocument"] == policy(assumed_by("rds.amazonaws.com"))
    [inline] = role["Policies"]
    assert inline["PolicyDocument"] == policy(
        {**CONNECT, "Resource": database_user("Database.DBClusterResourceId")}
    )


def test_flow_logs_are_written_for_this_account_only(stack: Stack) -> None:
    role = stack.properties("FlowLogRole")
    assert role["AssumeRolePolicyDocument"] == policy(
        assumed_by("vpc-flow-logs.amazonaws.com")
        | {"Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}}}
    )
    [inline] = role["Policies"]
    assert inline["PolicyDocument"] == policy(
        {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            "Resource": "FlowLogs.Arn",
        }
    )


def test_api_gateway_logs_with_a_role_of_the_account_that_outlives_the_stack(stack: Stack) -> None:
    assert stack.properties("GatewayAccount") == {"CloudWatchRoleArn": "GatewayLogsRole.Arn"}
    assert stack.properties("GatewayLogsRole") == {
        "AssumeRolePolicyDocument": policy(assumed_by("apigateway.amazonaws.com")),
        "ManagedPolicyArns": ["arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"],
    }
    for name in ("GatewayAccount", "GatewayLogsRole"):
        assert stack.resources[name]["DeletionPolicy"] == "Retain"
        assert stack.resources[name]["UpdateReplacePolicy"] == "Retain"
    # The stage depends on it by way of its log.
    assert stack.properties("AccessLogs")["Tags"] == [{"Key": "Account", "Value": "GatewayAccount"}]


def test_no_secret_is_in_an_environment(stack: Stack) -> None:
    for name, function in stack.of_type("AWS::Lambda::Function").items():
        variables = function["Environment"]["Variables"]
        assert not [value for value in variables.values() if "{{resolve:" in value]
        user = variables.get("DATABASE_URL", "").removeprefix("postgresql://").partition("@")[0]
        assert ":" not in user, name


def test_only_secrets_manager_may_start_a_rotation_and_only_of_this_secret(stack: Stack) -> None:
    assert stack.properties("RotationPermission") == {
        "Action": "lambda:InvokeFunction",
        "FunctionName": "RotationFunction",
        "Principal": "secretsmanager.amazonaws.com",
        "SourceAccount": "123456789012",
        "SourceArn": "KeyRing",
    }


def test_the_gateway_may_invoke_the_alias_of_a_function_only_for_this_api(stack: Stack) -> None:
    permissions = stack.of_type("AWS::Lambda::Permission")
    del permissions["RotationPermission"], permissions["MaintenancePermission"]
    invoked = {permission["FunctionName"] for permission in permissions.values()}
    assert invoked == {f"{name}Aliaslive" for name in LIVE}
    for permission in permissions.values():
        assert permission["Action"] == "lambda:InvokeFunction"
        assert permission["Principal"] == "apigateway.amazonaws.com"
        assert permission["SourceArn"].startswith(f"arn:aws:execute-api:{ACCOUNT}:Api/")
