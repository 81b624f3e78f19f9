"""Alarms and the dashboard: which metrics they watch, and when they fire."""

import ast
import json
import re
from collections.abc import Iterable
from typing import Any

import pytest
from aws_lambda_powertools.event_handler.exceptions import NotFoundError

from common import api
from common.errors import RateLimitError, UnavailableError, UnknownOutcomeError
from tests.support.lambdas import Context, load_event
from tests.template.stack import LIVE, ROOT, Resource, Stack

LAMBDA, GATEWAY, RDS, WAF, OWN = "AWS/Lambda", "AWS/ApiGateway", "AWS/RDS", "AWS/WAFV2", "social"
STAGE = {"ApiName": "social", "Stage": "prod"}
CLUSTER = {"DBClusterIdentifier": "Database"}
PROXY = {"ProxyName": "social"}
SERVICE = {"service": "social"}
WEB_ACL = {"WebACL": "social", "Region": "eu-central-1", "Rule": "ALL"}
# An alarm fires if `periods` of the last `out of` periods, each of `seconds`, are above the threshold.
ALARMS = {
    # name: (namespace, metric, dimensions, statistic, seconds, periods, out of, threshold)
    "ServerErrors": (GATEWAY, "5XXError", STAGE, "Sum", 60, 3, 3, 4),
    "Latency": (GATEWAY, "Latency", STAGE, "p99", 60, 5, 5, 2_000),
    "FailedLogins": (OWN, "FailedLogin", SERVICE, "Sum", 300, 2, 2, 100),
    "RateLimitedRequests": (OWN, "RateLimitedRequest", {}, "Sum", 300, 2, 2, 300),
    "BlockedRequests": (WAF, "BlockedRequests", WEB_ACL, "Sum", 300, 2, 2, 300),
    "DatabaseUnavailable": (OWN, "DatabaseUnavailable", SERVICE, "Sum", 60, 3, 3, 4),
    "UnknownOutcome": (OWN, "UnknownOutcome", SERVICE, "Sum", 60, 1, 1, 0),
    "MailFailed": (OWN, "MailFailed", SERVICE, "Sum", 300, 1, 1, 2),
    "MigrationErrors": (LAMBDA, "Errors", {"FunctionName": "MigrationFunction"}, "Sum", 60, 1, 1, 0),
    "MaintenanceErrors": (LAMBDA, "Errors", {"FunctionName": "MaintenanceFunction"}, "Sum", 300, 1, 1, 0),
    "RotationErrors": (LAMBDA, "Errors", {"FunctionName": "RotationFunction"}, "Sum", 300, 1, 1, 0),
    "DatabaseCapacity": (RDS, "ACUUtilization", CLUSTER, "Average", 60, 10, 10, 90),
    "Connections": (RDS, "DatabaseConnections", CLUSTER, "Maximum", 60, 3, 3, 600),
    "PinnedSessions": (RDS, "DatabaseConnectionsCurrentlySessionPinned", PROXY, "Maximum", 60, 3, 3, 0),
    # Microseconds.
    "BorrowTime": (RDS, "DatabaseConnectionsBorrowLatency", PROXY, "Average", 60, 3, 3, 100_000),
    # Bytes, below the threshold.
    "DatabaseMemory": (RDS, "FreeableMemory", CLUSTER, "Minimum", 60, 10, 10, 128 * 2**20),
    # The sum over several functions.
    "FunctionErrors": (LAMBDA, "Errors", None, "Sum", 60, 2, 3, 0),
    "FunctionThrottles": (LAMBDA, "Throttles", None, "Sum", 60, 2, 3, 0),
    "NewVersionErrors": (LAMBDA, "Errors", None, "Sum", 60, 1, 1, 0),
    "NewVersionUnexpectedErrors": (OWN, "UnexpectedError", None, "Sum", 60, 1, 1, 0),
}
ONLY_WITH_FIREWALL = {"BlockedRequests"}
ONLY_WITH_PROXY = {"PinnedSessions", "BorrowTime"}
ONLY_WITH_MAIL = {"MailFailed"}


def dimensions(metric: Resource) -> dict[str, str]:
    """Return the dimensions of a metric by name."""
    return {dimension["Name"]: dimension["Value"] for dimension in metric.get("Dimensions", [])}


def terms(alarm: Resource) -> list[Resource]:
    """Return the metrics that an alarm adds up."""
    total, *metrics = alarm["Metrics"]
    assert total == {"Id": "all", "Expression": "SUM(METRICS())"}
    assert all(metric["ReturnData"] is False for metric in metrics)
    ids = [metric["Id"] for metric in metrics]
    assert len(set(ids)) == len(ids) <= 10  # CloudWatch's limit
    return [metric["MetricStat"] for metric in metrics]


