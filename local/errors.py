"""The exception of the local run."""


class LocalRunError(Exception):
    """An error that the developer can fix; its message is the one line that the command prints."""
