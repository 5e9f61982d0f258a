"""Devices that are not as they were: what is said about them, what they are sent, and how that ends.

Virtual devices are reset, updated, exchanged and given the certificates of others; each counts the bytes of credentials
that it was sent. The page is docs/procedures/device-changed.md.
"""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from fleetseal.core.errors import Conflict, IdentityMismatch
from fleetseal.core.model import Login, Selection
from fleetseal.operations import clocks, contact, inventory, setting_up, trust, trusting
from fleetseal.sim.fleet import SimulatedDevice
from tests.devices import SiteAuthority
from tests.site import PASSWORD, USERNAME, Site, site

DECIDE = "Nothing was sent."
OTHER = "ACCC8E000001"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path / "data") as one:
        yield one


async def added(here: Site, profile: str) -> SimulatedDevice:
    device = await here.fleet.add(profile)
    assert (await here.add(device))["device"]["status"] == "OK"
    return device


async def enabled(here: Site, profile: str) -> SimulatedDevice:
    device = await added(here, profile)
    (outcome,) = await here.enable(device)
    assert outcome["status"] == "Finished", outcome
    return device


async def shown(here: Site, reference: str) -> dict[str, Any]:
    """`device show`, once the device was looked at again."""
    before = await inventory.show(here.services, reference)
    await contact.refresh_device(here.services, before["id"])
    return await inventory.show(here.services, reference)


async def decide(here: Site, device: SimulatedDevice) -> dict[str, Any]:
    """A person accepts what the device shows: its certificate, or, where it shows none, plain HTTP."""
    (seen,) = await trusting.preview(here.services, Selection(refs=(str(await row_id(here, device)),)))
    sha256 = None if seen["shows"] is None else seen["shows"]["sha256"]
    await trusting.accept(here.services, actor="test", accepted={seen["id"]: sha256})
    return seen


async def row_id(here: Site, device: SimulatedDevice) -> int:
    (row,) = [row for row in await inventory.list_(here.services) if row["https_port"] == device.https_port]
    assert isinstance(row["id"], int)
    return row["id"]


async def certified_elsewhere(device: SimulatedDevice, *, key_of: str | None = None) -> None:
    """Another manager had its own certificate served: for a new key, or for the key of this entry."""
    manager = SiteAuthority("Another manager", now=device.device.now())
    if key_of is not None:
        public = device.device.store.get(key_of).certificate.public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        device.device.install(key_of, x509.load_der_x509_certificate(manager.leaf(public, device.address)))
    else:
        key = rsa.generate_private_key(65537, 2048)
        leaf = x509.load_der_x509_certificate(manager.leaf(key.public_key(), device.address))
        device.device.install_key_pair("theirs", leaf, key)
        device.device.bind(replace(device.web, bound="theirs"))
    await device.restart()


async def borrowed(device: SimulatedDevice, owner: SimulatedDevice) -> None:
    """It serves the certificate and key of another device."""
    bound = owner.web.bound
    assert bound is not None
    entry = owner.device.store.get(bound)
    assert entry.key is not None
    device.device.install_key_pair("borrowed", entry.certificate, entry.key)
    device.device.bind(replace(device.web, bound="borrowed"))
    await device.restart()


def changed(row: dict[str, Any]) -> tuple[str, str, bool]:
    """First status, verdict, and whether a person has to decide. The reason is that of the status then."""
    change = row["change"]
    if change["decision"]:
        assert row["statuses"][0]["reason"] == change["reason"]
        assert DECIDE in change["reason"]
    assert "fleetseal device" in change["reason"] or "fleetseal https" in change["reason"] or not change["decision"]
    return row["status"], change["verdict"], change["decision"]


# ---------------------------------------------------------------- a person has to decide

CHANGED = "Identity changed"


