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


def verification(recipient: str, token: str) -> Mail:
    """Return the mail with a link to verify the address of an account."""
    return Mail(
        recipient,
        "Verify your e-mail address",
        f"""\
Somebody, probably you, has an account with this e-mail address. Verify it with this link, which is valid for
one day:

{_link("verify", token)}

If this is not your account, do not use the link.
""",
    )


def new_address(recipient: str, token: str) -> Mail:
    """Return the mail with a link to change the address of an account to the recipient's."""
    return Mail(
        recipient,
        "Confirm your new e-mail address",
        f"""\
Somebody, probably you, wants to use this e-mail address for an account. Confirm it with this link, which is
valid for one day:

{_link("verify", token)}

If this is not your account, do not use the link.
""",
    )


def address_changed(recipient: str, new_email: str, token: str | None) -> Mail:
    """Return the notice to the old address of an account; the token, if there is one, reverts the change."""
    revert = f"""\
If this was not you, use this link within one day. It restores this address and ends all sessions. The
password stops working, so that you have to set a new one:

{_link("revert", token or "")}
"""
    earlier = """\
The address that the account had a day ago can still be restored, with the link in the mail to that address.
"""
    return Mail(
        recipient,
        "The e-mail address of your account was changed",
        f"""\
The e-mail address of your account was changed to {new_email}.

{revert if token else earlier}""",
    )


def address_restored(recipient: str) -> Mail:
    """Return the notice of an address that was restored."""
    return Mail(
        recipient,
        "Your e-mail address was restored",
        f"""\
Your account has this e-mail address again. All sessions were ended, and the password does not work any more.

Set a new password with "Forgot password" at
{app_url()}
""",
    )
