"""The mailbox as web pages: a list of the mails, and each mail with links that a reader can follow."""

from email.message import EmailMessage
from html import escape

from local.mail.links import LINK
from local.mail.mailbox import Mailbox

# The pages run no script and load nothing.
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
  body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
  pre {{ white-space: pre-wrap; overflow-wrap: anywhere; }}
  td {{ padding: .2rem 1rem .2rem 0; vertical-align: top; }}
</style>
<h1>{title}</h1>
{content}
</html>
"""


def mail_page(mailbox: Mailbox, root: str, path: str) -> str | None:
    """Return the page at a path, or None if there is none.

    The list is at `root`, for example `/_mail`, and each mail below it.
    """
    mails = mailbox.mails()
    if path.rstrip("/") == root:
        return _list(mails, root)
    mail = mails.get(path.removeprefix(f"{root}/"))
    return None if mail is None else _mail(mail, root)


def _list(mails: dict[str, EmailMessage], root: str) -> str:
    rows = "\n".join(
        f"<tr><td>{escape(mail['Date'])}<td>{escape(mail['To'])}"
        f'<td><a href="{root}/{name}">{escape(mail["Subject"])}</a>'
        for name, mail in mails.items()
    )
    content = f"<table>\n{rows}\n</table>" if rows else "<p>No mail has been sent."
    return _PAGE.format(title="Mailbox", content=content)


def _mail(mail: EmailMessage, root: str) -> str:
    head = f"<p>To {escape(mail['To'])}, {escape(mail['Date'])}"
    content = f'{head}\n<pre>{_with_links(mail.get_content())}</pre>\n<p><a href="{root}">All mails</a>'
    return _PAGE.format(title=escape(mail["Subject"]), content=content)


def _with_links(text: str) -> str:
    parts = []
    end = 0
    for link in LINK.finditer(text):
        target = escape(link[0])
        parts += [escape(text[end : link.start()]), f'<a href="{target}">{target}</a>']
        end = link.end()
    return "".join([*parts, escape(text[end:])])