@pytest.mark.parametrize("make", [added, enabled])
async def test_another_manager_had_a_certificate_of_its_own_served(here: Site, make: Any) -> None:
    device = await make(here, "9.10")
    sent = device.credential_bytes
    await certified_elsewhere(device)
    row = await shown(here, device.serial)
    assert changed(row) == (CHANGED, "renewed by another manager", True)
    assert "Another manager Issuing CA" in row["change"]["reason"]
    assert device.credential_bytes == sent
    seen = await decide(here, device)
    assert seen["change"]["verdict"] == "renewed by another manager"
    after = await shown(here, device.serial)
    assert (after["status"], after["trust"], after["change"]) == ("OK", "pinned", None)
    (outcome,) = await here.enable(device)
    assert outcome["status"] == "Finished", outcome
    assert (await inventory.show(here.services, device.serial))["change"] is None


async def test_a_new_certificate_for_the_key_that_a_device_had_from_the_start_is_shown(here: Site) -> None:
    """The pin is the certificate's: a person decides, and is told that the key is the same."""
    device = await added(here, "9.10")
    entry = device.device.store.get("Default self-signed")
    subject = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "again")])
    assert entry.key is not None
    entry.certificate = device.device._self_signed(entry.key, subject, ())
    await device.restart()
    row = await shown(here, device.serial)
    assert changed(row) == (CHANGED, "renewed by another manager", True)
    assert "for the key on record" in row["change"]["reason"]


@pytest.mark.parametrize("profile", ["9.10", "12.11"])
async def test_a_device_of_ours_was_reset(here: Site, profile: str) -> None:
    """From the finding to HTTPS with a certificate of ours again, as the sentence says."""
    device = await enabled(here, profile)
    await device.factory_default()
    before = device.credential_bytes
    row = await shown(here, device.serial)
    assert changed(row) == (CHANGED, "factory reset", True)
    assert "fleetseal device setup" in row["change"]["reason"]
    assert device.credential_bytes == before
    (outcome,) = await here.enable(device)
    assert (outcome["status"], "factory state" in outcome["description"]) == ("Failed", True)
    assert device.credential_bytes == before
    await decide(here, device)
    (made,) = await setting_up.set_up(
        here.services, actor="test", references=[device.serial], login=Login(USERNAME, PASSWORD)
    )
    assert made["result"] == "set up", made
    (outcome,) = await here.enable(device)
    assert outcome["status"] == "Finished", outcome
    after = await shown(here, device.serial)
    assert (after["status"], after["trust"], after["change"]) == ("OK", "verified", None)


async def test_a_reset_device_that_was_set_up_again_shows_the_certificate_of_its_maker(here: Site) -> None:
    device = await enabled(here, "12.11")
    await device.factory_default()
    device.device.add_user(USERNAME, PASSWORD)
    row = await shown(here, device.serial)
    assert changed(row) == (CHANGED, "factory reset", True)
    assert "its maker signed" in row["change"]["reason"]


async def test_a_reset_device_that_lost_its_clock(here: Site) -> None:
    device = await added(here, "9.10")
    await device.factory_default()
    device.device.add_user(USERNAME, PASSWORD)
    await device.trouble(clock_offset=-86_400.0 * 365)
    row = await shown(here, device.serial)
    assert changed(row) == (CHANGED, "factory reset", True)
    assert "clock" in row["change"]["reason"]


async def test_an_update_made_the_certificate_of_a_device_anew(here: Site) -> None:
    device = await added(here, "9.10")
    sent = device.credential_bytes
    await device.update("10.12", new_certificate=True)
    row = await shown(here, device.serial)
    assert changed(row) == (CHANGED, "firmware update", True)
    assert "9.10.1 and is 10.12.200" in row["change"]["reason"]
    assert device.credential_bytes == sent
    await decide(here, device)
    after = await shown(here, device.serial)
    assert (after["status"], after["firmware"]) == ("OK", "10.12.200")


