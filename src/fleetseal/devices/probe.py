"""Choosing the driver from what the device shows, never from its version number alone (device-api 1)."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from fleetseal.core.errors import NotSupported, PermissionDenied
from fleetseal.core.model import DeviceFacts, Keystore, Serial
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


@dataclass(frozen=True)
class Offer:
    """What is asked of the REST framework of a device to find its driver."""

    rest_base: str | None
    keystores: tuple[Keystore, ...]
    http_port: int | None


Offers = dict[tuple[Serial, str], Offer]
"""What devices were found to offer, by serial and firmware: within a job that is not asked again."""


async def choose(transport: Transport, stranger: identity.Stranger, offers: Offers) -> tuple[DeviceFacts, AnyDriver]:
    """Facts and driver of a device that is logged in. Raises NotSupported with the facts."""
    known = await identity.know(transport, stranger)
    which = known.facts.serial, known.facts.firmware
    offer = offers.get(which) or await _offer(transport, known.facts)
    evidence = Evidence(offer.rest_base, known.web_service, known.policy_parameters)
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
        rest_base=offer.rest_base,
        clock_offset=transport.clock_offset,
        keystores=offer.keystores,
        http_port=offer.http_port,
    )
    offers[which] = offer
    return facts, driver(transport, facts)


async def _offer(transport: Transport, facts: DeviceFacts) -> Offer:
    apis = await _apis(transport)
    rest_base = apis.get("cert")
    keystores = () if rest_base is None else await _keystores(transport, rest_base)
    return Offer(rest_base, keystores, facts.http_port or await _http_port(transport, apis))


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
