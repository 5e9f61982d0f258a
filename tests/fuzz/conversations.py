"""What every simulated generation answers to everything we ask: kept once, then asked again from memory."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random  # noqa: TID251 - the same damage in every run
from typing import Any, TypeVar

from fleetseal.core.errors import DeviceError, IssuanceRefused
from fleetseal.core.model import Alias, Chain, Endpoint, KeySpec, Login
from fleetseal.core.runtime import SystemClock, SystemRng
from fleetseal.devices import probe
from fleetseal.devices.axis import identity, wire_cgi
from fleetseal.devices.driver import Driver
from fleetseal.devices.http import Answer, Ask, Request
from fleetseal.devices.target import addresses
from fleetseal.devices.transport import Transport
from fleetseal.pki import csr
from fleetseal.sim.fleet import DeviceSpec, Fleet, SimulatedDevice
from fleetseal.sim.profiles import PROFILES

from ..devices import SiteAuthority, endpoint_of, login_of
from ..support import FakeClock, FakeRng
from .mutation import damaged

T = TypeVar("T")
Key = tuple[str, str, str, bool]

ALIAS = Alias("fleetseal-fuzz-1")
SPEC = KeySpec("127.0.0.1", ("127.0.0.1",))
SITE = SiteAuthority()


@dataclass(frozen=True)
class Exchanged:
    question: Ask[Any]
    answer: Answer


Conversations = Mapping[str, Sequence[Exchanged]]
"""By profile."""


class Recorder(Transport):
    """Keeps every question with its answer."""

    def __init__(self, endpoint: Endpoint, login: Login | None) -> None:
        super().__init__(endpoint, None, login=login, clock=SystemClock(), rng=SystemRng(), resolver=addresses)
        self.kept: list[Exchanged] = []

    async def ask(self, question: Ask[T]) -> T:
        answer = await self.exchange(question.request)
        self.kept.append(Exchanged(question, answer))
        return question.decode(answer)


class Replayed(Transport):
    """Answers from memory; what was never asked is not found."""

    def __init__(self, answers: Mapping[Key, Answer]) -> None:
        endpoint, login = Endpoint("192.0.2.10"), Login("root", "none")
        super().__init__(endpoint, None, login=login, clock=FakeClock(), rng=FakeRng(), resolver=addresses)
        self._answers = answers

    async def exchange(self, request: Request) -> Answer:
        return self._answers.get(key_of(request), Answer(404, (), b""))


def key_of(request: Request) -> Key:
    """What is asked for, whatever is asked about it."""
    named = re.search(rb'<s:Body><([\w:]+)|"method": "(\w+)"', request.body)
    operation = "" if named is None else (named[1] or named[2]).decode()
    return request.method, request.target, operation, request.anonymous


async def recorded() -> Conversations:
    """Everything that was asked and answered from first contact to a bound certificate, but by switches."""
    spoken = [DeviceSpec(name) for name, profile in PROFILES.items() if not profile.switch]
    async with Fleet(spoken, restart_seconds=0.0) as fleet:
        kept = {device.profile.name: await _all_answers(device) for device in fleet.devices}
    fresh = [DeviceSpec(name, setup_done=False) for name in ("6.50", "9.10", "12.11")]
    async with Fleet(fresh, restart_seconds=0.0) as fleet:
        return kept | {f"{device.profile.name}-fresh": await _set_up(device) for device in fleet.devices}


async def _all_answers(device: SimulatedDevice) -> tuple[Exchanged, ...]:
    recorder = Recorder(endpoint_of(device), login_of(device))
    try:
        await recorder.ask(wire_cgi.challenge())
        await recorder.ask(wire_cgi.front_page())
        with suppress(DeviceError):  # a switch, or a product without certificates
            await everything(recorder)
    finally:
        await recorder.close()
    return tuple(recorder.kept)


async def _set_up(device: SimulatedDevice) -> tuple[Exchanged, ...]:
    recorder = Recorder(endpoint_of(device), None)
    try:
        await identity.set_up(recorder, await identity.meet(recorder), Login("root", "Long-enough-1-password"))
    finally:
        await recorder.close()
    return tuple(recorder.kept)


async def everything(transport: Transport) -> None:
    """All verbs of the driver contract, as a first contact, a job and its tidying up use them."""
    stranger = await identity.meet(transport)
    assert stranger.facts is None or stranger.facts.model.isprintable()
    await identity.log_in(transport)
    _, driver = await probe.choose(transport, stranger, {})
    reads = (driver.facts, driver.https, driver.certificates, driver.authorities, driver.uses, driver.clock)
    for read in reads:
        await read()
    await driver.set_clock(SITE.now)
    request = (await driver.request_certificate(ALIAS, SPEC)).der
    with suppress(IssuanceRefused):  # of a key as firmware 5.51 makes it
        csr.judge(request)
        await driver.install(ALIAS, Chain(SITE.leaf_for_csr(request, "127.0.0.1"), (SITE.issuing,)))
    await driver.install_authority(Alias("fuzz-authority"), SITE.issuing)
    await _bound_and_removed(driver)


async def _bound_and_removed(driver: Driver) -> None:
    for entry in await driver.certificates():
        if entry.alias == ALIAS:
            await driver.remove(entry.alias)
    await driver.set_https(await driver.https())


def remembered(kept: Sequence[Exchanged]) -> dict[Key, Answer]:
    """The first answer to each question: a device that nobody changed yet."""
    return {key_of(one.question.request): one.answer for one in reversed(kept)}


def one_damaged(source: Random, kept: Sequence[Exchanged]) -> tuple[dict[Key, Answer], Answer]:
    """The conversation, in which one question is always answered by the damaged answer given beside it."""
    answers = remembered(kept)
    bodies = [answer.body for answer in answers.values() if answer.body]
    chosen = source.choice(list(answers))
    hurt = Answer(
        source.choice((answers[chosen].status,) * 6 + (200, 204, 400, 404, 500)),
        answers[chosen].headers,
        damaged(source, answers[chosen].body, bodies),
    )
    answers[chosen] = hurt
    return answers, hurt
