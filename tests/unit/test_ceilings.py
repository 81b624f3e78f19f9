"""The table of ceilings has a row for each route."""

import json

from bench import ceilings
from scripts.check_ceilings import missing
from tests.support.lambdas import ROOT, load_event

OPENAPI = (ROOT / "docs/openapi.json").read_text()


def test_the_page_has_a_row_for_each_route() -> None:
    assert missing(OPENAPI, (ROOT / "docs/performance.md").read_text()) == []


def test_a_route_without_a_row_is_found() -> None:
    document = json.dumps({"paths": {"/posts": {"get": {}, "post": {}}, "/posts/{post_id}": {"get": {}}}})
    page = "| route | ms |\n| --- | --- |\n| GET /posts | 7 |\n"
    assert missing(document, page) == ["GET /posts/{post_id}", "POST /posts"]


def test_the_benchmark_has_a_case_for_each_route() -> None:
    rows = "".join(f"| {route} |\n" for route in ceilings.EVENTS)
    assert missing(OPENAPI, rows) == []
    for route, event in ceilings.EVENTS.items():
        method, path = route.split()
        recorded = load_event(event)
        assert (recorded["httpMethod"], recorded["resource"].count("{")) == (method, path.count("{"))
