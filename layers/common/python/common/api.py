"""The conventions of the HTTP API: validation, error responses, headers, logs."""

import json
import re
import sys
import traceback
from collections.abc import Callable, Mapping, Set
from http import HTTPStatus
from inspect import signature
from types import MappingProxyType
from typing import Annotated, Any
from urllib.parse import unquote

from aws_lambda_powertools import Logger, single_metric
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, CORSConfig, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError, ServiceError
from aws_lambda_powertools.event_handler.openapi.exceptions import (
    RequestUnsupportedContentType,
    RequestValidationError,
)
from aws_lambda_powertools.event_handler.openapi.params import Path
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse
from aws_lambda_powertools.metrics import MetricUnit
from pydantic import BeforeValidator, Field

from common import deadline, events
from common.aws import AwsError
from common.errors import PostgresError, RateLimitError, UnavailableError, UnknownOutcomeError
from common.schemas import MAX_INTEGER, MIN_INTEGER, InvalidInput, Problem
from common.settings import env_str, is_local

JSON = "application/json"
# The path is split into segments before they are decoded (`common.events`).
PathId = Annotated[Annotated[int, Field(ge=MIN_INTEGER, le=MAX_INTEGER), BeforeValidator(unquote)], Path()]
# Response headers that a browser lets a page of another origin read.
EXPOSED_HEADERS = ["Link", "Retry-After"]
# The innermost frames of an unexpected error: enough to reach from the database up to the route.
MAX_LOGGED_FRAMES = 8
Handler = Callable[[dict[str, Any], deadline.LambdaContext], dict[str, Any]]
# https://owasp.org/www-project-secure-headers/, without the headers that only concern HTML pages.
SECURITY_HEADERS = {
    "Cache-Control": ["no-store"],
    "Strict-Transport-Security": ["max-age=63072000; includeSubDomains"],
    "X-Content-Type-Options": ["nosniff"],
}

# Powertools loggers of one service share their state, so common.database logs the same correlation id.
log = Logger()


