"""Classic CGI: `key=value` text and HTML (device-api 2.2, 4, 13). No I/O."""

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote, urlencode

from fleetseal.core.errors import NotSupported, ProtocolViolation
from fleetseal.core.model import ConnectionPolicy, HttpsState
from fleetseal.devices.axis import wire
from fleetseal.devices.http import Answer, Ask, Request

PARAMETERS = "/axis-cgi/param.cgi"
POLICIES = "System.BoaGroupPolicy"
_LIMITED = "Axis-Orig-Sw=true"
"""Some calls of AXIS Companion need it (device-api 16); which, is not known."""


def list_parameters(*groups: str, anonymous: bool = False) -> Ask[Mapping[str, str]]:
    """Parameters by name without `root.`; what the device does not have is absent (device-api 2.2)."""
    target = f"{PARAMETERS}?action=list&group={quote(','.join(groups), safe=',.*')}"
    return Ask(Request("GET", target, anonymous=anonymous), _parameters)


def user_groups(*, limited: bool = False) -> Ask[tuple[str, frozenset[str]]]:
    """The caller's name and groups, e.g. admin (recording usergroup.txt). `limited`: as AXIS Companion may want it."""
    return Ask(Request("GET", "/axis-cgi/usergroup.cgi" + (f"?{_LIMITED}" if limited else "")), _user_groups)


def get_https() -> Ask[HttpsState]:
    """The web server by its parameters (device-api 6.5). They do not tell which certificate it serves."""
    ask = list_parameters("HTTPS.Enabled", "HTTPS.Ciphers", POLICIES)
    return Ask(ask.request, lambda answer: _https(ask.decode(answer)))


def set_https(state: HttpsState) -> Ask[None]:
    """TLS and the policy of every group, by parameters; by GET, which works everywhere (device-api 2.2)."""
    policies = {"Admin": state.policy, **dict(state.other_policies)}
    fields = {
        "action": "update",
        "HTTPS.Enabled": "yes" if state.tls else "no",
        **{f"{POLICIES}.{group.lower()}": policy.value for group, policy in policies.items()},
    }
    request = Request("GET", f"{PARAMETERS}?{urlencode(fields)}&{_LIMITED}", write=True)
    return Ask(request, lambda answer: _ok(answer, "change its connection policy"))


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


def _https(found: Mapping[str, str]) -> HttpsState:
    """Policies are spelled as ours: http, both, https (device-api 6.1)."""
    try:
        admin, *others = (
            (group, ConnectionPolicy(found[f"{POLICIES}.{group.lower()}"]))
            for group in ("Admin", "Operator", "Viewer")
            if group == "Admin" or f"{POLICIES}.{group.lower()}" in found
        )
        tls = {"yes": True, "no": False}[found["HTTPS.Enabled"]]
    except (KeyError, ValueError) as error:
        raise ProtocolViolation("The device's parameters do not tell its connection policy.") from error
    ciphers = tuple(name for name in found.get("HTTPS.Ciphers", "").split(":") if name)
    return HttpsState(tls, admin[1], None, ciphers, tuple(others))


def _user_groups(answer: Answer) -> tuple[str, frozenset[str]]:
    wire.refuse_status(answer, 200)
    name, _, groups = wire.text(answer.body).strip().partition("\n")
    return name.strip(), frozenset(groups.split())


def _ok(answer: Answer, act: str) -> None:
    wire.refuse_status(answer, 200, 204)
    body = wire.text(answer.body).strip()
    if "error" in body.lower():  # in-band, HTTP 200 (device-api 2.2, 4.2)
        raise wire.rejected(act, code="", words=body.lstrip("# "))
