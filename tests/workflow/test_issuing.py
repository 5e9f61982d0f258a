"""From a judged key to a recorded certificate: intent first, one certificate for one intent."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn, cast

import pytest
from cryptography import x509

from fleetseal.core.config import Sources
from fleetseal.core.errors import Conflict, IssuanceRefused, Locked, NotFound, StoreError
from fleetseal.core.model import Alias, Device, JobId, KeyOrigin, Serial
from fleetseal.core.runtime import SystemRng
from fleetseal.core.secrets import Sealer, Secret
from fleetseal.operations import authorities, issuing
from fleetseal.operations.issuing import Reserved
from fleetseal.operations.services import Services
from fleetseal.pki import chain
from fleetseal.pki.issuer import Vault
from fleetseal.store import audit, certificates, inventory
from fleetseal.store.database import Transaction
from tests.pki import NOW, chains_to, key
from tests.support import FakeClock, open_database

PASSPHRASE = Secret("correct horse battery staple")
JOB = JobId(1)


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    database = await open_database(tmp_path / "fleetseal.db")
    made = Services(
        data=tmp_path,
        database=database,
        clock=FakeClock(),
        rng=SystemRng(),
        sealer=Sealer(bytes(32), SystemRng()),
        vault=Vault(tmp_path, SystemRng(), scrypt_p=1),
        connect=cast(Any, _nothing),
        sources=Sources({}, {}),
    )
    await authorities.create(made, actor="test", name="Plant", key_type="ec", passphrase=PASSPHRASE)
    yield made
    await database.close()


def _nothing(*_: object) -> NoReturn:
    raise AssertionError("no device is contacted here")


async def device(services: Services, number: int = 1) -> Device:
    async with services.database.transaction() as tx:
        return await inventory.add(
            tx,
            serial=Serial(f"B8A44F{number:06X}"),
            address=f"192.0.2.{number}",
            http_port=80,
            https_port=443,
            site="default",
            added=NOW,
        )


async def reserve(services: Services, tx: Transaction, device: Device, **options: Any) -> Reserved:
    given: dict[str, Any] = {
        "job_id": JOB,
        "spki": key("ec-p256", 5).spki,
        "common_name": device.address,
        "names": (device.address,),
        "origin": KeyOrigin.DEVICE,
        "alias": Alias("fleetseal-1"),
        "authority": (await issuing.current_authority(tx)).id,
    }
    return await issuing.reserve(services, tx, device=device, **(given | options))


async def states(services: Services) -> list[str]:
    async with services.database.reading() as tx:
        return [row.state for row in await certificates.open_of_job(tx, JOB)]


async def issued_to(services: Services, camera: Device, **options: Any) -> tuple[Reserved, bytes]:
    async with services.database.transaction() as tx:
        reserved = await reserve(services, tx, camera, **options)
    async with services.database.transaction() as tx:
        return reserved, (await issuing.issue(services, tx, reserved.issuance_id)).leaf


async def test_a_certificate_verifies_and_is_what_was_intended(services: Services) -> None:
    camera = await device(services)
    reserved, leaf = await issued_to(services, camera)
    async with services.database.reading() as tx:
        anchors, intermediates = await issuing.anchors(tx), await issuing.intermediates(tx)
        record = await issuing.get(tx, reserved.issuance_id)
        complete = await issuing.chain_for(tx, reserved.issuance_id)
    assert chains_to(leaf, intermediates=intermediates, anchors=anchors, name="192.0.2.1", at=NOW)
    assert complete.intermediates == intermediates
    assert not set(complete.intermediates) & set(anchors)
    parsed = x509.load_der_x509_certificate(leaf)
    assert f"{parsed.serial_number:040x}" == record.serial == f"{reserved.content.serial:040x}"
    assert hashlib.sha256(parsed.tbs_certificate_bytes).hexdigest() == record.tbs_sha256
    assert (record.state, record.mac, record.names) == ("issued", camera.serial, ("192.0.2.1",))
    assert record.renew_at is not None
    assert NOW < record.renew_at < record.not_after - timedelta(days=30)
    assert (await authorities.show(services))["issued"] == 1


async def test_the_intent_is_recorded_before_the_signature(services: Services) -> None:
    camera = await device(services)
    async with services.database.transaction() as tx:
        reserved = await reserve(services, tx, camera)
    async with services.database.reading() as tx:
        record = await issuing.get(tx, reserved.issuance_id)
        newest = (await audit.records(tx, limit=1))[0]
    assert (record.state, record.der) == ("intended", None)
    assert (newest.action, newest.object) == ("certificate intended", record.serial)


async def test_reserving_again_gives_the_same_intent_and_issuing_again_the_same_certificate(
    services: Services,
) -> None:
    camera = await device(services)
    first, leaf = await issued_to(services, camera)
    cast(FakeClock, services.clock).advance(3600)
    second, again = await issued_to(replace(services, vault=Vault(services.data, SystemRng(), scrypt_p=1)), camera)
    assert first == second
    assert leaf == again
    assert (await authorities.show(services))["issued"] == 1


@pytest.mark.parametrize(
    "change", [{"spki": key("ec-p256", 6).spki}, {"names": ("cam.plant.example",), "common_name": None}]
)
async def test_another_key_or_other_names_abandon_the_old_intent_visibly(
    services: Services, change: dict[str, Any]
) -> None:
    camera = await device(services)
    first, _ = await issued_to(services, camera)
    second, _ = await issued_to(services, camera, **change)
    assert first.issuance_id != second.issuance_id
    assert first.content.serial != second.content.serial
    async with services.database.reading() as tx:
        assert (await issuing.get(tx, first.issuance_id)).state == "abandoned"
        assert "certificate abandoned" in [record.action for record in await audit.records(tx)]


async def test_a_key_belongs_to_one_device_for_ever(services: Services) -> None:
    one, other = await device(services, 1), await device(services, 2)
    await issued_to(services, one)
    with pytest.raises(IssuanceRefused, match="seen on another device") as refused:
        await issued_to(services, other, job_id=JobId(2))
    assert refused.value.rule == "ISS-KEY-PROVED"
    async with services.database.transaction() as tx:
        await inventory.remove(tx, one.id)
    with pytest.raises(IssuanceRefused):
        await issued_to(services, other, job_id=JobId(2))


async def test_a_ca_key_is_never_certified_for_a_device(services: Services) -> None:
    camera = await device(services)
    async with services.database.reading() as tx:
        signer = (await issuing.current_authority(tx)).signer
    from fleetseal.pki import keys

    stolen = keys.spki(cast(Any, signer.certificate.public_key()))
    with pytest.raises(IssuanceRefused) as refused:
        await issued_to(services, camera, spki=stolen)
    assert refused.value.rule == "ISS-KEY-PROVED"


async def test_no_signature_while_the_clock_is_behind_the_last_one(services: Services) -> None:
    camera = await device(services)
    async with services.database.transaction() as tx:
        reserved = await reserve(services, tx, camera)
    cast(FakeClock, services.clock).advance(-5.5)
    async with services.database.transaction() as tx:
        with pytest.raises(IssuanceRefused, match="Set the clock right") as refused:
            await issuing.issue(services, tx, reserved.issuance_id)
    assert refused.value.rule == "REN-CLOCK-SANE"


async def test_a_clock_that_was_set_back_by_a_moment_does_not_stop_issuing(services: Services) -> None:
    camera = await device(services)
    _, first = await issued_to(services, camera)
    clock = cast(FakeClock, services.clock)
    for number in range(3):  # not even again and again: what counts is the last signature
        clock.advance(-1.5)
        _, again = await issued_to(services, camera, spki=key("ec-p256", 20 + number).spki)
        assert chain.describe(again).not_before == chain.describe(first).not_before
    clock.advance(-1.5)
    with pytest.raises(IssuanceRefused, match="Set the clock right"):
        await issued_to(services, camera, spki=key("ec-p256", 29).spki)


async def test_a_changed_intent_is_not_signed(services: Services) -> None:
    camera = await device(services)
    async with services.database.transaction() as tx:
        reserved = await reserve(services, tx, camera)
        content = replace(reserved.content, names=("192.0.2.99",), common_name=None).to_json()
        await certificates.change(tx, reserved.issuance_id, content=content)
    async with services.database.transaction() as tx:
        with pytest.raises(IssuanceRefused) as refused:
            await issuing.issue(services, tx, reserved.issuance_id)
    assert refused.value.rule == "ISS-ONCE"


async def test_without_signer_key_nothing_is_reserved(services: Services) -> None:
    """SEC-CA-APART: the data directory of a worker."""
    camera = await device(services)
    (services.data / "signer.key").unlink()
    worker = replace(services, vault=Vault(services.data, SystemRng(), scrypt_p=1))
    with pytest.raises(Locked):
        await issued_to(worker, camera)
    assert await states(services) == []


async def test_a_failed_audit_line_prevents_the_signature(services: Services) -> None:
    """AUD-FAILS-CLOSED: the trail refuses writes, so the certificate is neither stored nor handed out."""
    camera = await device(services)
    async with services.database.transaction() as tx:
        reserved = await reserve(services, tx, camera)
    async with services.database.transaction() as tx:
        await tx.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no more room'); END"
        )
    with pytest.raises(StoreError):
        async with services.database.transaction() as tx:
            await issuing.issue(services, tx, reserved.issuance_id)
    async with services.database.reading() as tx:
        record = await issuing.get(tx, reserved.issuance_id)
    assert (record.state, record.der) == ("intended", None)


async def test_installing_supersedes_the_one_before(services: Services) -> None:
    camera = await device(services)
    first, _ = await issued_to(services, camera)
    async with services.database.transaction() as tx:
        await issuing.mark_installed(tx, first.issuance_id, NOW)
    second, leaf = await issued_to(services, camera, job_id=JobId(2))
    async with services.database.transaction() as tx:
        await issuing.mark_installed(tx, second.issuance_id, NOW)
        await issuing.mark_installed(tx, second.issuance_id, NOW)
    async with services.database.reading() as tx:
        lineage = await issuing.lineage(tx, camera.id)
        assert (await issuing.installed(tx, camera.id)).der == leaf
    assert [record.state for record in lineage] == ["superseded", "installed"]
    shown = await authorities.show(services)
    assert (shown["issued"], shown["valid"]) == (2, 1)


async def test_a_job_that_fails_leaves_nothing_open(services: Services) -> None:
    camera = await device(services)
    await issued_to(services, camera)
    await issued_to(services, camera, origin=KeyOrigin.MANAGER, spki=key("ec-p256", 7).spki)
    assert await states(services) == ["issued", "issued"]
    async with services.database.transaction() as tx:
        await issuing.abandon_open(tx, JOB, KeyOrigin.DEVICE, reason="The device refused.", now=NOW)
    assert await states(services) == ["issued"]
    async with services.database.transaction() as tx:
        assert len(await issuing.leaves_of_job(tx, JOB)) == 1
        await issuing.abandon_job(tx, JOB, reason="Cancelled.", now=NOW)
        with pytest.raises(NotFound):
            await issuing.issued_by_job(tx, JOB, KeyOrigin.MANAGER)
    assert await states(services) == []


async def test_a_serial_is_used_once(services: Services) -> None:
    camera = await device(services)
    reserved, _ = await issued_to(services, camera)
    async with services.database.reading() as tx:
        authority = await issuing.current_authority(tx)
    async with services.database.transaction() as tx:
        with pytest.raises(Conflict):
            await issuing.record_intent(
                tx,
                reserved.content,
                signer=authority.signer,
                authority=authority.id,
                created=NOW,
                actor="test",
                origin=KeyOrigin.DEVICE,
            )
