"""What must fail, fails closed: the wrong device, the wrong place, the wrong scheme; and no credential is sent."""

import pytest

from fleetseal.core.errors import (
    AuthenticationFailed,
    FleetsealError,
    IdentityMismatch,
    InvalidInput,
    NotSupported,
    PermissionDenied,
    ProtocolViolation,
    SetupNeeded,
    TrustFailure,
    Unreachable,
    VerificationFailed,
)
from fleetseal.core.model import Anchored, Endpoint, Factory, FirstUse, Login, PeerTrust, Pinned, Plaintext, Serial
from fleetseal.devices.connect import AxisConnector
from fleetseal.devices.target import Resolver, addresses, resolve
from fleetseal.sim.fleet import DeviceSpec, Fleet, SimulatedDevice
from fleetseal.sim.profiles import PROFILES

from ..devices import SiteAuthority, connector_for, endpoint_of, login_of, serial_of, sha256

MANAGED = tuple(name for name, profile in PROFILES.items() if not profile.switch)
STRANGER = Serial("ACCC8E000001")


async def refused(
    connector: AxisConnector,
    device: SimulatedDevice,
    trust: PeerTrust,
    kind: type[FleetsealError],
    **changes: object,
) -> FleetsealError:
    """Opening fails like this."""
    endpoint = changes.get("endpoint", endpoint_of(device))
    login = changes.get("login", login_of(device))
    serial = changes.get("serial", serial_of(device))
    assert isinstance(endpoint, Endpoint)
    assert isinstance(login, Login)
    with pytest.raises(kind) as caught:
        async with connector.open(endpoint, trust, login, serial=serial):  # type: ignore[arg-type]  # Serial or None
            pass
    assert login.password not in str(caught.value)
    return caught.value


def logins(device: SimulatedDevice) -> list[str]:
    return [record.authorization for record in device.requests if record.authorization]


@pytest.mark.parametrize("profile", MANAGED)
async def test_a_wrong_password_is_sent_once(profile: str) -> None:
    async with Fleet([profile]) as fleet:
        device, connector = fleet.devices[0], await connector_for(fleet)
        wrong = Login(device.username, "not the password")
        await refused(connector, device, Plaintext(), AuthenticationFailed, login=wrong)
        assert logins(device) == ["Digest"]


async def test_a_wrong_password_is_sent_once_as_basic_too() -> None:
    async with Fleet(["12.11"]) as fleet:
        device, connector = fleet.devices[0], await connector_for(fleet)
        await refused(connector, device, Factory(), AuthenticationFailed, login=Login("root", "not the password"))
        assert logins(device) == ["Basic"]


@pytest.mark.parametrize("profile", MANAGED)
async def test_basic_never_over_plain_http(profile: str) -> None:
    async with Fleet([DeviceSpec(profile, faults={"basic_only": True})]) as fleet:
        device, connector = fleet.devices[0], await connector_for(fleet)
        error = await refused(connector, device, Plaintext(), TrustFailure)
        assert "over plain HTTP" in error.message
        assert device.credential_bytes == 0


@pytest.mark.parametrize("profile", [name for name in MANAGED if PROFILES[name].https])
async def test_basic_never_to_a_peer_that_is_not_proved(profile: str) -> None:
    async with Fleet([DeviceSpec(profile, faults={"basic_only": True})]) as fleet:
        device, connector = fleet.devices[0], await connector_for(fleet)
        shown = sha256((await connector.served(endpoint_of(device))).leaf)
        for trust in (FirstUse(), Pinned(shown, accepted=False)):
            await refused(connector, device, trust, TrustFailure)
        if endpoint_of(device).legacy_tls:
            error = await refused(connector, device, Pinned(shown, accepted=True), TrustFailure)
            assert "TLS 1.0" in error.message
        assert device.credential_bytes == 0


@pytest.mark.parametrize("profile", ["12.11", "12.11-self-signed"])
async def test_basic_to_a_proved_peer(profile: str) -> None:
    """The positive side of the two tests above."""
    async with Fleet([profile]) as fleet:
        device, connector = fleet.devices[0], await connector_for(fleet)
        shown = await connector.served(endpoint_of(device))
        factory = (await connector.look(endpoint_of(device))).factory
        assert factory == (profile == "12.11")
        trust = Factory() if factory else Pinned(sha256(shown.leaf), accepted=True)
        async with connector.open(endpoint_of(device), trust, login_of(device), serial=None) as connection:
            assert connection.facts.serial == device.serial
        assert set(logins(device)) == {"Basic"}