def watched(alarm: Resource) -> tuple[Any, ...]:
    """Return an alarm as a value of `ALARMS`."""
    periods = alarm["EvaluationPeriods"]
    when = (alarm.get("DatapointsToAlarm", periods), periods, int(alarm["Threshold"]))
    if "Metrics" not in alarm:
        statistic = alarm.get("Statistic") or alarm["ExtendedStatistic"]
        metric = (alarm["Namespace"], alarm["MetricName"], dimensions(alarm))
        return (*metric, statistic, alarm["Period"], *when)
    [(namespace, name, statistic, period)] = {
        (stat["Metric"]["Namespace"], stat["Metric"]["MetricName"], stat["Stat"], stat["Period"])
        for stat in terms(alarm)
    }
    return (namespace, name, None, statistic, period, *when)


def test_alarms_fire_like_this(mailing: Stack) -> None:
    alarms = mailing.of_type("AWS::CloudWatch::Alarm")
    alarms.pop("StorageGrowthAlarm")
    assert {name.removesuffix("Alarm"): watched(alarm) for name, alarm in alarms.items()} == ALARMS
    for name, alarm in alarms.items():
        operator = "LessThanThreshold" if name == "DatabaseMemoryAlarm" else "GreaterThanThreshold"
        assert alarm["ComparisonOperator"] == operator


def test_every_alarm_notifies_the_topic_and_stays_silent_without_data(stack: Stack) -> None:
    for alarm in stack.of_type("AWS::CloudWatch::Alarm").values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == ["AlarmTopic"]
        assert alarm["TreatMissingData"] == "notBreaching"


def test_dev_has_no_alarm_on_what_it_lacks(dev: Stack) -> None:
    alarms = {name.removesuffix("Alarm") for name in dev.of_type("AWS::CloudWatch::Alarm")}
    missing = ONLY_WITH_FIREWALL | ONLY_WITH_PROXY | ONLY_WITH_MAIL
    assert alarms == (ALARMS.keys() | {"StorageGrowth"}) - missing


def test_an_alarm_watches_by_how_much_the_storage_grows_in_a_day(stack: Stack) -> None:
    alarm = stack.properties("StorageGrowthAlarm")
    growth, *sizes = alarm["Metrics"]
    assert growth == {"Id": "growth", "Expression": "largest - smallest"}
    assert (alarm["ComparisonOperator"], int(alarm["Threshold"])) == ("GreaterThanThreshold", 10 * 2**30)
    dimension = {"Name": "DBClusterIdentifier", "Value": "Database"}
    volume = {"Namespace": RDS, "MetricName": "VolumeBytesUsed", "Dimensions": [dimension]}
    assert sizes == [
        {"Id": name, "ReturnData": False, "MetricStat": {"Metric": volume, "Stat": stat, "Period": 86_400}}
        for name, stat in {"largest": "Maximum", "smallest": "Minimum"}.items()
    ]


def test_the_topic_sends_mail_if_there_is_an_address() -> None:
    assert Stack("dev").properties("AlarmTopic") == {}
    [subscription] = Stack("dev", AlarmEmail="ops@example.com").properties("AlarmTopic")["Subscription"]
    assert subscription == {"Protocol": "email", "Endpoint": "ops@example.com"}


def test_operations_md_describes_every_alarm() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    for name in [*ALARMS, "StorageGrowth"]:
        assert f"\n| {name} | " in text


@pytest.mark.parametrize("name", ["FunctionErrorsAlarm", "FunctionThrottlesAlarm"])
def test_an_alarm_adds_up_all_functions_of_the_api(stack: Stack, name: str) -> None:
    found = [dimensions(stat["Metric"]) for stat in terms(stack.properties(name))]
    assert found == [{"FunctionName": function} for function in LIVE]


def test_the_code_emits_the_metrics_that_alarms_watch(prod: Stack) -> None:
    emitted = {
        ast.literal_eval(keyword.value)
        for source in [*ROOT.glob("functions/**/*.py"), *ROOT.glob("layers/common/python/**/*.py")]
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "single_metric"
        for keyword in node.keywords
        if keyword.arg == "name"
    }
    [counted] = prod.properties("RateLimitedRequests")["MetricTransformations"]
    own = {metric for namespace, metric, *_ in ALARMS.values() if namespace == OWN}
    assert emitted | {counted["MetricName"]} == own
    # The namespace and the dimension that Powertools adds.
    for function in prod.of_type("AWS::Lambda::Function").values():
        variables = function["Environment"]["Variables"]
        assert variables["POWERTOOLS_METRICS_NAMESPACE"] == OWN
        assert {"service": variables["POWERTOOLS_SERVICE_NAME"]} == SERVICE


