"""The most expensive request of each route that a search finds, at a million posts and ten million votes.

`python -m bench.ceilings [URL]` only prints this table. A URL names a database that is filled already.

A request is a choice of one value for each of several parameters. The search measures random choices, and
then changes one parameter after the other as long as that makes the request more expensive.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC
from http import HTTPStatus
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from bench.databases import Size, fill
from bench.packages import variables
from common import database
from local.postgres import Cluster, throwaway_cluster
from tests.support.database import PASSWORD, Database, principal_of
from tests.support.lambdas import Context, handlers, new_event

SIZE: Final = Size(users=500_000, posts=1_000_000, votes=10_000_000)
SAMPLE: Final = 150
CLIMBS: Final = 3
REPEATS: Final = 3
SHOWN: Final = 30
# Beyond these targets, a request is too expensive.
DATABASE_MS, CPU_MS, WAL_KB = 50, 100, 20

# An author of 5% of the posts, half of them drafts, who has voted on thousands of posts.
AUTHOR: Final = 1
# Pages of contents that are as large as possible, of characters that JSON writes differently.
LARGE: Final = {0: '"', 300: "\x01", 600: "日"}
PREPARE: Final = (
    "SET session_replication_role = replica",
    "UPDATE posts SET owner_id = 1 WHERE id % 40 IN (1, 20)",
    "UPDATE post_titles SET owner_id = 1 WHERE post_id % 40 IN (1, 20)",
    "INSERT INTO votes (user_id, post_id) SELECT 1, id FROM posts WHERE id BETWEEN 1000 AND 11000",
    "INSERT INTO sessions (user_id) SELECT id FROM users WHERE id % 5 = 1",
    "INSERT INTO refresh_tokens (hash, session_id) SELECT sha256(id::text::bytea)::text, id FROM sessions",
    "INSERT INTO sessions (id, user_id) VALUES ('00000000-0000-0000-0000-000000000001', 1)",
    # Of other accounts and clients.
    "INSERT INTO login_attempts (key, touched_at)"
    " SELECT sha256(id::text::bytea), now() - interval '1 hour' FROM posts",
    "SET session_replication_role = origin",
    "VACUUM ANALYZE",
)
# Or the limit of the client would be reached.
FORGET_ATTEMPTS: Final = "DELETE FROM login_attempts WHERE touched_at > now() - interval '30 minutes'"
# The recorded event of each route.
EVENTS: Final = {
    "GET /posts": "list_posts",
    "GET /users/{user_id}/posts": "list_user_posts",
    "GET /posts/{post_id}": "read_post",
    "POST /posts": "create_post",
    "PUT /posts/{post_id}": "change_post",
    "DELETE /posts/{post_id}": "delete_post",
    "POST /vote": "vote",
    "GET /users/{user_id}": "read_user",
    "GET /users/me": "read_account",
    "PATCH /users/me": "update_account",
    "POST /auth/refresh": "refresh",
    "GET /users/me/sessions": "list_sessions",
    "DELETE /users/me/sessions/{session_id}": "end_session",
    "POST /auth/logout": "log_out",
    "POST /auth/logout-all": "log_out_everywhere",
    "POST /auth/password-reset": "request_password_reset",
    "POST /auth/password-reset/confirm": "confirm_password_reset",
    "POST /auth/verification": "request_verification",
    "POST /auth/verification/confirm": "confirm_verification",
    "POST /users": "sign_up",
    "POST /login": "login",
    "PUT /users/me/password": "update_password",
    "DELETE /users/me": "delete_account",
    "GET /": "welcome",
    "GET /docs": "docs",
    "GET /openapi.json": "openapi",
}
# Lets the functions send mail.
MAIL: Final = {"MAIL_FROM": "app@example.com", "APP_URL": "https://app.example.com"}
NEW_PASSWORD: Final = "another one, and longer"  # noqa: S105  # of made-up users
CHARACTERS: Final = {"ascii": 1, "cjk": 0x4E00, "emoji": 0x1F300}
COMMON_WORDS: Final = """
    SELECT word FROM (
        SELECT lower(unnest(string_to_array(title, ' '))) AS word FROM posts WHERE id % 100 = 1
    ) AS words
    GROUP BY word ORDER BY count(*) DESC LIMIT 400
