"""E-mail addresses, which can be written in several ways: letters with accents, names of domains."""

from contextlib import suppress


def normalize(text: str) -> str:
    """Return the one spelling that an address is stored with; ValueError when it is none."""
    # Imported here because few requests need it; reading a user should start without it.
    from email_validator import validate_email  # noqa: PLC0415

    return validate_email(text, check_deliverability=False).normalized


def normalize_if_valid(text: str) -> str:
    """Return the spelling that an address would be stored with; what is none stays as it is.

    Letter case apart, which the database takes care of, only what is not ASCII has several.
    """
    if not text.isascii() or "xn--" in text.lower():
        with suppress(ValueError):
            return normalize(text)
    return text
