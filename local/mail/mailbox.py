"""The mails of a local run, as files that every mail program opens."""

import time
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from threading import Lock

MAX_MAILS = 200


class Mailbox:
    """A directory with one `.eml` file for each of the newest mails."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._adding = Lock()

    def add(self, mail: EmailMessage) -> None:
        """Write a mail, and delete the oldest one if there are too many."""
        with self._adding:
            self._directory.mkdir(parents=True, exist_ok=True)
            file = self._directory / f"{time.time_ns()}.eml"
            # A reader never sees half a mail.
            unfinished = file.with_suffix(".tmp")
            unfinished.write_bytes(mail.as_bytes())
            unfinished.replace(file)
            for old in self._files()[MAX_MAILS:]:
                old.unlink()

    def mails(self) -> dict[str, EmailMessage]:
        """Return the mails by their names, the newest first."""
        return {file.stem: _parse(file.read_bytes()) for file in self._files()}

    def _files(self) -> list[Path]:
        return sorted(self._directory.glob("*.eml"), reverse=True)


def _parse(content: bytes) -> EmailMessage:
    return message_from_bytes(content, _class=EmailMessage, policy=policy.default)
