"""The web application's own certificate: from the CA here, on record, renewed, and shown without a restart."""

import asyncio
import socket
import ssl
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from fleetseal.core.config import Settings, WebWish
from fleetseal.core.errors import FleetsealError, InvalidInput, IssuanceRefused, Locked, StoreError
from fleetseal.core.runtime import SystemClock
from fleetseal.operations import alarm_pass, authorities, issued, issuing, web_certificate
from fleetseal.operations.services import Services
from fleetseal.operations.web_certificate import Host, names_of
from fleetseal.pki import keys
from fleetseal.store import alarms, audit, certificates
from fleetseal.web.entrance import Entrance
from tests.site import PASSPHRASE, site
from tests.support import FastClock

pytestmark = pytest.mark.enable_socket

EVERYWHERE = Settings(web_host="0.0.0.0", web_port=0)
HERE = Settings(web_port=0)
MANY = tuple(f"192.0.2.{number}" for number in range(1, 30))
COMPUTER = Host("cams.example.com", ("127.0.0.1", "192.0.2.7", "fe80::1", "2001:db8::7"))


async def api(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("nobody asks the API")


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    """With a CA of two tiers."""
    async with site(tmp_path / "data", clock=FastClock(SystemClock().now(), factor=20)) as here:
        yield here.services


@pytest.fixture
async def bare(tmp_path: Path) -> AsyncIterator[Services]:
    """Without a CA."""
    async with site(tmp_path / "data", authority=False, clock=FastClock(SystemClock().now(), factor=20)) as here:
        yield here.services


async def create(services: Services, **options: Any) -> None:
    await authorities.create(services, actor="test", name="Site", key_type="ec", passphrase=PASSPHRASE, **options)


def clock_of(services: Services) -> FastClock:
    assert isinstance(services.clock, FastClock)
    return services.clock


@asynccontextmanager
async def entered(services: Services, settings: Settings = EVERYWHERE, **wish: Any) -> AsyncIterator[str]:
    """The address, while the door is open."""
    entrance = Entrance(services, api, computer=lambda: COMPUTER)
    async with asyncio.TaskGroup() as group:
        await entrance.open(group, settings, WebWish(**wish))
        try:
            assert entrance.address is not None
            yield entrance.address
        finally:
            await entrance.close()


async def refused(services: Services, settings: Settings = EVERYWHERE, **wish: Any) -> FleetsealError:
    """Why it does not open."""
    entrance = Entrance(services, api, computer=lambda: COMPUTER)
    async with asyncio.TaskGroup() as group:
        with pytest.raises(FleetsealError) as caught:
            await entrance.open(group, settings, WebWish(**wish))
        await entrance.close()
    assert entrance.address is None
    return caught.value


async def shown(address: str, anchors: list[bytes] | None = None, name: str = "127.0.0.1") -> x509.Certificate:
    """The certificate; with `anchors` verified like a browser does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if anchors is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(cadata=b"".join(anchors))
    port = int(address.rstrip("/").rpartition(":")[2])
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    der = writer.get_extra_info("ssl_object").getpeercert(True)
    writer.transport.abort()
    return x509.load_der_x509_certificate(der)


async def roots(services: Services) -> list[bytes]:
    async with services.database.reading() as tx:
        return list(await issuing.anchors(tx))


async def states(services: Services) -> list[str]:
    return [one["state"] for one in await issued.list_(services)]


# ---------------------------------------------------------------- where, and how


async def test_on_this_computer_it_is_plain_and_needs_no_ca(bare: Services) -> None:
    async with entered(bare, HERE) as address:
        assert address.startswith("http://127.0.0.1:")
    async with entered(bare, EVERYWHERE, host="::1", port=0) as address:
        assert address.startswith("http://[::1]:")
    assert not web_certificate.path_of(bare).exists()


async def test_nowhere_is_a_place_too(bare: Services) -> None:
    entrance = Entrance(bare, api)
    async with asyncio.TaskGroup() as group:
        await entrance.open(group, Settings(web_host=""), WebWish())
        await entrance.close()
    assert entrance.address is None


async def test_beyond_this_computer_it_is_tls_or_nothing(bare: Services) -> None:
    error = await refused(bare)
    assert isinstance(error, InvalidInput)
    assert "fleetseal ca create" in error.message
    assert "--host 127.0.0.1" in error.message


@pytest.mark.parametrize(
    ("wish", "text"),
    [
        ({"host": "192.0.2.1"}, "is no address of this computer"),
        ({"host": "localhost"}, "web.host cannot be"),
        ({"port": 70000}, "web.port cannot be"),
    ],
)
async def test_a_place_that_cannot_be_is_one_sentence(services: Services, wish: dict[str, Any], text: str) -> None:
    error = await refused(services, HERE, **wish)
    assert isinstance(error, InvalidInput)
    assert text in error.message


async def test_a_port_that_is_taken_is_said(services: Services) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = await refused(services, HERE, port=port)
    assert isinstance(error, InvalidInput)
    assert f"Port {port} of 127.0.0.1 is taken" in error.message


async def test_files_that_were_given_are_shown_even_here(services: Services, tmp_path: Path) -> None:
    async with entered(services) as address:
        assert (await shown(address)).subject.rfc4514_string() == "CN=cams.example.com"
    kept = web_certificate.path_of(services)
    pem, key = tmp_path / "own.pem", tmp_path / "own.key"
    secret = x509_key(kept, web_certificate.passphrase(services))
    pem.write_bytes(kept.read_bytes())
    key.write_bytes(secret)
    only = Settings(web_port=0, web_certificate=str(pem))
    assert "go together" in (await refused(services, only)).message
    missing = Settings(web_port=0, web_certificate=str(pem), web_key=str(tmp_path / "none"))
    assert "cannot be read" in (await refused(services, missing)).message
    async with entered(services, Settings(web_port=0, web_certificate=str(pem), web_key=str(key))) as address:
        assert address.startswith("https://127.0.0.1:")
        await shown(address)
    assert not kept.exists(), "its key serves nobody any more"
    assert await states(services) == ["superseded"]


def x509_key(file: Path, passphrase: str) -> bytes:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(file.read_bytes().partition(b"-----BEGIN CERT")[0], passphrase.encode())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


# ---------------------------------------------------------------- the certificate


async def test_it_is_issued_on_record_and_verified_by_its_clients(services: Services) -> None:
    async with entered(services) as address:
        assert address.startswith("https://cams.example.com:")
        for name in ("127.0.0.1", "192.0.2.7", "cams.example.com"):
            leaf = await shown(address, await roots(services), name)
    (row,) = await issued.list_(services)
    assert row["names"] == ["cams.example.com", "127.0.0.1", "192.0.2.7"]
    assert (row["device"], row["mac"], row["state"], row["key_origin"]) == (None, None, "installed", "manager")
    assert int(row["serial"], 16) == leaf.serial_number
    async with services.database.reading() as tx:
        assert (await audit.of_action(tx, "certificate issued"))[0].object == row["serial"]


async def test_another_start_shows_the_same_one(services: Services) -> None:
    async with entered(services) as address:
        first = await shown(address)
    async with entered(services) as address:
        assert await shown(address) == first
    async with entered(services, names=("other.example.com",)) as address:
        other = await shown(address, await roots(services), "other.example.com")
        assert address.startswith("https://other.example.com:")
    assert other != first
    assert await states(services) == ["superseded", "installed"]


async def test_the_key_lies_there_sealed(services: Services) -> None:
    async with entered(services):
        pass
    path = web_certificate.path_of(services)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = path.read_bytes()
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in content
    assert web_certificate.passphrase(services).encode() not in content
    path.write_bytes(content.replace(b"Passphrase: ", b"Passphrase: AAAA"))
    with pytest.raises(StoreError):
        web_certificate.passphrase(services)


async def test_what_the_ca_may_not_vouch_for_is_left_out_unless_a_person_named_it(bare: Services) -> None:
    await create(bare, permit_networks=("192.0.2.0/24",), permit_domains=("example.com",))
    async with entered(bare):
        (row,) = await issued.list_(bare)
    assert row["names"] == ["cams.example.com", "192.0.2.7"]
    error = await refused(bare, names=("10.0.0.1",))
    assert isinstance(error, IssuanceRefused)
    assert error.rule == "name-constraints"


async def test_the_night_renews_it_and_it_serves_at_once(services: Services) -> None:
    clock = clock_of(services)
    async with entered(services) as address:
        first = await shown(address)
        await web_certificate.renew(services, actor="nightly run")
        assert await shown(address) == first, "it is not due"
        clock.go_to(first.not_valid_after_utc - timedelta(days=34))
        await web_certificate.renew(services, actor="nightly run")
        async with asyncio.timeout(20):
            while (renewed := await shown(address)) == first:
                await asyncio.sleep(0.1)  # noqa: TID251 - real files
    assert renewed.not_valid_after_utc - first.not_valid_after_utc > timedelta(days=300)
    assert await states(services) == ["superseded", "installed"]


async def test_a_locked_ca_stops_the_first_one_and_not_a_later_start(bare: Services) -> None:
    await create(bare, tiers=1)
    await authorities.lock(bare, actor="test")
    assert isinstance(await refused(bare), Locked)
    async with entered(bare, passphrase=PASSPHRASE) as address:
        first = await shown(address)
    clock_of(bare).go_to(first.not_valid_after_utc - timedelta(days=10))
    async with entered(bare) as address:
        assert await shown(address) == first, "it is due, and can still be shown"
    await alarm_pass.computer(bare)
    async with bare.database.reading() as tx:
        assert [one.cause for one in await alarms.open_alarms(tx)] == ["server-certificate-expiring"]
    clock_of(bare).go_to(first.not_valid_after_utc + timedelta(days=1))
    assert isinstance(await refused(bare), Locked)
    async with entered(bare, passphrase=PASSPHRASE) as address:
        assert await shown(address) != first
    await alarm_pass.computer(bare)
    async with bare.database.reading() as tx:
        assert not await alarms.open_alarms(tx)


async def test_a_revoked_one_is_replaced_by_the_night(services: Services) -> None:
    async with entered(services):
        (row,) = await issued.list_(services)
    await issued.revoke(services, actor="test", serial=row["serial"], reason="keyCompromise")
    await web_certificate.renew(services, actor="nightly run")
    assert await states(services) == ["revoked", "installed"]


@pytest.mark.parametrize("after", ["certificate intended", "certificate issued"])
async def test_a_crash_on_the_way_leaves_a_record_and_another_is_made(services: Services, after: str) -> None:
    """ISS-RECORDED: what was intended or signed, and never put to use, is abandoned visibly."""
    path = web_certificate.path_of(services)
    if after == "certificate issued":
        path.parent.mkdir()
        path.mkdir()  # the file cannot be written
        with pytest.raises(StoreError):
            await web_certificate._issue(services, ("cams.example.com",), actor="test")
        path.rmdir()
    else:
        async with services.database.transaction() as tx:
            key = keys.generate("ec-p256")
            spki = keys.spki(key.public_key())
            await web_certificate._reserve(services, tx, spki, ("cams.example.com",), actor="test")
    async with entered(services) as address:
        await shown(address, await roots(services))
    async with services.database.reading() as tx:
        found = await certificates.of_purpose(tx, "server", "intended", "issued", "installed", "abandoned")
    assert [one.state for one in found] == ["abandoned", "installed"]


async def test_a_damaged_file_is_replaced(services: Services) -> None:
    async with entered(services) as address:
        first = await shown(address)
    web_certificate.path_of(services).write_text("damaged")
    with pytest.raises(StoreError, match="damaged"):
        web_certificate.passphrase(services)
    async with entered(services) as address:
        assert await shown(address) != first


@pytest.mark.parametrize(
    ("host", "listens_at", "names"),
    [
        (COMPUTER, "0.0.0.0", ("cams.example.com", "127.0.0.1", "192.0.2.7")),
        (COMPUTER, "::", ("cams.example.com", "127.0.0.1", "192.0.2.7", "fe80::1", "2001:db8::7")),
        (COMPUTER, "192.0.2.9", ("cams.example.com", "192.0.2.9")),
        (Host("My_Computer", ("192.0.2.7",)), "0.0.0.0", ("192.0.2.7",)),
        (Host("cams", ("192.0.2.7",)), "0.0.0.0", ("cams", "192.0.2.7")),
        (Host("cams", MANY), "0.0.0.0", ("cams", *MANY[:9])),
    ],
)
def test_what_browsers_may_call_this_computer(host: Host, listens_at: str, names: tuple[str, ...]) -> None:
    assert names_of(host, listens_at) == names