@pytest.mark.parametrize("profile", MANAGED)
async def test_another_device_at_the_address(profile: str) -> None:
    async with Fleet([profile]) as fleet:
        device, connector = fleet.devices[0], await connector_for(fleet)
        levels: list[PeerTrust] = [Plaintext()]
        if device.web.tls:
            levels.append(FirstUse())
        for trust in levels:
            await refused(connector, device, trust, IdentityMismatch, serial=STRANGER)
        assert device.credential_bytes == 0


@pytest.mark.parametrize("profile", ["9.10", "10.12", "12.11"])
@pytest.mark.parametrize("realm", ["AXIS_ACCC8E000001", "Restricted area", "AXIS_B8A44F"])
async def test_a_realm_that_is_not_the_devices(profile: str, realm: str) -> None:
    async with Fleet([DeviceSpec(profile, faults={"realm": realm})]) as fleet:
        device, connector = fleet.devices[0], await connector_for(fleet)
        await refused(connector, device, Plaintext(), IdentityMismatch)
        assert device.credential_bytes == 0


@pytest.mark.parametrize("profile", ["5.51", "9.10", "12.11"])
async def test_a_serial_in_the_answers_that_is_not_the_realms(profile: str) -> None:
    async with Fleet([DeviceSpec(profile, faults={"serial": STRANGER})]) as fleet:
        device, connector = fleet.devices[0], await connector_for(fleet)
        for known in (serial_of(device), None):
            await refused(connector, device, Plaintext(), IdentityMismatch, serial=known)


SITE = SiteAuthority()
WRONG_PEER: dict[str, PeerTrust] = {
    "verified, by chain": Anchored((SITE.root,), (SITE.issuing,)),
    "verified, by the recorded leaf": Anchored((SITE.root,), leaves=frozenset({bytes(32)})),
    "verified, by the recorded key": Anchored((SITE.root,), keys=frozenset({bytes(32)})),
    "factory": Factory(),
    "pinned by a person": Pinned(bytes(32), accepted=True),
    "kept from first use": Pinned(bytes(32), accepted=False),
}


@pytest.mark.parametrize("level", WRONG_PEER)
@pytest.mark.parametrize("profile", ["12.11-self-signed", "9.10"])
async def test_an_impostor_sees_not_one_byte(profile: str, level: str) -> None:
    """The handshake comes to its end, and the judgement of its certificate ends the connection."""
    async with Fleet([profile]) as fleet:
        device, connector = fleet.devices[0], await connector_for(fleet)
        await refused(connector, device, WRONG_PEER[level], IdentityMismatch)
        assert (device.requests, device.bytes_received) == ([], 0)


@pytest.mark.parametrize("wrong", ["leaf", "chain"])
async def test_what_verification_refuses_sees_not_one_byte(wrong: str) -> None:
    async with Fleet(["12.11-self-signed"]) as fleet:
        device, connector = fleet.devices[0], await connector_for(fleet)
        served = await connector.served(endpoint_of(device))
        with pytest.raises(VerificationFailed):
            await connector.verify(
                endpoint_of(device),
                login_of(device),
                anchors=(SITE.root,),
                intermediates=(),
                leaf_sha256=bytes(32) if wrong == "leaf" else sha256(served.leaf),
                name=device.address,
                serial=serial_of(device),
            )
        assert (device.requests, device.bytes_received) == ([], 0)


async def test_factory_state_is_told_before_any_login() -> None:
    async with Fleet([DeviceSpec(name, setup_done=False) for name in MANAGED]) as fleet:
        connector = await connector_for(fleet)
        for device in fleet.devices:
            error = await refused(connector, device, Plaintext(), SetupNeeded)
            assert "factory state" in error.message
            assert (await connector.look(endpoint_of(device))).needs_setup is True
            assert device.credential_bytes == 0


async def test_a_user_without_administrator_rights() -> None:
    async with Fleet(["9.10", "12.11"]) as fleet:
        connector = await connector_for(fleet)
        for device in fleet.devices:
            device.device.add_user("guard", "viewing", ("viewer",))
            error = await refused(connector, device, Plaintext(), PermissionDenied, login=Login("guard", "viewing"))
            assert "guard" in error.message


