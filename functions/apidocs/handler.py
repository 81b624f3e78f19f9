"""The welcome message, the OpenAPI document and the interactive documentation page."""

import json
import re
from base64 import b64encode
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any

from aws_lambda_powertools.event_handler import Response

from apidocs.page import customize
from common import api
from common.schemas import Message

HTML_CONTENT_TYPE = "text/html; charset=utf-8"
# The document and the page are public and change only with a deployment.
CACHE_HEADERS = {"Cache-Control": "public, max-age=300"}

# The page may run its own scripts and send requests to this API. Swagger UI writes `style` attributes, and
# its icons are data URLs.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SCRIPT = re.compile("<script>(.*?)</script>", re.DOTALL)

OPENAPI_DOCUMENT = Path(__file__).with_name("openapi.json")

app = api.resolver()


def _document(own_path: str) -> dict[str, Any]:
    """Return the document, with the stage in its URLs.

    We find the stage by removing the path of this route, `own_path`, from the path of the request.
    """
    stage = app.current_event.request_context.path.rstrip("/").removesuffix(own_path)
    document: dict[str, Any] = json.loads(OPENAPI_DOCUMENT.read_text())
    document["servers"] = [{"url": stage or "/"}]
    document["components"]["securitySchemes"]["password"]["flows"]["password"]["tokenUrl"] = f"{stage}/login"
    return document


@app.get("/", responses=api.responses(Message, 200))
def welcome() -> Message:
    """Say where the documentation is."""
    return Message(message="Welcome. The API is explained at /docs and described in /openapi.json.")


@app.get("/openapi.json", responses=api.responses(dict[str, Any], 200))
def openapi() -> Response[dict[str, Any]]:
    """Describe the API."""
    return Response(
        HTTPStatus.OK, content_type=api.JSON, body=_document("/openapi.json"), headers=CACHE_HEADERS
    )


@app.get("/docs", include_in_schema=False)
def docs_page() -> Response[Any]:
    """Show the interactive page. It contains its scripts and styles, so it loads nothing from other hosts."""
    # The import takes as long as a third of the cold start, which the other routes do not need.
    from aws_lambda_powertools.event_handler.openapi import swagger_ui  # noqa: PLC0415

    document = _document("/docs")
    # The page links to the document with this parameter.
    if app.current_event.query_string_parameters.get("format") == "json":
        return Response(HTTPStatus.OK, content_type=api.JSON, body=document, headers=CACHE_HEADERS)
    folder = Path(swagger_ui.__file__).parent
    html = swagger_ui.generate_swagger_html(
        spec=json.dumps(document).replace("</", "<\\/"),
        swagger_js=(folder / "swagger-ui-bundle.min.js").read_text(),
        swagger_css=(folder / "swagger-ui.min.css").read_text(),
        swagger_base_url="",
        oauth2_config=None,
        persist_authorization=False,  # would keep tokens in localStorage
    )
    html = customize(html)
    scripts = " ".join(map(_source, SCRIPT.findall(html)))
    headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY.format(scripts=scripts)}
    return Response(HTTPStatus.OK, content_type=HTML_CONTENT_TYPE, body=html, headers=CACHE_HEADERS | headers)


def _source(script: str) -> str:
    """Return the source expression that allows an inline script: its hash."""
    return f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"


handler = api.handler(app)
