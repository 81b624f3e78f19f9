"""GET /posts/?search=: titles that contain the term literally."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.database import Database
from tests.support.lambdas import call

# Characters with a meaning in LIKE, regular expressions, SQL or URLs; letters with and without case, of one
# to four bytes, composed and decomposed.
CHARACTERS = "%_\\*.?^$[]()|'\"&=+; aAbBßİ\u0131éΣ\u03c3ςжЖ日本🐘🔑\u0301\u200d\ufeff\n\t"
TEXTS = st.text(CHARACTERS, max_size=8)


def found(user: int, term: str) -> set[int]:
    response = call("list_posts", user=user, query=[("limit", "100"), ("search", term)])
    assert response.status == 200
    return {entry["Post"]["id"] for entry in response.json()}


@pytest.mark.parametrize(
    ("term", "title"),
    [
        ("%", "50% off"),
        ("_", "snake_case"),
        ("\\", "back\\slash"),
        ("%%", "100%%"),
        ("0% o", "50% off"),
        ("日", "日本語"),
        ("本語", "日本語"),
        ("🐘", "a 🐘 in the room"),
        (" a", "a room with a view"),
        ("a very long term that is a title", "a very long term that is a title"),
    ],
)
def test_a_part_of_a_title_is_found_even_if_it_has_a_special_meaning(
    term: str, title: str, ada: int, database: Database
) -> None:
    post_id = database.add_post(ada, title)
    database.add_post(ada, "Something else")
    assert found(ada, term) == {post_id}


@pytest.mark.parametrize("term", ["hello", "HELLO", "Hello ", "Hllo", "Content", "H%o", "H_llo", "ell\\o"])
def test_a_text_that_no_title_contains_is_not_found(term: str, ada: int, database: Database) -> None:
    database.add_post(ada, "Hello")
    assert found(ada, term) == set()


def test_characters_of_a_title_in_another_order_are_not_found(ada: int, database: Database) -> None:
    database.add_post(ada, "abc bcd cde")
    assert found(ada, "abcde") == set()
    assert found(ada, "abcd") == set()


def test_a_term_has_a_maximum_length(ada: int, database: Database) -> None:
    post = database.add_post(ada, "a" * 300)
    assert found(ada, "a" * 300) == {post}
    assert call("list_posts", user=ada, query=[("search", "a" * 301)]).status == 422


@st.composite
def titles_and_a_term(draw: st.DrawFn) -> tuple[list[str], str]:
    titles = draw(st.lists(TEXTS, min_size=1, max_size=6))
    title = draw(st.sampled_from(titles))
    start = draw(st.integers(0, len(title)))
    part = title[start : draw(st.integers(start, len(title)))]
    return titles, draw(st.one_of(st.just(part), TEXTS))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # an example begins by deleting
@given(titles_and_term=titles_and_a_term())
def test_search_finds_exactly_the_titles_that_contain_the_term(
    ada: int, database: Database, titles_and_term: tuple[list[str], str]
) -> None:
    titles, term = titles_and_term
    database.run("DELETE FROM posts")
    posts = {database.add_post(ada, title): title for title in titles}
    assert found(ada, term) == {post_id for post_id, title in posts.items() if term in title}
