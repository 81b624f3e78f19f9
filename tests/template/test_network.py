"""The network: which connections can be opened, and that nothing else can."""

from ipaddress import IPv4Network
from typing import Any

import pytest

from tests.template.conftest import MAIL
from tests.template.stack import Stack, policy

# From, to, protocol, first and last port.
Flow = tuple[str, str, str, int, int]
POSTGRESQL = ("tcp", 5432, 5432)
HTTPS = ("tcp", 443, 443)
# EC2 needs a rule, because a group without one allows all egress. Nothing can be reached at this address.
NOWHERE = ("127.0.0.1/32", "-1", -1, -1)

TO_SECRETS = {
    ("SecretReaderGroup", "SecretsGroup", *HTTPS),
    ("MigrationGroup", "SecretsGroup", *HTTPS),
}
TO_SES = ("MailSenderGroup", "MailGroup", *HTTPS)
OF_MIGRATION = ("MigrationGroup", "DatabaseGroup", *POSTGRESQL)
THROUGH_PROXY = {
    ("HandlerGroup", "ProxyGroup", *POSTGRESQL),
    ("ProxyGroup", "DatabaseGroup", *POSTGRESQL),
}
DIRECT = {("HandlerGroup", "DatabaseGroup", *POSTGRESQL)}


def egress(stack: Stack) -> set[Flow]:
    """Return the connections that the groups may open."""
    return {
        (name, rule.get("CidrIp") or rule["DestinationSecurityGroupId"], *transport(rule))
        for name, group in stack.of_type("AWS::EC2::SecurityGroup").items()
        for rule in group["SecurityGroupEgress"]
    }


def ingress(stack: Stack) -> set[Flow]:
    """Return the connections that the groups accept."""
    return {
        (rule["SourceSecurityGroupId"], rule["GroupId"], *transport(rule))
        for rule in stack.of_type("AWS::EC2::SecurityGroupIngress").values()
    }


def transport(rule: dict[str, Any]) -> tuple[str, int, int]:
    """Return the protocol and the ports of a rule; it has no ports if it is about every protocol."""
    return rule["IpProtocol"], rule.get("FromPort", -1), rule.get("ToPort", -1)


@pytest.mark.parametrize(
    ("proxy", "to_database"), [("true", THROUGH_PROXY), ("false", DIRECT)], ids=["proxy", "no proxy"]
)
def test_groups_allow_exactly_these_connections(proxy: str, to_database: set[Flow]) -> None:
    stack = Stack("prod", DatabaseProxy=proxy)
    assert ingress(stack) == to_database | TO_SECRETS | {OF_MIGRATION}
    assert egress(stack) == to_database | {
        OF_MIGRATION,
        ("SecretReaderGroup", "SecretsGroup", *HTTPS),
        # S3, through its gateway endpoint, has public addresses.
        ("MigrationGroup", "0.0.0.0/0", *HTTPS),
        ("SecretsGroup", *NOWHERE),
        ("DatabaseGroup", *NOWHERE),
    }


def test_a_stack_that_sends_mail_also_reaches_ses(prod: Stack, mailing: Stack) -> None:
    assert ingress(mailing) == ingress(prod) | {TO_SES}
    assert egress(mailing) == egress(prod) | {TO_SES, ("MailGroup", *NOWHERE)}
    functions = mailing.of_type("AWS::Lambda::Function")
    groups = {
        name: function["VpcConfig"]["SecurityGroupIds"]
        for name, function in functions.items()
        if "MailSenderGroup" in function.get("VpcConfig", {}).get("SecurityGroupIds", [])
    }
    assert groups == {
        "AuthFunction": ["HandlerGroup", "SecretReaderGroup", "MailSenderGroup"],
        "UsersFunction": ["HandlerGroup", "MailSenderGroup"],
    }
    assert mailing.properties("MailEndpoint") == {
        "VpcId": "Vpc",
        "VpcEndpointType": "Interface",
        "ServiceName": "com.amazonaws.eu-central-1.email",
        "SubnetIds": ["SubnetA", "SubnetB"],
        "SecurityGroupIds": ["MailGroup"],
        "PrivateDnsEnabled": True,
    }
    assert Stack("dev", **MAIL).properties("MailEndpoint")["SubnetIds"] == ["SubnetA"]


def test_a_group_declares_ingress_only_as_a_resource(stack: Stack) -> None:
    for group in stack.of_type("AWS::EC2::SecurityGroup").values():
        assert group.keys() == {"GroupDescription", "VpcId", "SecurityGroupEgress"}
        assert group["VpcId"] == "Vpc"


