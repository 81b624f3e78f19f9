"""How long access tokens live: those who sign them and those who renew the keys have to agree."""

from typing import Final

from common.settings import whole_number

LIFETIME_SECONDS: Final = whole_number("TOKEN_LIFETIME", least=60, most=24 * 60 * 60)
