"""The stages: the parameters that samconfig.toml gives them, and which values the template rejects."""

import os
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from common.settings import MAX_DAILY_QUOTA
from scripts import check_parameters
from scripts.check_parameters import broken_rules, overrides_in
from tests.template.stack import ROOT, TEMPLATE, Stack, overrides

TRUE_OR_FALSE = ["true", "false"]
# What a deployment of prod has to add to samconfig.toml.
FILLED_IN = {"AlarmEmail": "operators@example.com", "CorsOrigin": "https://app.example.com"}
DEFAULTS = {
    "Stage": "dev",
    "Architecture": "arm64",
    "CorsOrigin": "http://localhost:5173",
    "PasswordPolicy": "strict",
    "TokenLifetime": "1800",
    "KeyRotationDays": "30",
    "SnapStart": "None",
    "Concurrency": "0",
    "Deployment": "AllAtOnce",
    "RollbackOnAlarm": "true",
    "DatabaseProxy": "false",
    "DatabaseMinCapacity": "0",
    "DatabaseMaxCapacity": "1",
    "DatabaseStandby": "false",
    "DatabaseProtection": "false",
    "DatabaseBackupDays": "1",
    "DatabaseSnapshot": "",
    "DatabaseConnectionsAlarm": "140",
    "ProxyConnectionsPercent": "90",
    "ZoneA": "",
    "ZoneB": "",
    "Firewall": "false",
    "RequestsPerSecond": "50",
    "PasswordsPerSecond": "5",
    "PasswordsBurst": "20",
    "PostsPerDay": "200",
    "VotesPerDay": "5000",
    "ProfileChangesPerDay": "20",
    "RefreshesPerDay": "500",
    "LogDays": "14",
    "GatewayLogging": "true",
    "AlarmEmail": "",
    "MailFrom": "",
    "AppUrl": "",
    "VerifiedWritersOnly": "false",
    "DomainName": "",
    "CertificateArn": "",
    "HostedZoneId": "",
    "DatabaseUrl": "postgresql://app@localhost:5432/social",
    "Authorities": "",
}
STAGING = {
    "Stage": "staging",
    "SnapStart": "PublishedVersions",
    "Concurrency": "10",
    "Deployment": "Canary10Percent5Minutes",
    "DatabaseProxy": "true",
    "DatabaseMinCapacity": "0.5",
    "DatabaseMaxCapacity": "1",
    "Firewall": "true",
}
PROD = STAGING | {
    "Stage": "prod",
    "Concurrency": "100",
    "Deployment": "Canary10Percent10Minutes",
    "DatabaseMinCapacity": "1",
    "DatabaseMaxCapacity": "4",
    "DatabaseConnectionsAlarm": "600",
    "DatabaseStandby": "true",
    "DatabaseProtection": "true",
    "DatabaseBackupDays": "14",
    "RequestsPerSecond": "500",
    "PasswordsPerSecond": "50",
    "PasswordsBurst": "50",
    "LogDays": "90",
}
# The lists of values, and the smallest and the largest number.
ALLOWED = {
    "Stage": ["local", "dev", "staging", "prod"],
    "Architecture": ["arm64", "x86_64"],
    "PasswordPolicy": ["reference", "strict"],
    "SnapStart": ["None", "PublishedVersions"],
    "Concurrency": [0, 10, 20, 50, 100],
    "Deployment": [
        "AllAtOnce",
        "Canary10Percent5Minutes",
        "Canary10Percent10Minutes",
        "Canary10Percent30Minutes",
    ],
    "RollbackOnAlarm": TRUE_OR_FALSE,
    "DatabaseProxy": TRUE_OR_FALSE,
    "DatabaseStandby": TRUE_OR_FALSE,
    "DatabaseProtection": TRUE_OR_FALSE,
    "Firewall": TRUE_OR_FALSE,
    "GatewayLogging": TRUE_OR_FALSE,
    "VerifiedWritersOnly": TRUE_OR_FALSE,
    # The values that CloudWatch Logs accepts, up to two years.
    "LogDays": [1, 3, 5, 7, 14, 30, 60, 90, 120, 180, 365, 400, 731],
}
LIMITS: dict[str, tuple[int, int | None]] = {
    "TokenLifetime": (60, 86_400),
    "KeyRotationDays": (2, 365),
    "DatabaseMinCapacity": (0, 256),
    "DatabaseMaxCapacity": (1, 256),
    "DatabaseBackupDays": (1, 35),
    "DatabaseConnectionsAlarm": (1, None),
    "ProxyConnectionsPercent": (1, 100),
    "RequestsPerSecond": (1, None),
    "PasswordsPerSecond": (1, None),
    "PasswordsBurst": (20, None),
    "PostsPerDay": (1, MAX_DAILY_QUOTA),
    "VotesPerDay": (1, MAX_DAILY_QUOTA),
    "ProfileChangesPerDay": (1, MAX_DAILY_QUOTA),
    "RefreshesPerDay": (1, MAX_DAILY_QUOTA),
}


