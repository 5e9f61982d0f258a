"""What we issued stays on record; what is revoked is told by a CRL, recorded before it is signed."""

import asyncio
import hashlib
import itertools
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn, cast

import pytest
from cryptography import x509
from sqlalchemy import text

from fleetseal.core.config import Sources
from fleetseal.core.errors import Conflict, FleetsealError, InvalidInput, IssuanceRefused, Locked, NotFound, StoreError
from fleetseal.core.model import Alias, Device, JobId, KeyOrigin, Serial
from fleetseal.core.runtime import SystemRng
from fleetseal.core.secrets import Sealer, Secret
from fleetseal.operations import (
    alarms,
    authorities,
    inventory,
    issued,
    issuing,
    publication,
    renewal,
    revocation,
    signing,
)
from fleetseal.operations.services import Services
from fleetseal.operations.settings import current
from fleetseal.pki import keys
from fleetseal.pki.crl import Reason
from fleetseal.pki.issuer import Vault
from fleetseal.store import audit, certificates, crls
from fleetseal.store import authorities as authority_rows
from fleetseal.store import inventory as rows
from fleetseal.store.certificates import RenewalCause
from fleetseal.store.database import Database
from tests.pki import NOW
from tests.support import FakeClock
from tests.workflow.test_full_disk import UNLIMITED, Storage

PASSPHRASE = Secret("correct horse battery staple")
JOBS = itertools.count(1)
DAY = timedelta(days=1)


@dataclass
class Plant:
    """A CA on a data directory of its own, and time that a test moves."""

    services: Services

    async def device(self, number: int = 1) -> Device:
        async with self.services.database.transaction() as tx:
            return await rows.add(
                tx,
                serial=Serial(f"B8A44F{number:06X}"),
                address=f"192.0.2.{number}",
                http_port=80,
                https_port=443,
                site="default",
                added=NOW,
            )

    async def issue(self, device: Device) -> str:
        """The serial of a certificate that the device serves from now on."""
        async with self.services.database.transaction() as tx:
            reserved = await issuing.reserve(
                self.services,
                tx,
                device=device,
                job_id=JobId(next(JOBS)),
                spki=keys.spki(keys.generate("ec-p256").public_key()),
                common_name=device.address,
                names=(device.address,),
                origin=KeyOrigin.DEVICE,
                alias=Alias("fleetseal-1"),
                authority=(await issuing.current_authority(tx)).id,
            )
        async with self.services.database.transaction() as tx:
            leaf = (await issuing.issue(self.services, tx, reserved.issuance_id)).leaf
            await issuing.mark_installed(tx, reserved.issuance_id, self.services.clock.now())
            await rows.change(tx, device.id, served_der=leaf)
        return f"{reserved.content.serial:040x}"

    async def revoke(self, serial: str, reason: str = "unspecified", **options: Any) -> dict[str, Any]:
        return await issued.revoke(self.services, actor="test", serial=serial, reason=reason, **options)

    async def renew(self, *, anew: bool = False) -> list[dict[str, Any]]:
        return await revocation.renew_crls(self.services, actor="fleetseal", anew=anew)

    async def numbers(self) -> dict[str, int | None]:
        return {one["role"]: one["number"] for one in await revocation.list_crls(self.services)}

    async def told(self, role: str = "intermediate") -> dict[str, str]:
        """Reason by serial, on the published CRL of that CA."""
        (row,) = [one for one in await revocation.list_crls(self.services) if one["role"] == role]
        published = Path(row["file"]).read_bytes()
        assert hashlib.sha256(published).hexdigest() == row["sha256"]
        listed = x509.load_der_x509_crl(published)
        found = {}
        for one in listed:
            codes = [extension.value for extension in one.extensions]
            found[f"{one.serial_number:040x}"] = codes[0].reason.value if codes else "unspecified"
        return found

    async def actions(self) -> list[str]:
        """Of the audit trail, oldest first."""
        async with self.services.database.reading() as tx:
            return [record.action for record in reversed(await audit.records(tx))]

    def later(self, span: timedelta) -> None:
        cast(FakeClock, self.services.clock).advance(span.total_seconds())

    def restarted(self, failpoint: Callable[[str], None] | None = None) -> "Plant":
        """The same data directory in a new process."""
        vault = Vault(self.services.data, SystemRng(), scrypt_p=1)
        return Plant(replace(self.services, vault=vault, failpoint=failpoint or (lambda _: None)))


