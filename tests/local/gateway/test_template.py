"""What the gateway reads from a SAM template."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import samtranslator  # type: ignore[import-untyped]

from local.gateway import translation
from local.gateway.api import Authorizer, GatewayResponse, MockIntegration, Route
from local.gateway.errors import TemplateError
from local.gateway.template import load_api
from local.gateway.translation import Template, translate
from tests.local.sample import PARAMETERS


def test_routes_name_the_function_behind_its_alias_and_their_authorizer(project: Path) -> None:
    routes = [
        route for route in load_api(project / "template.yaml", PARAMETERS).routes if route.method != "OPTIONS"
    ]
    assert sorted(routes, key=lambda route: route.resource) == [
        Route("ANY", "/open", "Echo", None),
        Route("POST", "/things", "Echo", "Bearer"),
        Route("GET", "/things/{id}", "Echo", "Bearer"),
    ]


def test_a_preflight_request_needs_no_function(project: Path) -> None:
    preflights = [
        route for route in load_api(project / "template.yaml", PARAMETERS).routes if route.method == "OPTIONS"
    ]
    assert {route.resource for route in preflights} == {"/open", "/things", "/things/{id}"}
    assert {route.authorizer for route in preflights} == {None}
    headers = {
        "Access-Control-Allow-Origin": "https://example.com",
        "Access-Control-Allow-Methods": "GET,POST",
        "Access-Control-Max-Age": "600",
    }
    assert preflights[0].integration == MockIntegration(200, headers, "{}\n")


def test_functions(project: Path) -> None:
    functions = load_api(project / "template.yaml", PARAMETERS).functions
    assert functions.keys() == {"Echo", "Gatekeeper"}  # the condition of Unused is false
    echo = functions["Echo"]
    assert echo.handler == "echo.handler.handler"
    assert echo.code == project / "functions"
    assert echo.layers == (project / "layers/common",)
    assert (echo.timeout, echo.memory) == (1, 256)


def test_environments_have_the_parameters_and_only_text(project: Path) -> None:
    functions = load_api(project / "template.yaml", PARAMETERS).functions
    shared = {"STAGE": "local", "DATABASE_URL": "postgresql://app@/social"}
    assert functions["Echo"].environment == shared
    assert functions["Gatekeeper"].environment == shared | {"JWT_KEYS": "", "LIMIT": "5"}


def test_authorizer(project: Path) -> None:
    api = load_api(project / "template.yaml", PARAMETERS)
    assert api.authorizers == {"Bearer": Authorizer("Gatekeeper", "Authorization", "", 60)}
    assert api.stage == "local"


def test_gateway_responses(project: Path) -> None:
    responses = load_api(project / "template.yaml", PARAMETERS).gateway_responses
    assert responses["MISSING_AUTHENTICATION_TOKEN"] == GatewayResponse(
        404,
        {"Access-Control-Allow-Origin": "https://example.com"},
        {"application/json": '{"detail": "Not Found"}'},
    )
    assert responses["DEFAULT_4XX"].status is None


def test_binary_media_types(project: Path) -> None:
    assert load_api(project / "template.yaml", PARAMETERS).binary_media_types == {"multipart/form-data"}
    text = (project / "template.yaml").read_text()
    (project / "template.yaml").write_text(
        text.replace("      BinaryMediaTypes: [multipart~1form-data]\n", "")
    )
    assert load_api(project / "template.yaml", PARAMETERS).binary_media_types == set()


def test_minimum_compression_size(project: Path) -> None:
    assert load_api(project / "template.yaml", PARAMETERS).minimum_compression_size == 200
    text = (project / "template.yaml").read_text()
    (project / "template.yaml").write_text(text.replace("      MinimumCompressionSize: 200\n", ""))
    assert load_api(project / "template.yaml", PARAMETERS).minimum_compression_size is None


def test_the_template_of_this_project(tmp_path: Path) -> None:
    for name in ("functions", "layers", "template.yaml"):
        (tmp_path / name).symlink_to(Path(__file__).parents[3] / name)
    api = load_api(tmp_path / "template.yaml", PARAMETERS)
    assert Route("POST", "/login", "AuthFunction", None) in api.routes
    names = {route.integration for route in api.routes if isinstance(route.integration, str)}
    names |= {authorizer.function for authorizer in api.authorizers.values()}
    called = [api.functions[name] for name in names]
    assert all((function.code / function.handler.split(".")[0]).is_dir() for function in called)
    assert all(
        (layer / "python").is_dir() for function in api.functions.values() for layer in function.layers
    )


@pytest.fixture
def translations(monkeypatch: pytest.MonkeyPatch) -> list[Template]:
    """Return a list to which each translation is added."""
    results: list[Template] = []

    def record(template: Template, parameters: Mapping[str, str], region: str) -> Template:
        results.append(translate(template, parameters, region))
        return results[-1]

    monkeypatch.setattr(translation, "translate", record)
    return results


def test_a_template_is_translated_once(project: Path, translations: list[Template]) -> None:
    first = load_api(project / "template.yaml", PARAMETERS)
    assert load_api(project / "template.yaml", PARAMETERS) == first
    # A parameter that the template does not declare changes nothing, either.
    assert load_api(project / "template.yaml", {**PARAMETERS, "AppUrl": "http://127.0.0.1:1"}) == first
    assert len(translations) == 1
    assert not list((project / ".local").glob("translated.[0-9]*"))


def test_a_change_is_translated(
    project: Path, translations: list[Template], monkeypatch: pytest.MonkeyPatch
) -> None:
    template = project / "template.yaml"
    load_api(template, PARAMETERS)
    assert load_api(template, {"Stage": "test"}).stage == "test"
    template.write_text(template.read_text().replace("Timeout: 1", "Timeout: 2"))
    assert load_api(template, {"Stage": "test"}).functions["Echo"].timeout == 2
    monkeypatch.setattr(samtranslator, "__version__", "0")
    load_api(template, {"Stage": "test"})
    assert len(translations) == 4


@pytest.mark.parametrize("damage", ["", "{", "{}", "5", '{"key": "other"}'])
def test_a_damaged_translation_is_replaced(project: Path, translations: list[Template], damage: str) -> None:
    first = load_api(project / "template.yaml", PARAMETERS)
    (project / ".local" / "translated.json").write_text(damage)
    for _ in range(2):
        assert load_api(project / "template.yaml", PARAMETERS) == first
    assert len(translations) == 2


def test_a_translation_that_cannot_be_kept_is_repeated(project: Path, translations: list[Template]) -> None:
    (project / ".local").touch()
    first = load_api(project / "template.yaml", PARAMETERS)
    assert load_api(project / "template.yaml", PARAMETERS) == first
    assert len(translations) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "cannot read"),
        ("Resources: 5", "not a valid SAM template"),
        ("just text", "not a valid SAM template"),
        ("Resources: {T: {Type: AWS::SNS::Topic}}", "declares no REST API"),
        (
            "Resources: {F: {Type: AWS::Serverless::Function, Properties: {Handler: a.b}}}",
            "not a valid SAM template",
        ),
    ],
)
def test_an_invalid_template_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    template = tmp_path / "template.yaml"
    template.write_text(text)
    with pytest.raises(TemplateError, match=message) as caught:
        load_api(template, PARAMETERS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/things/<id>", "the path /things/<id> would match no request: write /things/{id}"),
        (
            "/things/{thing}/more",
            "the path /things/{thing}/more must have {id} after /things/, like the other",
        ),
    ],
)
def test_a_path_that_a_rest_api_rejects(project: Path, path: str, message: str) -> None:
    template = project / "template.yaml"
    template.write_text(template.read_text().replace("Path: /open", f'Path: "{path}"'))
    with pytest.raises(TemplateError, match=re.escape(message)):
        load_api(template, PARAMETERS)


def test_a_missing_template(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"cannot read .*No such file"):
        load_api(tmp_path / "template.yaml", {})
