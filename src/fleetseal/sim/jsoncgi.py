"""The JSON CGIs (device-api 2.1, 3.1, 3.4, 4.1, 12.4, 13): POST, HTTP 200 for errors too."""

import hashlib
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from fleetseal.sim import fate
from fleetseal.sim.device import Device
from fleetseal.sim.faults import Effects
from fleetseal.sim.http import Request, Response
from fleetseal.sim.parameters import data_file, filled
from fleetseal.sim.zone import offset_text, to_local

_RESTRICTED = ("Architecture", "Soc", "SocSerialNumber")

Call = dict[str, Any]


class _Failed(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class JsonCgi:
    def __init__(self, device: Device, effects: Effects) -> None:
        self._device = device
        self._effects = effects

    def unrestricted(self, request: Request) -> bool:
        """Whether this is the call that needs no login (device-api 3.1)."""
        method = _read(request).get("method")
        return self._device.profile.interfaces.unrestricted and method == "getAllUnrestrictedProperties"

    async def basic_device_info(self, request: Request, user: str) -> Response:
        del user
        version = self._device.profile.interfaces.basic_device_info or ""
        properties = self._properties()

        async def act(call: Call) -> Any:
            match call.get("method"):
                case "getAllProperties":
                    return {"propertyList": properties}
                case "getAllUnrestrictedProperties" if self._device.profile.interfaces.unrestricted:
                    return {"propertyList": {k: v for k, v in properties.items() if k not in _RESTRICTED}}
                case "getProperties":
                    asked = _params(call).get("propertyList", [])
                    return {"propertyList": {name: properties[name] for name in asked if name in properties}}
                case "getSupportedVersions":
                    return {"apiVersions": [version]}
                case _:
                    raise _Failed(2004, "Method not supported")

        # 12.x leaves `method` out of the answer (basicdeviceinfo-getAllProperties.json)
        return await self._call(request, version, act, method=not self._device.profile.login.apache)

    def _properties(self) -> dict[str, str]:
        product = self._device.profile.product
        digest = hashlib.sha256(self._device.identity.serial.encode()).hexdigest().upper()
        chip = f"{digest[:8]}-0101030D" if self._device.profile.login.apache else ""
        return {
            "Architecture": product.architecture,
            "ProdNbr": product.model,
            "HardwareID": product.hardware_id,
            "ProdFullName": product.full_name,
            "Version": product.firmware,
            "ProdType": product.product_type,
            "SocSerialNumber": chip,
            "Soc": product.soc,
            "Brand": "AXIS",
            "WebURL": product.web_url,
            "ProdVariant": "",
            "SerialNumber": self._device.serial,
            "ProdShortName": product.short_name,
            "BuildDate": product.build_date,
        }

    async def systemready(self, request: Request, user: str) -> Response:
        del user
        device = self._device
        offers = device.profile.interfaces

        async def act(call: Call) -> Any:
            if call.get("method") != "systemready":
                raise _Failed(2004, "Method not supported")
            data = {"systemready": "yes", "needsetup": "yes" if device.needs_setup else "no"}
            if offers.systemready_details:
                uptime = int(device.around.clock.monotonic() - device.started)
                data |= {
                    "uptime": str(uptime),
                    "bootid": device.boot_id,
                    "passphrasepolicy": device.faults.passphrase_policy,
                }
            return data

        return await self._call(request, offers.systemready or "", act)

    async def api_discovery(self, request: Request, user: str) -> Response:
        del user
        offers = self._device.profile.interfaces

        async def act(call: Call) -> Any:
            match call.get("method"):
                case "getApiList":
                    return {"apiList": json.loads(data_file(offers.api_discovery or ""))}
                case "getSupportedVersions":
                    return {"apiVersions": ["1.0"]}
                case _:
                    raise _Failed(2004, "Method not supported")

        return await self._call(request, "1.1" if offers.rest else "1.0", act, method_first=True)

    async def time(self, request: Request, user: str) -> Response:
        device = self._device
        version = device.profile.interfaces.time_cgi or ""

        async def act(call: Call) -> Any:
            if _newer(str(call.get("apiVersion", version)), version):
                raise _Failed(4001, "The requested API version is not supported")
            match call.get("method"):
                case "getDateTimeInfo":
                    return self._time()
                case "setDateTime":
                    if "admin" not in device.groups[user]:
                        raise _Failed(2001, "Access forbidden")
                    return self._set_time(str(_params(call).get("dateTime", "")))
                case "getSupportedVersions":
                    return {"apiVersions": [version]}
                case _:
                    raise _Failed(4000, "The requested method does not exist")

        if _read(request).get("method") != "setDateTime":
            return await self._call(request, version, act)

        async def perform() -> Response:
            return await self._call(request, version, act)

        hollow = self._answer(_read(request), version, {"data": {}})
        return await self._effects.perform("set_clock", perform, hollow=hollow, broken=_broken())

    def _time(self) -> dict[str, Any]:
        device = self._device
        zone, now = device.profile.time_zone, device.now()
        local = to_local(now, zone, daylight=device.daylight)
        return {
            "dateTime": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            "localDateTime": f"{local:%Y-%m-%dT%H:%M:%S}{offset_text(now, zone, daylight=device.daylight)}",
            "maxYearSupported": 2069,
            "posixTimeZone": zone,
            "dstEnabled": device.daylight,
        }

    def _set_time(self, text: str) -> dict[str, Any]:
        try:
            wanted = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError as error:
            raise _Failed(1000, "Invalid parameter value specified") from error
        self._device.set_clock(wanted)
        return {}

    async def network_settings(self, request: Request, user: str) -> Response:
        del user
        version = self._device.profile.interfaces.network_settings or ""

        async def act(call: Call) -> Any:
            match call.get("method"):
                case "getSupportedVersions":
                    return {"apiVersions": [version]}
                case "getNetworkInfo" if call.get("apiVersion") == version:
                    return json.loads(filled(data_file("network-info-12.11.json"), self._device.words))
                case _ if call.get("apiVersion") != version:
                    raise _Failed(4001, "The specified version is not supported")
                case _:
                    raise _Failed(2004, "The specified method is not supported")

        return await self._call(request, version, act)

    async def firmware(self, request: Request, user: str) -> Response:
        """firmwaremanagement.cgi: `status` (fwmgr-status.json), `factoryDefault` (device-api 13.1; errors: 2.1)."""
        del user

        async def act(call: Call) -> Any:
            if call.get("method") == "factoryDefault":
                mode = _params(call).get("factoryDefaultMode")
                if mode not in ("soft", "hard"):
                    raise _Failed(1000, "Invalid parameter value specified")
                await fate.factory_default(self._device, hard=mode == "hard")
                return {}
            if call.get("method") != "status":
                raise _Failed(405, "Unknown method")
            version = self._device.profile.product.firmware
            return {"activeFirmwareVersion": version, "activeFirmwarePart": "7454651131", "resetSource": "crash"}

        async def perform() -> Response:
            return await self._call(request, "1.10", act)

        if _read(request).get("method") != "factoryDefault":
            return await perform()
        hollow = self._answer(_read(request), "1.10", {"data": {}})
        return await self._effects.perform("factory_default", perform, hollow=hollow, broken=_broken())

    # ------------------------------------------------------------ envelope

    async def _call(
        self,
        request: Request,
        version: str,
        act: Callable[[Call], Awaitable[Any]],
        *,
        method: bool = True,
        method_first: bool = False,
    ) -> Response:
        call = _read(request)
        try:
            if request.method != "POST":
                raise _Failed(2002, "HTTP request type not supported. Only POST is supported")
            if "method" not in call:
                raise _Failed(4000, "The provided JSON input was invalid")
            result = {"data": await act(call)}
        except _Failed as failed:
            result = {"error": {"code": failed.code, "message": failed.message}}
        return self._answer(call, version, result, method=method, method_first=method_first)

    def _answer(
        self, call: Call, version: str, result: Call, *, method: bool = True, method_first: bool = False
    ) -> Response:
        body: Call = {"method": call.get("method", "")} if method_first else {}
        body["apiVersion"] = version
        if "context" in call:
            body["context"] = call["context"]
        if method and "method" in call:
            body.setdefault("method", call["method"])
        # The odd charset name of 9.80 is part of what clients must stand
        apache = self._device.profile.login.apache
        kind = "application/json; charset=utf-8" if apache else "application/json;charset=utf8"
        return Response.json(body | result, content_type=kind)


def _read(request: Request) -> Call:
    try:
        call = json.loads(request.body)
    except (ValueError, RecursionError):
        return {}
    return call if isinstance(call, dict) else {}


def _params(call: Call) -> Call:
    params = call.get("params", {})
    return params if isinstance(params, dict) else {}


def _newer(asked: str, ours: str) -> bool:
    """Another major version, or a minor one above ours (device-api 2.1)."""
    try:
        major, minor = (int(part) for part in asked.split("."))
    except ValueError:
        return True
    own_major, own_minor = (int(part) for part in ours.split("."))
    return major != own_major or minor > own_minor


def _broken() -> Response:
    return Response.text("Internal Server Error\n", status=500, content_type="text/html")
