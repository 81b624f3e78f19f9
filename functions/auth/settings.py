"""How long access tokens live: those who sign them and those who renew the keys have to agree."""

from typing import Final

from common.settings import env_int

TOKEN_LIFETIME_SECONDS: Final = env_int("TOKEN_LIFETIME", minimum=60, maximum=24 * 60 * 60)