def test_the_access_log_counts_rate_limited_requests(stack: Stack) -> None:
    assert stack.properties("RateLimitedRequests") == {
        "LogGroupName": "AccessLogs",
        "FilterPattern": '{ $.status = "429" }',
        "MetricTransformations": [
            {"MetricNamespace": "social", "MetricName": "RateLimitedRequest", "MetricValue": "1"}
        ],
    }
    [stage] = stack.of_type("AWS::ApiGateway::Stage").values()
    # In quotes, as in the pattern.
    assert '"status":"$context.status"' in stage["AccessLogSetting"]["Format"]


def version_of(stack: Stack, function: str) -> str:
    """Return the version of a function to which a deployment shifts the traffic."""
    version: str = stack.properties(f"{function}Aliaslive")["FunctionVersion"]
    return version


def test_a_deployment_watches_errors_of_its_new_versions_only(stack: Stack) -> None:
    assert [dimensions(stat["Metric"]) for stat in terms(stack.properties("NewVersionErrorsAlarm"))] == [
        {
            "FunctionName": function,
            "Resource": f"{function}:live",
            "ExecutedVersion": version_of(stack, function),
        }
        for function in LIVE
    ]


def test_an_alarm_that_fires_cannot_block_the_deployment_of_its_fix(stack: Stack) -> None:
    # CloudFormation replaces an alarm whose name changed, and a new alarm does not fire.
    for name in ("NewVersionErrorsAlarm", "NewVersionUnexpectedErrorsAlarm"):
        named = stack.properties(name)["AlarmName"]
        assert [function for function in LIVE if version_of(stack, function) not in named] == [], name
    names = [alarm.get("AlarmName") for alarm in stack.of_type("AWS::CloudWatch::Alarm").values()]
    assert len(set(filter(None, names))) == 2
    for function in LIVE:
        group = stack.properties(f"{function}DeploymentGroup")
        assert group["AlarmConfiguration"] == {
            "Enabled": True,
            "Alarms": [{"Name": "NewVersionErrorsAlarm"}, {"Name": "NewVersionUnexpectedErrorsAlarm"}],
        }


def test_an_operator_can_deploy_in_spite_of_alarms() -> None:
    stack = Stack("prod", RollbackOnAlarm="false")
    for function in LIVE:
        assert not stack.properties(f"{function}DeploymentGroup").get("AlarmConfiguration")


def respond(error: Exception, function: str, version: str) -> int:
    """Return the status with which this version of a function responds if its handler raises an error."""
    app = api.resolver()

    @app.post("/vote")
    def fail() -> None:
        raise error

    context = Context()
    context.function_name, context.function_version = function, version
    status: int = api.handler(app)(load_event("vote"), context)["statusCode"]
    return status


def fires(alarm: Resource, emitted: Iterable[Resource]) -> bool:
    """Tell whether an alarm fires after a minute with these metrics, in the embedded metric format."""
    assert alarm["EvaluationPeriods"] == 1
    total = sum(
        sum(event[metric["MetricName"]])
        for stat in terms(alarm)
        if (metric := stat["Metric"])
        for event in emitted
        for directive in event["_aws"]["CloudWatchMetrics"]
        if directive["Namespace"] == metric["Namespace"]
        and {"Name": metric["MetricName"], "Unit": "Count"} in directive["Metrics"]
        and [sorted(names) for names in directive["Dimensions"]] == [sorted(dimensions(metric))]
        and dimensions(metric).items() <= event.items()
    )
    return total > int(alarm["Threshold"])


@pytest.fixture
def emitted(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterable[Resource]:
    """Return an iterable of the metrics that functions print on AWS, from now until it is iterated."""
    monkeypatch.setattr(api, "is_local", lambda: False)

    class Emitted:
        def __iter__(self) -> Any:  # noqa: ANN401  # an iterator of mappings
            return map(
                json.loads, filter(re.compile(r'.*"_aws"').match, capsys.readouterr().out.splitlines())
            )

    return Emitted()


@pytest.mark.parametrize("function", [name for name in LIVE if name != "AuthorizerFunction"])
def test_a_new_version_that_always_raises_is_rolled_back(
    prod: Stack, emitted: Iterable[Resource], function: str
) -> None:
    assert respond(KeyError("a bug"), function, version_of(prod, function)) == 500
    assert fires(prod.properties("NewVersionUnexpectedErrorsAlarm"), list(emitted))


def test_an_old_version_that_raises_does_not_roll_a_deployment_back(
    prod: Stack, emitted: Iterable[Resource]
) -> None:
    assert respond(KeyError("a bug"), "VotesFunction", "the version before") == 500
    assert not fires(prod.properties("NewVersionUnexpectedErrorsAlarm"), list(emitted))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFoundError("no such post"), 404),
        (api.validation_error("missing", ("body", "dir"), "Field required"), 422),
        (RateLimitError(5), 429),
        (UnavailableError("a failover", retryable=False), 503),
        (UnknownOutcomeError("a broken connection"), 504),
    ],
)
def test_responses_that_clients_or_the_database_cause_do_not_roll_a_deployment_back(
    prod: Stack, emitted: Iterable[Resource], error: Exception, status: int
) -> None:
    assert respond(error, "VotesFunction", version_of(prod, "VotesFunction")) == status
    assert not fires(prod.properties("NewVersionUnexpectedErrorsAlarm"), list(emitted))


