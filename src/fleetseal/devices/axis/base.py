"""What both generations share: the web server's binding (`aweb`, still the only way on 12.11) and the clock."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from fleetseal.core.errors import NotFound, NotSupported, ProtocolViolation, TrustFailure
from fleetseal.core.model import Alias, DeviceFacts, HttpsState
from fleetseal.core.text import clean
from fleetseal.devices.axis import identity, wire_cgi, wire_json, wire_rest, wire_soap
from fleetseal.devices.transport import Transport

_CLOCK_TOLERANCE = 30.0
"""Seconds; a summer-time shift is larger."""

_SERVICES: Final = {
    "WebServer": "HTTPS",
    "Streaming_RTSPS": "RTSPS",
    "mqtt_client": "MQTT",
    "EAPTLS_WIRED": "802.1X",
    "EAPTLS_WIRED_SERVER": "802.1X",
    "EAPTLS_WIFI": "802.1X",
    "EAPPEAP_MSCHAPV2_WIRED": "802.1X",
    "EAPPEAP_MSCHAPV2_WIFI": "802.1X",
}
"""What certificate sets are for (device-api 7.5); others go by their own name."""

_MOST_SETS: Final = 64
"""AXIS OS 12.11 has 17."""


class AxisDriver:
    """Reads and writes through one transport; keeps no state but what the probe found."""

    def __init__(self, transport: Transport, facts: DeviceFacts) -> None:
        self._transport = transport
        self._facts = facts

    async def facts(self) -> DeviceFacts:
        known = await identity.know(self._transport, identity.Stranger(None, None))
        return replace(
            self._facts,
            model=known.facts.model,
            product_type=known.facts.product_type,
            firmware=known.facts.firmware,
            host_name=known.facts.host_name,
            http_port=known.facts.http_port or self._facts.http_port,
            https_port=known.facts.https_port,
            clock_offset=self._transport.clock_offset,
        )

    async def https(self) -> HttpsState:
        """An empty cipher list is filled from the parameters, so that it can be sent back whole (device-api 6.4)."""
        state = await self._transport.ask(wire_soap.get_https())
        if state.ciphers:
            return state
        parameters = await self._transport.ask(wire_cgi.list_parameters("HTTPS.Ciphers"))
        ciphers = tuple(name for name in parameters.get("HTTPS.Ciphers", "").split(":") if name)
        return replace(state, ciphers=ciphers)

    async def set_https(self, state: HttpsState) -> None:
        await self._transport.ask(wire_soap.set_https(state))

    async def uses(self) -> Mapping[Alias, frozenset[str]]:
        """By the web server's binding, every certificate set, and the RTSPS parameter (device-api 10.3). Firmware
        without certificate sets tells of the web server and RTSPS alone."""
        found: defaultdict[Alias, set[str]] = defaultdict(set)
        web = await self.https()
        for alias in (*filter(None, [web.alias]), *web.authorities, *web.trusted):
            found[alias].add("HTTPS")
        for alias in await self._used():
            found[alias].add("HTTPS")
        for name in await self._cert_sets():
            for alias in await self._transport.ask(wire_soap.get_cert_set(name)):
                found[alias].add(_SERVICES.get(name, clean(name, limit=40)))
        parameters = await self._transport.ask(wire_cgi.list_parameters("Network.RTSPS.CertificateId"))
        if streaming := parameters.get("Network.RTSPS.CertificateId"):
            found[Alias(streaming)].add("RTSPS")
        return {alias: frozenset(services) for alias, services in found.items()}

    async def clock(self) -> datetime:
        try:
            return await self._transport.ask(wire_json.get_date_time())
        except NotSupported:
            pass
        base = await self._time_api()
        if base is not None:
            return await self._transport.ask(wire_rest.get_time(base))
        now, _ = await self._transport.ask(wire_soap.get_date_time())
        return now

    async def set_clock(self, now: datetime) -> None:
        try:
            await self._transport.ask(wire_json.set_date_time(now))
        except NotSupported:
            base = await self._time_api()
            if base is not None:
                await self._transport.ask(wire_rest.set_time(base, now))
            else:
                await self._set_local(now)

    async def _set_local(self, now: datetime) -> None:
        """`date.cgi` takes local time. Whether summer time holds is known only when the date is about right:
        a second pass corrects the first."""
        for _ in range(2):
            utc, local = await self._transport.ask(wire_soap.get_date_time())
            if abs((utc - now).total_seconds()) < _CLOCK_TOLERANCE:
                return
            if local is None:
                raise NotSupported("The device does not tell its time zone, so its clock cannot be set.")
            shift = local - utc.replace(tzinfo=None)
            await self._transport.ask(wire_cgi.set_date(now.replace(tzinfo=None) + shift))

    async def _cert_sets(self) -> tuple[str, ...]:
        try:
            names = await self._transport.ask(wire_soap.list_cert_sets())
        except NotSupported:
            return ()
        if len(names) > _MOST_SETS:
            raise ProtocolViolation(f"The device names {len(names)} certificate sets, which cannot be.")
        return names

    async def _time_api(self) -> str | None:
        try:
            return (await self._transport.ask(wire_rest.discover())).get("time")
        except NotSupported:
            return None

    async def _used(self) -> frozenset[Alias]:
        """Aliases bound to the web server, or reported as used by it."""
        state = await self._transport.ask(wire_soap.get_https())
        used = set() if state.alias is None else {state.alias}
        try:
            status = await self._transport.ask(wire_soap.get_certificates_status())
        except NotSupported:
            status = {}
        return frozenset(used | {alias for alias, active in status.items() if active})

    def _refuse_plain_http(self) -> None:
        if not self._transport.encrypted:
            raise TrustFailure("A private key is never sent over plain HTTP. Nothing was sent.")


def not_there(alias: Alias) -> NotFound:
    return NotFound(f"The device has no entry “{alias}”.")
