"""The firewall: which requests it blocks or counts, and what its rules cost."""

import json
import posixpath
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest

from common.api import EXPOSED_HEADERS, SECURITY_HEADERS
from tests.template.stack import Resource, Stack
from tests.template.test_gateway import PASSWORD_ROUTES, routes_of

# Web ACL capacity units: up to this many, requests cost no more.
# https://docs.aws.amazon.com/waf/latest/developerguide/aws-waf-capacity-units.html
MAX_CAPACITY = 1_500
RATE_BASED, REGEX_MATCH, TRANSFORMATION = 2, 3, 10
# The managed rules, with their capacity and the parts of a request that they inspect:
# https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-list.html
MANAGED = {
    "AWSManagedRulesAmazonIpReputationList": (
        25,
        ["AWSManagedIPReputationList", "AWSManagedReconnaissanceList", "AWSManagedIPDDoSList"],
    ),
    "AWSManagedRulesCommonRuleSet": (
        700,
        [
            "NoUserAgent_HEADER",
            "UserAgent_BadBots_HEADER",
            "SizeRestrictions_QUERYSTRING",
            "SizeRestrictions_Cookie_HEADER",
            "SizeRestrictions_BODY",
            "SizeRestrictions_URIPATH",
            "EC2MetaDataSSRF_BODY",
            "EC2MetaDataSSRF_COOKIE",
            "EC2MetaDataSSRF_URIPATH",
            "EC2MetaDataSSRF_QUERYARGUMENTS",
            "GenericLFI_QUERYARGUMENTS",
            "GenericLFI_URIPATH",
            "GenericLFI_BODY",
            "RestrictedExtensions_URIPATH",
            "RestrictedExtensions_QUERYARGUMENTS",
            "GenericRFI_QUERYARGUMENTS",
            "GenericRFI_BODY",
            "GenericRFI_URIPATH",
            "CrossSiteScripting_COOKIE",
            "CrossSiteScripting_QUERYARGUMENTS",
            "CrossSiteScripting_BODY",
            "CrossSiteScripting_URIPATH",
        ],
    ),
    "AWSManagedRulesKnownBadInputsRuleSet": (
        200,
        [
            "JavaDeserializationRCE_HEADER",
            "JavaDeserializationRCE_BODY",
            "JavaDeserializationRCE_URIPATH",
            "JavaDeserializationRCE_QUERYSTRING",
            "Host_localhost_HEADER",
            "PROPFIND_METHOD",
            "ExploitablePaths_URIPATH",
            "Log4JRCE_HEADER",
            "Log4JRCE_QUERYSTRING",
            "Log4JRCE_BODY",
            "Log4JRCE_URIPATH",
            "ReactJSRCE_BODY",
        ],
    ),
}
# Users write these parts, and may write anything there.
FREE_TEXT = ("_BODY", "_QUERYSTRING", "_QUERYARGUMENTS")
# Clients without this header are legitimate.
NO_USER_AGENT = "NoUserAgent_HEADER"


class Request(NamedTuple):
    """The parts of a request that our own rules inspect."""

    method: str
    path: str


def matches(statement: Resource, request: Request) -> bool:
    """Tell whether a request matches a statement, as AWS WAF evaluates it."""
    [(kind, definition)] = statement.items()
    if kind == "AndStatement":
        return all(matches(part, request) for part in definition["Statements"])
    assert kind == "RegexMatchStatement"
    field = definition["FieldToMatch"]
    assert field in ({"Method": {}}, {"UriPath": {}})
    text = request.method if "Method" in field else request.path
    transformations = definition["TextTransformations"]
    assert [one["Priority"] for one in transformations] == list(range(len(transformations)))
    for transformation in transformations:
        text = TRANSFORMATIONS[transformation["Type"]](text)
    return re.search(definition["RegexString"], text) is not None


def normalized(path: str) -> str:
    """Return a path without `.`, `..` and repeated slashes."""
    slash = "/" if path.endswith("/") else ""
    return "/" + posixpath.normpath(path).strip("/") + slash


TRANSFORMATIONS: dict[str, Callable[[str], str]] = {
    "NONE": str,
    "URL_DECODE": unquote,
    "NORMALIZE_PATH": normalized,
}


def rules_of(stack: Stack) -> dict[str, Resource]:
    """Return the rules of the firewall by name."""
    return {rule["Name"]: rule for rule in stack.properties("WebAcl")["Rules"]}


@pytest.mark.parametrize("stage", ["staging", "prod"])
def test_the_limits_of_a_client_address_apply_in_this_order(stage: str) -> None:
    rules = rules_of(Stack(stage))
    assert [(name, rule["Priority"]) for name, rule in rules.items()] == [
        ("Requests", 0),
        ("Passwords", 1),
        ("AmazonIpReputationList", 2),
        ("CommonRuleSet", 3),
        ("KnownBadInputsRuleSet", 4),
    ]
    by_address = {"AggregateKeyType": "IP", "EvaluationWindowSec": 300}
    assert rules["Requests"]["Statement"] == {"RateBasedStatement": by_address | {"Limit": 3_000}}
    passwords = rules["Passwords"]["Statement"]["RateBasedStatement"]
    assert {key: passwords[key] for key in passwords if key != "ScopeDownStatement"} == by_address | {
        "Limit": 100
    }