async def opened(data: Path) -> Services:
    return Services(
        data=data,
        database=await Database.open(data / "fleetseal.db"),
        clock=FakeClock(),
        rng=SystemRng(),
        sealer=Sealer(bytes(32), SystemRng()),
        vault=Vault(data, SystemRng(), scrypt_p=1),
        connect=cast(Any, _nothing),
        sources=Sources({}, {}),
    )


def _nothing(*_: object) -> NoReturn:
    raise AssertionError("no device is contacted here")


_templates: dict[int, Path] = {}


@asynccontextmanager
async def plant_with(tiers: int, data: Path, templates: Path) -> AsyncIterator[Plant]:
    """A CA made at NOW; sealing its root key takes a while, so it is made once and copied."""
    if tiers not in _templates:
        made = await opened(templates)
        await authorities.create(made, actor="test", name="Plant", key_type="ec", tiers=tiers, passphrase=PASSPHRASE)
        await made.database.close()
        _templates[tiers] = templates
    shutil.copytree(_templates[tiers], data, dirs_exist_ok=True)
    services = await opened(data)
    yield Plant(services)
    await services.database.close()


@pytest.fixture
async def plant(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Plant]:
    async with plant_with(2, tmp_path, tmp_path_factory.mktemp("two-tiers")) as made:
        yield made


@pytest.fixture
async def one_tier(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Plant]:
    async with plant_with(1, tmp_path, tmp_path_factory.mktemp("one-tier")) as made:
        yield made


# ---------------------------------------------------------------- the record


async def test_the_record_tells_who_what_when_also_of_forgotten_devices(plant: Plant) -> None:
    camera, other = await plant.device(1), await plant.device(2)
    first = await plant.issue(camera)
    plant.later(DAY)
    second, foreign = await plant.issue(camera), await plant.issue(other)
    await inventory.remove(plant.services, actor="test", references=[str(camera.id)])
    for reference in (camera.mac, camera.serial, str(camera.id), camera.address):
        shown = await issued.list_(plant.services, reference)
        assert [(one["serial"], one["state"]) for one in shown] == [(first, "superseded"), (second, "installed")]
    assert shown[0]["superseded"] == shown[1]["installed"] == "2026-11-24T12:00:00Z"
    assert (shown[0]["device"], shown[0]["mac"], shown[0]["names"]) == (camera.id, camera.mac, [camera.address])
    assert shown[0]["issuer"] == "Plant"
    assert [one["serial"] for one in await issued.list_(plant.services)] == [first, second, foreign]
    pages = [await issued.page(plant.services, limit=2)]
    pages.append(await issued.page(plant.services, limit=2, after=pages[0]["next"]))
    assert [row for page in pages for row in page["items"]] == await issued.list_(plant.services)
    assert [(page["total"], page["next"] is None) for page in pages] == [(3, False), (3, True)]
    with pytest.raises(NotFound, match="No certificate was issued here to cam9"):
        await issued.list_(plant.services, "cam9")
    again = await plant.device(1)
    assert await issued.list_(plant.services, (await plant.device(3)).address) == []
    third = await plant.issue(again)
    mine = [one["serial"] for one in await issued.list_(plant.services, again.address)]
    assert mine == [first, second, third], "the same hardware under a new id"


# ---------------------------------------------------------------- revoking


