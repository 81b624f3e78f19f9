"""posts.paging: a cursor comes back as it was, and nothing else is one."""

import base64
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from posts.paging import START, Cursor, decode, encode

MOMENTS = st.datetimes(timezones=st.just(UTC))
IDS = st.integers(0, 2**31 - 1)


def is_refused(text: str) -> bool:
    try:
        decode(text)
    except ValueError:
        return True
    return False


def text(content: str) -> str:
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


@example(START)
@given(st.builds(Cursor, MOMENTS, IDS))
def test_a_cursor_comes_back_as_it_was(cursor: Cursor) -> None:
    assert decode(encode(cursor)) == cursor


@given(st.builds(Cursor, MOMENTS, IDS))
def test_its_text_needs_no_escape_in_a_url(cursor: Cursor) -> None:
    assert set(encode(cursor)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_a_moment_of_another_zone_is_the_same_moment() -> None:
    moment = datetime(2026, 11, 22, 12, tzinfo=timezone(timedelta(hours=9)))
    assert decode(encode(Cursor(moment, 7))) == Cursor(moment, 7)
    assert encode(Cursor(moment, 7)) == encode(Cursor(moment.astimezone(UTC), 7))


@given(
    st.text(st.characters(codec=None)) | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode())
)
def test_any_other_text_is_a_value_error(garbage: str) -> None:
    assert is_refused(garbage)


@pytest.mark.parametrize(
    "content",
    [
        "",
        " ",
        "2026-11-22T12:00:00+00:00",
        "2026-11-22T12:00:00+00:00 ",
        "2026-11-22T12:00:00+00:00 1 ",
        "2026-11-22T12:00:00+00:00  1",
        "2026-11-22T12:00:00+00:00 +1",
        "2026-11-22T12:00:00+00:00 1_0",
        "2026-11-22T12:00:00+00:00 \u0661",  # a digit to int(), though not to us
        "2026-11-22T12:00:00+00:00 -1",
        "2026-11-22T12:00:00+00:00 2147483648",
        "2026-11-22T12:00:00+00:00 " + "9" * 5_000,
        "2026-11-22T12:00:00Z 1",
        "2026-11-22 1",
        "2026-11-22T12:00:00 1",
        "2026-11-22T13:00:00+01:00 1",
        "0001-01-01T00:00:00+01:00 1",
        "9999-12-31T23:59:59-01:00 1",
        "tomorrow 1",
    ],
)
def test_what_nearly_is_a_cursor_is_a_value_error(content: str) -> None:
    assert is_refused(text(content))


@pytest.mark.parametrize("change", ["{}=", "{}==", " {}", "{}\n", "{}A"])
def test_a_cursor_with_something_added_is_a_value_error(change: str) -> None:
    assert is_refused(change.format(encode(START)))
