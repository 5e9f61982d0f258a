"""REST: the device configuration framework and its `cert` API, v1 and v1beta (device-api 2.3, 9). No I/O."""

import ipaddress
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote

from fleetseal.core.errors import NotFound, ProtocolViolation
from fleetseal.core.model import Alias, KeySpec, Keystore, KeyType
from fleetseal.core.text import clean
from fleetseal.devices.axis import wire
from fleetseal.devices.axis.wire_json import utc
from fleetseal.devices.http import KEY_GENERATION_SECONDS, NORMAL_SECONDS, Answer, Ask, Request

T = TypeVar("T")

_KEY_TYPES = {KeyType.EC_P256: "EC-P256", KeyType.RSA_2048: "RSA-2048", KeyType.RSA_3072: "RSA-3072"}
_JSON = "application/json"


@dataclass(frozen=True)
class Entry:
    alias: Alias
    der: bytes
    keystore: str | None


def discover() -> Ask[dict[str, str]]:
    """Address of each REST API by id, from the highest version listed. NotSupported without the framework."""
    return Ask(Request("GET", "/config/discover"), _apis)


def certificates(base: str) -> Ask[tuple[Entry, ...]]:
    return _read(f"{base}/certificates", _entries)


def authorities(base: str) -> Ask[tuple[Entry, ...]]:
    return _read(f"{base}/ca_certificates", _entries)


def keystores(base: str) -> Ask[tuple[Keystore, ...]]:
    return _read(f"{base}/keystores", _keystores)


def default_keystore(base: str) -> Ask[str | None]:
    return _read(f"{base}/settings", _default_keystore)


def create_certificate(base: str, alias: Alias, spec: KeySpec) -> Ask[None]:
    """A key and a self-signed certificate, valid a year by the device's clock (device-api 9.3)."""
    data: dict[str, object] = {
        "alias": alias,
        "subject": f"CN={_escaped(spec.common_name)}",
        "key_type": _KEY_TYPES[spec.key_type],
    }
    if spec.names:
        data["subject_alt_names"] = [_alternative_name(name) for name in spec.names]
    if spec.keystore is not None:
        data["keystore"] = spec.keystore
    return _write("POST", f"{base}/create_certificate", data, act="make a key", deadline=KEY_GENERATION_SECONDS)


def get_csr(base: str, alias: Alias) -> Ask[bytes]:
    """The CSR, DER; its content is copied from the certificate. Changes nothing, so it may be asked again."""
    request = Request("POST", f"{_item(base, 'certificates', alias)}/get_csr", _body({}), content_type=_JSON)
    return Ask(request, lambda answer: _csr(_data(answer, "give a certificate request")))


def set_certificate(base: str, alias: Alias, leaf: bytes) -> Ask[None]:
    """The leaf alone: whether a chain is taken here is not documented (device-api 9.3)."""
    data = {"certificate": wire.to_pem(leaf, "CERTIFICATE")}
    return _write("PATCH", _item(base, "certificates", alias), data, act="take the certificate")


def add_key_pair(base: str, alias: Alias, leaf: bytes, private_key: bytes) -> Ask[None]:
    """`private_key` is PKCS#8, DER."""
    data = {
        "alias": alias,
        "certificate": wire.to_pem(leaf, "CERTIFICATE"),
        "private_key": wire.to_pem(private_key, "PRIVATE KEY"),
    }
    return _write("POST", f"{base}/certificates", data, act="take the certificate and its key")


def add_authority(base: str, alias: Alias, certificate: bytes) -> Ask[None]:
    data = {"alias": alias, "certificate": wire.to_pem(certificate, "CERTIFICATE")}
    return _write("POST", f"{base}/ca_certificates", data, act="take the CA certificate")


def remove_certificate(base: str, alias: Alias) -> Ask[None]:
    return _write("DELETE", _item(base, "certificates", alias), None, act=f"remove “{alias}”")


def remove_authority(base: str, alias: Alias) -> Ask[None]:
    return _write("DELETE", _item(base, "ca_certificates", alias), None, act=f"remove “{alias}”")


def web_ports(base: str) -> Ask[dict[bool, int]]:
    """Port of the default listener by whether it is TLS (`virtualhost` v1, recording rest-virtualhost-v1.json)."""
    return _read(base, _web_ports)


def get_time(base: str) -> Ask[datetime]:
    """From the `time` API, v2 (device-api 13)."""
    return _read(base, lambda data: utc(_member(_member(data, "time"), "dateTime")))