@pytest.mark.parametrize("reason", issued.DEVICE_REASONS)
async def test_a_revoked_certificate_is_on_record_and_on_the_crl_at_once(plant: Plant, reason: Reason) -> None:
    camera = await plant.device()
    good, bad = await plant.issue(await plant.device(2)), await plant.issue(camera)
    before = await plant.numbers()
    shown = await plant.revoke(bad.upper(), reason)
    assert (shown["serial"], shown["state"], shown["reason"], shown["crl"]) == (bad, "revoked", reason, "current")
    assert shown["revoked"] == "2026-11-23T12:00:00Z"
    assert f"{camera.mac} still serves it" in shown["message"]
    assert f"fleetseal https enable {camera.mac} --renew" in shown["message"]
    assert ("fleetseal device trust" in shown["message"]) is (reason is Reason.KEY_COMPROMISE)
    assert await plant.told() == {bad: reason}
    assert good not in await plant.told()
    assert await plant.numbers() == {"root": before["root"], "intermediate": (before["intermediate"] or 0) + 1}
    assert (await plant.actions())[-3:] == ["certificate revoke", "crl intended", "crl issued"]
    assert (await authorities.show(plant.services))["valid"] == 1


@pytest.mark.parametrize("reason", ["cACompromise", "certificateHold", "removeFromCRL", "aACompromise", "because"])
async def test_reasons_that_make_no_sense_here_are_refused(plant: Plant, reason: str) -> None:
    serial = await plant.issue(await plant.device())
    with pytest.raises(InvalidInput, match="unspecified, keyCompromise"):
        await plant.revoke(serial, reason)
    assert await plant.told() == {}


async def test_what_cannot_be_revoked_is_refused_and_nothing_is_signed(plant: Plant) -> None:
    camera = await plant.device()
    serial, numbers = await plant.issue(camera), await plant.numbers()
    for unknown in ("1", "f" * 40, serial[:-1] + ("0" if serial[-1] != "0" else "1")):
        with pytest.raises(NotFound, match="was issued here"):
            await plant.revoke(unknown)
    for wrong in ("", "xyz", "f" * 41, "0"):
        with pytest.raises(InvalidInput, match="serial number"):
            await plant.revoke(wrong)
    async with plant.services.database.reading() as tx:
        own = [record.serial for record in await certificates._select(tx) if record.purpose == "ca"]
    for ca, sentence in zip(own, ("A root cannot be revoked", "which is in use"), strict=True):
        with pytest.raises(Conflict, match=sentence):
            await plant.revoke(ca, "cACompromise")
    assert await plant.numbers() == numbers
    await plant.revoke(":".join(serial[i : i + 2] for i in range(0, 40, 2)))
    with pytest.raises(Conflict, match="was revoked on 2026-11-23"):
        await plant.revoke(serial)
    expired = await plant.issue(camera)
    plant.later(366 * DAY)
    with pytest.raises(Conflict, match="expired on 2027-11-2"):
        await plant.revoke(expired)


async def test_while_a_task_is_at_work_on_the_device_it_waits(plant: Plant) -> None:
    camera = await plant.device()
    serial = await plant.issue(camera)
    async with plant.services.database.transaction() as tx:
        await tx.execute(
            text(
                "insert into task (id, action, wish, requested, cancelled) values (7, 'Refresh', '{}', '', 0)",
            )
        )
        await tx.execute(
            text(
                "insert into job (task_id, device_id, address, cohort, named, status, active, released, run_number,"
                f" attempts, harmed, description) values (7, {camera.id}, '', '', 1, 'Running', 1, 1, 1, 0, 0, '')"
            )
        )
    with pytest.raises(Conflict, match="fleetseal task cancel 7"):
        await plant.revoke(serial)
    assert (await issued.list_(plant.services))[0]["state"] == "installed"


