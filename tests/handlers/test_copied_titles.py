"""The table `post_titles` has each post that is not deleted, whatever writes to `posts`."""

import pytest

from tests.support.database import Database
from tests.support.lambdas import call

DIFFERENCE = """
SELECT posts.id, post_titles.post_id
FROM (SELECT * FROM posts WHERE deleted_at IS NULL) AS posts FULL JOIN post_titles ON post_id = id
WHERE (posts.owner_id, posts.published, posts.created_at, left(posts.title, 1000))
    IS DISTINCT FROM (post_titles.owner_id, post_titles.published, post_titles.created_at, post_titles.title)
"""


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE posts SET title = title || '!'",
        "UPDATE posts SET title = repeat('long', 1000)",
        "UPDATE posts SET published = NOT published, owner_id = (SELECT max(id) FROM users)",
        "UPDATE posts SET created_at = created_at - interval '1 day' WHERE id % 2 = 0",
        "UPDATE posts SET published = false, deleted_at = now() WHERE id % 2 = 0",
        "DELETE FROM posts WHERE id % 2 = 0",
        "DELETE FROM users",
        "TRUNCATE posts CASCADE",
    ],
)
def test_the_copy_follows_every_change(change: str, ada: int, bob: int, database: Database) -> None:
    for owner in (ada, bob):
        database.add_post(owner, "Title")
        database.add_post(owner, "Draft", published=False)
    assert database.run("SELECT count(*) FROM post_titles") == [[4]]
    database.run(change)
    assert database.run(DIFFERENCE) == []
    # The end of a deletion, as after a mistake of an operator.
    database.run("UPDATE posts SET deleted_at = NULL")
    assert database.run(DIFFERENCE) == []


def test_the_copy_is_correct_after_requests(ada: int, database: Database) -> None:
    body = {"title": "t", "content": "c"}
    posts = [call("create_post", user=ada, body=body).json()["id"] for _ in range(3)]
    call("change_post", user=ada, item=posts[0], body=body | {"title": "u", "published": False})
    call("delete_post", user=ada, item=posts[1])
    assert database.run(DIFFERENCE) == []
    assert database.run("SELECT title FROM post_titles ORDER BY post_id") == [["u"], ["t"]]


def test_an_old_title_is_found_by_its_last_characters(ada: int, database: Database) -> None:
    post_id = database.add_post(ada, "ä" * 993 + "the end")
    response = call("list_posts", user=ada, query=[("search", "ääthe end")])
    assert [entry["Post"]["id"] for entry in response.json()] == [post_id]