@pytest.mark.parametrize(
    ("stage", "changes"), [("dev", {"Stage": "dev"}), ("staging", STAGING), ("prod", PROD)]
)
def test_a_stage_has_these_parameters(stage: str, changes: dict[str, str]) -> None:
    assert overrides(stage) == changes
    assert Stack(stage).parameters == DEFAULTS | changes


def test_parameters_accept_these_values() -> None:
    parameters = TEMPLATE["Parameters"]
    lists = {name: declared.get("AllowedValues") for name, declared in parameters.items()}
    assert {name: values for name, values in lists.items() if values} == ALLOWED
    limits = {
        name: (declared["MinValue"], declared.get("MaxValue"))
        for name, declared in parameters.items()
        if "MinValue" in declared
    }
    assert limits == LIMITS
    numbers = {name for name, declared in parameters.items() if declared["Type"] == "Number"}
    assert numbers == LIMITS.keys() | {"Concurrency", "LogDays"}
    assert {declared["Type"] for declared in parameters.values()} == {"Number", "String"}
    # The URL may contain a password.
    assert [name for name, declared in parameters.items() if declared.get("NoEcho")] == ["DatabaseUrl"]


@pytest.mark.parametrize(
    ("origin", "is_accepted"),
    [
        ("*", True),
        ("https://app.example.com", True),
        ("http://localhost:5173", True),
        ("", False),
        ("app.example.com", False),
        ("https://app.example.com/", False),
        ("https://a.example.com,https://b.example.com", False),
        ("https://a.example.com https://b.example.com", False),
        ("https://*.example.com", False),
        ("https://it's.example.com", False),
        ("ftp://app.example.com", False),
    ],
)
def test_an_origin_is_one_origin_or_a_star(origin: str, *, is_accepted: bool) -> None:
    pattern = TEMPLATE["Parameters"]["CorsOrigin"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, origin)) == is_accepted


def broken(stage: str, **changes: str) -> list[str]:
    """Return the messages of the rules that reject these parameters."""
    return broken_rules(TEMPLATE, Stack(stage, **changes).parameters)


def test_dev_and_staging_can_be_deployed_as_they_are_and_prod_when_it_is_filled_in() -> None:
    assert broken("dev") == broken("staging") == broken("prod", **FILLED_IN) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"AlarmEmail": ""}, "Set AlarmEmail."),
        ({"CorsOrigin": "http://localhost:5173"}, "Set CorsOrigin to the origin of the web application."),
        ({"DatabaseProtection": "false"}, "Set DatabaseProtection to true."),
        ({"DatabaseMinCapacity": "0"}, "Set DatabaseMinCapacity to 0.5 or more."),
    ],
)
def test_prod_cannot_be_deployed_without(changes: dict[str, str], message: str) -> None:
    [broken_rule] = broken("prod", **FILLED_IN | changes)
    assert broken_rule.endswith(message)


def test_mail_needs_a_page_for_its_links() -> None:
    message = "The links in mails have to lead somewhere. Set AppUrl to a page of the web application."
    assert broken("dev", MailFrom="app@example.com") == [message]
    assert broken("dev", MailFrom="app@example.com", AppUrl="https://app.example.com") == []
    assert broken("dev", AppUrl="https://app.example.com") == []


def test_verified_writers_need_mail() -> None:
    mail = {"MailFrom": "app@example.com", "AppUrl": "https://app.example.com"}
    assert broken("dev", VerifiedWritersOnly="true") == ["Addresses are verified by mail. Set MailFrom."]
    assert broken("dev", VerifiedWritersOnly="true", **mail) == []


@pytest.mark.parametrize(
    ("parameter", "value", "is_accepted"),
    [
        ("MailFrom", "", True),
        ("MailFrom", "no-reply+1@mail.example.com", True),
        ("MailFrom", "Social <app@example.com>", False),
        ("MailFrom", "a@example.com,b@example.com", False),
        ("MailFrom", "app@Example.com", False),
        ("MailFrom", "example.com", False),
        ("AppUrl", "", True),
        ("AppUrl", "https://app.example.com/account?x=1", True),
        ("AppUrl", "app.example.com", False),
        ("AppUrl", "https://app.example.com/#account", False),
        ("AppUrl", "javascript:alert(1)", False),
    ],
)
def test_mail_has_one_sender_and_a_page(parameter: str, value: str, *, is_accepted: bool) -> None:
    pattern = TEMPLATE["Parameters"][parameter]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, value)) == is_accepted