async def test_two_revocations_at_once_are_one(plant: Plant) -> None:
    serial = await plant.issue(await plant.device())
    outcomes = await asyncio.gather(
        *(plant.revoke(serial, reason) for reason in Reason if reason != "cACompromise"), return_exceptions=True
    )
    done = [one for one in outcomes if isinstance(one, dict)]
    assert len(done) == 1
    assert {type(one) for one in outcomes} == {dict, Conflict}
    assert await plant.told() == {serial: done[0]["reason"]}
    assert (await plant.actions()).count("certificate revoke") == 1


async def test_the_certificates_of_a_removed_device_are_revoked_when_asked(plant: Plant) -> None:
    camera = await plant.device()
    serials = [await plant.issue(camera)]
    await inventory.remove(plant.services, actor="test", references=[camera.address])
    camera = await plant.device()
    serials.append(await plant.issue(camera))
    other = await plant.issue(await plant.device(2))
    (row,) = await inventory.remove(plant.services, actor="test", references=[camera.address], revoke=True)
    assert row["revoked"] == serials
    assert await plant.told() == dict.fromkeys(serials, "cessationOfOperation")
    assert {one["serial"]: one["state"] for one in await issued.list_(plant.services)} == {
        **dict.fromkeys(serials, "revoked"),
        other: "installed",
    }


async def test_a_retired_issuing_ca_is_revoked_by_its_root(plant: Plant) -> None:
    async with plant.services.database.transaction() as tx:
        root, issuing_ca = await authority_rows.every(tx)
        await authority_rows.change(tx, issuing_ca.id, state="replaced")
        (record,) = [one for one in await certificates._select(tx) if one.sha256 == issuing_ca.sha256]
    with pytest.raises(InvalidInput, match="cACompromise"):
        await plant.revoke(record.serial, "keyCompromise")
    shown = await plant.revoke(record.serial, "cACompromise")
    assert shown["crl"] == "locked"
    assert await plant.told("root") == {}
    plant.services.vault.unlock(issuing.key_file(root), PASSPHRASE)
    await plant.renew()
    assert await plant.told("root") == {record.serial: "cACompromise"}


# ---------------------------------------------------------------- locked keys


async def test_a_locked_key_is_said_and_the_crl_follows_when_it_is_unlocked(one_tier: Plant) -> None:
    async with signing.opened(one_tier.services, actor="test", passphrase=PASSPHRASE):
        serial, second = await one_tier.issue(await one_tier.device()), await one_tier.issue(await one_tier.device(2))
    shown = await one_tier.revoke(serial, "keyCompromise")
    assert (shown["state"], shown["crl"]) == ("revoked", "locked")
    assert "is locked, so no CRL says so yet" in shown["message"]
    assert await one_tier.told("root") == {}
    (alarm,) = await alarms.list_(one_tier.services)
    assert alarm["cause"] == "crl-due"
    assert alarm["object"] == "Plant Root CA 2026"
    await signing.unlock(one_tier.services, actor="test", passphrase=PASSPHRASE)
    assert await one_tier.told("root") == {serial: "keyCompromise"}
    assert await alarms.list_(one_tier.services) == []
    await authorities.lock(one_tier.services, actor="test")
    with pytest.raises(Locked, match="passphrase is wrong"):
        await one_tier.revoke(second, passphrase=Secret("guess"))
    assert (await issued.list_(one_tier.services))[1]["state"] == "installed", "nothing is revoked then"
    assert (await one_tier.revoke(second, passphrase=PASSPHRASE))["crl"] == "current"
    assert set(await one_tier.told("root")) == {serial, second}
    assert await signing.is_locked(one_tier.services)