def set_time(base: str, now: datetime) -> Ask[None]:
    """The member's name is that of the answer; setting it is inferred."""
    data = {"time": {"dateTime": f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"}}
    return _write("PATCH", base, data, act="set its clock")


def _read(target: str, decode: Callable[[Any], T]) -> Ask[T]:
    return Ask(Request("GET", target), lambda answer: decode(_data(answer, "answer")))


def _write(
    method: str,
    target: str,
    data: Mapping[str, object] | None,
    *,
    act: str,
    deadline: float = NORMAL_SECONDS,
) -> Ask[None]:
    body = b"" if data is None else _body(data)
    request = Request(method, target, body, content_type=_JSON if body else "", write=True, deadline=deadline)

    def decode(answer: Answer) -> None:
        _data(answer, act)

    return Ask(request, decode)


def _body(data: object) -> bytes:
    return json.dumps({"data": data}).encode()


def _item(base: str, collection: str, alias: Alias) -> str:
    return f"{base}/{collection}/{quote(alias, safe='')}"


def _data(answer: Answer, act: str) -> Any:
    """`data` of a success; Rejected with the device's words otherwise, NotFound for what is not there."""
    if answer.status in (200, 201, 204) and not answer.body.strip():
        return None
    if answer.body[:1] == b"<":  # 400, 401 and 404 may carry a web page
        wire.refuse_status(answer)
    envelope = wire.json_object(answer.body)
    if answer.status in (200, 201) and envelope.get("status") == "success":
        return envelope.get("data")
    error = envelope.get("error")
    known = error if isinstance(error, dict) else {}
    code, words = str(known.get("code", "")), str(known.get("message", ""))
    if answer.status == 404:
        raise NotFound(f"The device has no such entry: {clean(words) or 'not found'}.")
    if answer.status in (200, 201, 400, 409, 413, 414, 500):
        raise wire.rejected(act, code=code or f"HTTP {answer.status}", words=words)
    wire.refuse_status(answer)
    raise ProtocolViolation("The device's answer has no status.")


def _apis(answer: Answer) -> dict[str, str]:
    wire.refuse_status(answer, 200)
    if answer.body[:1] == b"<":
        raise wire.not_supported("the configuration framework")
    listed = wire.json_object(answer.body).get("apis")
    if not isinstance(listed, dict):
        raise wire.not_supported("the configuration framework")
    found: dict[str, str] = {}
    for name, versions in listed.items():
        if not isinstance(versions, dict):
            continue
        usable = [
            (_number(version), described["rest_api"])
            for version, described in versions.items()
            if isinstance(described, dict)
            and isinstance(described.get("rest_api"), str)
            and described["rest_api"].startswith("/config/rest/")
            and described.get("state") in ("released", "beta")
        ]
        if usable:
            found[str(name)] = max(usable)[1].rstrip("/")
    return found


def _number(version: str) -> int:
    digits = version.removeprefix("v")
    return int(digits) if digits.isdecimal() and len(digits) < 4 else 0


def _entries(data: Any) -> tuple[Entry, ...]:
    entries = []
    for item in _list(data):
        blocks = wire.pem_blocks(str(_member(item, "certificate")))
        keystore = item.get("keystore")
        entries.append(Entry(Alias(str(_member(item, "alias"))), blocks[0], keystore and str(keystore)))
    return tuple(entries)


def _keystores(data: Any) -> tuple[Keystore, ...]:
    return tuple(Keystore(clean(str(_member(item, "id"))), _key_types(item.get("key_types"))) for item in _list(data))


def _key_types(data: Any) -> tuple[str, ...]:
    """Not every firmware tells them (device-api 9.1)."""
    if data is not None and not isinstance(data, list):
        raise wire.violation("a list of key types")
    return tuple(clean(str(name)) for name in data or ())


def _default_keystore(data: Any) -> str | None:
    return clean(str(data["keystore"])) if isinstance(data, dict) and data.get("keystore") else None


def _web_ports(data: Any) -> dict[bool, int]:
    listeners = _list(_member(data, "defaulthosts"))
    return {
        bool(listener.get("secure")): listener["port"]
        for listener in listeners
        if isinstance(listener.get("port"), int) and 0 < listener["port"] < 65536
    }


def _csr(data: Any) -> bytes:
    """The PEM itself, or under a member, as one vendor example has it (device-api 9.3)."""
    if isinstance(data, dict):
        data = next((value for value in data.values() if isinstance(value, str) and "BEGIN" in value), None)
    if not isinstance(data, str):
        raise wire.violation("a certificate request")
    return wire.pem_blocks(data)[0]


def _list(data: Any) -> list[dict[str, Any]]:
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise wire.violation("a list")
    return data


def _member(data: Any, name: str) -> Any:
    if not isinstance(data, dict) or name not in data:
        raise wire.violation(f"complete: {name} is missing")
    return data[name]


def _escaped(value: str) -> str:
    """RFC 4514 2.4."""
    escaped = "".join(f"\\{c}" if c in ',+"\\<>;=' else c for c in value)
    return f"\\{escaped}" if escaped[:1] in ("#", " ") else escaped


def _alternative_name(name: str) -> str:
    try:
        return f"IP:{ipaddress.ip_address(name)}"
    except ValueError:
        return f"DNS:{name}"