@pytest.mark.parametrize("profile", MANAGED)
async def test_a_redirect_elsewhere_is_an_error(profile: str) -> None:
    async with Fleet([DeviceSpec(profile, faults={"redirect_to": "http://192.0.2.66/axis-cgi/"})]) as fleet:
        device, connector = fleet.devices[0], await connector_for(fleet)
        error = await refused(connector, device, Plaintext(), ProtocolViolation)
        assert "192.0.2.66" in error.message
        with pytest.raises(ProtocolViolation):
            await connector.look(endpoint_of(device))
        assert device.credential_bytes == 0


async def test_looking_sends_no_credential() -> None:
    async with Fleet(MANAGED) as fleet:
        connector = await connector_for(fleet)
        for device in fleet.devices:
            sight = await connector.look(endpoint_of(device))
            assert sight.serial == device.serial
            assert sight.http_schemes == {*device.device.schemes(secure=False)}
            assert sight.https_schemes == ({*device.device.schemes(secure=True)} if sight.https else set())
            assert device.credential_bytes == 0


async def test_old_tls_is_refused_with_its_name_and_the_way_out() -> None:
    async with Fleet(["5.51"]) as fleet:
        device, connector = fleet.devices[0], await connector_for(fleet)
        strict = endpoint_of(device, legacy_tls=False)
        sight = await connector.look(strict)
        assert (sight.https, sight.http) == (False, True)
        for message in (
            sight.tls_error or "",
            (await refused(connector, device, FirstUse(), Unreachable, endpoint=strict)).message,
        ):
            assert "offers only TLS 1.0" in message
            assert f"device set {device.address} --tls legacy" in message
        with pytest.raises(Unreachable, match=r"TLS 1\.0"):
            await connector.served(strict)
        assert device.credential_bytes == 0


async def test_a_port_that_does_not_speak_tls_or_is_closed() -> None:
    async with Fleet(["6.50"]) as fleet:
        device, connector = fleet.devices[0], await connector_for(fleet)
        plain = Endpoint(device.address, device.http_port, device.http_port)
        with pytest.raises(Unreachable, match="TLS"):
            await connector.served(plain)
        sight = await connector.look(plain)
        assert (sight.http, sight.https) == (True, False)
        await device.trouble(unreachable=True)
        with pytest.raises(Unreachable, match="neither HTTPS nor HTTP"):
            await connector.look(endpoint_of(device))
        error = await refused(connector, device, Plaintext(), Unreachable)
        assert "refuses connections" in error.message


async def test_two_devices_behind_one_address_are_not_mixed_up() -> None:
    async with Fleet(["12.11", "9.10"]) as fleet:
        connector = await connector_for(fleet)
        first, second = fleet.devices
        with pytest.raises(ProtocolViolation, match="Give the ports of one device"):
            await connector.look(Endpoint(first.address, second.http_port, first.https_port))


@pytest.mark.parametrize("profile", ["9.10", "12.11"])
async def test_a_locked_out_address_is_not_hammered(profile: str) -> None:
    async with Fleet([DeviceSpec(profile, faults={"lockout_after": 1})]) as fleet:
        device, connector = fleet.devices[0], await connector_for(fleet)
        await refused(connector, device, Plaintext(), AuthenticationFailed, login=Login(device.username, "wrong"))
        count = len(logins(device))
        await refused(connector, device, Plaintext(), FleetsealError)
        assert len(logins(device)) <= count + 1


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "224.0.0.251", "ff02::fb", "255.255.255.255", "169.254.169.254", "::ffff:169.254.169.254"],
)
async def test_addresses_that_no_device_has(host: str) -> None:
    with pytest.raises(InvalidInput, match="Nothing was sent"):
        await resolve(host, addresses)
    with pytest.raises(InvalidInput, match="Nothing was sent"):
        await resolve("camera.example", lies(host))


def lies(address: str) -> Resolver:
    async def found(name: str) -> tuple[str, ...]:
        return (address,)

    return found


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "169.254.7.7", "192.168.0.90"])
async def test_addresses_that_a_device_may_have(host: str) -> None:
    assert await resolve(host, addresses) == host
    assert await resolve("camera.example", lies(host)) == host


async def test_a_device_without_any_interface_that_is_known() -> None:
    async with Fleet(["9.80-companion"]) as fleet:
        device, connector = fleet.devices[0], await connector_for(fleet)
        device.device.parameters.drop("System.BoaGroupPolicy.")
        error = await refused(connector, device, Plaintext(), NotSupported)
        assert "C Bullet LE" in error.message
        assert "9.80.2.2" in error.message