def shown(widget: Resource) -> list[tuple[str, ...]]:
    """Return the metrics of a widget as namespace, name and dimensions, with the shorthands written out."""
    found: list[tuple[str, ...]] = []
    for listed in widget["properties"]["metrics"]:
        metric = [part for part in listed if isinstance(part, str)]
        previous = found[-1] if found else ()
        if metric[0] == "...":
            metric = [*previous[: 1 - len(metric)], *metric[1:]]
        found.append(tuple(previous[i] if part == "." else part for i, part in enumerate(metric)))
    return found


DASHBOARD = {
    "Requests and errors": ("Sum", [(GATEWAY, name) for name in ("Count", "4XXError", "5XXError")], [STAGE]),
    "Latency (ms)": (
        "p99",
        [(GATEWAY, name) for name in ("Latency", "Latency", "IntegrationLatency")],
        [STAGE],
    ),
    "Function p99 (ms)": ("p99", [(LAMBDA, "Duration")], [{"FunctionName": name} for name in LIVE]),
    "Function errors": ("Sum", [(LAMBDA, "Errors")], [{"FunctionName": name} for name in LIVE]),
    "Throttled calls": ("Sum", [(LAMBDA, "Throttles")], [{"FunctionName": name} for name in LIVE]),
    "Concurrency": ("Maximum", [(LAMBDA, "ConcurrentExecutions")], [{"FunctionName": name} for name in LIVE]),
}


def test_the_dashboard_shows_every_function_and_what_alarms_watch(prod: Stack) -> None:
    dashboard = prod.properties("Dashboard")
    assert dashboard["DashboardName"] == "social"
    widgets = json.loads(dashboard["DashboardBody"])["widgets"]
    for widget in widgets:
        assert widget["type"] == "metric"
        assert widget["properties"]["region"] == "eu-central-1"
        assert widget["properties"]["period"] == 60
    places = [(widget["x"], widget["y"], widget["width"], widget["height"]) for widget in widgets]
    assert places == [(x, y, 8, 6) for y in (0, 6, 12) for x in (0, 8, 16)]
    by_title = {widget["properties"]["title"]: widget for widget in widgets}
    for title, (statistic, metrics, sources) in DASHBOARD.items():
        assert by_title[title]["properties"]["stat"] == statistic
        assert shown(by_title[title]) == [
            (*metric, *(part for pair in source.items() for part in pair))
            for metric in metrics
            for source in sources
        ]
    latency = by_title["Latency (ms)"]["properties"]["metrics"]
    assert [listed[-1] for listed in latency if isinstance(listed[-1], dict)] == [{"stat": "p50"}]
    assert shown(by_title["Database capacity"]) == [
        (RDS, "ServerlessDatabaseCapacity", "DBClusterIdentifier", "Database"),
        (RDS, "ACUUtilization", "DBClusterIdentifier", "Database"),
    ]
    assert shown(by_title["Connections"]) == [
        (RDS, "DatabaseConnections", "DBClusterIdentifier", "Database"),
        (RDS, "ClientConnections", "ProxyName", "social"),
        (RDS, "DatabaseConnectionsCurrentlySessionPinned", "ProxyName", "social"),
    ]
    assert shown(by_title["Faults of the database"]) == [
        (OWN, "DatabaseUnavailable", "service", "social"),
        (OWN, "UnknownOutcome", "service", "social"),
        (RDS, "DatabaseConnectionsBorrowLatency", "ProxyName", "social"),
    ]
    statistics = {
        title: by_title[title]["properties"]["stat"] for title in by_title.keys() - DASHBOARD.keys()
    }
    assert statistics == {
        "Database capacity": "Average",
        "Connections": "Maximum",
        "Faults of the database": "Sum",
    }
    assert by_title["Faults of the database"]["properties"]["metrics"][-1][-1] == {
        "stat": "Average",
        "yAxis": "right",
    }