def test_a_rule_of_prod_does_not_apply_to_other_stages() -> None:
    assert broken("dev", **FILLED_IN, DatabaseProtection="false") == []
    assert broken("dev", DatabaseProxy="true") == [
        "A database behind RDS Proxy cannot pause. Set DatabaseMinCapacity to 0.5 or more."
    ]


Check = Callable[..., tuple[int, str]]


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    """Return a function that runs the check of `make deploy`, and returns its exit code and its output."""

    def check(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["check_parameters.py", *arguments])
        code = check_parameters.main()
        written = capsys.readouterr()
        return code, written.err or written.out

    return check


def test_make_deploy_says_what_is_missing_before_it_builds(check: Check) -> None:
    code, message = check("prod")
    assert code == 1
    assert "Set AlarmEmail." in message
    assert "Set CorsOrigin to" in message
    assert "[prod] in samconfig.toml" in message
    assert check("nowhere") == (1, "error: samconfig.toml has no stage 'nowhere'\n")
    assert check("dev")[0] == 0
    recipe = (ROOT / "Makefile").read_text().partition("\ndeploy:")[2]
    assert recipe.index("check_parameters.py") < recipe.index("$(SAM) build")


def test_samconfig_has_the_lines_to_fill_in() -> None:
    prod = (ROOT / "samconfig.toml").read_text().partition("[prod.deploy.parameters]")[2]
    assert [name for name in FILLED_IN if f'# "{name}=' in prod] == list(FILLED_IN)


def test_parameters_on_the_command_line_replace_those_of_samconfig(check: Check) -> None:
    arguments = ["--no-confirm", "x=1", "--parameter-overrides", "Stage=prod", "Url=a=b", "--debug", "y=2"]
    assert overrides_in(arguments) == {"Stage": "prod", "Url": "a=b"}
    filled_in = [f"{name}={value}" for name, value in (PROD | FILLED_IN).items()]
    assert check("prod", "--parameter-overrides", *filled_in)[0] == 0


def test_make_deploy_builds_only_the_layer_of_the_architecture(check: Check) -> None:
    assert check("dev") == (0, "--exclude=CommonLayerX86")
    overrides = ("--parameter-overrides", "Stage=dev", "Architecture=x86_64")
    assert check("dev", *overrides) == (0, "--exclude=CommonLayerArm")


def test_the_zones_are_the_first_two_of_the_region_or_those_of_the_parameters() -> None:
    def zones(stack: Stack) -> list[str]:
        return [subnet["AvailabilityZone"] for subnet in stack.of_type("AWS::EC2::Subnet").values()]

    assert zones(Stack("prod")) == ["eu-central-1a", "eu-central-1b"]
    assert zones(Stack("prod", ZoneA="us-east-1b", ZoneB="us-east-1f")) == ["us-east-1b", "us-east-1f"]


def test_a_personal_stack_is_dev_that_leaves_the_setting_of_the_account_alone() -> None:
    dev, personal = Stack("dev"), Stack("personal")
    assert personal.parameters == dev.parameters | {"GatewayLogging": "false"}
    assert dev.resources.keys() - personal.resources.keys() == {"GatewayAccount", "GatewayLogsRole"}
    assert personal.resources.keys() <= dev.resources.keys()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["STAGE=prod", "NAME=ann"], "error: a stack with a NAME has STAGE=dev"),
        (["STAGE=dev", "NAME=staging"], "error: NAME is no stage, and has only a-z, 0-9 and -"),
        (["STAGE=dev", "NAME=Ann"], "error: NAME is no stage, and has only a-z, 0-9 and -"),
        ([], "say which: make deploy STAGE=dev"),
    ],
)
def test_make_deploy_rejects_a_wrong_name(arguments: list[str], error: str) -> None:
    deployed = make("-o", TOOL, "deploy", *arguments)
    assert deployed.returncode == 2
    assert error in deployed.stderr
    assert "sam" not in deployed.stdout


def test_make_deploy_names_a_personal_stack() -> None:
    recipe = make("-n", "-o", TOOL, "deploy", "STAGE=dev", "NAME=ann").stdout
    assert "deploy --config-env personal --stack-name social-ann" in recipe
    recipe = make("-n", "-o", TOOL, "deploy", "STAGE=prod").stdout
    assert "deploy --config-env prod --stack-name social-prod" in recipe


TOOL = ".venv-tools/sam/done"


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make without installing the SAM CLI."""
    # The tests set STAGE.
    shell = {"PATH": os.environ["PATH"]}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=shell, capture_output=True, text=True, check=False
    )
