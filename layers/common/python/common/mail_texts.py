"""The mails that users receive. Edit the texts here: they are plain text.

A link leads to the web application at APP_URL. Its token is in the fragment, which browsers do not send to a
server. The application sends the token to the API:

    #reset=TOKEN    POST /auth/password-reset/confirm, with a new password
    #verify=TOKEN   POST /auth/verification/confirm
    #revert=TOKEN   POST /auth/verification/confirm
"""

from common.mail import Mail, app_url


def _link(purpose: str, token: str) -> str:
    return f"{app_url()}#{purpose}={token}"


def password_reset(recipient: str, token: str) -> Mail:
    """Return the mail with a link to set a new password."""
    return Mail(
        recipient,
        "Set a new password",
        f"""\
Somebody, probably you, asked for a new password for the account with this e-mail address.
This link is valid for one hour and works once:

{_link("reset", token)}

If you did not ask for it, ignore this mail. Your password stays as it is.
""",
    )


def password_changed(recipient: str) -> Mail:
    """Return the notice of a new password."""
    return Mail(
        recipient,
        "Your password was changed",
        f"""\
The password of your account was changed, and other sessions were ended.

If this was not you, set a new password at once with "Forgot password" at
{app_url()}
""",
    )
