"""A stand-in for Amazon SES, which keeps mails in a directory. Independent of who sends them."""

from local.mail.mailbox import Mailbox
from local.mail.page import mail_page
from local.mail.ses import ses

__all__ = ["Mailbox", "mail_page", "ses"]
