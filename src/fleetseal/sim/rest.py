"""The REST framework of AXIS OS 11.6 and later: discovery, `cert`, and the reads beside it (device-api 2.3, 9)."""

import base64
import binascii
import json
import re
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from fleetseal.sim import certificates
from fleetseal.sim.certificates import PrivateKey
from fleetseal.sim.device import KEY_REFUSED, Device, KeyOrder
from fleetseal.sim.faults import Act, Effects
from fleetseal.sim.http import Request, Response
from fleetseal.sim.keystore import Entry, Reason, Refusal
from fleetseal.sim.parameters import data_file, filled

_CERT = re.compile(r"/config/rest/cert/(v1|v1beta)(/|$)")


class Rest:
    def __init__(self, device: Device, effects: Effects) -> None:
        self._device = device
        self._effects = effects

    async def answer(self, request: Request, user: str) -> Response:
        """An answer of the framework; the vendor's error object on refusals."""
        administrator = "admin" in self._device.groups[user]
        if request.method != "GET" and not administrator:
            return _error(401, 2, "Access denied")
        try:
            if request.path == "/config/discover" and request.method == "GET":
                return Response.json(self._discover(), indent=2)
            found = _CERT.match(request.path)
            # 12.11 answers v1beta as well (device-api 9)
            if found and found.group(1) in (self._device.profile.interfaces.rest, "v1beta"):
                return await self._cert(request, request.segments[4:])
            return self._reads(request)
        except Refusal as refusal:
            return _refused(refusal)

    # ------------------------------------------------------------ what only reads

    def _discover(self) -> dict[str, Any]:
        """config-discover.json; on 11.6 only `cert`, as beta (inferred)."""
        versions: dict[str, dict[str, str]] = json.loads(data_file("rest-12.11.json"))
        if self._device.profile.interfaces.rest == "v1beta":
            versions = {"cert": {"v1": "1.0.0-beta.1"}}
        apis = {
            api: {major: _api(api, major, version) for major, version in found.items()}
            for api, found in versions.items()
        }
        page = "/config/web-ui/swagger-ui/?url=/config/discover/openapi.json"
        device = {"rest_openapi": "/config/discover/openapi.json", "rest_ui": page}
        return {"apis": apis, "device": device, "framework_version": "1.1.0"}

    def _reads(self, request: Request) -> Response:
        device = self._device
        data: Any
        match request.path if device.profile.interfaces.rest == "v1" else "":
            case "/config/rest/virtualhost/v1":
                data = {"defaulthosts": [_host(device, secure=False), _host(device, secure=True)], "virtualhosts": []}
            case "/config/rest/cert-est/v1":
                data = {"profiles": [], "supportedServices": ["MQTT", "NETAUTH", "WEBSERVER", "RTSPS"]}
            case "/config/rest/mdnssd/v2":
                data = {"enabled": True, "friendlyName": device.profile.product.short_name}
                return Response.json({"status": "success", "data": data}) if request.method == "GET" else _no(request)
            case "/config/rest/network-settings/v2":
                data = json.loads(filled(data_file("rest-network-settings-12.11.json"), device.words))
            case "/config/rest/time/v2":
                now = f"{device.now():%Y-%m-%dT%H:%M:%SZ}"
                zone = {"activeTimeZone": device.profile.time_zone}
                data = {"time": {"dateTime": now, "maxSupportedYear": 2069}, "timeZone": zone}
            case _:
                return _no(request)
        return _success(data) if request.method == "GET" else _no(request)

    # ------------------------------------------------------------ cert

    async def _cert(self, request: Request, path: list[str]) -> Response:
        if request.method == "GET":
            return _success(self._read(path, request))
        data = _data(request)
        match request.method, path:
            case "POST", ["create_certificate"]:
                return await self._perform("create_key", lambda: self._create(data))
            case "POST", ["install_from_pkcs12"]:
                return await self._perform("install_key_pair", lambda: self._install_pkcs12(data))
            case "POST", ["certificates"]:
                return await self._perform("install_key_pair", lambda: self._install_pair(data), status=201)
            case "POST", ["certificates", alias, "get_csr"]:
                return await self._perform("get_csr", lambda: self._csr(alias, data))
            case "PATCH", ["certificates", alias]:
                return await self._perform("install", lambda: self._patch(alias, data, key=True))
            case "POST", ["ca_certificates"]:
                return await self._perform("install_ca", lambda: self._install_authority(data), status=201)
            case "PATCH", ["ca_certificates", alias]:
                return await self._perform("install_ca", lambda: self._patch(alias, data, key=False))
            case "DELETE", ["certificates" | "ca_certificates" as kind, alias]:
                return await self._perform("delete", lambda: self._delete(alias, key=kind == "certificates"))
            case "PATCH", ["settings"]:
                return await self._perform("set_keystore", lambda: self._settings(_text(data, "keystore")))
            case "PATCH", ["settings", "keystore"]:
                return await self._perform("set_keystore", lambda: self._settings(data))
            case _:
                return _no(request)

    async def _perform(self, verb: str, act: Act, *, status: int = 200) -> Response:
        async def run() -> Response:
            try:
                return await act()
            except Refusal as refusal:
                return _refused(refusal)

        hollow = _success(status=status)
        return await self._effects.perform(verb, run, hollow=hollow, broken=_error(500, 3, "Internal error"))

    def _read(self, path: list[str], request: Request) -> Any:
        store = self._device.store
        tree: dict[str, Any] = {
            "ca_certificates": [_authority(entry) for entry in store.authorities],
            "certificates": [_certificate(entry) for entry in store.keys],
            "keystores": [self._keystore(*found) for found in self._device.profile.keys.keystores],
            "settings": {"keystore": self._device.default_keystore},
        }
        found: Any = tree
        for part in path:
            if isinstance(found, list):
                found = next((item for item in found if part in (item.get("alias"), item.get("id"))), None)
            else:
                found = found.get(part) if isinstance(found, dict) else None
            if found is None:
                raise Refusal(Reason.UNKNOWN, request.path)
        return found

    def _keystore(
        self, identifier: str, level: str, certifications: tuple[str, ...], types: tuple[str, ...]
    ) -> dict[str, Any]:
        shown: dict[str, Any] = {"certifications": list(certifications), "id": identifier}
        if self._device.profile.keys.shows_key_types:
            shown["key_types"] = list(types)
        return shown | {"security_level": level}

    async def _create(self, data: Any) -> Response:
        keystore = data.get("keystore") or self._device.default_keystore if isinstance(data, dict) else ""
        key_type = _text(data, "key_type", "EC-P256")
        types = next((found[3] for found in self._device.profile.keys.keystores if found[0] == keystore), None)
        if types is None:
            raise Refusal(Reason.INVALID, f"unknown keystore {keystore!r}")
        if key_type not in certificates.KEY_TYPES:
            raise Refusal(Reason.INVALID, f"key_type: {key_type!r} is not one of {', '.join(certificates.KEY_TYPES)}")
        if key_type not in types:
            raise Refusal(Reason.KEY_GENERATION, KEY_REFUSED)
        valid = tuple(None if data.get(n) is None else _unix(data[n]) for n in ("valid_from", "valid_to"))
        order = KeyOrder(
            _text(data, "alias"),
            key_type,
            _name(_text(data, "subject")),
            _names(data) or (),
            (valid[0], valid[1]),
            keystore,
        )
        await self._device.create_key(order)
        return _success()

    async def _csr(self, alias: str, data: Any) -> Response:
        subject = _name(_text(data, "subject")) if "subject" in data else None
        made = self._device.request(alias, subject, _names(data))
        return _success(made.public_bytes(serialization.Encoding.PEM).decode())

    async def _patch(self, alias: str, data: Any, *, key: bool) -> Response:
        entry = self._entry(alias, key=key)
        if entry.factory:
            raise Refusal(Reason.INVALID, f"{alias!r} is part of the device")
        self._device.install(alias, _load(data))
        return _success()

    async def _install_pair(self, data: Any) -> Response:
        alias, certificate = _text(data, "alias"), _load(data)
        try:
            key = certificates.load_private_key(_text(data, "private_key").encode())
        except ValueError as error:
            raise Refusal(Reason.INVALID, str(error)) from error
        self._device.install_key_pair(alias, certificate, key, data.get("keystore") or "")
        return _success(_certificate(self._device.store.get(alias)), status=201)

    async def _install_pkcs12(self, data: Any) -> Response:
        try:
            packed = base64.b64decode(_text(data, "pkcs12"), validate=True)
            key, certificate, _ = pkcs12.load_key_and_certificates(packed, _text(data, "passphrase").encode())
        except (ValueError, binascii.Error) as error:
            raise Refusal(Reason.INVALID, "the PKCS#12 file cannot be read with this passphrase") from error
        if certificate is None or not isinstance(key, PrivateKey):
            raise Refusal(Reason.INVALID, "the PKCS#12 file lacks a certificate or a key")
        self._device.install_key_pair(_text(data, "alias"), certificate, key, data.get("keystore") or "")
        return _success()

    async def _install_authority(self, data: Any) -> Response:
        alias = _text(data, "alias")
        self._device.install_authority(alias, _load(data))
        return _success(_authority(self._device.store.get(alias)), status=201)

    async def _delete(self, alias: str, *, key: bool) -> Response:
        self._entry(alias, key=key)
        self._device.remove(alias)
        return _success()

    async def _settings(self, keystore: Any) -> Response:
        if keystore not in [found[0] for found in self._device.profile.keys.keystores]:
            raise Refusal(Reason.INVALID, f"unknown keystore {keystore!r}")
        self._device.default_keystore = str(keystore)
        return _success()

    def _entry(self, alias: str, *, key: bool) -> Entry:
        """The entry of that kind. Raises Refusal when the collection has none."""
        entry = self._device.store.get(alias)
        if (entry.key is not None) is not key:
            raise Refusal(Reason.UNKNOWN, alias)
        return entry


