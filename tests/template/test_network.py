"""The network: exactly handler -> proxy -> database, and no way out."""

from typing import Any

from tests.template.stack import Stack

NOWHERE = "127.0.0.1/32"
Rule = tuple[str, str, int]


def peer(rule: dict[str, Any], key: str) -> str:
    return str(rule["CidrIp"] if "CidrIp" in rule else rule[key]["Ref"])


def ways_out(stack: Stack) -> set[Rule]:
    return {
        (name, peer(rule, "DestinationSecurityGroupId"), rule.get("FromPort", 0))
        for name, group in stack.of_type("AWS::EC2::SecurityGroup").items()
        for rule in group["SecurityGroupEgress"]
        if rule.get("CidrIp") != NOWHERE
    }


def ways_in(stack: Stack) -> set[Rule]:
    return {
        (peer(rule, "SourceSecurityGroupId"), rule["GroupId"]["Ref"], rule["FromPort"])
        for rule in stack.of_type("AWS::EC2::SecurityGroupIngress").values()
    }


SECRETS = {("SecretReaderGroup", "SecretsGroup", 443)}
MIGRATION = {("MigrationGroup", "DatabaseGroup", 5432)}


def test_handlers_reach_the_database_through_the_proxy_alone(prod: Stack) -> None:
    chain = {("HandlerGroup", "ProxyGroup", 5432), ("ProxyGroup", "DatabaseGroup", 5432)}
    assert ways_out(prod) == chain | SECRETS | MIGRATION | {("MigrationGroup", "0.0.0.0/0", 443)}
    assert ways_in(prod) == chain | SECRETS | MIGRATION | {("MigrationGroup", "SecretsGroup", 443)}


def test_handlers_reach_the_database_itself_where_there_is_no_proxy(dev: Stack) -> None:
    chain = {("HandlerGroup", "DatabaseGroup", 5432)}
    assert ways_out(dev) == chain | SECRETS | MIGRATION | {("MigrationGroup", "0.0.0.0/0", 443)}
    assert ways_in(dev) == chain | SECRETS | MIGRATION | {("MigrationGroup", "SecretsGroup", 443)}


def test_no_group_has_the_rule_that_allows_everything_out(stack: Stack) -> None:
    assert all(group["SecurityGroupEgress"] for group in stack.of_type("AWS::EC2::SecurityGroup").values())
    assert not any(
        "SecurityGroupIngress" in group for group in stack.of_type("AWS::EC2::SecurityGroup").values()
    )


def test_there_is_no_way_out_of_the_network(stack: Stack) -> None:
    for kind in ("InternetGateway", "NatGateway", "EgressOnlyInternetGateway", "Route", "EIP"):
        assert not stack.of_type(f"AWS::EC2::{kind}")
    for subnet in stack.of_type("AWS::EC2::Subnet").values():
        assert "MapPublicIpOnLaunch" not in subnet


def test_the_subnets_lie_in_two_zones(stack: Stack) -> None:
    zones = [
        subnet["AvailabilityZone"]["Fn::Select"][0] for subnet in stack.of_type("AWS::EC2::Subnet").values()
    ]
    assert sorted(zones) == [0, 1]


def test_the_endpoints_let_through_what_the_functions_call(stack: Stack) -> None:
    endpoints = stack.of_type("AWS::EC2::VPCEndpoint")
    assert endpoints.keys() == {"SecretsEndpoint", "S3Endpoint"}
    [secrets] = endpoints["SecretsEndpoint"]["PolicyDocument"]["Statement"]
    assert secrets["Action"] == "secretsmanager:GetSecretValue"
    assert secrets["Resource"] == [{"Ref": "KeyRing"}, {"Ref": "DatabaseSecret"}]
    [storage] = endpoints["S3Endpoint"]["PolicyDocument"]["Statement"]
    assert storage["Action"] == "s3:PutObject"
    assert ":::cloudformation-custom-resource-response-" in storage["Resource"]["Fn::Sub"]


def test_only_functions_that_use_the_database_are_in_the_network(stack: Stack) -> None:
    for name, function in stack.of_type("AWS::Lambda::Function").items():
        assert ("VpcConfig" in function) == ("DATABASE_URL" in function["Environment"]["Variables"]), name