@pytest.mark.parametrize("profile", ["9.10", "12.11"])
async def test_another_unit_was_put_in_the_place(here: Site, profile: str) -> None:
    device = await enabled(here, profile)
    other = await here.fleet.exchange(device, serial=OTHER)
    row = await shown(here, device.serial)
    assert changed(row) == (CHANGED, "device replaced", True)
    assert OTHER in row["change"]["reason"]
    assert other.credential_bytes == 0
    await decide(here, other)
    after = await shown(here, OTHER)
    assert (after["status"], after["mac"].replace(":", ""), after["change"]) == ("OK", OTHER, None)
    (outcome,) = await here.enable(other)
    assert outcome["status"] == "Finished", outcome


@pytest.mark.parametrize(("profile", "words"), [("10.12", "M3206-LVE"), ("t85", "tells no serial number")])
async def test_another_product_answers_at_the_address(here: Site, profile: str, words: str) -> None:
    device = await added(here, "12.11")
    before = await here.device(device)
    other = await here.fleet.exchange(device, serial=OTHER, profile=profile)
    row = await shown(here, device.serial)
    assert changed(row) == (CHANGED, "address now another device's", True)
    assert words in row["change"]["reason"]
    assert (other.credential_bytes, row["model"], row["support"]) == (0, before.model, "supported")


async def test_another_device_of_the_inventory_answers_and_proves_nothing(here: Site) -> None:
    """Both are known by plain HTTP: where they are, a person says."""
    one, other = await added(here, "12.11-self-signed"), await added(here, "12.11-self-signed")
    sent = (one.credential_bytes, other.credential_bytes)
    await here.fleet.place({one.serial: other.place, other.serial: one.place})
    for device, stranger in ((one, other), (other, one)):
        row = await shown(here, device.serial)
        assert changed(row) == (CHANGED, "address now another device's", True)
        assert stranger.serial in row["change"]["reason"]
    assert (one.credential_bytes, other.credential_bytes) == sent
    with pytest.raises(Conflict, match="in the inventory already"):
        await decide(here, one)


async def test_the_same_serial_with_another_key(here: Site) -> None:
    device = await added(here, "9.10")
    impostor = await here.fleet.exchange(device)
    row = await shown(here, device.serial)
    assert changed(row) == (CHANGED, "possibly an impostor", True)
    since = row["change"]["since"]
    assert (await shown(here, device.serial))["change"]["since"] == since
    with pytest.raises(IdentityMismatch, match="another key"):
        async with here.services.database.reading() as tx:
            await trust.peer_trust(here.services, tx, await here.device(device))
    (clock,) = await clocks.clock(here.services, actor="test", selection=Selection(refs=(device.serial,)))
    assert clock["result"] == "failed"
    assert impostor.credential_bytes == 0
    seen = await decide(here, impostor)
    assert seen["change"]["verdict"] == "possibly an impostor"
    assert (await shown(here, device.serial))["status"] == "OK"


async def test_a_device_that_says_it_is_another_one_of_the_inventory_and_cannot_prove_it(here: Site) -> None:
    one, other = await added(here, "9.10"), await enabled(here, "9.10")
    impostor = await here.fleet.exchange(one, serial=OTHER)
    await impostor.trouble(serial=other.serial, realm=f"AXIS_{other.serial}")
    row = await shown(here, one.serial)
    assert changed(row) == (CHANGED, "possibly an impostor", True)
    assert other.serial in row["change"]["reason"]
    assert impostor.credential_bytes == 0
    assert (await shown(here, other.serial))["status"] == "OK"


@pytest.mark.parametrize(
    ("profile", "serial"),
    [("9.10", None), ("9.10", OTHER), ("12.11-self-signed", None)],
    ids=["its own serial", "another unit", "known by plain HTTP"],
)
async def test_a_key_of_another_device(here: Site, profile: str, serial: str | None) -> None:
    """The key belongs to one device, whatever the other one is known by."""
    one, owner = await added(here, profile), await enabled(here, "9.10")
    impostor = await here.fleet.exchange(one, serial=serial)
    await borrowed(impostor, owner)
    row = await shown(here, one.serial)
    assert changed(row) == (CHANGED, "possibly an impostor", True)
    assert owner.serial in row["change"]["reason"]
    assert impostor.credential_bytes == 0


