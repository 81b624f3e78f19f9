"""The lines of the access log."""

import sys

import pytest

from local.gateway.console import log_access


def test_a_line_without_a_terminal_has_no_colours(capsys: pytest.CaptureFixture[str]) -> None:
    log_access("GET", "/posts", 200, 0.0123, "PostsFunction cold")
    log_access("GET", "/nope", 404, 0.0, "gateway")
    assert capsys.readouterr().err == "GET /posts 200 12 ms PostsFunction cold\nGET /nope 404 0 ms gateway\n"


@pytest.mark.parametrize(("status", "colour"), [(201, 32), (404, 33), (502, 31)])
def test_colours_on_a_terminal(
    status: int, colour: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    log_access("GET", "/posts", status, 1, "PostsFunction warm")
    line = f"GET /posts \x1b[{colour}m{status}\x1b[0m 1000 ms PostsFunction warm\n"
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_colours_where_they_are_not_wanted(
    name: str, value: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv(name, value)
    log_access("GET", "/posts", 200, 1, "PostsFunction warm")
    assert "\x1b" not in capsys.readouterr().err
