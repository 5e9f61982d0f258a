"""Every verb of the driver contract on every simulated generation, and what refusals and lost answers become."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from fleetseal.core.errors import (
    DeviceError,
    NotFound,
    NotSupported,
    OutcomeUnknown,
    ProtocolViolation,
    Rejected,
    TrustFailure,
    Unreachable,
    VerificationFailed,
)
from fleetseal.core.model import (
    Alias,
    Chain,
    ConnectionPolicy,
    FirstUse,
    Generation,
    HttpsState,
    KeyPair,
    KeySpec,
    PeerTrust,
    Pinned,
    Plaintext,
)
from fleetseal.core.runtime import SystemClock
from fleetseal.devices.connect import AxisConnector, OpenConnection
from fleetseal.devices.driver import Connection, Connector, Driver
from fleetseal.sim.fleet import DeviceSpec, Fleet, SimulatedDevice
from fleetseal.sim.profiles import PROFILES

from ..devices import SiteAuthority, connector_for, endpoint_of, login_of, pkcs8, serial_of, sha256

MANAGED = tuple(name for name, profile in PROFILES.items() if profile.certificates)
ALIAS = Alias("fleetseal-test-1")
SPEC = KeySpec("127.0.0.1", ("127.0.0.1",))
SITE = SiteAuthority()


@pytest.fixture(params=MANAGED)
def profile(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@asynccontextmanager
async def opened(profile: str, **faults: object) -> AsyncIterator[tuple[Connection, SimulatedDevice, AxisConnector]]:
    """One running device and a connection to it, over plain HTTP unless said otherwise."""
    async with Fleet([DeviceSpec(profile, faults=faults)]) as fleet:
        device = fleet.devices[0]
        connector = await connector_for(fleet)
        async with door(connector, device, Plaintext()) as connection:
            yield connection, device, connector


@asynccontextmanager
async def door(connector: AxisConnector, device: SimulatedDevice, trust: PeerTrust) -> AsyncIterator[OpenConnection]:
    async with connector.open(endpoint_of(device), trust, login_of(device), serial=serial_of(device)) as connection:
        yield connection


async def certified(driver: Driver, alias: Alias = ALIAS) -> Chain:
    """A key of the device under `alias`, certified for its address; nothing is bound yet."""
    csr = await driver.request_certificate(alias, SPEC)
    chain = Chain(SITE.leaf_for_csr(csr.der, "127.0.0.1"), (SITE.issuing,))
    await driver.install(alias, chain)
    return chain


async def until_verified(attempt: Callable[[], Awaitable[None]]) -> None:
    """The web server is away for a moment after each change."""
    for _ in range(50):
        try:
            return await attempt()
        except Unreachable:
            await SystemClock().sleep(0.1)
    return await attempt()


async def bind(driver: Driver, **changes: object) -> None:
    """The answer may be lost in the restart: what counts is what the device shows afterwards."""
    state = replace(await driver.https(), **changes)  # type: ignore[arg-type]  # the tests name real members
    with suppress(OutcomeUnknown):
        await driver.set_https(state)


def test_the_classes_keep_the_contract() -> None:
    """Checked by the type checker; at run time there is something to run it on."""
    connector: type[Connector] = AxisConnector
    assert {"look", "served", "open", "verify", "resolve"} <= set(dir(connector))


async def test_what_the_framework_offers_is_asked_once_for_each_firmware() -> None:
    async with Fleet(["11.6"]) as fleet:
        device = fleet.devices[0]
        connector = await connector_for(fleet)

        async def asked() -> tuple[str | None, int]:
            async with door(connector, device, Plaintext()) as connection:
                assert await connection.driver.certificates()
                targets = [record.target for record in device.requests]
                return connection.facts.rest_base, targets.count("/config/discover")

        first = await asked()
        assert first[1] == 1
        assert await asked() == first
        await device.update("12.11")
        assert (await asked())[1] == 2


async def test_facts(profile: str) -> None:
    async with opened(profile) as (connection, device, _):
        facts, known = connection.facts, device.profile
        assert (facts.serial, facts.model, facts.firmware) == (
            device.serial,
            known.product.model,
            known.product.firmware,
        )
        assert facts.generation is (Generation.REST if known.interfaces.rest else Generation.SOAP)
        assert facts.rest_base == (f"/config/rest/cert/{known.interfaces.rest}" if known.interfaces.rest else None)
        assert facts.administrator is True
        # Without parameter and `virtualhost` API, as 11.6 is thought to be, the HTTP port is not told.
        assert facts.http_port == (None if profile == "11.6" else device.http_port)
        assert facts.https_port == device.https_port
        assert facts.clock_offset is not None
        assert abs(facts.clock_offset) < 5
        assert [store.id for store in facts.keystores if store.default] == (
            [device.device.default_keystore] if known.interfaces.rest else []
        )
        again = await connection.driver.facts()
        assert again == replace(facts, clock_offset=again.clock_offset)


async def test_entries_are_those_of_the_store(profile: str) -> None:
    async with opened(profile) as (connection, device, _):
        await connection.driver.install_authority(Alias("site-root"), SITE.root)
        entries = await connection.driver.certificates()
        assert [(entry.alias, entry.der) for entry in entries] == [
            (alias, device.certificate(alias)) for alias in device.aliases
        ]
        assert {entry.alias for entry in entries if entry.in_use} == ({device.web.bound} - {None})
        authorities = await connection.driver.authorities()
        assert [(entry.alias, entry.der) for entry in authorities] == [
            (alias, device.certificate(alias)) for alias in device.authority_aliases
        ]
        assert ("site-root", SITE.root) in [(entry.alias, entry.der) for entry in authorities]


async def test_uses_are_those_of_the_web_server_and_of_the_certificate_sets(profile: str) -> None:
    async with opened(profile) as (connection, device, _):
        await connection.driver.create_self_signed(ALIAS, SPEC)
        assert ALIAS not in await connection.driver.uses()
        device.device.cert_sets["mqtt_client"] = (ALIAS,)
        device.device.cert_sets["EAPTLS_WIRED"] = (ALIAS,)
        device.device.cert_sets["NTS"] = (ALIAS,)
        uses = await connection.driver.uses()
        assert uses[ALIAS] == {"MQTT", "802.1X", "NTS"}
        if device.web.bound is not None:
            assert "HTTPS" in uses[Alias(device.web.bound)]
        if profile == "12.11":  # as recorded on the P3265-V
            assert uses[Alias("Axis device ID ECC-P256 (802.1AR)")] == {"HTTPS", "802.1X", "RTSPS"}
            assert uses[Alias("Axis device ID Root CA ECC")] == {"802.1X"}


async def test_a_key_is_made_once_whatever_happens(profile: str) -> None:
    async with opened(profile) as (connection, device, _):
        first = await connection.driver.request_certificate(ALIAS, SPEC)
        again = await connection.driver.request_certificate(ALIAS, SPEC)
        keys = [x509.load_der_x509_csr(request.der).public_key() for request in (first, again)]
        assert keys[0] == keys[1]
        assert device.aliases.count(ALIAS) == 1
        assert device.effects["create_key"] == 1


async def test_enable_verify_unbind_and_remove(profile: str) -> None:
    async with opened(profile) as (connection, device, connector):
        driver = connection.driver
        before = await driver.https()
        chain = await certified(driver)
        await driver.install_authority(Alias("site-issuing"), SITE.issuing)
        await bind(driver, tls=True, alias=ALIAS, policy=ConnectionPolicy.HTTP_AND_HTTPS)

        async def verified() -> None:
            seen = await connector.verify(
                endpoint_of(device),
                login_of(device),
                anchors=(SITE.root,),
                intermediates=(SITE.issuing,),
                leaf_sha256=sha256(chain.leaf),
                name="127.0.0.1",
                serial=serial_of(device),
            )
            assert seen.served.leaf == chain.leaf
            assert seen.chain_sent == device.profile.tls.sends_chain
            assert seen.served.tls_version == device.profile.tls.highest

        await until_verified(verified)
        state = await driver.https()
        assert (state.tls, state.alias) == (True, ALIAS)
        assert (state.ciphers, state.authorities) == (before.ciphers, before.authorities)
        used = {entry.alias for entry in await driver.certificates() if entry.in_use}
        assert used == {ALIAS}
        with pytest.raises(Rejected) as refused:
            await driver.remove(ALIAS)
        assert refused.value.vendor_text

        await bind(driver, tls=before.tls, alias=before.alias, policy=before.policy)
        await until_verified(lambda: _same_https(driver, before))
        await driver.remove(ALIAS)
        await driver.remove(Alias("site-issuing"))
        assert ALIAS not in device.aliases
        assert "site-issuing" not in device.authority_aliases
        for alias in (ALIAS, Alias("site-issuing")):
            with pytest.raises(NotFound, match=alias):
                await driver.remove(alias)


async def _same_https(driver: Driver, expected: object) -> None:
    assert await driver.https() == expected


async def test_https_only_and_back(profile: str) -> None:
    async with opened(profile) as (connection, device, connector):
        chain = await certified(connection.driver)
        groups = tuple((name, ConnectionPolicy.HTTPS) for name, _ in (await connection.driver.https()).other_policies)
        await bind(connection.driver, tls=True, alias=ALIAS, policy=ConnectionPolicy.HTTPS, other_policies=groups)
        await SystemClock().sleep(0.3)
        sight = await connector.look(endpoint_of(device))
        assert (sight.http, sight.https) == (False, True)
        assert sight.served is not None
        assert sight.served.leaf == chain.leaf
        assert sight.serial == device.serial

        async with door(connector, device, Pinned(sha256(chain.leaf), accepted=True)) as secure:
            assert secure.encrypted
            back = tuple((name, ConnectionPolicy.HTTP) for name, _ in groups)
            await bind(secure.driver, policy=ConnectionPolicy.HTTP, other_policies=back)
        await SystemClock().sleep(0.3)
        sight = await connector.look(endpoint_of(device))
        assert (sight.http, sight.https) == (True, False)


async def test_a_self_signed_certificate_is_made(profile: str) -> None:
    async with opened(profile) as (connection, device, _):
        await connection.driver.create_self_signed(ALIAS, SPEC)
        made = x509.load_der_x509_certificate(device.certificate(ALIAS))
        assert made.subject == made.issuer
        assert "127.0.0.1" in made.subject.rfc4514_string()


@pytest.mark.parametrize("pkcs12_only", [False, True])
async def test_a_key_pair_of_ours_over_tls_only(profile: str, *, pkcs12_only: bool) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pair = KeyPair(Chain(SITE.leaf(key.public_key(), "127.0.0.1")), pkcs8(key))
    async with opened(profile, pkcs12_only=pkcs12_only) as (connection, device, connector):
        requests = len(device.requests)
        with pytest.raises(TrustFailure, match="never sent over plain HTTP"):
            await connection.driver.install_key_pair(ALIAS, pair)
        assert len(device.requests) == requests
        if not device.web.tls:
            await connection.driver.create_self_signed(Alias("bootstrap"), SPEC)
            await bind(connection.driver, tls=True, alias="bootstrap", policy=ConnectionPolicy.HTTP_AND_HTTPS)
            await SystemClock().sleep(0.3)
        shown = await connector.served(endpoint_of(device))
        async with door(connector, device, Pinned(sha256(shown.leaf), accepted=True)) as secure:
            await secure.driver.install_key_pair(ALIAS, pair)
        assert device.certificate(ALIAS) == pair.chain.leaf


async def test_the_clock_is_read_and_set(profile: str) -> None:
    async with opened(profile, clock_offset=-7200.0 * 24) as (connection, device, _):
        now = SystemClock().now()
        offset = (await connection.driver.clock() - now).total_seconds()
        assert abs(offset + 7200.0 * 24) < 5
        assert connection.facts.clock_offset == pytest.approx(offset, abs=5)
        await connection.driver.set_clock(now)
        assert abs(await connection.driver.clock() - SystemClock().now()) < timedelta(seconds=5)
        assert abs(device.faults.clock_offset) < 5


async def lost(verb: str, driver: Driver) -> None:
    """The write that is known as `verb` to the simulator."""
    match verb:
        case "create_key":
            await driver.create_self_signed(ALIAS, SPEC)
        case "install":
            await certified(driver)
        case "install_ca":
            await driver.install_authority(ALIAS, SITE.root)
        case "delete":
            await driver.install_authority(ALIAS, SITE.root)
            await driver.remove(ALIAS)
        case "bind":
            await driver.set_https(await driver.https())
        case "set_clock":
            await driver.set_clock(SystemClock().now() + timedelta(hours=1))


WRITES = ("create_key", "install", "install_ca", "delete", "bind", "set_clock")


@pytest.mark.parametrize("verb", WRITES)
@pytest.mark.parametrize("fault", ["lose_answer_of", "lose_request_of"])
async def test_a_lost_answer_is_an_unknown_outcome_and_nothing_is_sent_twice(
    profile: str, verb: str, fault: str
) -> None:
    async with opened(profile, **{fault: {verb: 1}}) as (connection, device, _):
        with pytest.raises(OutcomeUnknown, match="found by looking"):
            await lost(verb, connection.driver)
        assert device.effects.get(verb, 0) <= 1
        await SystemClock().sleep(0.3)
        assert await connection.driver.clock()  # the next request gets through


@pytest.mark.parametrize("verb", WRITES)
async def test_an_error_is_a_refusal_even_if_it_had_an_effect(profile: str, verb: str) -> None:
    async with opened(profile, error_with_effect={verb: 1}) as (connection, _, _):
        with pytest.raises((Rejected, NotSupported)) as caught:
            await lost(verb, connection.driver)
        assert caught.value.message.endswith(".")


async def test_refusals_carry_the_words_of_the_device(profile: str) -> None:
    soap = not PROFILES[profile].interfaces.rest
    async with opened(profile) as (connection, device, _):
        await device.trouble(store_full=True)
        with pytest.raises(Rejected, match="refused to make a key") as full:
            await connection.driver.create_self_signed(ALIAS, SPEC)
        assert full.value.vendor_code
        await device.trouble(store_full=False, key_generation_refused=True)
        with pytest.raises(Rejected, match="refused to make a key"):
            await connection.driver.request_certificate(ALIAS, SPEC)
        await device.trouble(key_generation_refused=False)
        await connection.driver.request_certificate(ALIAS, SPEC)
        other = SITE.leaf(SITE.root_key.public_key(), "127.0.0.1")
        with pytest.raises(Rejected, match="refused to take the certificate") as foreign:
            await connection.driver.install(ALIAS, Chain(other))
        if soap:
            assert "KeysNotMatching" in foreign.value.vendor_code
        with pytest.raises(Rejected):
            await connection.driver.create_self_signed(ALIAS, SPEC)  # the alias exists
        with pytest.raises(Rejected):
            await connection.driver.set_https(replace(await connection.driver.https(), alias=Alias("not there")))


async def test_a_loud_yes_without_effect_is_seen_by_looking(profile: str) -> None:
    async with opened(profile, ok_without_effect={"install": 1, "delete": 1}) as (connection, _, _):
        chain = await certified(connection.driver)
        shown = {entry.alias: entry.der for entry in await connection.driver.certificates()}
        assert shown[ALIAS] != chain.leaf
        await connection.driver.remove(ALIAS)
        assert ALIAS in {entry.alias for entry in await connection.driver.certificates()}


async def test_parallel_calls_take_turns(profile: str) -> None:
    """Digest counts must rise in the order the requests arrive."""
    async with opened(profile) as (connection, _, _):
        clocks = await asyncio.gather(*(connection.driver.clock() for _ in range(20)))
        assert len(clocks) == 20


async def test_a_nonce_that_expires_is_no_wrong_password(profile: str) -> None:
    async with opened(profile, nonce_seconds=0.05) as (connection, _, _):
        for _ in range(3):
            await SystemClock().sleep(0.1)
            assert await connection.driver.clock()


async def test_parameters_alone_are_no_certificate_interface() -> None:
    async with opened("9.80-companion") as (connection, device, _):
        driver, alias = connection.driver, Alias("a")
        asked = len(device.requests)
        verbs: list[Awaitable[object]] = [
            driver.certificates(),
            driver.authorities(),
            driver.uses(),
            driver.request_certificate(alias, SPEC),
            driver.create_self_signed(alias, SPEC),
            driver.install(alias, Chain(SITE.issuing)),
            driver.install_key_pair(alias, KeyPair(Chain(SITE.issuing), b"")),
            driver.install_authority(alias, SITE.root),
            driver.remove(alias),
            driver.set_https(HttpsState(tls=True, policy=ConnectionPolicy.HTTP_AND_HTTPS, alias=alias)),
        ]
        for verb in verbs:
            with pytest.raises(NotSupported, match="no certificate interface"):
                await verb
        assert len(device.requests) == asked
        device.device.parameters.drop("HTTPS.Enabled")
        with pytest.raises(ProtocolViolation, match="do not tell its connection policy"):
            await driver.https()


async def test_the_switch_has_no_driver() -> None:
    async with Fleet(["t85"]) as fleet:
        device = fleet.devices[0]
        connector = await connector_for(fleet)
        sight = await connector.look(endpoint_of(device))
        assert (sight.serial, sight.facts) == (None, None)
        assert "T8508" in (sight.unsupported_reason or "")
        with pytest.raises(NotSupported):
            async with door(connector, device, FirstUse()):
                pass
        assert device.credential_bytes == 0


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("leaf", "serves another certificate"),
        ("name", "does not verify"),
        ("anchor", "does not verify"),
        ("expired", "does not verify"),
    ],
)
@pytest.mark.parametrize("name", ["9.10", "12.11"])
async def test_verification_says_what_is_wrong(name: str, wrong: str, reason: str) -> None:
    async with opened(name) as (connection, device, connector):
        csr = await connection.driver.request_certificate(ALIAS, SPEC)
        key = x509.load_der_x509_csr(csr.der).public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        leaf = SITE.leaf(key, "127.0.0.2" if wrong == "name" else "127.0.0.1", days=-1 if wrong == "expired" else 90)
        await connection.driver.install(ALIAS, Chain(leaf))
        await bind(connection.driver, tls=True, alias=ALIAS)
        served = device.credential_bytes

        async def refused() -> None:
            with pytest.raises(VerificationFailed, match=reason):
                await connector.verify(
                    endpoint_of(device),
                    login_of(device),
                    anchors=(SiteAuthority("Other").root if wrong == "anchor" else SITE.root,),
                    intermediates=(SITE.issuing,),
                    leaf_sha256=sha256(SITE.root if wrong == "leaf" else leaf),
                    name="127.0.0.1",
                    serial=serial_of(device),
                )

        await until_verified(refused)
        assert device.credential_bytes == served


async def test_verification_of_dead_tls_can_be_tried_again() -> None:
    async with opened("12.11", tls_dead_on_new_certificate=True) as (connection, device, connector):
        chain = await certified(connection.driver)
        await bind(connection.driver, tls=True, alias=ALIAS)
        await SystemClock().sleep(0.3)
        with pytest.raises(DeviceError) as caught:
            await connector.verify(
                endpoint_of(device),
                login_of(device),
                anchors=(SITE.root,),
                intermediates=(SITE.issuing,),
                leaf_sha256=sha256(chain.leaf),
                name="127.0.0.1",
                serial=serial_of(device),
            )
        assert isinstance(caught.value, Unreachable)
