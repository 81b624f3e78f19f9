"""The account that runs PostgreSQL, which refuses to run as root."""

import os
from typing import NamedTuple

from local.postgres.errors import ClusterUnusableError

_CANDIDATES = ("postgres", "nobody")


class Account(NamedTuple):
    """The user and group ids for a subprocess; None stands for those of this process."""

    user: int | None = None
    group: int | None = None

    @property
    def extra_groups(self) -> list[int] | None:
        """The supplementary groups for a subprocess: those of this process, or none under another account."""
        return None if self.user is None else []


def server_account() -> Account:
    """Return the account of this process, or an unprivileged one if this process runs as root.

    Raises `ClusterUnusableError` when the machine has no such account.
    """
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return Account()
    import pwd  # noqa: PLC0415 - exists only on Unix

    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise ClusterUnusableError(
        f"PostgreSQL refuses to run as root and there is no account {' or '.join(_CANDIDATES)}: "
        "run as another user"
    )