def _api(api: str, major: str, version: str) -> dict[str, str]:
    """One version of an API as discovery lists it: pre-releases live under their own path."""
    base = f"/config/discover/apis/{api}/{major}"
    stage = next((word for word in ("alpha", "beta") if word in version), "")
    return {
        "doc": f"{base}/doc.md",
        "doc_html": f"/config/web-ui/cu-doc.html?md-doc-loc={base}/doc.md",
        "model": f"{base}/model.json",
        "rest_api": f"/config/rest/{api}/{major}{stage}",
        "rest_openapi": f"{base}/openapi.json",
        "rest_ui": f"/config/web-ui/swagger-ui/?url={base}/openapi.json",
        "state": stage or "released",
        "version": version,
    }


def _host(device: Device, *, secure: bool) -> dict[str, Any]:
    web = device.web
    return {
        "active": web.tls and web.admin != "Http" if secure else web.admin != "Https",
        "auth_type": device.schemes(secure=secure)[0],
        "port": device.https_port if secure else device.http_port,
        "secure": secure,
        "server_name": "default-https" if secure else "default-http",
    }


def _success(data: Any = None, *, status: int = 200) -> Response:
    body = {"status": "success"} if data is None else {"status": "success", "data": data}
    return Response.json(body, status=status, indent=2)


