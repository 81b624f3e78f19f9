"""How intrinsic functions are resolved."""

import pytest

from local.gateway.intrinsics import Resolver

CONDITIONS = {
    "IsLocal": {"Fn::Equals": [{"Ref": "Stage"}, "local"]},
    "IsRemote": {"Fn::Not": [{"Condition": "IsLocal"}]},
}


def resolve(value: object) -> object:
    references = {"Stage": "local", "Table": "Table", "Number": 5}
    return Resolver(references, {"Function.Arn": "arn:function"}, CONDITIONS).resolve(value)


@pytest.mark.parametrize(
    ("value", "resolved"),
    [
        ({"Ref": "Stage"}, "local"),
        ({"Ref": "Number"}, 5),
        ({"Ref": "Unknown"}, ""),
        ({"Fn::GetAtt": ["Function", "Arn"]}, "arn:function"),
        ({"Fn::GetAtt": "Function.Arn"}, "arn:function"),
        ({"Fn::GetAtt": ["Proxy", "Endpoint"]}, ""),
        ({"Fn::Sub": "a ${Stage} b ${Function.Arn} c ${Proxy.Endpoint} d"}, "a local b arn:function c  d"),
        ({"Fn::Sub": "literally ${!Stage}"}, "literally ${Stage}"),
        ({"Fn::Sub": ["${Name} of ${Stage}", {"Name": {"Ref": "Table"}}]}, "Table of local"),
        ({"Fn::Join": ["-", ["a", {"Ref": "Stage"}, {"Ref": "Number"}]]}, "a-local-5"),
        ({"Fn::If": ["IsLocal", {"Ref": "Stage"}, "other"]}, "local"),
        ({"Fn::If": ["IsRemote", "this", "other"]}, "other"),
        ({"Fn::If": ["Undeclared", "this", "other"]}, "other"),
        ({"Fn::And": [{"Condition": "IsLocal"}, {"Condition": "IsRemote"}]}, False),
        ({"Fn::Or": [{"Condition": "IsLocal"}, {"Condition": "IsRemote"}]}, True),
        ({"Fn::ImportValue": "elsewhere"}, ""),
        ({"Ref": "AWS::NoValue"}, ""),
        ("{{resolve:secretsmanager:name}}", ""),
        ("plain", "plain"),
        ({"Ref": "Stage", "Other": 1}, {"Ref": "Stage", "Other": 1}),
    ],
)
def test_each_function(value: object, resolved: object) -> None:
    assert resolve(value) == resolved


def test_resolves_at_any_depth() -> None:
    assert resolve({"a": [{"b": {"Fn::Sub": "${Stage}"}}]}) == {"a": [{"b": "local"}]}


def test_no_value_removes_its_entry_and_item() -> None:
    nothing = {"Fn::If": ["IsRemote", "this", {"Ref": "AWS::NoValue"}]}
    assert resolve({"a": nothing, "b": [nothing, 1]}) == {"b": [1]}
