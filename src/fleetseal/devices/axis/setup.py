"""The first administrator of a device in factory state (device-api 4.1, 4.2). Requests and rules; no I/O."""

import re
import string
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, urlencode

from fleetseal.core.model import Login
from fleetseal.core.text import clean
from fleetseal.devices.axis import wire
from fleetseal.devices.axis.catalogue import version
from fleetseal.devices.http import Answer, Ask, Request

_PATH: Final = "/axis-cgi/pwdgrp.cgi"
_WITHOUT_ROOT: Final = (11, 6)
"""From here on a fresh device has no user; before, `root` without a password (device-api 4.1)."""


def password_problem(password: str, policy: str | None) -> str | None:
    """Why a device with this `passphrasepolicy` would refuse the password, as a sentence; None when it would not.

    A policy of another name is left for the device to judge.
    """
    if not 1 <= len(password) <= 64 or not all(" " <= character <= "~" for character in password):
        return "Axis devices take passwords of 1 to 64 printable ASCII characters."
    if policy == "length" and len(password) < 15:
        return "This device wants a password of at least 15 characters."
    kinds = (string.ascii_uppercase, string.ascii_lowercase, string.digits, string.punctuation + " ")
    if policy == "complex" and (len(password) < 12 or not all(set(password) & set(kind) for kind in kinds)):
        return "This device wants a password of at least 12 characters: upper and lower case, a digit, and another."
    return None


def user_problem(username: str, firmware: str) -> str | None:
    """Why this cannot be the name of the first administrator, as a sentence; None when it can."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", username):  # inferred: what every form and header takes
        return (
            "The name of the first administrator must be 1 to 64 ASCII letters, digits, dots, hyphens and underscores."
        )
    if username != "root" and firmware and version(firmware) < _WITHOUT_ROOT:
        return f"With firmware {clean(firmware)} the first administrator is always root: give --username root."
    return None


def first_administrator(login: Login, firmware: str) -> Iterator[tuple[Ask[None], Ask[None]]]:
    """What to try, the first that is accepted: each as a form POST, and as the GET that a device wants which answers
    the POST by 401 (C1110-E 12.9). `root` may be there already, without a password."""
    names = {"user": login.username, "pwd": login.password}
    if login.username == "root" and not (firmware and version(firmware) >= _WITHOUT_ROOT):
        yield _asks({"action": "update", **names}, login.password)
    yield _asks({"action": "add", **names, "grp": "root", "sgrp": "admin:operator:viewer:ptz"}, login.password)


def _asks(fields: dict[str, str], password: str) -> tuple[Ask[None], Ask[None]]:
    encoded = urlencode(fields, quote_via=quote, safe=":")
    form = "application/x-www-form-urlencoded"
    post = Request("POST", _PATH, encoded.encode(), content_type=form, anonymous=True, write=True)
    get = Request("GET", f"{_PATH}?{encoded}", anonymous=True, write=True)

    def accepted(answer: Answer) -> None:
        wire.refuse_status(answer, 200)
        body = wire.text(answer.body).strip()
        if "error" in body.lower():  # in-band, HTTP 200; wording not recorded
            words = body.replace(password, "…")  # a device may say back what it was sent
            raise wire.rejected("take its first administrator", code="", words=words)

    return Ask(post, accepted), Ask(get, accepted)
