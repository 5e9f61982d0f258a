"""Classic CGI: `key=value` text and HTML (device-api 2.2, 4, 13). No I/O."""

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote, urlencode

from fleetseal.core.errors import NotSupported
from fleetseal.devices.axis import wire
from fleetseal.devices.http import Answer, Ask, Request

PARAMETERS = "/axis-cgi/param.cgi"


def list_parameters(*groups: str, anonymous: bool = False) -> Ask[Mapping[str, str]]:
    """Parameters by name without `root.`; what the device does not have is absent (device-api 2.2)."""
    target = f"{PARAMETERS}?action=list&group={quote(','.join(groups), safe=',.*')}"
    return Ask(Request("GET", target, anonymous=anonymous), _parameters)


def user_groups() -> Ask[tuple[str, frozenset[str]]]:
    """The caller's name and groups, e.g. admin (recording usergroup.txt)."""
    return Ask(Request("GET", "/axis-cgi/usergroup.cgi"), _user_groups)


def accounts() -> Ask[None]:
    """Readable by administrators only: the check for firmware without usergroup.cgi (inferred)."""
    return Ask(Request("GET", "/axis-cgi/pwdgrp.cgi?action=get"), lambda answer: wire.refuse_status(answer, 200))


def challenge() -> Ask[Answer]:
    """No content wanted: the 401 names realm and schemes."""
    return Ask(Request("GET", "/axis-cgi/usergroup.cgi", anonymous=True), lambda answer: answer)


def front_page() -> Ask[str]:
    """What a browser would see, for devices that are no VAPIX devices."""
    return Ask(Request("GET", "/", anonymous=True), lambda answer: wire.text(answer.body))


def set_date(local: datetime) -> Ask[None]:
    """Local time of the device (device-api 13)."""
    fields = {
        "action": "set",
        "year": local.year,
        "month": local.month,
        "day": local.day,
        "hour": local.hour,
        "minute": local.minute,
        "second": local.second,
    }
    request = Request("GET", f"/axis-cgi/date.cgi?{urlencode(fields)}", write=True)
    return Ask(request, lambda answer: _ok(answer, "set its clock"))


def _parameters(answer: Answer) -> Mapping[str, str]:
    wire.refuse_status(answer, 200)
    body = wire.text(answer.body)
    if "<html" in body[:200].lower():
        raise NotSupported("The device answers with a web page where parameters are expected.")
    found: dict[str, str] = {}
    for line in body.splitlines():
        name, separator, value = line.partition("=")
        if separator and not line.startswith("#"):
            found[name.strip().removeprefix("root.")] = value.strip()
    return found


def _user_groups(answer: Answer) -> tuple[str, frozenset[str]]:
    wire.refuse_status(answer, 200)
    name, _, groups = wire.text(answer.body).strip().partition("\n")
    return name.strip(), frozenset(groups.split())


def _ok(answer: Answer, act: str) -> None:
    wire.refuse_status(answer, 200, 204)
    body = wire.text(answer.body).strip()
    if "error" in body.lower():  # in-band, HTTP 200 (device-api 2.2, 4.2)
        raise wire.rejected(act, code="", words=body.lstrip("# "))
