"""The exceptions of this package.

ClusterError
 ├── ClusterInUseError
 ├── ClusterNotRunningError
 ├── ClusterStartError
 └── ClusterUnusableError

Each message is one line. The caller adds the advice that depends on it: which command, which setting.
"""


class ClusterError(Exception):
    """A cluster cannot be made, started or used."""


class ClusterInUseError(ClusterError):
    """Another process uses the cluster's directory."""


class ClusterNotRunningError(ClusterError):
    """No server runs on the cluster."""


class ClusterStartError(ClusterError):
    """The server cannot start on the data in the directory."""


class ClusterUnusableError(ClusterError):
    """The machine or the account cannot run PostgreSQL in the directory."""