async def test_the_crl_of_a_root_is_made_only_while_its_key_is_open(plant: Plant) -> None:
    assert await plant.numbers() == {"root": 1, "intermediate": 1}
    for anew in (False, True):
        plant.later(DAY)
        await plant.renew(anew=anew)
    assert await plant.numbers() == {"root": 1, "intermediate": 3}
    plant.later(370 * DAY)
    states = {one["role"]: one["state"] for one in await plant.renew()}
    assert states == {"root": "locked", "intermediate": "current"}
    (alarm,) = await alarms.list_(plant.services)
    assert "good until 2027-12-28" in alarm["message"]
    with pytest.raises(Locked):
        async with signing.opened(plant.services, actor="test", passphrase=Secret("guess")):
            raise AssertionError("nothing happens inside")
    async with signing.opened(plant.services, actor="test", passphrase=PASSPHRASE):
        await plant.renew()
    assert (await plant.numbers())["root"] == 2
    assert await alarms.list_(plant.services) == []
    (root,) = [one for one in await revocation.list_crls(plant.services) if one["role"] == "root"]
    assert root["next_update"] == "2029-01-03T12:00:00Z", "400 days later"


# ---------------------------------------------------------------- when a CRL is made, and what is on it


async def test_the_nightly_call_signs_once_a_night_and_when_something_is_new(plant: Plant) -> None:
    numbers = [(await plant.numbers())["intermediate"]]
    for hours in (0, 11, 1, 0, 24):
        plant.later(timedelta(hours=hours))
        await plant.renew()
        numbers.append((await plant.numbers())["intermediate"])
    assert numbers == [1, 1, 1, 2, 2, 3]
    await plant.revoke(await plant.issue(await plant.device()))
    assert (await plant.numbers())["intermediate"] == 4
    (row,) = [one for one in await plant.renew() if one["role"] == "intermediate"]
    assert (row["number"], row["revoked"], row["missing"]) == (4, 1, 0)
    assert datetime.fromisoformat(row["next_update"]) - datetime.fromisoformat(row["this_update"]) == 7 * DAY


async def test_superseded_certificates_stay_until_one_crl_after_their_end(plant: Plant) -> None:
    camera = await plant.device()
    first = await plant.issue(camera)
    plant.later(200 * DAY)
    await plant.issue(camera)
    await plant.renew()
    assert await plant.told() == {first: "superseded"}
    plant.later(164 * DAY)
    await plant.renew()
    assert await plant.told() == {first: "superseded"}
    for expected in ({first: "superseded"}, {}):
        plant.later(2 * DAY)
        await plant.renew()
        assert await plant.told() == expected


async def test_what_a_crl_told_is_not_taken_back_when_a_device_serves_it_again(plant: Plant) -> None:
    """RFC 5280 5.3.1: only what was on hold is removed. It is replaced for that."""
    camera = await plant.device()
    first = await plant.issue(camera)
    plant.later(DAY)
    second = await plant.issue(camera)
    await plant.renew()
    async with plant.services.database.transaction() as tx:
        again = next(one for one in await certificates.of_hardware(tx, camera.id, None) if one.serial == first)
        await issuing.mark_installed(tx, again.id, plant.services.clock.now())
        again = await certificates.get(tx, again.id)
        settings = await current(plant.services, tx)
    plant.later(DAY)
    await plant.renew()
    assert await plant.told() == {first: "superseded", second: "superseded"}
    cause = renewal.mark(
        again, weak=False, names=None, authority=again.authority_id, settings=settings, now=plant.services.clock.now()
    )
    assert cause is RenewalCause.SUPERSEDED


async def test_a_superseded_certificate_whose_key_is_stolen_says_so(plant: Plant) -> None:
    camera = await plant.device()
    first = await plant.issue(camera)
    plant.later(DAY)
    await plant.issue(camera)
    plant.later(DAY)
    shown = await plant.revoke(first, "keyCompromise")
    assert "still serves" not in shown["message"]
    assert await plant.told() == {first: "keyCompromise"}
    (row,) = [one for one in await issued.list_(plant.services) if one["serial"] == first]
    assert (row["superseded"], row["revoked"]) == ("2026-11-24T12:00:00Z", "2026-11-25T12:00:00Z")


