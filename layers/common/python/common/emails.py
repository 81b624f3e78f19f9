"""The stored form of e-mail addresses.

One address can be written in several ways: with composed or decomposed accents, with a Unicode or an ASCII
(`xn--`) domain, with blanks around it. We store one of these forms. It keeps the letter case, but addresses
that differ only in letter case are the same (`lower_case`).
"""

from contextlib import suppress


def lower_case(email: str) -> str:
    """Return the form in which addresses are compared. It does not depend on the database's locale."""
    return email.lower()


def normalize(text: str) -> str:
    """Return the stored form of an address; raises ValueError if `text` is not an address."""
    # Imported here because few requests need it and the import is slow.
    from email_validator import validate_email  # noqa: PLC0415

    return validate_email(text.strip(), check_deliverability=False).normalized


def normalize_if_valid(text: str) -> str:
    """Return the stored form of an address, or `text` without blanks around it if it is not an address.

    An ASCII address without a `xn--` domain has only one form, so it is returned without the slow import.
    """
    if not text.isascii() or "xn--" in text.lower():
        with suppress(ValueError):
            return normalize(text)
    return text.strip()