def test_groups_are_attached_where_their_descriptions_say(prod: Stack) -> None:
    groups = {
        name: function["VpcConfig"]["SecurityGroupIds"]
        for name, function in prod.of_type("AWS::Lambda::Function").items()
        if "VpcConfig" in function
    }
    assert groups.pop("MigrationFunction") == ["MigrationGroup"]
    assert groups.pop("AuthFunction") == ["HandlerGroup", "SecretReaderGroup"]
    assert set(map(tuple, groups.values())) == {("HandlerGroup",)}
    assert prod.properties("Database")["VpcSecurityGroupIds"] == ["DatabaseGroup"]
    assert prod.properties("Proxy")["VpcSecurityGroupIds"] == ["ProxyGroup"]
    assert prod.properties("SecretsEndpoint")["SecurityGroupIds"] == ["SecretsGroup"]


def test_no_resource_leads_out_of_the_network(stack: Stack) -> None:
    for kind in ("InternetGateway", "NatGateway", "EgressOnlyInternetGateway", "Route", "EIP"):
        assert not stack.of_type(f"AWS::EC2::{kind}")


def test_the_subnets_divide_the_network_and_lie_in_two_zones(stack: Stack) -> None:
    network = stack.properties("Vpc")
    assert network["EnableDnsSupport"] is network["EnableDnsHostnames"] is True
    subnets = stack.of_type("AWS::EC2::Subnet")
    first, second = (IPv4Network(subnet["CidrBlock"]) for subnet in subnets.values())
    assert not first.overlaps(second)
    # Each function needs addresses for its network interfaces.
    assert all(block.num_addresses >= 4_096 for block in (first, second))
    assert all(block.subnet_of(IPv4Network(network["CidrBlock"])) for block in (first, second))
    assert IPv4Network(network["CidrBlock"]).is_private
    assert {subnet["AvailabilityZone"] for subnet in subnets.values()} == {"eu-central-1a", "eu-central-1b"}
    assert all(
        subnet.keys() == {"VpcId", "CidrBlock", "AvailabilityZone", "Tags"} for subnet in subnets.values()
    )


def test_every_part_of_the_network_carries_the_name_of_the_stack(stack: Stack) -> None:
    for kind in ("VPC", "Subnet", "RouteTable"):
        for resource in stack.of_type(f"AWS::EC2::{kind}").values():
            assert resource["Tags"] == [{"Key": "Name", "Value": "social"}]
            assert resource.get("VpcId", "Vpc") == "Vpc"


def test_both_subnets_use_the_one_route_table(stack: Stack) -> None:
    assert list(stack.of_type("AWS::EC2::SubnetRouteTableAssociation").values()) == [
        {"SubnetId": "SubnetA", "RouteTableId": "RouteTable"},
        {"SubnetId": "SubnetB", "RouteTableId": "RouteTable"},
    ]


def test_everything_in_the_network_is_in_both_subnets(prod: Stack) -> None:
    both = ["SubnetA", "SubnetB"]
    for function in prod.of_type("AWS::Lambda::Function").values():
        assert function.get("VpcConfig", {}).get("SubnetIds", both) == both
    assert prod.properties("DatabaseSubnets")["SubnetIds"] == both
    assert prod.properties("Proxy")["VpcSubnetIds"] == both


def test_secrets_manager_is_reached_by_its_ordinary_name_for_two_secrets(stack: Stack) -> None:
    has_standby = stack.parameters["DatabaseStandby"] == "true"
    assert stack.properties("SecretsEndpoint") == {
        "VpcId": "Vpc",
        "VpcEndpointType": "Interface",
        "ServiceName": "com.amazonaws.eu-central-1.secretsmanager",
        "SubnetIds": ["SubnetA", "SubnetB"] if has_standby else ["SubnetA"],
        "SecurityGroupIds": ["SecretsGroup"],
        "PrivateDnsEnabled": True,
        "PolicyDocument": policy(
            {
                "Effect": "Allow",
                "Principal": "*",
                "Action": "secretsmanager:GetSecretValue",
                "Resource": ["KeyRing", "DatabaseSecret"],
                "Condition": {"StringEquals": {"aws:PrincipalAccount": "123456789012"}},
            }
        ),
    }


def test_s3_is_reached_only_to_report_the_result_of_a_custom_resource(stack: Stack) -> None:
    assert stack.properties("S3Endpoint") == {
        "VpcId": "Vpc",
        "VpcEndpointType": "Gateway",
        "ServiceName": "com.amazonaws.eu-central-1.s3",
        "RouteTableIds": ["RouteTable"],
        "PolicyDocument": policy(
            {
                "Effect": "Allow",
                "Principal": "*",
                "Action": "s3:PutObject",
                "Resource": "arn:aws:s3:::cloudformation-custom-resource-response-*/*",
            }
        ),
    }


def test_rejected_packets_are_logged(stack: Stack) -> None:
    assert stack.properties("FlowLog") == {
        "ResourceId": "Vpc",
        "ResourceType": "VPC",
        "TrafficType": "REJECT",
        "LogGroupName": "FlowLogs",
        "DeliverLogsPermissionArn": "FlowLogRole.Arn",
    }