async def test_old_crls_keep_their_numbers_and_hashes_only(plant: Plant) -> None:
    for _ in range(10):
        plant.later(DAY)
        await plant.renew()
    async with plant.services.database.reading() as tx:
        (authority,) = [one for one in await authority_rows.every(tx) if one.role == "intermediate"]
        columns = "number, der is not null, content is not null, sha256"
        kept = await tx.execute(text(f"select {columns} from crl where authority_id = {authority.id}"))
        records = [tuple(row) for row in kept]
    assert [number for number, *_ in records] == list(range(1, 12))
    assert [bool(der) for _, der, _, _ in records] == [bool(content) for _, _, content, _ in records]
    assert [bool(der) for _, der, _, _ in records] == [False] * 3 + [True] * 8
    assert all(len(sha256) == 64 for *_, sha256 in records)


async def test_lost_files_are_published_again_without_a_signature(plant: Plant) -> None:
    folder = plant.services.data / "crl"
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert len(files) == 4
    for path in folder.iterdir():
        path.unlink()
    await plant.renew()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    exported = await revocation.export_crls(plant.services)
    assert {one["name"].partition(".")[2] for one in exported} == {"crl", "pem"}
    assert {one["name"] for one in exported if one["name"].endswith(".crl")} <= set(files)


# ---------------------------------------------------------------- crashes, refusals, full disks


class Crash(Exception):
    """The process ends here."""


@pytest.mark.parametrize("point", ["crl-intended", "crl-signed"])
async def test_a_crash_around_signing_leaves_the_intent_and_no_number_twice(plant: Plant, point: str) -> None:
    serial = await plant.issue(await plant.device())

    def die(reached: str) -> None:
        if reached == point:
            raise Crash

    with pytest.raises(Crash):
        await plant.restarted(die).revoke(serial)
    async with plant.services.database.reading() as tx:
        (authority,) = [one for one in await authority_rows.every(tx) if one.role == "intermediate"]
        left = await crls.open_intent(tx, authority.id)
    assert left is not None
    assert (left.number, left.der, left.entries) == (2, None, 1), "what was to be signed is on record"
    assert (await issued.list_(plant.services))[0]["state"] == "revoked"
    assert await plant.told() == {}
    later = plant.restarted()
    await later.renew()
    assert await later.told() == {serial: "unspecified"}
    assert (await later.numbers())["intermediate"] == 3
    assert [action for action in await later.actions() if action.startswith("crl")][-3:] == [
        "crl abandoned",
        "crl intended",
        "crl issued",
    ]


async def test_an_intent_that_was_changed_is_not_signed(plant: Plant) -> None:
    async def falsify() -> None:
        async with plant.services.database.transaction() as tx:
            await tx.execute(text("update crl set tbs_sha256 = 'x' where state = 'intended'"))

    async with plant.services.database.reading() as tx:
        (authority,) = [one for one in await authority_rows.every(tx) if one.role == "intermediate"]
        issuer = plant.services.vault.issuer(issuing.key_file(authority), await issuing.signer_of(tx, authority.id))
    async with plant.services.database.transaction() as tx:
        intent = await revocation._intend(plant.services, tx, authority.id, issuer, actor="test")
    await falsify()
    async with plant.services.database.transaction() as tx:
        with pytest.raises(IssuanceRefused) as refused:
            await revocation._sign(plant.services, tx, intent, issuer, actor="test")
    assert refused.value.rule == "ISS-ONCE"


async def test_what_is_not_audited_is_not_revoked(plant: Plant) -> None:
    """AUD-FAILS-CLOSED."""
    serial = await plant.issue(await plant.device())
    async with plant.services.database.transaction() as tx:
        await tx.execute(text("create trigger refuse before insert on audit begin select raise(abort, 'full'); end"))
    with pytest.raises(StoreError):
        await plant.revoke(serial)
    assert (await issued.list_(plant.services))[0]["state"] == "installed"
    async with plant.services.database.transaction() as tx:
        await tx.execute(text("drop trigger refuse"))
    assert (await plant.revoke(serial))["crl"] == "current"