# ---------------------------------------------------------------- nothing needs to be decided


async def test_a_firmware_update_is_shown_until_a_person_acts(here: Site) -> None:
    device = await enabled(here, "9.10")
    assert (await shown(here, device.serial))["change"] is None
    await device.update("10.12")
    row = await shown(here, device.serial)
    assert changed(row) == ("OK", "firmware update", False)
    assert "9.10.1 and is 10.12.200" in row["change"]["reason"]
    assert (await shown(here, device.serial))["change"] == row["change"]
    (outcome,) = await here.enable(device, renew=True)
    assert outcome["status"] == "Finished", outcome
    assert (await shown(here, device.serial))["change"] is None


async def test_another_certificate_for_our_key_leaves_the_device_ours(here: Site) -> None:
    device = await enabled(here, "12.11")
    assert device.web.bound is not None
    ours = device.certificate(device.web.bound)
    await certified_elsewhere(device, key_of=device.web.bound)
    row = await shown(here, device.serial)
    assert changed(row) == ("OK", "renewed by another manager", False)
    assert (row["trust"], row["certificate"]["issued_by_us"]) == ("verified", False)
    device.device.install(device.web.bound, x509.load_der_x509_certificate(ours))
    await device.restart()
    assert (await shown(here, device.serial))["change"] is None


async def test_a_reset_device_that_its_maker_vouches_for_is_set_up_again(here: Site) -> None:
    device = await added(here, "12.11")
    await device.factory_default()
    for _ in range(2):
        assert changed(await shown(here, device.serial)) == ("Setup needed", "factory reset", False)
    device.device.add_user(USERNAME, PASSWORD)
    row = await shown(here, device.serial)
    assert (row["status"], row["change"]) == ("OK", None)


async def test_a_pinned_device_that_its_maker_vouches_for_now(here: Site) -> None:
    device = await added(here, "12.11-self-signed")
    fingerprint = hashlib.sha256(device.served or b"").hexdigest()
    await trusting.accept(here.services, actor="test", accepted={await here.id_of(device): fingerprint})
    await here.fleet.exchange(device, profile="12.11")  # the same unit, bound to its factory certificate
    row = await shown(here, device.serial)
    assert changed(row) == ("OK", "factory reset", False)
    assert row["trust"] == "factory"


async def test_a_device_known_by_plain_http_shows_another_certificate(here: Site) -> None:
    device = await added(here, "12.11-self-signed")
    await here.fleet.exchange(device)
    row = await shown(here, device.serial)
    assert changed(row) == ("OK", "possibly an impostor", False)
    assert row["trust"] == "plain"


# ---------------------------------------------------------------- the recorded thing is seen again


@pytest.mark.parametrize("make", [added, enabled])
@pytest.mark.parametrize("profile", ["9.10", "12.11"])
async def test_the_recorded_device_is_back(here: Site, make: Any, profile: str) -> None:
    device = await make(here, profile)
    place = device.place
    await device.close()
    impostor = await here.fleet.add("9.10")
    await here.fleet.place({impostor.serial: place})
    assert (await shown(here, device.serial))["status"] == CHANGED
    assert impostor.credential_bytes == 0
    await impostor.close()
    await device.open(place)
    row = await shown(here, device.serial)
    assert (row["status"], row["change"]) == ("OK", None)


async def test_by_plain_http_only_a_person_believes_it_again(here: Site) -> None:
    device = await added(here, "12.11-self-signed")
    place = device.place
    await device.close()
    other = await here.fleet.add("9.10")
    await here.fleet.place({other.serial: place})
    assert (await shown(here, device.serial))["status"] == CHANGED
    await other.close()
    await device.open(place)
    sent = device.credential_bytes
    assert (await shown(here, device.serial))["status"] == CHANGED
    assert device.credential_bytes == sent
    await trusting.accept(here.services, actor="test", accepted={await here.id_of(device): None})
    assert (await shown(here, device.serial))["status"] == "OK"
