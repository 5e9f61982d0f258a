"""Choosing the driver from what the device shows, never from its version number alone (device-api 1)."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from fleetseal.core.errors import NotSupported, PermissionDenied
from fleetseal.core.model import DeviceFacts, Keystore
from fleetseal.devices.axis import identity, wire_rest
from fleetseal.devices.axis.parameters import ParameterDriver
from fleetseal.devices.axis.rest import RestDriver
from fleetseal.devices.axis.soap import SoapDriver
from fleetseal.devices.transport import Transport


@dataclass(frozen=True)
class Evidence:
    """What the tests of the table look at."""

    rest_base: str | None  # address of the REST `cert` API, as the device gave it
    web_service: bool
    policy_parameters: bool


AnyDriver = RestDriver | SoapDriver | ParameterDriver

DRIVERS: tuple[tuple[Callable[[Evidence], bool], type[AnyDriver]], ...] = (
    (lambda evidence: evidence.rest_base is not None, RestDriver),
    (lambda evidence: evidence.web_service, SoapDriver),
    (lambda evidence: evidence.policy_parameters, ParameterDriver),
)
"""The first test that holds decides. No match is NotSupported, never the nearest guess."""


async def choose(transport: Transport, stranger: identity.Stranger) -> tuple[DeviceFacts, AnyDriver]:
    """Facts and driver of a device that is logged in. Raises NotSupported with the facts."""
    known = await identity.know(transport, stranger)
    apis = await _apis(transport)
    rest_base = apis.get("cert")
    evidence = Evidence(rest_base, known.web_service, known.policy_parameters)
    driver = next((driver for test, driver in DRIVERS if test(evidence)), None)
    if driver is None:
        facts = known.facts
        raise NotSupported(
            f"{facts.model or 'The device'} {facts.serial} with firmware {facts.firmware or 'unknown'} "
            "has no certificate interface. Nothing was changed."
        )
    facts = replace(
        known.facts,
        administrator=True,
        generation=driver.generation,
        rest_base=rest_base,
        clock_offset=transport.clock_offset,
        keystores=() if rest_base is None else await _keystores(transport, rest_base),
        http_port=known.facts.http_port or await _http_port(transport, apis),
    )
    return facts, driver(transport, facts)


async def _apis(transport: Transport) -> dict[str, str]:
    """Addresses of the REST APIs by id; empty on firmware without the framework."""
    try:
        return await transport.ask(wire_rest.discover())
    except (NotSupported, PermissionDenied):
        return {}


async def _http_port(transport: Transport, apis: dict[str, str]) -> int | None:
    """From 11.6 on there is no parameter for it."""
    if "virtualhost" not in apis:
        return None
    return (await transport.ask(wire_rest.web_ports(apis["virtualhost"]))).get(False)


async def _keystores(transport: Transport, base: str) -> tuple[Keystore, ...]:
    listed = await transport.ask(wire_rest.keystores(base))
    default = await transport.ask(wire_rest.default_keystore(base))
    return tuple(replace(keystore, default=keystore.id == default) for keystore in listed)
