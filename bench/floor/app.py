# ruff: noqa: S608  # statements consist of the constants here
"""The same API with the least code: no framework, no models, one prepared statement for each request.

It is only for measurements. It checks types by hand, and has no error details, headers or logs. What the
project does in addition costs the difference between the two.
"""

import base64
import hmac
import json
import os
import re
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pg8000.native

URL = urlsplit(os.environ["DATABASE_URL"])
KID, SECRET = next(reversed(json.loads(os.environ["JWT_KEYS"]).items()))
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
TIMESTAMPTZ = 1184

POST = "p.id, p.title, p.content, p.published, p.created_at, p.owner_id, u.email, u.created_at"
OWNER = "JOIN users u ON u.id = p.owner_id"
VOTES = """(SELECT vote_count FROM post_ranks WHERE post_id = p.id)
        + (SELECT coalesce(sum(step), 0) FROM vote_deltas WHERE post_id = p.id)"""
NEWEST = "ORDER BY created_at DESC, id DESC"
PAGE = f"SELECT * FROM posts WHERE {{}} AND {{}} {NEWEST} LIMIT CAST(:limit AS integer) + :skip"
ANY_TITLE = "true"
TITLE_CONTAINS = """strpos(title, :search) > 0
    AND grams(title, 1, 3) @> grams(:search, least(length(:search), 3), least(length(:search), 3))"""
LIST = f"""
    SELECT {POST}, {VOTES} FROM (
        SELECT * FROM (({PAGE.format("published", "{0}")})
        UNION ALL ({PAGE.format("owner_id = :me AND NOT published", "{0}")})) AS each
        {NEWEST} LIMIT :limit OFFSET :skip
    ) AS p {OWNER} ORDER BY p.created_at DESC, p.id DESC
"""
SQL = {
    "user": "SELECT id, email, created_at FROM users WHERE id = :id",
    "sign_up": """INSERT INTO users (email, password) VALUES (:email, :digest) ON CONFLICT DO NOTHING
        RETURNING id, email, created_at""",
    "login": "SELECT id, password FROM users WHERE lower(email) = lower(:email)",
    "list": LIST.format(ANY_TITLE),
    "search": LIST.format(TITLE_CONTAINS),
    "read": f"SELECT {POST} FROM posts p {OWNER} WHERE p.id = :id AND (p.published OR p.owner_id = :me)",
    "create": f"""WITH p AS (INSERT INTO posts (title, content, published, owner_id)
        VALUES (:title, :content, :published, :me) RETURNING *) SELECT {POST} FROM p {OWNER}""",
    "update": f"""WITH p AS (UPDATE posts SET title = :title, content = :content, published = :published
        WHERE id = :id AND owner_id = :me RETURNING *) SELECT {POST} FROM p {OWNER}""",
    "delete": "DELETE FROM posts WHERE id = :id AND owner_id = :me RETURNING id",
    "exists": "SELECT 1 FROM posts WHERE id = :id AND published",
    "cast": """INSERT INTO votes (user_id, post_id) SELECT CAST(:me AS integer), id FROM posts
        WHERE id = :id AND (published OR owner_id = :me) ON CONFLICT DO NOTHING RETURNING 1""",
    "retract": "DELETE FROM votes WHERE user_id = :me AND post_id = :id RETURNING 1",
}

_statements: dict[str, Any] = {}


class Problem(Exception):  # noqa: N818  # a response, not a fault
    """An error response: its status and detail."""


def run(name: str, **values: object) -> list[list[Any]]:
    """Run a statement. The first call connects, and the first call for each statement prepares it."""
    if name not in _statements:
        _statements[name] = connection().prepare(SQL[name])
    return _statements[name].run(**values)  # type: ignore[no-any-return]  # pg8000 has no types


def connection() -> Any:  # noqa: ANN401  # pg8000 has no types
    """Return the one connection of this process."""
    if "" not in _statements:
        made = pg8000.native.Connection(
            URL.username, host=URL.hostname, port=URL.port, database=URL.path[1:], ssl_context=False
        )
        # PostgreSQL's text becomes ISO 8601 without a datetime in between.
        made.register_in_adapter(TIMESTAMPTZ, lambda text: f"{text.replace(' ', 'T', 1)}:00")
        _statements[""] = made
    return _statements[""]


def user_json(row: list[Any]) -> dict[str, Any]:
    """Return the user of a response."""
    return {"id": row[0], "email": row[1], "created_at": row[2]}


def post_json(row: list[Any]) -> dict[str, Any]:
    """Return the post of a response."""
    return {
        "id": row[0],
        "title": row[1],
        "content": row[2],
        "published": row[3],
        "created_at": row[4],
        "owner": {"id": row[5], "email": row[6], "created_at": row[7]},
    }


