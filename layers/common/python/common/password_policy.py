"""The policy for new passwords: `strict` rejects short and common ones, which the reference accepts.

Stored passwords stay valid.
"""

from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from common.passwords import MAX_PASSWORD_BYTES, normalize
from common.schemas import STORABLE
from common.settings import env_str

IS_STRICT: Final = env_str("PASSWORD_POLICY") != "reference"
MIN_LENGTH: Final = 8
# One password in normalized lower case on each line, after two lines that name the source.
COMMON_PASSWORDS: Final = Path(__file__).with_name("common_passwords.txt")


def check(password: str) -> str:
    """Return a new password; raises PydanticCustomError if the policy rejects it."""
    normalized = normalize(password)
    if IS_STRICT and len(normalized) < MIN_LENGTH:
        raise PydanticCustomError(
            "string_too_short", "String should have at least {minimum} characters", {"minimum": MIN_LENGTH}
        )
    if IS_STRICT and _is_common(normalized.lower()):
        raise PydanticCustomError(
            "password_too_common", "Password should not be one of the 10,000 most common"
        )
    return password


def _is_common(password: str) -> bool:
    # Searching the bytes takes 50 microseconds; parsing the file into a set takes milliseconds.
    return f"\n{password}\n".encode() in COMMON_PASSWORDS.read_bytes()


def _short_enough_for_bcrypt(value: str) -> str:
    if max(len(form.encode()) for form in (value, normalize(value))) > MAX_PASSWORD_BYTES:
        raise PydanticCustomError(
            "string_too_long",
            "String should have at most {maximum} bytes in UTF-8",
            {"maximum": MAX_PASSWORD_BYTES},
        )
    return value


NewPassword = Annotated[
    str,
    Field(min_length=1, max_length=MAX_PASSWORD_BYTES, json_schema_extra={"format": "password"}),
    STORABLE,
    AfterValidator(_short_enough_for_bcrypt),
    AfterValidator(check),
]