"""

Choice = dict[str, Any]


class Case(NamedTuple):
    """The requests of a route.

    Attributes:
        route: one of EVENTS.
        choices: the values of each parameter.
        request: returns the changes of the event for a choice; the number differs in each request.
        hashes: whether it hashes a password.

    """

    route: str
    choices: Mapping[str, Sequence[Any]]
    request: Callable[[Choice, int], dict[str, Any]]
    hashes: bool = False


class Cost(NamedTuple):
    """The CPU time of the database and of the function, and the bytes of WAL beyond the text of a request."""

    database_ms: float
    cpu_ms: float
    wal_bytes: int


class Ceiling(NamedTuple):
    """The highest cost of each kind that the search found, and the choice that costs the database most."""

    route: str
    hashes: bool
    database_ms: float
    cpu_ms: float
    wal_kb: float
    requests: int
    choice: str


class Bench:
    """Sends requests to the functions, in this process, and measures them."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self.number = 0

    def cost(self, case: Case, choice: Choice) -> Cost:
        """Send a request, and return what it costs."""
        self.number += 1
        changes = case.request(choice, self.number)
        event = new_event(EVENTS[case.route], **changes)
        handler = handlers()[event["resource"]]
        wal, database, cpu = self._wal(), self._database_ms(), time.process_time()
        response = handler(event, Context())
        json.dumps(response)
        cpu, database, wal = time.process_time() - cpu, self._database_ms() - database, self._wal() - wal
        if response["statusCode"] >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise AssertionError(f"{case.route} {choice}: {response['body'][:500]}")
        return Cost(database, cpu * 1_000, max(wal - _length_of_text(changes.get("body")), 0))

    def _wal(self) -> int:
        return int(self.database.value("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))

    def _database_ms(self) -> float:
        """Return the CPU time of the processes in the server that run the statements of the functions."""
        processes = self.database.run(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        schedules = (Path(f"/proc/{process}/schedstat").read_text() for [process] in processes)
        return sum(int(schedule.split()[0]) for schedule in schedules) / 1e6

    def ceiling(self, case: Case) -> Ceiling:
        """Search for the most expensive request of a route."""
        random = Random(case.route)  # noqa: S311  # the same requests in each run
        costs: dict[str, tuple[Choice, Cost]] = {}

        def measured(choice: Choice) -> Cost:
            key = repr(choice)
            if key not in costs:
                costs[key] = (choice, self.cost(case, choice))
            return costs[key][1]

        def any_choice() -> Choice:
            return {name: random.choice(values) for name, values in case.choices.items()}

        # The first request imports modules and opens the connection.
        self.cost(case, any_choice())
        for _ in range(SAMPLE):
            measured(any_choice())
        highest = []
        dearest: list[Choice] = []
        for kind in range(len(Cost._fields)):
            # From several of them, because some changes pay only together.
            for start, _ in sorted(costs.values(), key=lambda each: each[1][kind])[-CLIMBS:]:
                _climb(case, start, kind, measured)
            best, _ = max(costs.values(), key=lambda each: each[1][kind])
            # Again, because other load comes and goes.
            highest.append(min(self.cost(case, best)[kind] for _ in range(REPEATS)))
            dearest.append(best)
        shown = ", ".join(f"{name}={_shown(value)}" for name, value in dearest[0].items() if value != "")
        return Ceiling(case.route, case.hashes, highest[0], highest[1], highest[2] / 1_000, len(costs), shown)


def _climb(case: Case, start: Choice, kind: int, measured: Callable[[Choice], Cost]) -> None:
    """Change one parameter after the other as long as that makes a request more expensive."""
    best, before = start, None
    while best != before:
        before = best
        for name, values in case.choices.items():
            for value in values:
                best = max(best, best | {name: value}, key=lambda choice: measured(choice)[kind])


def _shown(value: object) -> str:
    text = str(value[0] if isinstance(value, tuple) else value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _length_of_text(body: object) -> int:
    return sum(len(str(value).encode()) for value in body.values()) if isinstance(body, dict) else 0


def measure(url: str) -> list[Ceiling]:
    """Return the ceiling of each route, with the database at a URL."""
    os.environ |= variables(url) | {"POWERTOOLS_LOG_LEVEL": "CRITICAL"} | MAIL
    _send_no_mail()
    # An earlier measurement may have connected the functions to another database.
    database.managed_connection.cache_clear()
    bench = Bench(url)
    with closing(bench.database._connection):  # noqa: SLF001  # has no other way to close it outside `with`
        found = []
        for case in cases(bench.database):
            found.append(bench.ceiling(case))
            sys.stderr.write(f"{found[-1]}\n")
        return found


def _send_no_mail() -> None:
    """Measure requests without the mails that they send, and without the time that hides those."""
    import auth.handler  # noqa: PLC0415  # reads the environment
    from common import mail  # noqa: PLC0415

    mail.send = lambda mail: None  # noqa: ARG005  # the name is part of its type
    auth.handler.MIN_RESET_SECONDS = 0  # type: ignore[misc]


def prepare(cluster: Cluster, size: Size) -> str:
    """Fill a database, and add what makes requests expensive; return its URL."""
    # WAL without the images of whole pages, of which a checkpoint causes one for each page.
    for setting in ("full_page_writes = off", "autovacuum = off"):
        cluster.execute(f"ALTER SYSTEM SET {setting}")
    cluster.execute("SELECT pg_reload_conf()")
    cluster.create_database("ceilings")
    url = cluster.url("ceilings")
    fill(url, size)
    extend(url)
    return url


def extend(url: str) -> None:
    """Add what makes requests expensive to a filled database."""
    with Database(url) as database:
        for statement in PREPARE:
            database.run(statement)
        last = database.value("SELECT max(id) FROM posts")
        for after, character in LARGE.items():
            database.run(
                "UPDATE posts SET content = repeat(:character, 50000) WHERE id BETWEEN :low AND :high",
                character=character,
                low=last - after - 150,
                high=last - after,
            )


def table(ceilings: Sequence[Ceiling]) -> str:
    """Show the ceilings as a table in Markdown; what misses its target is bold."""
    lines = [
        f"| route | database ms, at most {DATABASE_MS} | CPU ms, at most {CPU_MS} | WAL KB, at most {WAL_KB}"
        " | requests | most expensive for the database |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for each in ceilings:
        cpu = f"{each.cpu_ms:.0f}, hashes" if each.hashes else _marked(each.cpu_ms, CPU_MS)
        figures = [_marked(each.database_ms, DATABASE_MS), cpu, _marked(each.wal_kb, WAL_KB)]
        lines.append(f"| {' | '.join([each.route, *figures, str(each.requests), each.choice])} |")
    return "\n".join(lines)


def _marked(value: float, at_most: float) -> str:
    return f"**{value:.1f}**" if value > at_most else f"{value:.1f}"


def cases(database: Database) -> Iterator[Case]:
    """Return the requests of every route."""
    last = database.value("SELECT max(id) FROM posts")
    nothing: dict[str, Sequence[Any]] = {}
    yield Case("GET /posts", _lists(database), _list)
    yield Case("GET /users/{user_id}/posts", _lists(database) | {"author": (AUTHOR, 2)}, _list)
    posts = {"id": (last, last - 300, last - 600, 5, 1_005, last - 15)}
    yield Case("GET /posts/{post_id}", posts, lambda c, _: {"user": AUTHOR, "item": c["id"]})
    texts: dict[str, Sequence[Any]] = {
        "title": (1, 128, 129, 300),
        "character": tuple(CHARACTERS),
        "content": (1, 2_000, 50_000),
    }
    yield Case("POST /posts", texts | {"key": (False, True)}, _create)
    yield Case("PUT /posts/{post_id}", texts | {"published": (False, True)}, _change)
    yield Case("DELETE /posts/{post_id}", {"hot": (False,)}, lambda _, n: _own(n))
    votes = {"dir": (0, 1), "post": ("hot", "other", "missing")}
    yield Case("POST /vote", votes, lambda c, n: _vote(c, n, last))
    yield Case("GET /users/{user_id}", {"id": (1, 2, 0)}, lambda c, _: {"item": c["id"]})
    yield Case("GET /users/me", nothing, lambda _c, _n: {"user": AUTHOR})
    changes = {"phone": ("1", "1" * 50, None)}
    yield Case("PATCH /users/me", changes, lambda c, _: _me({"phone_number": c["phone"]}))
    yield from _account_cases(database)
    for route in ("GET /", "GET /docs", "GET /openapi.json"):
        yield Case(route, nothing, lambda _c, _n: {})


def _account_cases(database: Database) -> Iterator[Case]:
    """Return the requests that use an account once: each gets one of its own."""
    nothing: dict[str, Sequence[Any]] = {}

    def account() -> int:
        number = database.value("SELECT nextval(pg_get_serial_sequence('users', 'id'))")
        user = database.add_user(f"ceiling{number}@example.com")
        database.run(
            "INSERT INTO sessions (user_id, user_agent)"
            " SELECT :id, repeat('a', 200) FROM generate_series(1, 99)",
            id=user,
        )
        return user

    def session() -> dict[str, Any]:
        user = account()
        return {"user": user, "item": principal_of(user).session_id}

    def tokens(_choice: Choice, number: int) -> dict[str, Any]:
        from common.opaque_tokens import digest  # noqa: PLC0415  # reads the environment

        session = principal_of(account()).session_id
        database.run(
            "INSERT INTO refresh_tokens (hash, session_id) SELECT :hash || n, CAST(:session AS uuid)"
            " FROM generate_series(1, 100) AS n",
            hash=f"old{number}-",
            session=session,
        )
        token = f"token{number}"
        database.run(
            "INSERT INTO refresh_tokens (hash, session_id) VALUES (:hash, CAST(:session AS uuid))",
            hash=digest(token),
            session=session,
        )
        return {"body": {"refresh_token": token}}

    def request_reset(choice: Choice, number: int) -> dict[str, Any]:
        database.run(FORGET_ATTEMPTS)
        return {"body": {"email": f"{choice['name']}{number}@example.com"}}

    def reset(choice: Choice, number: int) -> dict[str, Any]:
        from common.opaque_tokens import digest  # noqa: PLC0415  # reads the environment

        database.run(FORGET_ATTEMPTS)
        database.run(
            "INSERT INTO mail_tokens SELECT id, 'reset', slot, :hash || slot, email, lower_case_email,"
            " sha256(convert_to(password || ' ' || email, 'UTF8')), now() + interval '1 hour'"
            " FROM users, generate_series(2, 3) AS slot WHERE id = :id",
            id=account(),
            hash=f"other{number}-",
        )
        token = f"token{number}"
        database.run(
            "UPDATE mail_tokens SET hash = :hash WHERE hash = :other",
            hash=digest(token),
            other=f"other{number}-3",
        )
        presented = token if choice["usable"] else "x"
        return {"body": {"token": presented, "new_password": NEW_PASSWORD}}

    def confirm(choice: Choice, number: int) -> dict[str, Any]:
        from common.opaque_tokens import digest  # noqa: PLC0415  # reads the environment

        token = f"verify{number}"
        database.run(
            "INSERT INTO mail_tokens SELECT id, :purpose, 1, :hash, :prefix || email, :prefix || email,"
            " sha256(convert_to(password || ' ' || email, 'UTF8')), now() + interval '1 hour'"
            " FROM users WHERE id = :id",
            id=account(),
            purpose="revert" if choice["purpose"] == "revert" else "verification",
            prefix="" if choice["purpose"] == "verification" else "other.",
            hash=digest(token),
        )
        return {"body": {"token": token}}

    proof = {"current_password": PASSWORD}
    yield Case("POST /auth/refresh", nothing, tokens)
    yield Case("GET /users/me/sessions", nothing, lambda _c, _n: {"user": account()})
    yield Case("DELETE /users/me/sessions/{session_id}", nothing, lambda _c, _n: session())
    yield Case("POST /auth/logout", nothing, lambda _c, _n: {"user": account()})
    yield Case("POST /auth/logout-all", nothing, lambda _c, _n: {"user": account()})
    resets = {"name": ("user", "nobody")}
    yield Case("POST /auth/password-reset", resets, request_reset)
    usable = {"usable": (True, False)}
    yield Case("POST /auth/password-reset/confirm", usable, reset, hashes=True)
    yield Case("POST /auth/verification", nothing, lambda _c, _n: {"user": account()})
    purposes = {"purpose": ("verification", "change", "revert")}
    yield Case("POST /auth/verification/confirm", purposes, confirm)
    domains = {"domain": ("example.com", ".".join(["d" * 60] * 3) + ".example")}
    yield Case("POST /users", domains, _sign_up, hashes=True)
    logins = {"name": ("user", "nobody"), "password": ("wrong", "x" * 72)}
    yield Case("POST /login", logins, _log_in, hashes=True)
    yield Case(
        "PUT /users/me/password",
        nothing,
        lambda _c, _n: {"user": account(), "body": proof | {"new_password": NEW_PASSWORD}},
        hashes=True,
    )
    yield Case(
        "DELETE /users/me",
        nothing,
        lambda _c, _n: {"user": account(), "body": proof},
        hashes=True,
    )


def _lists(database: Database) -> dict[str, Sequence[Any]]:
    words = [word for [word] in database.run(COMMON_WORDS)]
    last = database.value("SELECT max(id) FROM posts")
    ids = [*(last * part // 100 for part in (1, 10, 50, 90, 99)), last - 300, last - 600]
    positions = database.run("SELECT id, created_at FROM posts WHERE id = ANY(:ids)", ids=ids)
    return {
        "sort": ("new", "old", "top"),
        "limit": (1, 10, 100),
        "skip": (0, 1_000, 5_000, 9_900, 10_000),
        "search": (
            "",
            *(words[place] for place in (0, 1, 5, 20, 60, 150, 399)),
            " ".join(words[:5]),
            " ".join(words * 3)[:300],
            "a",
            "e",
            "q",
            "%",
            "ab",
            "zz",
            "abc",
            "qqq",
            "日",
            "日本",
            words[0][:3] + " " + words[1][:3],
            words[0][-1] + " " + words[1][0],
            "a" * 300,
            "q" * 20,
        ),
        # A time and an id in the list, or the first page.
        "after": ("", *((post, moment.astimezone(UTC)) for post, moment in positions)),
        "published": ("true", "false"),
    }


def _list(choice: Choice, _number: int) -> dict[str, Any]:
    names = ("sort", "limit", "skip", "search")
    query = [(name, str(choice[name])) for name in names if choice[name] != ""]
    if "author" in choice:
        return {"user": AUTHOR, "item": choice["author"], "query": [*query, *_cursor(choice)]}
    return {
        "user": AUTHOR,
        "query": [*query, ("published", choice["published"]), *_cursor(choice)],
    }


def _cursor(choice: Choice) -> list[tuple[str, str]]:
    from posts.paging import Cursor, encode  # noqa: PLC0415  # its imports read the environment

    if not choice["after"]:
        return []
    post, moment = choice["after"]
    value = str(post % 4) if choice["sort"] == "top" else moment.isoformat()
    return [("cursor", encode(Cursor(value, post), choice["sort"]))]


def _text(length: int, character: str, number: int) -> str:
    """Return a text without repeated trigrams, so that each is another key of the search index."""
    first = CHARACTERS[character]
    if first == 1:
        return "".join(chr(97 + (index * index + number * index) % 26) for index in range(length))
    return "".join(chr(first + (index * 7 + number) % 1_500) for index in range(length))


def _post(choice: Choice, number: int) -> dict[str, Any]:
    return {
        "title": _text(choice["title"], choice["character"], number),
        "content": _text(choice["content"], choice["character"], number),
    }


def _create(choice: Choice, number: int) -> dict[str, Any]:
    headers = {"Idempotency-Key": f"key {number}"} if choice["key"] else {}
    return {"user": AUTHOR, "body": _post(choice, number), "headers": headers}


def _own(number: int) -> dict[str, Any]:
    """Return one of the author's posts that no other request changes."""
    return {"user": AUTHOR, "item": 400_001 + number * 40}


def _change(choice: Choice, number: int) -> dict[str, Any]:
    return _own(number) | {"body": _post(choice, number) | {"published": choice["published"]}}


def _vote(choice: Choice, number: int, last: int) -> dict[str, Any]:
    post = {"hot": last - 15, "other": 20_002 + number * 3, "missing": 0}[choice["post"]]
    return {"user": AUTHOR, "body": {"post_id": post, "dir": choice["dir"]}}


def _me(body: dict[str, Any]) -> dict[str, Any]:
    return {"user": AUTHOR, "body": body}


def _sign_up(choice: Choice, number: int) -> dict[str, Any]:
    return {"body": {"email": f"new{number}@{choice['domain']}", "password": NEW_PASSWORD}}


def _log_in(choice: Choice, number: int) -> dict[str, Any]:
    # Another account each time, because the attempts of one are limited.
    email = f"{choice['name']}{number}@example.com"
    return {"body": urlencode({"username": email, "password": choice["password"]})}


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.stdout.write(table(measure(sys.argv[1])) + "\n")
    else:
        with throwaway_cluster() as cluster:
            sys.stdout.write(table(measure(prepare(cluster, SIZE))) + "\n")
