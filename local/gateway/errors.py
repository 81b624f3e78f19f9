"""The errors that prevent the gateway from starting. Each message is one line."""


class TemplateError(Exception):
    """The SAM template cannot be read, is not valid or declares no REST API."""


class ListenError(Exception):
    """The gateway cannot listen on the address."""
