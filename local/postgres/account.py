"""The account that PostgreSQL runs under: it refuses to run as root."""

import os
from typing import NamedTuple

from local.postgres.errors import ClusterUnusableError

_CANDIDATES = ("postgres", "nobody")


class Account(NamedTuple):
    """Whom a process runs as, in the terms of `subprocess`; None leaves it with our own account."""

    user: int | None = None
    group: int | None = None

    @property
    def extra_groups(self) -> list[int] | None:
        """No supplementary group of ours may follow into another account."""
        return None if self.user is None else []


def server_account() -> Account:
    """Return our own account, or an unprivileged one when we are root.

    Raises `ClusterUnusableError` when we are root and the machine has no account to fall back to.
    """
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return Account()
    import pwd  # noqa: PLC0415 - a Unix module, and only Unix has a root

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
