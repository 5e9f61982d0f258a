"""Issuing CAs renewed and roots replaced, on virtual devices: those that send their chain and those that do not."""

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from sqlalchemy import select

from fleetseal.core.errors import Conflict, InvalidInput, IssuanceRefused, Locked
from fleetseal.core.model import JobStatus, Selection, TaskAction, TaskId
from fleetseal.core.runtime import SystemClock, SystemRng
from fleetseal.core.secrets import Secret
from fleetseal.jobs.engine import Engine
from fleetseal.operations import authorities, ca_renewal, inventory, issuing, succession
from fleetseal.operations import tasks as requests
from fleetseal.pki import chain
from fleetseal.pki.issuer import Vault
from fleetseal.sim.fleet import SimulatedDevice
from fleetseal.sim.keystore import Entry
from fleetseal.store import authorities as rows
from fleetseal.store import tasks
from fleetseal.store.schema import audit
from tests.nights import Evening, causes
from tests.site import PASSPHRASE, Site, site
from tests.support import FastClock

OTHER = Secret("another passphrase")
YEAR = SystemClock().now().year


class Killed(BaseException):
    """The process is gone."""


async def enabled(here: Site) -> None:
    for camera in here.fleet.devices:
        assert (await here.add(camera))["result"] == "added"
    assert {one["status"] for one in await here.enable()} == {"Finished"}


async def started(here: Site) -> Engine:
    return here.engine


async def follow(here: Site) -> list[str]:
    """The outcome of the present phase on each device that it is about."""
    task_id = await succession.follow(here.services, partial(started, here), actor="test")
    return [] if task_id is None else [one["status"] for one in (await here.ended(task_id))["devices"]]


async def under_way(here: Site) -> tuple[str, str, int] | None:
    shown = (await authorities.show(here.services))["replacement"]
    return shown and (shown["what"], shown["phase"], shown["coverage"])


def holds(camera: SimulatedDevice, *wanted: bytes) -> bool:
    return {der_of(entry) for entry in camera.device.store.authorities} >= set(wanted)


def ours(camera: SimulatedDevice) -> list[str]:
    """The CA entries under our alias."""
    return [one.alias for one in camera.device.store.authorities if one.alias.startswith("fleetseal-ca-")]


def der_of(entry: Entry) -> bytes:
    return entry.certificate.public_bytes(Encoding.DER)


async def exported(here: Site, **options: Any) -> list[str]:
    """The names in the PEM export, in its order."""
    [file] = (await authorities.export(here.services, **options))["files"]
    return [str(chain.describe(der).common_name) for der in chain.parse_all(base64.b64decode(file["content"]))]


async def of(here: Site, state: str) -> dict[str, bytes]:
    """The CAs in this state: role -> certificate."""
    async with here.services.database.reading() as tx:
        return {one.role: one.der for one in await rows.every(tx) if one.state == state and one.der is not None}


async def actions(here: Site) -> list[str]:
    async with here.services.database.reading() as tx:
        return list(await tx.scalars(select(audit.c.action).order_by(audit.c.id)))


# ---------------------------------------------------------------- an issuing CA under the same root


async def test_devices_follow_a_new_issuing_ca_in_the_night(tmp_path: Path) -> None:
    """One that sends its chain, and one that sends only its leaf (9.10)."""
    async with site(tmp_path, "12.11", "9.10") as here:
        await enabled(here)
        old = (await of(here, "active"))["intermediate"]
        shown = await ca_renewal.issuing_authority(here.services, actor="test", passphrase=PASSPHRASE)
        new = (await of(here, "active"))["intermediate"]
        assert shown["replacement"]["message"] == shown["message"]
        assert "0 of 2 devices" in shown["message"]
        assert [(one["subject"], one["state"]) for one in shown["issuing"]] == [
            (f"CN=Test Issuing CA {YEAR}-1,O=Test", "replaced"),
            (f"CN=Test Issuing CA {YEAR}-2,O=Test", "ready"),
        ]
        assert await exported(here) == [
            f"Test Root CA {YEAR}",
            f"Test Issuing CA {YEAR}-1",
            f"Test Issuing CA {YEAR}-2",
        ]
        report = await Evening(here).command()
        assert (len(report["renewed"]), report["problems"]) == (2, [])
        for camera in here.fleet.devices:
            assert camera.served is not None
            assert chain.issued_by(camera.served, new)
            assert holds(camera, new)
            assert not holds(camera, old), "nothing of ours that is not needed stays there (DEV-NO-LEFTOVERS)"
        assert await under_way(here) is None
        assert await exported(here) == [f"Test Root CA {YEAR}", f"Test Issuing CA {YEAR}-2"]
        assert [(await here.show(camera))["chain_sent"] for camera in here.fleet.devices] == [True, False]


