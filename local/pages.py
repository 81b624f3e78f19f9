"""The pages that the local run serves beside the API: the mailbox, and the page to which mails link."""

from local.mail import Mailbox, mail_page
from local.project import EXAMPLE_PAGE

MAIL_PATH = "/_mail"
APP_PATH = "/_app"


class Pages:
    """Returns the page at a path, or None if there is none."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    def __call__(self, path: str) -> str | None:
        """Return the HTML of the page."""
        if path == APP_PATH:
            return EXAMPLE_PAGE.read_text("utf-8")
        if path.startswith(MAIL_PATH):
            return mail_page(self._mailbox, MAIL_PATH, path)
        return None
