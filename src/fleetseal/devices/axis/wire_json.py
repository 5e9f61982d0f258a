"""JSON CGI: one envelope, errors in-band with HTTP 200 (device-api 2.1). No I/O."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from fleetseal.core.errors import ProtocolViolation
from fleetseal.devices.axis import wire
from fleetseal.devices.http import Answer, Ask, Request

T = TypeVar("T")

_ABSENT = frozenset({"2002", "2003", "2004", "4000", "4001", "405"})
"""Codes that say: not this method, not this version."""


@dataclass(frozen=True)
class Readiness:
    ready: bool
    needs_setup: bool
    boot_id: str | None
    passphrase_policy: str | None = None  # none | length | complex; None: it does not say


def unrestricted_properties() -> Ask[Mapping[str, str]]:
    """Without credentials (device-api 3.1)."""
    return _ask("basicdeviceinfo", "getAllUnrestrictedProperties", _properties, anonymous=True)


def system_ready() -> Ask[Readiness]:
    """Without credentials (device-api 4.1)."""
    return _ask("systemready", "systemready", _readiness, params={"timeout": 5}, anonymous=True)


def get_date_time() -> Ask[datetime]:
    return _ask("time", "getDateTimeInfo", lambda data: utc(data.get("dateTime")))


def set_date_time(now: datetime) -> Ask[None]:
    params = {"dateTime": f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    return _ask("time", "setDateTime", lambda data: None, params=params, write=True, act="set its clock")


def utc(value: object) -> datetime:
    """A time of the device with its zone, as aware UTC. Raises ProtocolViolation."""
    try:
        if not isinstance(value, str):
            raise ValueError("no text")
        time = datetime.fromisoformat(value)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ProtocolViolation("The device's time cannot be read.") from error


def _ask(
    name: str,
    method: str,
    decode: Callable[[dict[str, Any]], T],
    *,
    params: Mapping[str, object] | None = None,
    anonymous: bool = False,
    write: bool = False,
    act: str = "answer",
) -> Ask[T]:
    body = json.dumps({"apiVersion": "1.0", "method": method, "params": params or {}}).encode()
    request = Request(
        "POST", f"/axis-cgi/{name}.cgi", body, content_type="application/json", anonymous=anonymous, write=write
    )
    return Ask(request, lambda answer: decode(_data(answer, act)))


def _data(answer: Answer, act: str) -> dict[str, Any]:
    wire.refuse_status(answer, 200)
    if answer.body.lstrip()[:1] not in (b"{", b"["):  # a web page, or a stranger's text
        raise wire.not_supported("JSON")
    envelope = wire.json_object(answer.body)
    error = envelope.get("error")
    if error is not None:
        known = error if isinstance(error, dict) else {}
        code = str(known.get("code", ""))
        if code in _ABSENT:
            raise wire.not_supported("this method")
        raise wire.rejected(act, code=code, words=str(known.get("message", "")))
    data = envelope.get("data", {})
    if not isinstance(data, dict):
        raise ProtocolViolation("The device's answer has no data.")
    return data


def _properties(data: dict[str, Any]) -> Mapping[str, str]:
    listed = data.get("propertyList")
    if not isinstance(listed, dict):
        raise ProtocolViolation("The device's answer lists no properties.")
    return {str(name): value for name, value in listed.items() if isinstance(value, str)}


def _readiness(data: dict[str, Any]) -> Readiness:
    return Readiness(
        ready=data.get("systemready") == "yes",
        needs_setup=data.get("needsetup") == "yes",
        boot_id=_told(data, "bootid"),
        passphrase_policy=_told(data, "passphrasepolicy"),
    )


def _told(data: dict[str, Any], name: str) -> str | None:
    value = data.get(name)
    return value if isinstance(value, str) else None
