"""Alarms and the dashboard: which metrics they watch, and whom they notify."""

import json
from typing import Any

from tests.template.stack import LIVE, ROOT, Stack


def metrics(alarm: dict[str, Any]) -> set[str]:
    """Return the names of the metrics that an alarm watches."""
    if "MetricName" in alarm:
        return {alarm["MetricName"]}
    return {stat["MetricStat"]["Metric"]["MetricName"] for stat in alarm["Metrics"] if "MetricStat" in stat}


def test_every_alarm_notifies_the_topic(prod: Stack) -> None:
    alarms = prod.of_type("AWS::CloudWatch::Alarm")
    assert set().union(*map(metrics, alarms.values())) >= {
        "Errors",
        "Throttles",
        "Latency",
        "5XXError",
        "DatabaseConnections",
        "DatabaseConnectionsCurrentlySessionPinned",
        "DatabaseConnectionsBorrowLatency",
    }
    assert all(alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}] for alarm in alarms.values())


def test_operations_md_describes_every_alarm(prod: Stack) -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    for name in prod.of_type("AWS::CloudWatch::Alarm"):
        assert f"| {name.removesuffix('Alarm')} |" in text


def test_an_alarm_adds_up_all_functions_of_the_api(stack: Stack) -> None:
    for name in ("FunctionErrorsAlarm", "FunctionThrottlesAlarm"):
        total, *terms = stack.properties(name)["Metrics"]
        assert total["Expression"] == "SUM(METRICS())"
        dimensions = [term["MetricStat"]["Metric"]["Dimensions"] for term in terms]
        assert dimensions == [[{"Name": "FunctionName", "Value": {"Ref": function}}] for function in LIVE]
        # CloudWatch accepts ten metrics in an alarm.
        assert len(terms) <= 10


def test_the_dashboard_shows_every_function(prod: Stack) -> None:
    text, variables = prod.properties("Dashboard")["DashboardBody"]["Fn::Sub"]
    functions = variables["Functions"]["Fn::Sub"]
    assert [part.split("}")[0] for part in functions.split("${")[1:]] == list(LIVE)
    widgets = json.loads(text.replace("${Functions}", functions))["widgets"]
    assert len(widgets) == 9
