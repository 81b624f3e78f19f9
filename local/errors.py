"""What the local run tells a developer when it cannot go on."""


class LocalRunError(Exception):
    """A cause that the developer can mend; its message is the one line that the command prints."""
