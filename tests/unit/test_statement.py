"""common.statement: what a statement compiles to, and which statements are refused."""

from typing import NamedTuple
from uuid import UUID

import pytest
from sqlalchemy import Select, delete, insert, literal_column, select, update
from sqlalchemy.sql.selectable import ReturnsRows

from common.models import Session, User
from common.statement import statement


class IdRow(NamedTuple):
    """A row with an id."""

    id: int


class NamesRow(NamedTuple):
    """A row with another field name."""

    number: int


class TextRow(NamedTuple):
    """A row with another type."""

    id: str


def test_a_statement_becomes_sql_on_one_line_with_numbered_parameters() -> None:
    @statement(IdRow)
    def find(*, email: str | None, number: int, token: UUID) -> Select[int]:
        return select(User.id).where(User.email == email, User.id == number, Session.id == token)

    assert find.parameters == ("email", "number", "token")
    assert find.sql == (
        "SELECT users.id FROM users, sessions WHERE users.email = $1::VARCHAR AND users.id = $2::INTEGER"
        " AND sessions.id = $3::UUID"
    )
    assert not find.writes


def test_a_parameter_that_is_used_twice_is_sent_once() -> None:
    @statement(IdRow)
    def find(*, number: int) -> Select[int]:
        return select(User.id).where((User.id == number) | (User.id == number + literal_column("1")))

    assert find.parameters == ("number",)


@pytest.mark.parametrize(
    ("built", "writes"),
    [
        (insert(User).values(email=literal_column("'e'")).returning(User.id), True),
        (update(User).values(email=literal_column("'e'")).returning(User.id), True),
        (delete(User).returning(User.id), True),
        (select(delete(User).returning(User.id).cte("deleted").c.id), True),
        (select(User.id), False),
        (select(select(User.id).cte("found").c.id), False),
    ],
)
def test_a_statement_with_any_insert_update_or_delete_writes(built: ReturnsRows, *, writes: bool) -> None:
    assert statement(IdRow)(lambda: built).writes is writes


@pytest.mark.parametrize("row", [NamesRow, TextRow])
def test_columns_that_differ_from_the_row_type_are_refused(row: type[NamedTuple]) -> None:
    def find() -> Select[int]:
        return select(User.id)

    with pytest.raises(TypeError, match=rf"find selects \[\('id', .*int.*\], but {row.__name__} has \["):
        statement(row)(find)


def test_a_constant_that_would_be_sent_is_refused() -> None:
    def find(*, email: str) -> Select[int]:
        return select(User.id).where(User.email == email, User.id == 7)

    with pytest.raises(TypeError, match=r"find sends constants as parameters: \('email', 'id_1'\)$"):
        statement(IdRow)(find)


def test_a_parameter_of_an_unsupported_type_is_refused() -> None:
    def find(*, number: float) -> Select[int]:
        return select(User.id).where(User.id == number)

    with pytest.raises(TypeError, match=r"find has parameters of types that SQL_TYPES lacks: .*float"):
        statement(IdRow)(find)


class PageParameters(NamedTuple):
    """Parameters of more than one statement."""

    limit: int
    email: str


def test_the_fields_of_a_parameter_object_are_parameters() -> None:
    @statement(IdRow)
    def find(page: PageParameters) -> Select[int]:
        return select(User.id).where(User.id == page.limit)

    assert find.sql == "SELECT users.id FROM users WHERE users.id = $1::INTEGER"
    assert find.parameters == ("limit",)


def test_an_unused_parameter_is_refused() -> None:
    def find(*, number: int, email: str) -> Select[int]:  # noqa: ARG001  # the error under test
        return select(User.id).where(User.id == number)

    with pytest.raises(TypeError, match=r"find does not use its parameters: \['email'\]$"):
        statement(IdRow)(find)


def test_a_call_with_unknown_or_missing_keywords_is_refused() -> None:
    @statement(IdRow)
    def find(*, number: int) -> Select[int]:
        return select(User.id).where(User.id == number)

    with pytest.raises(TypeError, match=r"unknown \['limit', 'skip'\], missing \[\]$"):
        find(number=1, skip=0, limit=1)  # type: ignore[call-arg]  # mypy finds it, too
    with pytest.raises(TypeError, match=r"unknown \[\], missing \['number'\]$"):
        find()  # type: ignore[call-arg]  # mypy finds it, too
