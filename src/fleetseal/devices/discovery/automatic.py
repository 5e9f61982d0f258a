"""Automatic discovery: every way of asking, on every interface, at once."""

from collections.abc import Sequence
from functools import partial

from fleetseal.core.runtime import Clock, Rng
from fleetseal.devices.discovery import mdns, ssdp, wsdiscovery
from fleetseal.devices.discovery.announced import Announced, sightings
from fleetseal.devices.discovery.datagrams import Question, ask
from fleetseal.devices.discovery.interfaces import Interface
from fleetseal.devices.discovery.sighting import Sighting


async def listen(
    interfaces: Sequence[Interface], *, seconds: float, clock: Clock, rng: Rng, http_port: int, https_port: int
) -> list[Sighting]:
    """What announced itself on these interfaces; the ports stand where an announcement names none."""
    questions = [(one, question) for one in interfaces for question in _questions(one.network.version, rng)]
    heard = await ask(questions, seconds=seconds, clock=clock)
    return sightings(heard, http_port=http_port, https_port=https_port)


def _questions(version: int, rng: Rng) -> tuple[Question, ...]:
    return (
        *(
            Question(mdns.GROUPS[version], mdns.PORT, partial(mdns.question, service), mdns.parse)
            for service in mdns.SERVICES
        ),
        Question(ssdp.GROUPS[version], ssdp.PORT, partial(ssdp.search, version), ssdp_answer),
        Question(ssdp.GROUPS[version], ssdp.PORT, None, ssdp_answer),
        Question(wsdiscovery.GROUPS[version], wsdiscovery.PORT, partial(wsdiscovery.probe, rng), wsdiscovery.parse),
    )


def ssdp_answer(datagram: bytes) -> tuple[Announced, ...]:
    said = ssdp.parse(datagram)
    return () if said is None else (said,)
