"""HTTP on loopback to look into a running fleet and to change its faults: JSON in, JSON out.

`GET /devices`, `GET /devices/SERIAL`, `GET /devices/SERIAL/requests`, `PATCH /devices/SERIAL/faults`,
`POST /devices/SERIAL/restart`, `POST /devices/SERIAL/factory-default` (`{"hard"}`), `POST /devices/SERIAL/firmware`
(`{"profile","new_certificate"}`), `POST /devices/SERIAL/exchange` (`{"serial"}`: another unit in its place),
`PUT /places` (`{SERIAL: {"address","http_port","https_port"}}`), `GET /maker-roots.pem`. There is no login: the devices
are not real. Requests of web pages are refused.
"""

import asyncio
import json
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fleetseal.sim.fate import Place
from fleetseal.sim.http import MAX_LINE, BadRequest, Dropped, Request, Response, encode, read_request

if TYPE_CHECKING:
    from fleetseal.sim.fleet import Fleet, SimulatedDevice


class Control:
    """An async context manager: inside it the API listens on 127.0.0.1, on `port` (0: chosen)."""

    def __init__(self, fleet: "Fleet", *, port: int = 0) -> None:
        self.port = port
        self._fleet = fleet
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> "Control":
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port, limit=MAX_LINE)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in tuple(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request a connection."""
        self._writers.add(writer)
        try:
            try:
                request = await read_request(reader, secure=False)
                response = None if request is None else await self._answer(request)
            except BadRequest as error:
                response = _error(error.status, "The request cannot be read.")
            if response is not None:
                writer.write(encode(response, (), close=True))
                await writer.drain()
        except (Dropped, OSError):
            writer.transport.abort()
        finally:
            self._writers.discard(writer)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, request: Request) -> Response:
        if "origin" in request.headers:
            return _error(403, "Web pages may not control the simulator.")
        match request.method, request.segments:
            case "GET", ["maker-roots.pem"]:
                return Response(body=self._fleet.maker.roots_pem, content_type="application/x-pem-file")
            case "GET", ["devices"]:
                return Response.json([row(device) for device in self._fleet.devices], indent=2)
            case "PUT", ["places"]:
                return await self._place(request.body)
            case method, ["devices", serial, *rest]:
                try:
                    device = self._fleet[serial]
                except KeyError:
                    return _error(404, f"There is no device {serial}.")
                try:
                    if (method, rest) == ("POST", ["exchange"]):
                        return Response.json(row(await self._fleet.exchange(device, **_object(request.body))))
                    return await _device(device, method, rest, request.body)
                except (ValueError, TypeError) as error:
                    return _error(400, str(error))
            case _:
                return _error(404, "There is no such page.")

    async def _place(self, body: bytes) -> Response:
        try:
            places = {serial: Place(**place) for serial, place in _object(body).items()}
            await self._fleet.place(places)
        except KeyError as error:
            return _error(404, f"There is no device {error}.")
        except (ValueError, TypeError, OSError) as error:
            return _error(400, str(error))
        return Response.json([row(self._fleet[serial]) for serial in places], indent=2)


async def _device(device: "SimulatedDevice", method: str, rest: list[str], body: bytes) -> Response:
    match method, rest:
        case "GET", []:
            return Response.json(state(device), indent=2)
        case "GET", ["requests"]:
            records = [asdict(record) | {"at": record.at.isoformat()} for record in device.requests]
            return Response.json(records, indent=2)
        case "PATCH", ["faults"]:
            await device.trouble(**_object(body))
            return Response.json(asdict(device.faults), indent=2)
        case "POST", ["factory-default"]:
            await device.factory_default(**_object(body))
            return Response.json(state(device), indent=2)
        case "POST", ["firmware"]:
            await device.update(**_object(body))
            return Response.json(row(device), indent=2)
        case "POST", ["restart"]:
            await device.restart()
            return Response.json({"restarts": device.restarts})
        case _:
            return _error(404, "There is no such page.")


def row(device: "SimulatedDevice") -> dict[str, Any]:
    """A device as lists show it. `inferred`: no recording stands behind its profile."""
    return {
        "serial": device.serial,
        "profile": device.profile.name,
        "model": device.profile.product.model,
        "firmware": device.profile.product.firmware,
        "address": device.address,
        "http_port": device.http_port,
        "https_port": device.https_port,
        "username": device.username,
        "password": device.password,
        "inferred": device.profile.inferred,
        "source": device.profile.source,
    }


def state(device: "SimulatedDevice") -> dict[str, Any]:
    """All that can be seen from inside; no private keys."""
    served = device.served
    return row(device) | {
        "web": asdict(device.web),
        "certificates": list(device.aliases),
        "ca_certificates": list(device.authority_aliases),
        "serving": served is not None,
        "restarts": device.restarts,
        "connections": device.connections,
        "credential_bytes": device.credential_bytes,
        "effects": dict(device.effects),
        "faults": asdict(device.faults),
    }


def _object(body: bytes) -> dict[str, Any]:
    """Raises ValueError."""
    wanted = json.loads(body or b"{}")
    if not isinstance(wanted, dict):
        raise ValueError("The body is a JSON object.")
    return wanted


def _error(status: int, message: str) -> Response:
    return Response.json({"error": message}, status=status)
