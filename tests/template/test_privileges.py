"""Who may do what: each function its own, and no more than it calls."""

import json

from tests.template.stack import Stack, references, statements

OWN_LOG = {"logs:CreateLogStream", "logs:PutLogEvents"}
TRACING = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
# What Lambda does in a function's name to connect it to a subnet.
INTERFACES = {
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
}
KEYS = {"secretsmanager:GetSecretValue"}
CONNECT = {"rds-db:connect"}
ROTATE = KEYS | {
    "secretsmanager:DescribeSecret",
    "secretsmanager:PutSecretValue",
    "secretsmanager:UpdateSecretVersionStage",
}
ALLOWED = {
    "AuthorizerFunction": KEYS,
    "AuthFunction": INTERFACES | CONNECT | KEYS,
    "UsersFunction": INTERFACES | CONNECT,
    "PostsFunction": INTERFACES | CONNECT,
    "VotesFunction": INTERFACES | CONNECT,
    "ApidocsFunction": set[str](),
    "MigrationFunction": INTERFACES | CONNECT | KEYS,
    "RotationFunction": ROTATE,
}


def role_of(stack: Stack, function: str) -> dict[str, object]:
    return stack.properties(stack.properties(function)["Role"]["Fn::GetAtt"][0])


def test_each_function_has_a_role_that_no_other_has(stack: Stack) -> None:
    functions = stack.of_type("AWS::Lambda::Function")
    assert functions.keys() == ALLOWED.keys()
    assert len({json.dumps(function["Role"]) for function in functions.values()}) == len(functions)


def test_a_role_allows_exactly_what_its_function_calls(stack: Stack) -> None:
    for function, allowed in ALLOWED.items():
        actions = {
            action
            for statement in statements(role_of(stack, function))
            if statement["Effect"] == "Allow"
            for action in statement["Action"]
        }
        assert actions == OWN_LOG | TRACING | allowed, function
        assert "ManagedPolicyArns" not in role_of(stack, function)


def test_only_what_knows_no_resources_is_allowed_on_all_of_them(stack: Stack) -> None:
    for function in ALLOWED:
        for statement in statements(role_of(stack, function)):
            if statement["Resource"] == "*":
                assert set(statement["Action"]) in (TRACING, INTERFACES), function


def test_a_function_writes_to_its_own_log_alone(stack: Stack) -> None:
    for function in ALLOWED:
        own = stack.properties(function)["LoggingConfig"]["LogGroup"]["Ref"]
        for statement in statements(role_of(stack, function)):
            if OWN_LOG & set(statement["Action"]):
                assert statement["Resource"] == {"Fn::GetAtt": [own, "Arn"]}


def test_the_code_of_a_function_may_not_touch_network_interfaces(stack: Stack) -> None:
    for function, allowed in ALLOWED.items():
        denied = [one for one in statements(role_of(stack, function)) if one["Effect"] == "Deny"]
        assert bool(denied) == (allowed >= INTERFACES), function
        for statement in denied:
            assert set(statement["Action"]) == INTERFACES
            assert "lambda:SourceFunctionArn" in statement["Condition"]["ArnLike"]


def test_a_function_logs_in_as_one_role_of_the_proxy_or_the_cluster(dev: Stack, prod: Stack) -> None:
    for stack, source in ((dev, "Database"), (prod, "Proxy")):
        for function, allowed in ALLOWED.items():
            is_migration = function == "MigrationFunction"
            for statement in statements(role_of(stack, function)):
                if CONNECT & set(statement["Action"]):
                    assert allowed >= CONNECT
                    role = "migrator" if is_migration else "app"
                    assert statement["Resource"]["Fn::Sub"][0].endswith(f":dbuser:${{Id}}/{role}")
                    assert references(statement["Resource"]) >= {"Database" if is_migration else source}


def test_the_proxy_signs_in_as_the_same_user_of_the_cluster(prod: Stack) -> None:
    [statement] = statements(prod.properties("ProxyRole"))
    assert statement["Action"] == ["rds-db:connect"]
    assert statement["Resource"]["Fn::Sub"][0].endswith(":dbuser:${Id}/app")
    assert "Database" in references(statement["Resource"])


def test_each_secret_is_read_by_those_who_need_it(stack: Stack) -> None:
    readers: dict[str, set[str]] = {}
    for function in ALLOWED:
        for statement in statements(role_of(stack, function)):
            if "secretsmanager:GetSecretValue" in statement["Action"]:
                readers.setdefault(statement["Resource"]["Ref"], set()).add(function)
    assert readers == {
        "KeyRing": {"AuthorizerFunction", "AuthFunction", "RotationFunction"},
        "DatabaseSecret": {"MigrationFunction"},
    }


def test_no_secret_stands_in_an_environment(stack: Stack) -> None:
    for name, function in stack.of_type("AWS::Lambda::Function").items():
        variables = function["Environment"]["Variables"]
        assert "{{resolve:" not in json.dumps(variables)
        url = stack.value(variables.get("DATABASE_URL", "postgresql://nobody@"))
        assert ":" not in url.removeprefix("postgresql://").partition("@")[0], name
        assert variables.get("JWT_KEYS", {"Ref": "KeyRing"}) == {"Ref": "KeyRing"}


def test_functions_use_a_token_and_verify_whom_they_give_it_to(stack: Stack) -> None:
    users = {name for name, allowed in ALLOWED.items() if allowed >= CONNECT}
    for name in users:
        url = stack.value(stack.properties(name)["Environment"]["Variables"]["DATABASE_URL"])
        assert url.startswith(f"postgresql://{'migrator' if name == 'MigrationFunction' else 'app'}@")
        assert "auth=iam" in url
        assert "sslmode" not in url  # unsaid, it is verify-full
        assert "/authorities/" in url


def test_only_secrets_manager_may_rotate_and_only_this_secret(stack: Stack) -> None:
    permission = stack.properties("RotationPermission")
    assert permission["Principal"] == "secretsmanager.amazonaws.com"
    assert permission["SourceArn"] == {"Ref": "KeyRing"}


def test_the_gateway_may_call_the_alias_of_a_function_for_its_routes_alone(stack: Stack) -> None:
    for name, permission in stack.of_type("AWS::Lambda::Permission").items():
        if name != "RotationPermission":
            assert permission["Principal"] == "apigateway.amazonaws.com"
            assert permission["FunctionName"]["Ref"].endswith("Aliaslive")
            assert "Api" in references(permission["SourceArn"])