async def test_the_root_is_asked_for_and_closed_again(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        services = here.services
        with pytest.raises(Locked):
            await ca_renewal.issuing_authority(services, actor="test", passphrase=None)
        with pytest.raises(Locked, match="passphrase is wrong"):
            await ca_renewal.issuing_authority(services, actor="test", passphrase=OTHER)
        assert await of(here, "replaced") == {}
        await ca_renewal.issuing_authority(services, actor="test", passphrase=PASSPHRASE)
        with pytest.raises(Locked):
            await ca_renewal.issuing_authority(services, actor="test", passphrase=None)
        await authorities.unlock(services, actor="test", passphrase=PASSPHRASE)
        await ca_renewal.issuing_authority(services, actor="test", passphrase=None)
        assert (await authorities.show(services))["key_open"], "it was open before"
        names = [one["subject"] for one in (await authorities.show(services))["issuing"]]
        assert [name.split("-")[1] for name in names] == ["1,O=Test", "2,O=Test", "3,O=Test"]


async def test_one_tier_has_no_issuing_ca_to_renew(tmp_path: Path) -> None:
    async with site(tmp_path, authority=False) as here:
        await authorities.create(here.services, actor="test", name="One", tiers=1, key_type="ec", passphrase=PASSPHRASE)
        with pytest.raises(InvalidInput, match="ca renew --root"):
            await ca_renewal.issuing_authority(here.services, actor="test", passphrase=PASSPHRASE)


@pytest.mark.parametrize("years", [0.5, 1.05])
async def test_a_root_that_ends_too_soon_signs_no_issuing_ca(tmp_path: Path, years: float) -> None:
    """1.05 years: a leaf of a year fits, and the new CA would need renewal at once."""
    clock = FastClock(SystemClock().now(), factor=1)
    async with site(tmp_path, clock=clock) as here:
        end = chain.describe((await of(here, "active"))["root"]).not_after
        clock.jump(end - clock.now() - timedelta(days=365 * years))
        with pytest.raises(IssuanceRefused, match="ca renew --root"):
            await ca_renewal.issuing_authority(here.services, actor="test", passphrase=PASSPHRASE)
        assert await of(here, "replaced") == {}


async def test_the_alarm_that_asks_is_closed_by_renewing(tmp_path: Path) -> None:
    """ISS-WITHIN-ISSUER: asked for 60 days before a leaf would be cut short, and not a day earlier."""
    clock = FastClock(SystemClock().now(), factor=1)
    async with site(tmp_path, "12.11", clock=clock) as here:
        await enabled(here)
        end = chain.describe((await of(here, "active"))["intermediate"]).not_after
        evening = Evening(here)
        clock.jump(end - clock.now() - timedelta(days=365 + 61))
        await evening.nights.tick()
        asked = "issuing-ca-needs-renewal", f"Test Issuing CA {YEAR}-1"
        assert asked not in await causes(here)
        clock.jump(timedelta(days=2))
        await evening.nights.tick()
        assert (await causes(here))[asked].endswith("Renew it: fleetseal ca renew.")
        await ca_renewal.issuing_authority(here.services, actor="test", passphrase=PASSPHRASE)
        assert asked not in await causes(here)


# ---------------------------------------------------------------- a root


async def test_a_root_is_replaced_step_by_step(tmp_path: Path) -> None:
    async with site(tmp_path, "12.11", "9.10") as here:
        await enabled(here)
        old = await of(here, "active")
        leaves = [camera.served for camera in here.fleet.devices]
        shown = await ca_renewal.introduce(here.services, actor="test", passphrase=OTHER)
        new = await of(here, "successor")
        assert (shown["subject"], shown["state"]) == (f"CN=Test Root CA {YEAR},O=Test", "ready"), "still the old one"
        assert await exported(here) == [
            f"Test Root CA {YEAR}",
            f"Test Root CA {YEAR}-2",
            f"Test Issuing CA {YEAR}-1",
            f"Test Issuing CA {YEAR}-2",
        ]
        assert await exported(here, format="der") == [f"Test Root CA {YEAR}"]
        assert await under_way(here) == ("root", "trust", 0)
        with pytest.raises(Conflict, match=r"2 of 2 devices do not have .* \(0 % have\)"):
            await ca_renewal.proceed(here.services, actor="test")
        assert (await Evening(here).command())["problems"] == []
        assert await under_way(here) == ("root", "trust", 100)
        for camera, leaf in zip(here.fleet.devices, leaves, strict=True):
            assert holds(camera, *new.values(), *old.values())
            assert camera.served == leaf, "nothing is signed under it yet"

        await ca_renewal.proceed(here.services, actor="test")
        assert await of(here, "active") == new
        assert await of(here, "replaced") == old
        assert await under_way(here) == ("root", "reissue", 0)
        with pytest.raises(Conflict, match="2 devices still serve"):
            await ca_renewal.retire(here.services, actor="test")
        assert await follow(here) == ["Finished", "Finished"]
        assert await under_way(here) == ("root", "reissue", 100)
        assert await exported(here, format="der") == [f"Test Root CA {YEAR}-2"]
        for camera in here.fleet.devices:
            assert camera.served is not None
            assert chain.issued_by(camera.served, new["intermediate"])
            assert holds(camera, *old.values()), "until the old root is retired"
            assert (await here.show(camera))["status"] == "OK"

        await ca_renewal.retire(here.services, actor="test")
        assert await exported(here) == [f"Test Root CA {YEAR}-2", f"Test Issuing CA {YEAR}-2"]
        assert await under_way(here) == ("root", "remove", 0)
        assert await follow(here) == ["Finished", "Finished"]
        assert await under_way(here) is None
        for camera in here.fleet.devices:
            assert holds(camera, *new.values())
            assert not any(holds(camera, der) for der in old.values())
        listed = await authorities.list_(here.services)
        assert [(one["subject"], one["state"], one["retired"]) for one in listed] == [
            (f"CN=Test Root CA {YEAR},O=Test", "replaced", True),
            (f"CN=Test Root CA {YEAR}-2,O=Test", "ready", False),
        ]
        steps = [one for one in await actions(here) if one in ("ca introduce", "ca continue", "ca retire")]
        assert steps == ["ca introduce", "ca continue", "ca retire"]
        assert await here.enable() != []
        assert {one["status"] for one in await here.enable()} == {"Unchanged"}


async def test_a_root_is_taken_back_step_by_step(tmp_path: Path) -> None:
    clock = FastClock(SystemClock().now(), factor=1)
    async with site(tmp_path, "12.11", clock=clock) as here:
        await enabled(here)
        [camera] = here.fleet.devices
        old = await of(here, "active")
        with pytest.raises(Conflict, match="No change of CAs is under way"):
            await ca_renewal.step_back(here.services, actor="test")
        await ca_renewal.introduce(here.services, actor="test", passphrase=OTHER)
        new = await of(here, "successor")
        assert await follow(here) == ["Finished"]
        await ca_renewal.proceed(here.services, actor="test")
        assert await follow(here) == ["Finished"]

        shown = await ca_renewal.step_back(here.services, actor="test")
        assert "The old root signs again: 0 of 1 devices" in shown["message"]
        assert (await of(here, "active"), await of(here, "successor")) == (old, new)
        assert await under_way(here) == ("root", "return", 0)
        assert (await here.show(camera))["status"] == "OK", "what it serves is trusted"
        for wrong in (
            ca_renewal.step_back(here.services, actor="test"),
            ca_renewal.retire(here.services, actor="test"),
        ):
            with pytest.raises(Conflict):
                await wrong
        await ca_renewal.proceed(here.services, actor="test")
        assert await of(here, "active") == old, "the direction stays until devices have followed"
        clock.jump(timedelta(days=1))  # something was signed for it today (REN-NO-LOOP)
        assert (await Evening(here).command())["problems"] == []
        assert await under_way(here) == ("root", "trust", 100)
        assert camera.served is not None
        assert chain.issued_by(camera.served, old["intermediate"])
        assert holds(camera, *old.values(), *new.values())

        await ca_renewal.step_back(here.services, actor="test")
        assert await of(here, "retired") == new
        assert await follow(here) == ["Finished"]
        assert await under_way(here) is None
        assert holds(camera, *old.values())
        assert not any(holds(camera, der) for der in new.values())
        with pytest.raises(Conflict, match="No change of CAs is under way"):
            await ca_renewal.step_back(here.services, actor="test")
        assert [one for one in await actions(here) if one.startswith("ca back")] == ["ca back"] * 2
        assert {one["status"] for one in await here.enable()} == {"Unchanged"}


class Idle:
    """An engine that begins nothing."""

    async def submit(self, task_id: TaskId) -> None:
        pass


async def test_a_root_is_not_taken_back_while_devices_are_worked_on(tmp_path: Path) -> None:
    """What is at work may be about to install what the new root has signed."""
    async with site(tmp_path, "12.11") as here:
        await enabled(here)
        await ca_renewal.introduce(here.services, actor="test", passphrase=OTHER)
        task_id = await requests.request(
            here.services,
            cast("Engine", Idle()),
            actor="test",
            action=TaskAction.ENABLE_HTTPS,
            selection=Selection(everything=True),
            wish={"policy": "keep", "renew": True},
        )
        with pytest.raises(Conflict, match=rf"worked on \(task {task_id}\)"):
            await ca_renewal.step_back(here.services, actor="test")
        await of(here, "successor")


async def test_an_issuing_ca_is_taken_back_while_devices_follow(tmp_path: Path) -> None:
    clock = FastClock(SystemClock().now(), factor=1)
    async with site(tmp_path, "12.11", "12.11", clock=clock) as here:
        await enabled(here)
        first = await of(here, "active")
        await ca_renewal.issuing_authority(here.services, actor="test", passphrase=PASSPHRASE)
        second = await of(here, "active")
        gone_on, waiting = here.fleet.devices
        [outcome] = await here.enable(gone_on)
        assert outcome["status"] == "Finished"
        before = waiting.served
        await ca_renewal.step_back(here.services, actor="test")
        assert await of(here, "active") == first
        assert await under_way(here) == ("issuing CA", "reissue", 50)
        assert await follow(here) == ["Finished"]
        assert await under_way(here) is None
        assert gone_on.served is not None
        assert chain.issued_by(gone_on.served, first["intermediate"])
        assert waiting.served == before
        assert not holds(gone_on, second["intermediate"])
        await ca_renewal.issuing_authority(here.services, actor="test", passphrase=PASSPHRASE)
        clock.jump(timedelta(days=5 * 365 - 100))
        with pytest.raises(IssuanceRefused, match="could not sign"):
            await ca_renewal.step_back(here.services, actor="test")


async def test_each_step_may_be_given_again(tmp_path: Path) -> None:
    async with site(tmp_path, "12.11") as here:
        await enabled(here)
        services = here.services
        for wrong in (ca_renewal.proceed(services, actor="test"), ca_renewal.retire(services, actor="test")):
            with pytest.raises(Conflict, match="fleetseal ca renew"):
                await wrong
        await ca_renewal.introduce(services, actor="test", passphrase=OTHER)
        first = await of(here, "successor")
        await ca_renewal.introduce(services, actor="test", passphrase=None)
        assert await of(here, "successor") == first
        with pytest.raises(Conflict, match="signs nothing yet"):
            await ca_renewal.retire(services, actor="test")
        await ca_renewal.proceed(services, actor="test", incomplete=True)
        await ca_renewal.proceed(services, actor="test")
        assert await of(here, "active") == first
        with pytest.raises(Conflict, match="not retired yet"):
            await ca_renewal.introduce(services, actor="test", passphrase=OTHER)
        assert await follow(here) == ["Finished"]
        await ca_renewal.retire(services, actor="test")
        await ca_renewal.retire(services, actor="test")
        assert await follow(here) == ["Finished"]
        assert await follow(here) == []


async def test_a_device_that_is_away_keeps_the_old_root_until_it_is_back_or_forgotten(tmp_path: Path) -> None:
    async with site(tmp_path, "12.11", "10.12") as here:
        await enabled(here)
        here_now, away = here.fleet.devices
        away.device.faults.unreachable = True
        await away.restart()
        await ca_renewal.introduce(here.services, actor="test", passphrase=OTHER)
        await follow(here)
        assert await under_way(here) == ("root", "trust", 50)
        with pytest.raises(Conflict, match="1 of 2 devices"):
            await ca_renewal.proceed(here.services, actor="test")
        await ca_renewal.proceed(here.services, actor="test", incomplete=True)
        await follow(here)
        assert await under_way(here) == ("root", "reissue", 50)
        with pytest.raises(Conflict, match=str((await here.device(away)).mac)):
            await ca_renewal.retire(here.services, actor="test")
        away.device.faults.unreachable = False
        await away.restart()
        assert (await here.show(away))["trust"] == "verified", "by its recorded leaf, whatever signs now"
        assert await follow(here) == ["Finished"]
        assert (await here.show(away))["status"] == "OK"
        await inventory.remove(here.services, actor="test", references=(here_now.serial,))
        await ca_renewal.retire(here.services, actor="test")
        assert await follow(here) == ["Finished"]


async def test_a_device_whose_https_is_off_does_not_hold_the_old_root(tmp_path: Path) -> None:
    async with site(tmp_path, "12.11") as here:
        await enabled(here)
        [camera] = here.fleet.devices
        await here.disable(camera)
        await ca_renewal.introduce(here.services, actor="test", passphrase=OTHER)
        assert await follow(here) == ["Finished"]
        await ca_renewal.proceed(here.services, actor="test")
        await ca_renewal.retire(here.services, actor="test")
        [outcome] = await here.enable(camera)
        assert outcome["status"] == "Finished"
        assert camera.served is not None
        assert chain.issued_by(camera.served, (await of(here, "active"))["intermediate"])


async def test_entries_of_others_and_used_ones_stay(tmp_path: Path) -> None:
    """DEV-OWN-ONLY: the same CA certificate under a name that is not ours."""
    async with site(tmp_path, "12.11") as here:
        await enabled(here)
        [camera] = here.fleet.devices
        old = await of(here, "active")
        [there] = [one for one in camera.device.store.authorities if der_of(one) == old["root"]]
        camera.device.store.add(replace(there, alias="site-root"))
        await ca_renewal.introduce(here.services, actor="test", passphrase=OTHER)
        await ca_renewal.proceed(here.services, actor="test", incomplete=True)
        await follow(here)
        await ca_renewal.retire(here.services, actor="test")
        assert await follow(here) == ["Finished"]
        assert "site-root" in [one.alias for one in camera.device.store.authorities]
        assert len(ours(camera)) == 2


async def test_a_device_that_says_no_waits_for_a_person(tmp_path: Path) -> None:
    """JOB-RETRY-CLASS: the night does not try again; what was installed before the refusal is taken back."""
    async with site(tmp_path, "12.11") as here:
        await enabled(here)
        [camera] = here.fleet.devices
        before = [one.alias for one in camera.device.store.authorities]
        await ca_renewal.introduce(here.services, actor="test", passphrase=OTHER)
        camera.device.faults.store_full = True
        assert (await Evening(here).command())["problems"] == []
        writes = dict(camera.effects)
        await Evening(here).command()
        assert camera.effects == writes
        assert [one.alias for one in camera.device.store.authorities] == before
        camera.device.faults.store_full = False
        assert await follow(here) == ["Finished"]
        assert await follow(here) == []


async def test_one_tier_is_replaced_by_one_tier_and_waits_for_its_passphrase(tmp_path: Path) -> None:
    async with site(tmp_path, "12.11", authority=False) as here:
        services = here.services
        await authorities.create(services, actor="test", name="One", tiers=1, key_type="ec", passphrase=PASSPHRASE)
        await authorities.unlock(services, actor="test", passphrase=PASSPHRASE)
        await enabled(here)
        await ca_renewal.introduce(services, actor="test", passphrase=OTHER)
        assert await follow(here) == ["Finished"]
        await ca_renewal.proceed(services, actor="test")
        shown = await authorities.show(services)
        assert (shown["tiers"], shown["issuing"], shown["state"]) == (1, [], "locked")
        evening = Evening(here)
        report = await evening.command()
        assert report["waited"]
        assert ("ca-locked", "One") in await causes(here)
        await authorities.unlock(services, actor="test", passphrase=OTHER)
        assert len((await evening.command())["renewed"]) == 1
        assert ("ca-locked", "One") not in await causes(here)
        await ca_renewal.retire(services, actor="test")
        assert await follow(here) == ["Finished"]


async def test_an_imported_ca_is_followed_by_another(tmp_path: Path) -> None:
    """Both under roots of the site's own PKI; an issuing CA of ours is made under each."""
    async with site(tmp_path, "12.11", authority=False) as here:
        services = here.services
        first, second = site_ca("First"), site_ca("Second")
        await authorities.import_files(services, actor="test", files=first, passphrase=PASSPHRASE, name="Site")
        await enabled(here)
        with pytest.raises(Conflict, match="needs a new key"):
            await ca_renewal.introduce_files(services, actor="test", files=first, passphrase=PASSPHRASE)
        await ca_renewal.introduce_files(services, actor="test", files=second, passphrase=OTHER)
        with pytest.raises(Conflict, match="introduced already"):
            await ca_renewal.introduce_files(services, actor="test", files=site_ca("Third"), passphrase=OTHER)
        assert await follow(here) == ["Finished"]
        assert await under_way(here) == ("root", "trust", 100)
        await ca_renewal.proceed(services, actor="test")
        assert await follow(here) == ["Finished"]
        await ca_renewal.issuing_authority(services, actor="test", passphrase=OTHER)
        assert await follow(here) == ["Finished"]
        await ca_renewal.retire(services, actor="test")
        assert await follow(here) == ["Finished"]
        assert await exported(here) == ["Second", f"Site Issuing CA {YEAR}-3"]


def site_ca(name: str) -> tuple[bytes, ...]:
    """A root with its key, as another PKI would hand it over."""
    key, now = ec.generate_private_key(ec.SECP384R1()), SystemClock().now()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3000))
        .add_extension(x509.BasicConstraints(True, None), critical=True)
        .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA384())
    )
    pkcs8 = key.private_bytes(Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(Encoding.PEM), pkcs8


# ---------------------------------------------------------------- crashes


CEREMONY_POINTS = (
    "ca-root-intended",
    "ca-key-kept",
    "ca-signed",
    "ca-issuing-intended",
    "ca-complete",
)


@pytest.mark.parametrize("point", CEREMONY_POINTS)
async def test_a_kill_while_the_new_root_is_made_leaves_the_old_one_in_use(tmp_path: Path, point: str) -> None:
    async with site(tmp_path) as here:
        before, files = await of(here, "active"), set((tmp_path / "ca").iterdir())
        with pytest.raises(Killed):
            await ca_renewal.introduce(killed_at(here, point), actor="test", passphrase=OTHER)
        assert await of(here, "active") == before
        assert await of(here, "successor") == {}
        assert await under_way(here) is None
        await ca_renewal.introduce(here.services, actor="test", passphrase=OTHER)
        assert await of(here, "active") == before
        assert set(await of(here, "successor")) == {"root", "intermediate"}
        assert len(set((tmp_path / "ca").iterdir()) - files) == 2, "the keys of what was abandoned are gone"


@pytest.mark.parametrize("point", ["ca-issuing-intended", "ca-signed", "ca-complete"])
async def test_a_kill_while_an_issuing_ca_is_made_leaves_the_old_one_signing(tmp_path: Path, point: str) -> None:
    async with site(tmp_path) as here:
        before = await of(here, "active")
        with pytest.raises(Killed):
            await ca_renewal.issuing_authority(killed_at(here, point), actor="test", passphrase=PASSPHRASE)
        assert await of(here, "active") == before
        shown = await ca_renewal.issuing_authority(here.services, actor="test", passphrase=PASSPHRASE)
        assert [one["state"] for one in shown["issuing"]] == ["replaced", "ready"]


@pytest.mark.parametrize("point", ["acted", "record:before-commit", "record:recorded", "cleanup:acted"])
async def test_a_kill_on_a_device_is_gone_on_with(tmp_path: Path, point: str) -> None:
    """In each of the three phases, at the first point of this kind that it meets."""
    async with site(tmp_path, "12.11") as here:
        await enabled(here)
        [camera] = here.fleet.devices
        await ca_renewal.introduce(here.services, actor="test", passphrase=OTHER)
        await killed_once(here, point)
        assert await under_way(here) == ("root", "trust", 100)
        await ca_renewal.proceed(here.services, actor="test")
        await killed_once(here, point)
        assert await under_way(here) == ("root", "reissue", 100)
        await ca_renewal.retire(here.services, actor="test")
        await killed_once(here, point)
        assert await under_way(here) is None
        assert len(ours(camera)) == 2
        assert (await here.show(camera))["status"] == "OK"


async def killed_once(here: Site, point: str) -> None:
    """The task of this phase, with a process that dies once, and another that goes on."""
    left = [point]

    def fail(name: str) -> None:
        if left and name.endswith(left[0]):
            left.clear()
            raise Killed

    services = here.services
    object.__setattr__(services, "failpoint", fail)
    try:
        task_id = await succession.follow(services, partial(started, here), actor="test")
    except Killed:
        async with services.database.reading() as tx:
            [task_id] = [one.id for one in await tasks.unfinished_tasks(tx)]
        await here.engine.submit(task_id)
    assert task_id is not None
    assert {one["status"] for one in (await here.ended(task_id))["devices"]} == {JobStatus.FINISHED}


def killed_at(here: Site, point: str) -> Any:
    def fail(name: str) -> None:
        if name == point:
            raise Killed

    return replace(here.services, failpoint=fail)


# ---------------------------------------------------------------- the passphrase


def handing_over(here: Site, passphrase: str) -> Any:
    """The same data directory in a process to which systemd hands over this passphrase."""
    file = here.services.data / "fleetseal-ca-passphrase"
    file.write_text(passphrase + "\n")
    return replace(here.services, vault=Vault(here.services.data, SystemRng(), credential=file, scrypt_p=1))


async def test_a_credential_of_systemd_opens_the_key(tmp_path: Path) -> None:
    async with site(tmp_path, authority=False) as here:
        given = handing_over(here, PASSPHRASE.reveal())
        shown = await authorities.create(
            given, actor="test", name="One", tiers=1, key_type="ec", passphrase=PASSPHRASE, remember=True
        )
        assert (shown["state"], shown["passphrase_kept"]) == (
            "ready",
            "by systemd, as the credential fleetseal-ca-passphrase",
        )
        assert not list((tmp_path / "ca").glob("*.passphrase")), "it lies nowhere else"
        assert (await authorities.show(here.services))["state"] == "locked"
        again = handing_over(here, PASSPHRASE.reveal())
        async with again.database.reading() as tx:
            record = await issuing.signing_record(tx)
            assert again.vault.issuer(issuing.key_file(record), await issuing.signer_of(tx, record.id))


async def test_a_credential_that_does_not_fit_opens_nothing(tmp_path: Path) -> None:
    async with site(tmp_path, authority=False) as here:
        given = handing_over(here, "something else")
        create: Callable[..., Any] = authorities.create
        shown = await create(given, actor="test", name="One", tiers=1, key_type="ec", passphrase=PASSPHRASE)
        assert (shown["state"], shown["passphrase_kept"]) == ("locked", None)
        await authorities.unlock(given, actor="test", passphrase=PASSPHRASE)
        assert (await authorities.show(given))["state"] == "ready"


async def test_after_a_restart_two_tiers_renew_and_root_actions_ask(tmp_path: Path) -> None:
    """SEC-UNATTENDED-SAFE."""
    async with site(tmp_path, "12.11") as here:
        await enabled(here)
        object.__setattr__(here.services, "vault", Vault(tmp_path, SystemRng(), scrypt_p=1))
        assert (await here.enable(renew=True))[0]["status"] == "Finished"
        with pytest.raises(Locked):
            await ca_renewal.issuing_authority(here.services, actor="test", passphrase=None)
        with pytest.raises(InvalidInput, match="passphrase"):
            await ca_renewal.introduce(here.services, actor="test", passphrase=None)