class Resolver(APIGatewayRestResolver):
    """A resolver that rejects paths which would match no request, or whose parameters no argument gets."""

    def route(self, rule: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # as in Powertools
        """Register a route; raises ValueError for `/posts/{id}` and for a parameter that is no argument."""
        if "{" in rule:
            correct = rule.replace("{", "<").replace("}", ">")
            raise ValueError(f"the path {rule!r} would match no request: write {correct!r}")
        register = super().route(rule, *args, **kwargs)

        def checked(function: Callable[..., Any]) -> Any:  # noqa: ANN401  # as in Powertools
            arguments = signature(function).parameters
            for name in re.findall("<(.+?)>", rule):
                if name not in arguments:
                    function_name = function.__name__
                    raise ValueError(
                        f"the path {rule!r} has <{name}>, but {function_name} has no argument {name}"
                    )
            return register(function)

        return checked


def resolver() -> APIGatewayRestResolver:
    """Return a resolver that validates input and output and turns exceptions into error responses.

    Raises SettingsError if the environment variable CORS_ORIGIN is missing.
    """
    app = Resolver(
        cors=CORSConfig(allow_origin=env_str("CORS_ORIGIN"), expose_headers=EXPOSED_HEADERS, max_age=600),
        enable_validation=True,
        response_validation_error_http_code=HTTPStatus.INTERNAL_SERVER_ERROR,
        json_body_deserializer=_json_object,
    )

    def on_not_found(error: NotFoundError) -> Response[Any]:
        # If no route matches, Powertools passes an error that was never raised.
        if error.__traceback__ is None and is_local():
            request = f"{app.current_event.http_method} {app.current_event['resource']}"
            sys.stderr.write(f"template.yaml sends {request} here, but the handler has no such route\n")
        return _error_response(HTTPStatus.NOT_FOUND, error.msg)

    def on_error(error: Exception) -> Response[Any]:
        context = app.lambda_context
        return _internal_error(error, context.function_name, context.function_version)

    app.not_found(on_not_found)
    app.exception_handler(RequestValidationError)(_unprocessable)
    app.exception_handler(RequestUnsupportedContentType)(_unsupported_content_type)
    app.exception_handler(ServiceError)(_service_error)
    app.exception_handler(RateLimitError)(_too_many_requests)
    app.exception_handler(AwsError)(_aws_failed)
    app.exception_handler(UnavailableError)(_unavailable)
    app.exception_handler(UnknownOutcomeError)(_unknown_outcome)
    app.exception_handler(Exception)(on_error)
    return app


def handler(
    app: APIGatewayRestResolver,
    *,
    query_aliases: Mapping[str, str] = MappingProxyType({}),
    forms: Set[str] = frozenset(),
) -> Handler:
    """Return the Lambda handler for the routes of `app`.

    Args:
        app: The resolver with the routes.
        query_aliases: Other spellings of query parameters, and the names that they stand for.
        forms: The resources whose body is a form. All other bodies are JSON.

    """

    def handle(event: dict[str, Any], context: deadline.LambdaContext) -> dict[str, Any]:
        deadline.start(context)
        log.set_correlation_id(event["requestContext"]["requestId"])
        events.prepare(event, query_aliases, forms)
        response = app.resolve(event, context)  # type: ignore[arg-type]  # Powertools' type has more
        response["multiValueHeaders"] = SECURITY_HEADERS | response["multiValueHeaders"]
        # Powertools returns None for an empty body, but the Lambda proxy integration expects a string.
        response["body"] = response["body"] or ""
        return response

    return handle


def responses(model: object, success: int, *failures: int) -> dict[int, OpenAPIResponse]:
    """Return the OpenAPI responses of a route, for its argument `responses`.

    Args:
        model: The type of the body on success, or None for an empty body.
        success: The status on success.
        failures: The statuses of the errors that are specific to the route.

    """
    shapes = {success: model} | {
        status: InvalidInput if status == HTTPStatus.UNPROCESSABLE_ENTITY else Problem for status in failures
    }
    return {status: _openapi_response(status, shape) for status, shape in shapes.items()}


def _openapi_response(status: int, shape: object) -> OpenAPIResponse:
    response: OpenAPIResponse = {"description": HTTPStatus(status).phrase}
    if shape is not None:
        response["content"] = {JSON: {"model": shape}}
    return response


def validation_error(kind: str, location: tuple[str, ...], message: str) -> RequestValidationError:
    """Return the exception for invalid input, which becomes a 422 response.

    Args:
        kind: A stable identifier of the error, for programs.
        location: Where the input is: "body", "query", "path" or "header", then the names of the fields.
        message: A sentence for people.

    """
    return RequestValidationError([{"type": kind, "loc": location, "msg": message}])


def _json_object(text: str) -> dict[str, Any]:
    if text == events.INVALID_FORM:
        raise validation_error("form_invalid", ("body",), "Form decode error")
    # Malformed JSON and very long numbers raise ValueError; deep nesting raises RecursionError.
    try:
        value = json.loads(text.removeprefix("\ufeff"))  # a byte order mark
    except (ValueError, RecursionError):
        raise validation_error("json_invalid", ("body",), "JSON decode error") from None
    if not isinstance(value, dict):
        raise validation_error("dict_type", ("body",), "Input should be a JSON object")
    return value


def _error_response(status: int, detail: object, headers: Mapping[str, str] | None = None) -> Response[Any]:
    return Response(status, content_type=JSON, body={"detail": detail}, headers=dict(headers or {}))


def _unsupported_content_type(_: RequestUnsupportedContentType) -> Response[Any]:
    return _unprocessable(
        validation_error("content_type", ("body",), "Content-Type should be application/json")
    )


def _unprocessable(error: RequestValidationError) -> Response[Any]:
    # The other fields of a pydantic error contain the rejected value, which may be a password.
    detail = [{"type": e["type"], "loc": e["loc"], "msg": e["msg"]} for e in error.errors()]
    return _error_response(HTTPStatus.UNPROCESSABLE_ENTITY, detail)


def _service_error(error: ServiceError) -> Response[Any]:
    challenge = {"WWW-Authenticate": "Bearer"} if error.status_code == HTTPStatus.UNAUTHORIZED else {}
    return _error_response(error.status_code, error.msg, challenge)


def _too_many_requests(error: RateLimitError) -> Response[Any]:
    wait = {"Retry-After": str(error.retry_after_seconds)}
    detail = f"{error}, try again in {error.retry_after_seconds} s"
    return _error_response(HTTPStatus.TOO_MANY_REQUESTS, detail, wait)


def _aws_failed(error: AwsError) -> Response[Any]:
    log.error("AWS request failed", reason=str(error))
    return _service_unavailable()


def _unavailable(error: UnavailableError) -> Response[Any]:
    log.error("database request failed", reason=str(error))
    with single_metric(name="DatabaseUnavailable", unit=MetricUnit.Count, value=1):
        return _service_unavailable()


def _service_unavailable() -> Response[Any]:
    wait = {"Retry-After": "1"}
    return _error_response(HTTPStatus.SERVICE_UNAVAILABLE, "Unavailable, nothing was changed", wait)


def _unknown_outcome(error: UnknownOutcomeError) -> Response[Any]:
    log.error("outcome of a write is unknown", reason=str(error))
    with single_metric(name="UnknownOutcome", unit=MetricUnit.Count, value=1):
        return _error_response(
            HTTPStatus.GATEWAY_TIMEOUT,
            "The database did not respond; the change may have been made",
        )


def _internal_error(error: Exception, function: str, version: str) -> Response[Any]:
    if is_local():
        from common import local_errors  # noqa: PLC0415  # never imported on AWS

        local_errors.report(error)
    else:
        _log_without_message(error)
        # A deployment watches this metric of its new version, because Lambda does not count a returned error.
        with single_metric(name="UnexpectedError", unit=MetricUnit.Count, value=1) as metric:
            metric.add_dimension(name="FunctionName", value=function)
            metric.add_dimension(name="ExecutedVersion", value=version)
    return _error_response(HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.INTERNAL_SERVER_ERROR.phrase)


def _log_without_message(error: Exception) -> None:
    # The message may quote input or SQL. The type and the places are enough to find the bug.
    places = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    sqlstate = error.sqlstate if isinstance(error, PostgresError) else None
    log.error(
        "unexpected error", error=type(error).__name__, sqlstate=sqlstate, places=places[-MAX_LOGGED_FRAMES:]
    )