@pytest.mark.parametrize("room", [0, 1, 2])
async def test_a_full_disk_stops_before_each_effect(plant: Plant, room: int) -> None:
    """STO-FULL-SAFE: nothing is revoked that is not on record, and nothing signed that was not intended."""
    serial, storage = await plant.issue(await plant.device()), Storage(cast(Any, plant))
    storage.room = room
    if room == 0:
        with pytest.raises(StoreError):
            await plant.revoke(serial)
    else:
        shown = await plant.revoke(serial)
        assert (shown["state"], shown["crl"]) == ("revoked", "due")
        assert "could be made and published: The database or its directory is read-only." in shown["message"]
    assert await plant.told() == {}
    storage.room = UNLIMITED
    await plant.renew()
    assert await plant.told() == ({} if room == 0 else {serial: "unspecified"})
    assert (await plant.actions()).count("crl abandoned") == (1 if room == 2 else 0)


def no_folder(data: Path) -> None:
    (data / "crl").rename(data / "away")
    (data / "crl").write_text("a file where the folder has to be")


def no_key_file(data: Path) -> None:
    (data / "ca").rename(data / "away")


@pytest.mark.parametrize(("spoil", "words"), [(no_folder, "cannot be read"), (no_key_file, "is locked")])
async def test_when_no_crl_can_be_made_the_revocation_stands_and_is_told(
    plant: Plant, spoil: Callable[[Path], None], words: str
) -> None:
    serial = await plant.issue(await plant.device())
    spoil(plant.services.data)
    shown = await plant.restarted().revoke(serial)
    assert (shown["state"], shown["crl"] == "current") == ("revoked", False)
    assert words in shown["message"]


async def test_no_crl_while_the_clock_is_behind_the_last_signature(plant: Plant) -> None:
    serial = await plant.issue(await plant.device())
    plant.later(-2 * DAY)
    shown = await plant.revoke(serial)
    assert (shown["state"], shown["crl"]) == ("revoked", "due")
    assert "Set the clock right" in shown["message"]
    with pytest.raises(IssuanceRefused) as refused:
        await plant.renew()
    assert refused.value.rule == "REN-CLOCK-SANE"
    plant.later(2 * DAY)
    await plant.renew()
    assert set(await plant.told()) == {serial}


async def test_without_a_ca_there_is_no_crl(tmp_path: Path) -> None:
    services = await opened(tmp_path)
    assert await revocation.renew_crls(services, actor="test", anew=True) == []
    assert await revocation.export_crls(services) == []
    with pytest.raises(FleetsealError):
        await issued.revoke(services, actor="test", serial="1", reason="unspecified")
    await services.database.close()


# ---------------------------------------------------------------- publication


async def test_only_published_files_are_found_and_nothing_beside_them(plant: Plant) -> None:
    data = plant.services.data
    for row in await revocation.list_crls(plant.services):
        name = Path(row["file"]).stem
        crl = publication.find(data, f"/crl/{name}.crl")
        certificate = publication.find(data, f"/ca/{name}.crt")
        assert crl is not None
        assert certificate is not None
        assert (crl.media_type, certificate.media_type) == ("application/pkix-crl", "application/pkix-cert")
        assert x509.load_der_x509_crl(crl.content).issuer == x509.load_der_x509_certificate(certificate.content).subject
        assert publication.find(data, f"/pki/crl/{name}.crl", public_url="http://x/pki") == crl
        for wrong in (
            f"/crl/{name}.crt", f"/ca/{name}.crl", f"/crl/{name}", f"/crl/{name}.crl/", f"//crl/{name}.crl",
            f"/crl/../ca/{name}.key", f"/pki/crl/{name}.crl", f"/crl/{name.upper()}.crl" if not name.isdigit() else "/",
        ):  # fmt: skip
            assert publication.find(data, wrong) is None, wrong
    for wrong in ("/", "/crl/", "/crl", "", "/crl/0000000000000000.crl", "/fleetseal.db", "/ca/../secrets.key"):
        assert publication.find(data, wrong) is None, wrong