def test_a_request_over_a_limit_gets_the_429_of_the_gateway(prod: Stack) -> None:
    rules = rules_of(prod)
    for name in ("Requests", "Passwords"):
        response = rules[name]["Action"]["Block"]["CustomResponse"]
        assert response["ResponseCode"] == 429
        headers = {header["Name"]: header["Value"] for header in response["ResponseHeaders"]}
        assert headers.pop("Access-Control-Expose-Headers") in EXPOSED_HEADERS
        assert headers == {name: value for name, [value] in SECURITY_HEADERS.items()} | {
            "Access-Control-Allow-Origin": "http://localhost:5173",
            "Retry-After": "60",
        }
        text = prod.properties("WebAcl")["CustomResponseBodies"][response["CustomResponseBodyKey"]]
        assert text["ContentType"] == "APPLICATION_JSON"
        assert json.loads(text["Content"]) == {"detail": "Too many requests, try again later"}


def spellings(stage: str, path: str) -> Iterator[str]:
    """Yield the paths by which a client can reach a route, through either host name."""
    for prefix in (f"/{stage}", ""):
        yield f"{prefix}{path}"
        yield f"{prefix}{path}/"
        yield f"{prefix}/{path}"
        yield f"{prefix}/.{path}"
        yield prefix + re.sub("[a-z]", lambda letter: f"%{ord(letter[0]):x}", path)


@pytest.mark.parametrize("stage", ["staging", "prod"])
def test_the_limit_of_passwords_counts_their_routes_and_no_other(stage: str) -> None:
    stack = Stack(stage)
    scope = rules_of(stack)["Passwords"]["Statement"]["RateBasedStatement"]["ScopeDownStatement"]
    for path, method in routes_of(stack):
        for spelling in spellings(stage, path.replace("{id}", "7")):
            is_counted = matches(scope, Request(method, spelling))
            assert is_counted == ((path, method) in PASSWORD_ROUTES), (method, spelling)
    for path, _ in PASSWORD_ROUTES:
        assert not matches(scope, Request("OPTIONS", path))
        assert not matches(scope, Request("POST", f"/other{path}"))
        assert not matches(scope, Request("POST", f"{path}/other"))


def test_managed_rules_block_except_where_they_judge_what_users_write(prod: Stack) -> None:
    for name, rule in list(rules_of(prod).items())[2:]:
        group = rule["Statement"]["ManagedRuleGroupStatement"]
        assert group["VendorName"] == "AWS"
        assert group["Name"] == f"AWSManagedRules{name}"
        assert rule["OverrideAction"] == {"None": {}}
        _, managed = MANAGED[group["Name"]]
        overrides = {one["Name"]: one["ActionToUse"] for one in group.get("RuleActionOverrides", [])}
        counted = [one for one in managed if one.endswith(FREE_TEXT) or one == NO_USER_AGENT]
        assert overrides == {one: {"Count": {}} for one in counted}


def capacity(statement: Resource) -> int:
    """Return the capacity units of a statement."""
    [(kind, definition)] = statement.items()
    match kind:
        case "ManagedRuleGroupStatement":
            return MANAGED[definition["Name"]][0]
        case "RateBasedStatement":
            scope = definition.get("ScopeDownStatement")
            return RATE_BASED + (capacity(scope) if scope else 0)
        case "AndStatement":
            return sum(map(capacity, definition["Statements"]))
    assert kind == "RegexMatchStatement"
    transformed = [one for one in definition["TextTransformations"] if one["Type"] != "NONE"]
    return REGEX_MATCH + TRANSFORMATION * len(transformed)


def test_the_rules_stay_below_the_capacity_that_is_included(prod: Stack) -> None:
    assert sum(capacity(rule["Statement"]) for rule in rules_of(prod).values()) < MAX_CAPACITY


def test_each_rule_has_a_metric_and_the_firewall_that_of_the_stack(prod: Stack) -> None:
    acl = prod.properties("WebAcl")

    def visible(metric: str) -> dict[str, Any]:
        return {
            "SampledRequestsEnabled": True,
            "CloudWatchMetricsEnabled": True,
            "MetricName": metric,
        }

    assert acl["VisibilityConfig"] == visible("social")
    for name, rule in rules_of(prod).items():
        assert rule["VisibilityConfig"] == visible(name)
    assert acl["Scope"] == "REGIONAL"
    assert acl["DefaultAction"] == {"Allow": {}}


def test_the_firewall_filters_the_requests_of_the_stage(prod: Stack) -> None:
    assert prod.properties("WebAclAssociation") == {
        "WebACLArn": "WebAcl.Arn",
        "ResourceArn": "arn:aws:apigateway:eu-central-1::/restapis/Api/stages/ApiStage",
    }