def _error(status: int, code: int, message: str) -> Response:
    return Response.json({"status": "error", "error": {"code": code, "message": message}}, status=status)


def _no(request: Request) -> Response:
    return _error(404, 1, f"Resource not found: {request.path}")


def _refused(refusal: Refusal) -> Response:
    """device-api 9.5; codes beside 1 and 5 are inferred."""
    match refusal.reason:
        case Reason.UNKNOWN:
            return _error(404, 1, f"Resource not found: {refusal.text}")
        case Reason.EXISTS:
            return _error(409, 5, f"Conflict: {refusal.text}")
        case _:
            return _error(400, 5, f"Validation error: {refusal.text}")


def _data(request: Request) -> Any:
    """The wrapped value of a write; DELETE has none. Raises Refusal."""
    if request.method == "DELETE":
        return None
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise Refusal(Reason.INVALID, "the body is not JSON") from error
    if not isinstance(body, dict) or "data" not in body:
        raise Refusal(Reason.INVALID, "the body has no data")
    return body["data"]


def _text(data: Any, field: str, default: str | None = None) -> str:
    value = data.get(field, default) if isinstance(data, dict) else None
    if not isinstance(value, str):
        raise Refusal(Reason.INVALID, f"{field} is missing or not a text")
    return value


def _name(text: str) -> x509.Name:
    try:
        return x509.Name.from_rfc4514_string(text) if text else x509.Name([])
    except ValueError as error:
        raise Refusal(Reason.INVALID, "subject: not a distinguished name") from error


def _names(data: Any) -> tuple[str, ...] | None:
    names = data.get("subject_alt_names") if isinstance(data, dict) else None
    if names is not None and not (isinstance(names, list) and all(isinstance(found, str) for found in names)):
        raise Refusal(Reason.INVALID, "subject_alt_names: a list of texts")
    return None if names is None else tuple(names)


def _unix(value: Any) -> datetime:
    if not isinstance(value, int) or not 0 <= value < 253_402_300_800:
        raise Refusal(Reason.INVALID, "valid_from, valid_to: unix seconds")
    return datetime.fromtimestamp(value, UTC)


def _load(data: Any) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(_text(data, "certificate").encode())
    except ValueError as error:
        raise Refusal(Reason.INVALID, "certificate: not a PEM certificate") from error


def _certificate(entry: Entry) -> dict[str, str]:
    return _authority(entry) | {"keystore": entry.keystore}


def _authority(entry: Entry) -> dict[str, str]:
    return {"alias": entry.alias, "certificate": certificates.pem(entry.certificate)}
