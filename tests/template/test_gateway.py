"""What stands before the functions: limits, logs, firewall, name; and who watches."""

import json
from typing import Any

from common.api import SECURITY_HEADERS
from tests.template.stack import Stack

# Each of these hashes a password, a quarter of a second of a processor.
PASSWORDS = {
    ("POST", "/~1login"),
    ("POST", "/~1users"),
    ("PATCH", "/~1users~1me"),
    ("DELETE", "/~1users~1me"),
    ("PUT", "/~1users~1me~1password"),
}


def stage_of(stack: Stack) -> dict[str, Any]:
    [stage] = stack.of_type("AWS::ApiGateway::Stage").values()
    return stage


def test_what_takes_a_password_is_throttled_harder(stack: Stack) -> None:
    limits = {
        (one["HttpMethod"], one["ResourcePath"]): int(stack.value(one["ThrottlingRateLimit"]))
        for one in stage_of(stack)["MethodSettings"]
    }
    everything = limits.pop(("*", "/*"))
    assert limits.keys() == PASSWORDS
    assert all(limit < everything for limit in limits.values())


def test_the_access_log_is_json_without_what_clients_keep_to_themselves(stack: Stack) -> None:
    setting = stage_of(stack)["AccessLogSetting"]
    assert setting["DestinationArn"] == {"Fn::GetAtt": ["AccessLogs", "Arn"]}
    entry = json.loads(setting["Format"])
    assert entry.keys() >= {"requestId", "status", "method", "resource", "milliseconds", "traceId"}
    assert not [value for value in entry.values() if "query" in value.lower() or "header" in value.lower()]


def test_every_log_ends_some_day_and_every_function_has_its_own(stack: Stack) -> None:
    groups = stack.of_type("AWS::Logs::LogGroup")
    assert all(int(stack.value(group["RetentionInDays"])) > 0 for group in groups.values())
    functions = stack.of_type("AWS::Lambda::Function").values()
    logs = [function["LoggingConfig"]["LogGroup"]["Ref"] for function in functions]
    assert len(set(logs)) == len(logs)
    assert set(logs) <= groups.keys()


def test_calls_are_traced(stack: Stack) -> None:
    assert stage_of(stack)["TracingEnabled"] is True
    for function in stack.of_type("AWS::Lambda::Function").values():
        assert function["TracingConfig"] == {"Mode": "Active"}


def test_prod_has_a_firewall_that_limits_guessing_and_making_up_accounts(prod: Stack) -> None:
    rules = {rule["Name"]: rule for rule in prod.properties("WebAcl")["Rules"]}
    assert rules.keys() >= {
        "Login",
        "SignUp",
        "AmazonIpReputationList",
        "CommonRuleSet",
        "KnownBadInputsRuleSet",
    }
    for name in ("Login", "SignUp"):
        assert rules[name]["Statement"]["RateBasedStatement"]["Limit"] <= 100
        assert rules[name]["Action"]["Block"]["CustomResponse"]["ResponseCode"] == 429
    body = prod.properties("WebAcl")["CustomResponseBodies"]["TooMany"]["Content"]
    assert json.loads(body).keys() == {"detail"}
    assert "WebAclAssociation" in prod.resources


def test_the_gateway_s_own_answers_have_the_headers_of_the_functions(stack: Stack) -> None:
    responses = stack.properties("Api")["Body"]["x-amazon-apigateway-gateway-responses"]
    assert responses.keys() >= {"DEFAULT_4XX", "DEFAULT_5XX", "ACCESS_DENIED", "THROTTLED"}
    for response in responses.values():
        for name, [value] in SECURITY_HEADERS.items():
            assert response["responseParameters"][f"gatewayresponse.header.{name}"] == f"'{value}'"


def test_no_browser_is_told_to_send_credentials(stack: Stack) -> None:
    # Whatever the origin, also when it is *: a token comes in a header that a page sets itself.
    assert "Allow-Origin" in json.dumps(stack.properties("Api"))
    assert "Allow-Credentials" not in json.dumps(stack.properties("Api"))


def answers_to_amazons_name(stack: Stack) -> bool:
    [server] = stack.properties("Api")["Body"]["servers"]
    return not server["x-amazon-apigateway-endpoint-configuration"]["disableExecuteApiEndpoint"]


def test_a_name_of_its_own_is_the_only_one_that_the_api_answers_to() -> None:
    named = Stack("prod", DomainName="api.example.com", CertificateArn="arn", HostedZoneId="Z1")
    assert not answers_to_amazons_name(named)
    assert named.properties("Domain")["SecurityPolicy"] == "TLS_1_2"
    assert "DomainRecord" in named.resources
    assert "DomainRecord" not in Stack("prod", DomainName="api.example.com", CertificateArn="arn").resources


def test_without_a_name_there_is_no_domain(stack: Stack) -> None:
    assert not stack.of_type("AWS::ApiGateway::DomainName")
    assert answers_to_amazons_name(stack)
