"""The most expensive requests that one ordinary account, or nobody, may send: a case for each route.

`scripts/lint_attacks.py` compares the cases with the routes of template.yaml.
"""

from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlencode

from posts.schemas import MAX_CONTENT_LENGTH, MAX_TITLE_LENGTH
from tests.support.database import PASSWORD

# Far fewer than by default, so that an attack reaches them within a moment.
QUOTA = 20
# Of one client address on one account (`common.queries`): 20, and one after each of the pauses of a minute.
FAILURES = 20 + 6
# Characters of three bytes, each pair of which has trigrams of its own in the search index.
TITLE = "".join(chr(0x4E00 + 7 * number) for number in range(MAX_TITLE_LENGTH - 1))
# Requests of one client address to recover an account, within an hour (`auth.recovery`).
RECOVERIES = 30
# Mails to verify an address, of one account in a day.
VERIFICATIONS = 5
CONTENT = "界" * MAX_CONTENT_LENGTH
# Words that many titles contain, but none contains together.
SEARCH = "one two three four five six seven eight"

Changes = dict[str, Any]


class World(NamedTuple):
    """The data that the attacker and the clients use.

    Attributes:
        attacker: The id of the account that attacks.
        own_posts: The ids of posts of the attacker, each of which has votes.
        own_sessions: The ids of sessions of the attacker.
        accounts: The ids of other accounts of the attacker, which have votes too.
        refresh_token: A refresh token of the attacker.
        clients: The ids of the clients, who have the e-mails `client<number>@example.com`.
        busy_post: The id of a post on which everybody votes.
        posts: The ids of a post of each client.

    """

    attacker: int
    own_posts: list[int]
    own_sessions: list[str]
    accounts: list[int]
    refresh_token: str
    clients: list[int]
    busy_post: int
    posts: list[int]


class Attack(NamedTuple):
    """Requests to one route.

    Attributes:
        event: The name of a recorded event.
        changes: Return what the request with a number changes in the event.
        admitted: How many requests the limits admit before they respond with 429; None if nothing limits
            them, because each costs little.

    """

    event: str
    changes: Callable[[World, int], Changes]
    admitted: int | None = None


def _lists(world: World, number: int) -> Changes:
    kind = number % 3
    deep = [("skip", "10000"), ("sort", "top")]
    search = [("search", SEARCH), ("sort", "old")]
    return {"user": world.attacker, "query": [("limit", "100"), *([], deep, search)[kind]]}


def _wrong_password(world: World, number: int) -> Changes:
    wrong = {"current_password": "wrong", "new_password": PASSWORD, "email": f"{number}@example.com"}
    return {"user": world.attacker, "body": wrong}


ATTACKS = [
    Attack(
        "login",
        lambda _, number: {"body": urlencode({"username": "client0@example.com", "password": str(number)})},
        FAILURES,
    ),
    Attack("refresh", lambda world, _: {"body": {"refresh_token": world.refresh_token}}, QUOTA),
    Attack("log_out", lambda world, number: {"user": world.accounts[number % len(world.accounts)]}),
    Attack(
        "log_out_everywhere", lambda world, number: {"user": world.accounts[number % len(world.accounts)]}
    ),
    Attack("list_sessions", lambda world, _: {"user": world.attacker}),
    Attack(
        "end_session",
        lambda world, number: {
            "user": world.attacker,
            "item": world.own_sessions[number % len(world.own_sessions)],
        },
    ),
    Attack("sign_up", lambda _, number: {"body": {"email": f"{number}@example.org", "password": PASSWORD}}),
    Attack(
        "request_password_reset",
        lambda _, number: {"body": {"email": f"client{number % 10}@example.com"}},
        RECOVERIES,
    ),
    Attack(
        "confirm_password_reset",
        lambda _, number: {"body": {"token": str(number), "new_password": PASSWORD}},
        RECOVERIES,
    ),
    Attack("request_verification", lambda world, _: {"user": world.attacker}, VERIFICATIONS),
    Attack("confirm_verification", lambda _, number: {"body": {"token": str(number)}}),
    Attack("read_user", lambda world, number: {"item": world.clients[number % len(world.clients)]}),
    Attack("read_account", lambda world, _: {"user": world.attacker}),
    Attack(
        "update_account",
        lambda world, number: {"user": world.attacker, "body": {"phone_number": str(number)}},
        QUOTA,
    ),
    Attack(
        "delete_account",
        lambda world, number: {
            "user": world.accounts[number % len(world.accounts)],
            "body": {"current_password": PASSWORD},
        },
    ),
    Attack("update_password", _wrong_password, FAILURES),
    Attack("list_posts", _lists),
    Attack("list_user_posts", lambda world, number: {**_lists(world, number), "item": world.attacker}),
    Attack(
        "create_post",
        lambda world, number: {
            "user": world.attacker,
            "body": {"title": f"{TITLE}{number % 10}", "content": CONTENT},
        },
        QUOTA,
    ),
    Attack("read_post", lambda world, _: {"user": world.attacker, "item": world.own_posts[0]}),
    Attack(
        "change_post",
        lambda world, number: {
            "user": world.attacker,
            "item": world.own_posts[0],
            # A request that changes nothing would not count.
            "body": {"title": f"{number % 10}{TITLE}", "content": f"{CONTENT[20:]}{number:020}"},
        },
        QUOTA,
    ),
    Attack(
        "delete_post",
        lambda world, number: {
            "user": world.attacker,
            "item": world.own_posts[number % len(world.own_posts)],
        },
    ),
    Attack(
        "vote",
        lambda world, number: {
            "user": world.attacker,
            "body": {"post_id": world.busy_post, "dir": number % 2},
        },
        QUOTA,
    ),
    Attack("welcome", lambda _world, _number: {}),
    Attack("openapi", lambda _world, _number: {}),
    Attack("docs", lambda _world, _number: {}),
]
BY_EVENT = {attack.event: attack for attack in ATTACKS}