def fields(event: dict[str, Any], **types: type) -> dict[str, Any]:
    """Return the fields of a JSON body, and check the type of each."""
    try:
        body = {"published": True} | json.loads(event["body"])
    except (TypeError, ValueError):
        raise Problem(422, "a JSON object") from None
    chosen = {name: body.get(name) for name in types}
    if any(type(chosen[name]) is not kind for name, kind in types.items()):
        raise Problem(422, "wrong fields")
    return chosen


def users(event: dict[str, Any], method: str, number: int | None) -> tuple[int, object]:
    """Return a user or add one."""
    if method == "GET":
        rows = run("user", id=number)
        if not rows:
            raise Problem(404, "no such user")
        return 200, user_json(rows[0])
    import bcrypt  # noqa: PLC0415  # only where it is needed, as in the project

    body = fields(event, email=str, password=str)
    if not EMAIL.fullmatch(body["email"]):
        raise Problem(422, "wrong email")
    digest = bcrypt.hashpw(body["password"].encode(), bcrypt.gensalt(12)).decode()
    rows = run("sign_up", email=body["email"], digest=digest)
    if not rows:
        raise Problem(409, "email taken")
    return 201, user_json(rows[0])


def login(event: dict[str, Any], _method: str, _number: int | None) -> tuple[int, object]:
    """Return a token for a password."""
    import bcrypt  # noqa: PLC0415  # only where it is needed, as in the project

    form = parse_qs(event["body"])
    rows = run("login", email=form["username"][0])
    if not rows or not bcrypt.checkpw(form["password"][0].encode(), rows[0][1].encode()):
        raise Problem(403, "Invalid Credentials")
    return 200, {"access_token": token(rows[0][0]), "token_type": "bearer"}


def token(user: int) -> str:
    """Return an access token of a user."""
    head = {"alg": "HS256", "typ": "JWT", "kid": KID}
    claims = {"iss": "social", "aud": "social-api", "sub": str(user), "user_id": user}
    claims |= {"iat": int(time.time()), "exp": int(time.time()) + 1800}
    body = b".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (head, claims)
    )
    signature = base64.urlsafe_b64encode(hmac.digest(SECRET.encode(), body, "sha256")).rstrip(b"=")
    return f"{body.decode()}.{signature.decode()}"


def posts(event: dict[str, Any], method: str, number: int | None) -> tuple[int, object]:
    """List, return, add, change or delete posts."""
    me = int(event["requestContext"]["authorizer"]["user_id"])
    match method, number:
        case "GET", None:
            query = event["queryStringParameters"] or {}
            page = {"limit": int(query.get("limit", 10)), "skip": int(query.get("skip", 0)), "me": me}
            search = query.get("search", "")
            rows = run("search", search=search, **page) if search else run("list", **page)
            return 200, [{"Post": post_json(row), "vote": row[8]} for row in rows]
        case "POST", None:
            body = fields(event, title=str, content=str, published=bool)
            return 201, post_json(run("create", me=me, **body)[0])
        case "GET", _:
            rows = run("read", id=number, me=me)
            if not rows:
                raise Problem(404, "no such post")
            return 200, post_json(rows[0])
        case "PUT", _:
            rows = run("update", id=number, me=me, **fields(event, title=str, content=str, published=bool))
            return 200, post_json(changed_row(rows, number))
        case _:
            changed_row(run("delete", id=number, me=me), number)
            return 204, None


def changed_row(rows: list[list[Any]], number: int | None) -> list[Any]:
    """Return the row of a changed post; raise a Problem if there is none."""
    if not rows:
        raise Problem(403, "not yours") if run("exists", id=number) else Problem(404, "no such post")
    return rows[0]


def vote(event: dict[str, Any], _method: str, _number: int | None) -> tuple[int, object]:
    """Cast or retract a vote."""
    me = int(event["requestContext"]["authorizer"]["user_id"])
    body = fields(event, post_id=int, dir=int)
    if not run("cast" if body["dir"] == 1 else "retract", id=body["post_id"], me=me):
        raise (
            Problem(409, "voted already")
            if run("exists", id=body["post_id"])
            else Problem(404, "no such post")
        )
    return 201, {"message": "done"}


ROUTES = {"users": users, "login": login, "posts": posts, "vote": vote}


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Handle an event of a REST API."""
    name, _, number = event["path"].strip("/").partition("/")
    try:
        status, body = ROUTES[name](event, event["httpMethod"], int(number) if number else None)
    except Problem as problem:
        status, body = problem.args[0], {"detail": problem.args[1]}
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json"},
        "body": "" if body is None else json.dumps(body),
    }
