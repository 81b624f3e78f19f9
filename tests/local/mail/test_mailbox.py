"""The stand-in for SES: what it keeps, prints and shows."""

from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.mail import Mailbox, mail_page, ses
from local.mail.mailbox import MAX_MAILS

PATH = "/v2/email/outbound-emails"


class Stand:
    """A running stand-in: its mailbox, and the lines that it printed."""

    def __init__(self, mailbox: Mailbox, lines: list[str], url: str) -> None:
        self.mailbox = mailbox
        self.lines = lines
        self.url = url

    def post(self, body: Any, path: str = PATH) -> httpx.Response:  # noqa: ANN401  # any JSON
        return httpx.post(f"{self.url}{path}", json=body)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return the path of a directory that does not exist yet, like its parent."""
    return tmp_path / ".local" / "mail"


@pytest.fixture
def stand(directory: Path) -> Iterator[Stand]:
    mailbox = Mailbox(directory)
    lines: list[str] = []
    with ses(mailbox, lines.append) as url:
        yield Stand(mailbox, lines, url)


def request(subject: str = "Hello", text: str = "Open https://app.example.com/#t=1 now.\n") -> dict[str, Any]:
    return {
        "FromEmailAddress": "app@example.com",
        "Destination": {"ToAddresses": ["ann@example.org"]},
        "Content": {
            "Simple": {
                "Subject": {"Data": subject, "Charset": "UTF-8"},
                "Body": {"Text": {"Data": text, "Charset": "UTF-8"}},
            }
        },
    }


def mail(subject: str, text: str = "") -> EmailMessage:
    made = EmailMessage()
    made["To"], made["Subject"], made["Date"] = "ann@example.org", subject, "today"
    made.set_content(text)
    return made


def test_a_mail_is_kept_as_a_file_and_announced_in_a_line(stand: Stand, directory: Path) -> None:
    link = f"https://app.example.com/?api=x#reset=T{'x' * 90}"
    text = f"密码: <{link}> and https://b.example\n"
    response = stand.post(request("Réset", text))
    assert response.status_code == 200
    assert response.json()["MessageId"]
    [(name, kept)] = stand.mailbox.mails().items()
    assert (kept["From"], kept["To"], kept["Subject"]) == ("app@example.com", "ann@example.org", "Réset")
    assert kept.get_content() == text
    assert [file.name for file in directory.iterdir()] == [f"{name}.eml"]
    assert link in (directory / f"{name}.eml").read_text()
    assert stand.lines == [f"mail to ann@example.org: Réset {link}"]


def test_a_mail_without_a_link_is_announced_too(stand: Stand) -> None:
    stand.post(request(text="Your password was changed."))
    assert stand.lines == ["mail to ann@example.org: Hello"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        None,
        request() | {"Content": {"Raw": {"Data": ""}}},
        request("two\nlines"),
        request() | {"Destination": {"ToAddresses": ["a@example.org\r\nBcc: eve@example.org"]}},
    ],
)
def test_anything_else_is_refused_as_by_ses(stand: Stand, body: object) -> None:
    response = stand.post(body)
    assert response.status_code == 400
    assert response.headers["x-amzn-ErrorType"] == "BadRequestException"
    assert (stand.mailbox.mails(), stand.lines) == ({}, [])


def test_other_operations_and_large_mails_are_refused(stand: Stand) -> None:
    assert stand.post(request(), "/v2/email/identities").status_code == 404
    assert stand.post(request(text="x" * 2**20)).status_code == 404
    assert stand.mailbox.mails() == {}


def test_only_the_newest_mails_are_kept_and_the_newest_is_first(directory: Path) -> None:
    mailbox = Mailbox(directory)
    for number in range(MAX_MAILS + 2):
        mailbox.add(mail(str(number)))
    subjects = [kept["Subject"] for kept in mailbox.mails().values()]
    assert subjects == [str(number) for number in range(MAX_MAILS + 1, 1, -1)]


def test_an_empty_mailbox_has_a_page(directory: Path) -> None:
    assert "No mail has been sent." in str(mail_page(Mailbox(directory), "/_mail", "/_mail"))


def test_the_list_leads_to_each_mail_and_nothing_in_it_is_markup(directory: Path) -> None:
    mailbox = Mailbox(directory)
    mailbox.add(mail("<b>Bold</b>", '<script>alert("1")</script> https://app.example.com/?a=1&b=2#t=x_-'))
    [name] = mailbox.mails()
    listed = str(mail_page(mailbox, "/_mail", "/_mail/"))
    assert f'<a href="/_mail/{name}">&lt;b&gt;Bold&lt;/b&gt;</a>' in listed
    shown = str(mail_page(mailbox, "/_mail", f"/_mail/{name}"))
    assert "<title>&lt;b&gt;Bold&lt;/b&gt;</title>" in shown
    assert "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; " in shown
    link = "https://app.example.com/?a=1&amp;b=2#t=x_-"
    assert f'<a href="{link}">{link}</a>' in shown
    assert "<script" not in listed + shown


@pytest.mark.parametrize("path", ["/_mail/x", "/_mail/../jwt_keys", "/_mailbox", "/_mail/1/2"])
def test_other_paths_have_no_page(directory: Path, path: str) -> None:
    mailbox = Mailbox(directory)
    mailbox.add(mail("Hello"))
    assert mail_page(mailbox, "/_mail", path) is None
