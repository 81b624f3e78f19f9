"""posts.paging: encoding and decoding of cursors."""

import base64
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posts.paging import FIRST_PAGE, Cursor, NextPage, Sort, decode, encode, next_page
from posts.rows import ListRow

IDS = st.integers(0, 2**31 - 1)
# The counter of a post may include a retraction and not yet its vote.
RANKS = st.integers(-(2**31), 2**31 - 1)
MOMENTS = st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat)
CURSORS = st.one_of(
    st.tuples(st.builds(Cursor, MOMENTS, IDS), st.sampled_from(["new", "old"])),
    st.tuples(st.builds(Cursor, RANKS.map(str), IDS), st.just("top")),
)

MOMENT = datetime(2026, 11, 22, 12, tzinfo=timezone(timedelta(hours=9)))
MOMENT_IN_UTC = MOMENT.astimezone(UTC).isoformat()
# The row of a last page without posts.
LAST = ListRow(*[False, *[None] * 8, 0, None, True, 0, 0, *[None] * 3])  # type: ignore[arg-type]
# The row of a last page with one post.
ONE_POST = LAST._replace(post_exists=True, id=9, created_at=MOMENT, number_found=1, number_shown=1)


def is_refused(text: str, sort: Sort = "new") -> bool:
    try:
        decode(text, sort)
    except ValueError:
        return True
    return False


def text(content: str) -> str:
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


@given(CURSORS)
def test_a_cursor_survives_encoding_and_decoding(made: tuple[Cursor, Sort]) -> None:
    cursor, sort = made
    assert decode(encode(cursor, sort), sort) == cursor


@given(CURSORS)
def test_an_encoded_cursor_is_url_safe(made: tuple[Cursor, Sort]) -> None:
    assert set(encode(*made)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(CURSORS, st.sampled_from(["new", "old", "top"]))
def test_a_cursor_is_only_valid_for_its_order(made: tuple[Cursor, Sort], other: Sort) -> None:
    assert is_refused(encode(*made), other) == (other != made[1])


def test_the_last_page_has_no_next_page() -> None:
    assert next_page([LAST], limit=1, skip=0) is None
    assert next_page([ONE_POST], limit=1, skip=0) is None


def test_after_a_full_page_the_list_continues_at_its_last_post() -> None:
    row = ONE_POST._replace(number_found=2)
    assert next_page([row], limit=1, skip=0) == NextPage(Cursor(MOMENT_IN_UTC, 9), 0)
    assert next_page([row], limit=1, skip=1) is None
    assert next_page([row._replace(rank=3)], limit=1, skip=0) == NextPage(Cursor("3", 9), 0)


def test_after_a_page_that_was_too_large_the_list_continues_at_the_last_post_that_fits() -> None:
    rows = [ONE_POST._replace(id=post_id, number_found=3, number_shown=3, stop_id=7) for post_id in (8, 9)]
    assert next_page(rows, limit=10, skip=0) == NextPage(Cursor(MOMENT_IN_UTC, 9), 0)


def test_a_list_continues_where_its_statement_stopped() -> None:
    stopped = LAST._replace(stop_created_at=MOMENT, stop_id=7, number_found=2)
    assert next_page([stopped], limit=1, skip=5) == NextPage(Cursor(MOMENT_IN_UTC, 7), 3)
    stopped = ONE_POST._replace(rank=4, stop_rank=3, stop_id=7, number_found=2)
    assert next_page([stopped], limit=1, skip=1) == NextPage(Cursor("3", 7), 0)


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
        "new 2026-11-22T12:00:00+00:00",
        "new 2026-11-22T12:00:00+00:00 ",
        "new 2026-11-22T12:00:00+00:00 1 ",
        "new 2026-11-22T12:00:00+00:00  1",
        "new 2026-11-22T12:00:00+00:00 +1",
        "new 2026-11-22T12:00:00+00:00 1_0",
        "new 2026-11-22T12:00:00+00:00 \u0661",  # int() accepts this digit, we do not
        "new 2026-11-22T12:00:00+00:00 -1",
        "new 2026-11-22T12:00:00+00:00 2147483648",
        "new 2026-11-22T12:00:00+00:00 " + "9" * 5_000,
        "new 2026-11-22T12:00:00Z 1",
        "new 2026-11-22 1",
        "new 2026-11-22T12:00:00 1",
        "new 2026-11-22T13:00:00+01:00 1",
        "new 0001-01-01T00:00:00+01:00 1",
        "new 9999-12-31T23:59:59-01:00 1",
        "new tomorrow 1",
    ],
)
def test_an_almost_valid_cursor_is_a_value_error(content: str) -> None:
    assert is_refused(text(content))


@pytest.mark.parametrize("change", ["{}=", "{}==", " {}", "{}\n", "{}A"])
def test_a_cursor_with_an_addition_is_a_value_error(change: str) -> None:
    assert is_refused(change.format(encode(FIRST_PAGE["new"], "new")))


@pytest.mark.parametrize(
    "content",
    ["top 1 -1", "top -2147483649 1", "top 2147483648 1", "top +1 1", "top a 1", "top 1", "top 1 1 1"],
)
def test_an_almost_valid_cursor_by_votes_is_a_value_error(content: str) -> None:
    assert is_refused(text(content), "top")
