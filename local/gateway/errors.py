"""What keeps the gateway from starting; each message is one line."""


class TemplateError(Exception):
    """The SAM template cannot be read, is not valid or declares no REST API."""


class ListenError(Exception):
    """The address cannot be listened on."""
