"""Settings that the handler, which signs tokens, and the rotation of the key ring share."""

from typing import Final

from common.settings import env_int

TOKEN_LIFETIME_SECONDS: Final = env_int("TOKEN_LIFETIME", minimum=60, maximum=24 * 60 * 60)
