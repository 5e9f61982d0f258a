"""Devices whose certificates were revoked, or whose keys share a prime."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from fleetseal.core.model import Selection
from fleetseal.operations import (
    alarms,
    audit_fleet,
    contact,
    disowned,
    inventory,
    issued,
    pages,
    shared_keys,
    trusting,
)
from fleetseal.pki import keys
from fleetseal.pki.crl import Reason
from fleetseal.store import certificates
from tests.nights import Evening
from tests.site import Site, site
from tests.workflow.test_enable_faults import camera_at


async def revoked(here: Site, reason: str) -> dict[str, Any]:
    (one,) = await issued.list_(here.services)
    return await issued.revoke(here.services, actor="test", serial=one["serial"], reason=reason)


@pytest.mark.parametrize(
    ("reason", "replaced"),
    [
        *((reason, True) for reason in ("unspecified", "superseded")),
        *((reason, False) for reason in ("affiliationChanged", "cessationOfOperation", "privilegeWithdrawn")),
    ],
)
async def test_a_revoked_certificate_is_not_ok_and_the_night_replaces_it_unless_the_device_left(
    tmp_path: Path, reason: str, replaced: bool
) -> None:
    async with camera_at(tmp_path, "12.11") as (here, camera):
        await here.enable(camera)
        assert (await listed_status(here)) == "OK"
        served, serial = camera.served, (await revoked(here, reason))["serial"]
        shown = await here.show(camera)
        assert (await listed_status(here), shown["status"]) == ("Certificate not trusted",) * 2
        told = shown["statuses"][0]["reason"]
        assert f"({reason})" in told
        assert told.count("The nightly run gives it " + ("another." if replaced else "no other")) == 1
        report = await Evening(here).command()
        assert [one["mac"] for one in report["renewed"]] == [shown["mac"]] * replaced, report
        assert (camera.served != served) is replaced
        assert (await listed_status(here)) == ("OK" if replaced else "Certificate not trusted")
        assert [one["message"] for one in await alarms.list_(here.services)] == (
            []
            if replaced
            else [f"Its certificate {serial} is revoked. {disowned.remedy(shown['mac'], Reason(reason))}"]
        )
        assert (await Evening(here).command())["renewed"] == []  # once


async def listed_status(here: Site) -> str:
    (row,) = (await pages.page(here.services, limit=10)).items
    return str(json.loads(row)["status"])


@pytest.mark.parametrize("reason", ["unspecified", "affiliationChanged"])
async def test_a_device_with_a_revoked_certificate_gets_another(tmp_path: Path, reason: str) -> None:
    async with camera_at(tmp_path, "12.11") as (here, camera):
        (enabled,) = await here.enable(camera)
        assert enabled["status"] == "Finished"
        (one,) = await issued.list_(here.services)
        assert (one["task"], one["state"]) == (1, "installed")
        shown = await revoked(here, reason)
        assert "still serves it" in shown["message"]
        await audit_fleet.audit_fleet(here.services, await here.settings())
        (alarm,) = await alarms.list_(here.services)
        assert alarm["message"].startswith(f"Its certificate {one['serial']} is revoked.")
        assert f"fleetseal https enable {shown['mac']} --renew" in alarm["message"]
        (again,) = await here.enable(camera, renew=True)
        assert again["status"] == "Finished", again
        assert [one["state"] for one in await issued.list_(here.services)] == ["revoked", "installed"]
        assert (await here.show(camera))["trust"] == "verified"
        assert len([alias for alias in camera.aliases if alias.startswith("fleetseal-")]) == 1


async def test_a_stolen_key_proves_nobody_until_a_person_decides(tmp_path: Path) -> None:
    async with camera_at(tmp_path, "12.11") as (here, camera):
        await here.enable(camera, policy="https")
        shown = await revoked(here, "keyCompromise")
        assert f"fleetseal device trust {(await here.device(camera)).mac}" in shown["message"]
        before = camera.credential_bytes
        (refused,) = await here.enable(camera, renew=True)
        assert (refused["status"], refused["error"]) == ("Failed", "identity-mismatch"), refused
        assert camera.credential_bytes == before, "no login was sent"
        this = Selection(refs=(camera.serial,))
        await contact.refresh_device(here.services, await here.id_of(camera))
        device_row = await here.show(camera)
        assert device_row["status"] == "Identity changed"
        assert "revoked as compromised" in device_row["statuses"][0]["reason"]
        (seen,) = await trusting.preview(here.services, this)
        await trusting.accept(here.services, actor="test", accepted={seen["id"]: seen["shows"]["sha256"]})
        (again,) = await here.enable(camera, renew=True)
        assert again["status"] == "Finished", again
        assert (await here.show(camera))["trust"] == "verified"


async def test_keys_that_share_a_prime_are_an_alarm_until_one_is_replaced(tmp_path: Path) -> None:
    """ISS-KEY-PROVED: a planted pair, as a broken generator makes it."""
    async with site(tmp_path, "12.11", "9.10") as here:
        for camera in here.fleet.devices:
            await here.add(camera)
        assert {one["status"] for one in await here.enable()} == {"Finished"}
        assert await shared_keys.check_keys(here.services) == 0
        made = [rsa.generate_private_key(65537, 2048).private_numbers() for _ in range(2)]
        moduli = (made[0].p * made[1].p, made[0].q * made[1].p)
        planted = [rsa.RSAPublicNumbers(65537, modulus).public_key() for modulus in moduli]
        async with here.services.database.transaction() as tx:
            for key, record in zip(planted, await certificates.signed(tx), strict=True):
                content = {**record.content, "spki": base64.b64encode(keys.spki(key)).decode()}
                await certificates.change(tx, record.id, content=content)
        labels = {(await here.device(camera)).label for camera in here.fleet.devices}
        for _ in range(2):
            assert await shared_keys.check_keys(here.services) == 2
            shown = await alarms.list_(here.services)
            assert {one["object"] for one in shown} == labels
            assert len(shown) == 2
            assert all("shares a prime" in one["message"] for one in shown)
        first, second = here.fleet.devices
        (renewed,) = await here.enable(first, renew=True)
        assert renewed["status"] == "Finished"
        assert await shared_keys.check_keys(here.services) == 1, "the other's key can still be computed"
        (left,) = await alarms.list_(here.services)
        assert left["object"] == (await here.device(second)).label
        await inventory.remove(here.services, actor="test", references=[second.serial])
        assert await alarms.list_(here.services) == []
        assert await shared_keys.check_keys(here.services) == 0
