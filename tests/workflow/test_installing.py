"""Certificates of other issuers, brought in files: each goes to its device, serves it, or changes nothing."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

from fleetseal.core.errors import Conflict, InvalidInput, Locked
from fleetseal.core.model import Alias, TaskId, TrustLevel
from fleetseal.core.secrets import Secret
from fleetseal.operations import audit_fleet, authorities, certificates, issued, revocation, tasks
from fleetseal.operations.contact import refresh_device
from fleetseal.operations.trusting import accept as accept_shown
from fleetseal.pki.bundles import File
from fleetseal.sim.fleet import DeviceSpec, SimulatedDevice
from fleetseal.store import bundles
from fleetseal.store import certificates as records
from fleetseal.store import inventory as rows
from fleetseal.store import tasks as store
from tests.devices import SiteAuthority
from tests.nights import causes
from tests.site import Direct, Site, site
from tests.workflow.test_certificates import delete, put
from tests.workflow.test_enable import allow_old_tls
from tests.workflow.test_enable_faults import BOTH, assert_invariants, state_of
from tests.workflow.test_way_back import watched, when

KEYS = [rsa.generate_private_key(65537, 2048) for _ in range(2)]
PLANT = SiteAuthority("Plant")
PHRASE = Secret("plant phrase")
SHA_OF_ISSUING = hashlib.sha256(PLANT.issuing).hexdigest()[:12]


def leaf_for(camera: SimulatedDevice, *, key: int = 0, days: int = 90) -> bytes:
    """Names the address, and by a host name the MAC address."""
    names = (camera.address, f"axis-{camera.serial.lower()}.plant.example")
    return PLANT.leaf(KEYS[key].public_key(), *names, days=days)


def packed(leaf: bytes, *, key: int = 0, name: str = "cam.p12") -> File:
    """PKCS#12 under PHRASE, with the issuing CA."""
    content = pkcs12.serialize_key_and_certificates(
        b"cam",
        KEYS[key],
        x509.load_der_x509_certificate(leaf),
        [x509.load_der_x509_certificate(PLANT.issuing)],
        BestAvailableEncryption(PHRASE.reveal().encode()),
    )
    return File(name, content, PHRASE)


def pem(*ders: bytes) -> bytes:
    return b"".join(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM) for der in ders)


def pem_key(key: int = 0) -> bytes:
    return KEYS[key].private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def given(*files: File) -> list[tuple[str, bytes, Secret | None]]:
    """As the API gives them."""
    return [(file.name, file.content, file.passphrase) for file in files]


async def request(here: Site, *files: File, device: str | None = None, for_https: bool = True, **more: Any) -> Any:
    options = {"actor": "test", "reference": device, "for_https": for_https, "set_clock": False, **more}
    task_id = await certificates.install(here.services, here.engine, files=given(*files), **options)
    return await here.ended(task_id)


async def accept(here: Site, camera: SimulatedDevice) -> None:
    """`device trust`: a person accepts the certificate that the device shows."""
    device, served = await here.device(camera), camera.served
    assert served is not None
    await accept_shown(here.services, actor="test", accepted={device.id: hashlib.sha256(served).hexdigest()})


async def trust(here: Site) -> None:
    await authorities.trust_only(here.services, actor="test", files=(PLANT.root,))


async def keys_kept(here: Site) -> int:
    """How many private keys are in the database."""
    async with here.services.database.reading() as tx:
        kept = 0
        for task in await store.list_tasks(tx):
            for job_id in await bundles.files(tx, task.id):
                try:
                    await bundles.key(tx, here.services.sealer, job_id)
                except Conflict:
                    continue
                kept += 1
    return kept


@asynccontextmanager
async def camera_at(
    path: Path, profile: str | DeviceSpec, *, authority: bool = False
) -> AsyncIterator[tuple[Site, SimulatedDevice]]:
    async with site(path, profile, authority=authority) as here:
        camera = here.fleet.devices[0]
        assert (await here.add(camera))["result"] == "added"
        yield here, camera
        assert await keys_kept(here) == 0, "a key outlived its job"
        await assert_invariants(here)


@pytest.mark.parametrize("profile", ["12.11", "12.11-self-signed", "11.6", "10.12", "9.10", "7.30", "6.50"])
async def test_a_pkcs12_file_serves_the_device_that_it_names(tmp_path: Path, profile: str) -> None:
    async with camera_at(tmp_path, profile) as (here, camera):
        if profile == "6.50":
            await allow_old_tls(here, camera)
        if profile == "12.11-self-signed":  # it asks for Basic over TLS
            (refused,) = (await request(here, packed(leaf_for(camera))))["devices"]
            assert "its certificate is not trusted far enough for that. It was not sent." in refused["description"], (
                refused
            )
            await accept(here, camera)
        await trust(here)
        leaf = leaf_for(camera)
        result = await request(here, packed(leaf))
        assert (result["action"], result["state"], result["unmatched"]) == ("Install certificate", "Finished", [])
        (outcome,) = result["devices"]
        assert (outcome["status"], outcome["file"]) == ("Finished", "cam.p12"), outcome
        assert "verified by a CA that is trusted here" in outcome["description"]
        assert "Nothing here renews it." in outcome["description"]
        assert camera.served == leaf
        shown = await here.show(camera)
        assert (shown["trust"], shown["https"], shown["status"]) == ("verified", "Enabled", "OK")
        assert shown["certificate"]["issued_by_us"] is False
        assert [one for one in camera.authority_aliases if one.startswith("fleetseal-ca-")], (
            "the issuing CA is beside it"
        )
        again = await refresh_device(here.services, shown["id"])
        assert (again.identity_problem, again.trust_problem, again.trust_level) == (None, None, TrustLevel.ANCHORED)
        assert (await request(here, packed(leaf)))["devices"][0]["status"] == "Unchanged"


async def put_back(here: Site, camera: SimulatedDevice) -> None:
    """What was only stored is removed again, at a person's word."""
    for alias in [one for one in camera.aliases if one.startswith("fleetseal-")]:
        outcome = await delete(here, camera, alias)
        assert outcome["status"] == "Finished", outcome


@BOTH
async def test_a_certificate_that_nobody_here_vouches_for_is_proved_by_itself(tmp_path: Path, profile: str) -> None:
    """PEM, certificate and key in two files, and the chain in a third."""
    async with camera_at(tmp_path, profile) as (here, camera):
        proved = (await here.device(camera)).trust_level is TrustLevel.FACTORY
        leaf = leaf_for(camera)
        files = (File("cam.key", pem_key()), File("cam.pem", pem(leaf)), File("chain.pem", pem(PLANT.issuing)))
        result = await request(here, *files)
        assert result["unmatched"] == []
        (outcome,) = result["devices"]
        assert (outcome["status"], outcome["file"]) == ("Finished", "cam.pem"), outcome
        assert "No CA that is trusted here vouches for it" in outcome["description"]
        assert camera.served == leaf
        assert (await here.device(camera)).trust_level is (TrustLevel.PINNED if proved else TrustLevel.FIRST_USE)
        assert (await here.show(camera))["status"] == "OK"


async def test_what_a_job_had_to_leave_stays_when_a_person_wants_it_after_all(tmp_path: Path) -> None:
    async with camera_at(tmp_path, "9.10", authority=True) as (here, camera):
        brought = packed(leaf_for(camera))

        def change_password() -> None:
            camera.device.users[camera.username] = "changed by somebody"

        cut = watched(here, when("install-key:acted", change_password))
        (outcome,) = (await request(cut, brought, for_https=False))["devices"]
        assert "Not put back" in outcome["description"], outcome
        camera.device.users[camera.username] = camera.password
        async with here.services.database.transaction() as tx:
            await rows.change(tx, await here.id_of(camera), password_refused_version=None)
        (left,) = (one for one in camera.aliases if one.startswith("fleetseal-"))
        (outcome,) = (await request(here, brought, for_https=False))["devices"]
        assert outcome["status"] == "Unchanged", outcome
        assert (await here.enable(camera))[0]["status"] == "Finished"
        assert left in camera.aliases
        assert (await delete(here, camera, left))["status"] == "Finished"


@BOTH
@pytest.mark.parametrize("https", [True, False])
async def test_a_certificate_may_be_stored_only(tmp_path: Path, profile: str, https: bool) -> None:
    """Over TLS, though the device has none: a certificate that it makes serves meanwhile, and is gone afterwards."""
    async with camera_at(tmp_path, profile) as (here, camera):
        if not https:
            assert (await here.disable(camera))[0]["status"] == "Finished"
        before, trusted = state_of(camera), (await here.device(camera)).trust_level
        (outcome,) = (await request(here, packed(leaf_for(camera)), for_https=False))["devices"]
        assert outcome["status"] == "Finished", outcome
        assert "nothing uses it yet" in outcome["description"]
        made = [step["name"] for step in outcome["steps"] if step["name"].startswith("temporary-")]
        by_its_factory_certificate = profile == "12.11"
        assert made == ([] if https else ["temporary-certificate", "temporary-bind"][by_its_factory_certificate:])
        (stored,) = (one for one in camera.aliases if one.startswith("fleetseal-"))
        assert [one["alias"] for one in (await here.show(camera))["entries"] if one["alias"] == stored] == [stored]
        again = (await request(here, packed(leaf_for(camera)), for_https=False))["devices"][0]
        assert again["status"] == "Finished", "another certificate of the same key"
        await put_back(here, camera)
        authorities_before = before[1]
        assert isinstance(authorities_before, tuple)
        assert {*camera.authority_aliases} - {*authorities_before} == {"fleetseal-ca-" + SHA_OF_ISSUING}
        assert (state_of(camera)[0], *state_of(camera)[2:]) == (before[0], *before[2:])
        assert (await here.device(camera)).trust_level is trusted


@pytest.mark.parametrize(
    ("profile", "fault"),
    [
        ("12.11", "lose_answer_of"),
        ("9.10", "lose_answer_of"),
        ("12.11", "error_with_effect"),
        ("9.10", "effect_twice"),
        ("9.10", "lose_request_of"),
    ],
)
async def test_what_the_device_shows_decides_whether_it_is_installed(tmp_path: Path, profile: str, fault: str) -> None:
    async with camera_at(tmp_path, profile) as (here, camera):
        await camera.trouble(**{fault: {"install_key_pair": 1}})
        leaf = leaf_for(camera)
        (outcome,) = (await request(here, packed(leaf)))["devices"]
        assert outcome["status"] == "Finished", outcome
        assert camera.served == leaf
        assert len([one for one in camera.aliases if one.startswith("fleetseal-")]) == 1


@BOTH
@pytest.mark.parametrize("fault", ["tls_dead_on_new_certificate", "serves_wrong_leaf"])
async def test_what_cannot_be_proved_is_put_back(tmp_path: Path, profile: str, fault: str) -> None:
    async with camera_at(tmp_path, profile) as (here, camera):
        before, trusted = state_of(camera), (await here.device(camera)).trust_level
        await camera.trouble(**{fault: True})
        (outcome,) = (await request(here, packed(leaf_for(camera))))["devices"]
        assert outcome["status"] == "Rolled back", outcome
        await camera.trouble(**{fault: False})
        assert state_of(camera) == before
        assert (await here.device(camera)).trust_level is trusted


@BOTH
async def test_a_full_store_is_told_with_what_may_go(tmp_path: Path, profile: str) -> None:
    async with camera_at(tmp_path, profile) as (here, camera):
        await put(here, camera, Alias("plant-2025"))
        before = state_of(camera)
        await camera.trouble(store_full=True)
        alone = File("alone.pem", pem(leaf_for(camera)) + pem_key())
        (outcome,) = (await request(here, alone))["devices"]
        assert (outcome["status"], outcome["error"]) == ("Failed", "rejected"), outcome
        assert "Nothing uses plant-2025. Remove what can go" in outcome["description"]
        assert state_of(camera) == before
        camera.device.cert_sets["mqtt_client"] = ("plant-2025",)
        (outcome,) = (await request(here, alone))["devices"]
        assert "plant-2025 by MQTT" in outcome["description"]
        assert "Let go of one first" in outcome["description"]


@BOTH
async def test_a_verified_device_is_not_trusted_less_by_it(tmp_path: Path, profile: str) -> None:
    """With a CA of ours: one that nothing vouches for is refused; a trusted one replaces ours, and ours comes back."""
    async with camera_at(tmp_path, profile, authority=True) as (here, camera):
        assert (await here.enable(camera))[0]["status"] == "Finished"
        before, ours, leaf = state_of(camera), camera.web.bound, leaf_for(camera)
        (outcome,) = (await request(here, packed(leaf)))["devices"]
        assert (outcome["status"], outcome["error"]) == ("Failed", "not-verified"), outcome
        assert state_of(camera) == before
        await trust(here)
        (outcome,) = (await request(here, packed(leaf)))["devices"]
        assert outcome["status"] == "Finished", outcome
        assert camera.served == leaf
        assert ours not in camera.aliases, "nothing of ours is left behind"
        device = await refresh_device(here.services, await here.id_of(camera))
        assert (device.trust_level, device.identity_problem) == (TrustLevel.ANCHORED, None)
        async with here.services.database.reading() as tx:
            assert [one.state for one in await records.of_device(tx, device.id)] == ["superseded"]
        assert (await here.enable())[0]["status"] == "Skipped", "a foreign certificate stays"
        assert (await here.enable(camera))[0]["status"] == "Finished"
        device = await refresh_device(here.services, device.id)
        assert (device.trust_level, device.trust_pin) == (TrustLevel.ANCHORED, None)
        assert (await here.show(camera))["certificate"]["issued_by_us"] is True
        await put_back_unused(here, camera)


async def test_the_nights_go_on_when_another_issuers_certificate_replaces_ours(tmp_path: Path) -> None:
    """Ours is superseded like any other: a CRL tells of it, since when, and the key can be unlocked again."""
    async with camera_at(tmp_path, "12.11", authority=True) as (here, camera):
        await trust(here)
        assert (await here.enable(camera))[0]["status"] == "Finished"
        assert (await request(here, packed(leaf_for(camera))))["devices"][0]["status"] == "Finished"
        issuing_ca = next(one for one in await revocation.renew_crls(here.services, actor="test") if one["revoked"])
        assert (issuing_ca["role"], issuing_ca["revoked"], issuing_ca["missing"]) == ("intermediate", 1, 0)
        (ours,) = await issued.list_(here.services, camera.serial)
        assert ours["state"] == "superseded"
        assert ours["superseded"] is not None
        await audit_fleet.audit_fleet(here.services, await here.settings())
        assert await causes(here) == {}, "the certificate was put into service here"


async def put_back_unused(here: Site, camera: SimulatedDevice) -> None:
    """The certificate of the other issuer stays until a person removes it."""
    (kept,) = (one for one in camera.aliases if one.startswith("fleetseal-") and one != camera.web.bound)
    assert (await delete(here, camera, kept))["status"] == "Finished"


async def test_a_key_is_of_one_device_for_ever(tmp_path: Path) -> None:
    async with site(tmp_path, "9.10", "9.10", authority=False) as here:
        first, second = here.fleet.devices
        for camera in (first, second):
            await here.add(camera)
        assert (await request(here, packed(leaf_for(first))))["state"] == "Finished"
        before = state_of(second)
        copied = await request(here, packed(leaf_for(second)))
        assert copied["devices"] == []
        assert copied["state"] == "Failed"
        assert copied["unmatched"] == [
            {"file": "cam.p12", "reason": "Its key is known from another device: each device has its own."}
        ]
        twice = await request(
            here, packed(leaf_for(second, key=1), key=1), packed(leaf_for(first, key=1), key=1, name="copy.p12")
        )
        assert [one["file"] for one in twice["unmatched"]] == ["cam.p12", "copy.p12"]
        assert state_of(second) == before


async def test_what_fits_is_installed_and_the_rest_is_told(tmp_path: Path) -> None:
    async with site(tmp_path, "12.11", "9.10", authority=False) as here:
        first, second = here.fleet.devices
        for camera in (first, second):
            await here.add(camera)
        stranger = PLANT.leaf(KEYS[1].public_key(), "192.0.2.77", "lobby.plant.example")
        result = await request(
            here,
            packed(leaf_for(first), name="good.p12"),
            replace(packed(stranger, key=1, name="wrong.p12"), passphrase=Secret("wrong")),
            File("stranger.pem", pem(stranger) + pem_key(1)),
            File("text.pem", b"nothing"),
        )
        assert [(one["mac"], one["status"], one["file"]) for one in result["devices"]] == [
            ((await here.show(first))["mac"], "Finished", "good.p12")
        ]
        reasons = {one["file"]: one["reason"] for one in result["unmatched"]}
        assert reasons.keys() == {"wrong.p12", "stranger.pem", "text.pem"}
        assert "passphrase is wrong" in reasons["wrong.p12"]
        assert "192.0.2.77" in reasons["stranger.pem"]
        assert result["heading"] == "Install certificate failed on 0 of 1 devices, and 3 files were not used"
        named = await request(here, File("stranger.pem", pem(stranger) + pem_key(1)), device=second.serial)
        assert named["devices"][0]["status"] == "Finished", named
        with pytest.raises(InvalidInput, match="The files hold 2 certificates"):
            await request(here, packed(leaf_for(first)), packed(stranger, key=1), device=second.serial)
        with pytest.raises(Locked, match="passphrase is wrong"):
            await request(here, replace(packed(stranger, key=1), passphrase=Secret("wrong")))


class Idle:
    """Nobody works: the task stays as it was recorded."""

    async def submit(self, task_id: Any) -> None:
        """Nothing is begun."""


async def begun(here: Site, *files: File, for_https: bool = True) -> TaskId:
    """The task, recorded and not begun."""
    return await certificates.install(
        here.services,
        Idle(),  # type: ignore[arg-type]  # what the request needs of an engine
        actor="test",
        files=given(*files),
        reference=None,
        for_https=for_https,
        set_clock=False,
    )


async def test_keys_go_with_the_end_of_their_jobs_and_cannot_be_retried(tmp_path: Path) -> None:
    async with camera_at(tmp_path, "9.10") as (here, camera):
        task_id = await begun(here, packed(leaf_for(camera)))
        assert await keys_kept(here) == 1
        assert PHRASE.reveal().encode() not in (tmp_path / "fleetseal.db").read_bytes()
        await tasks.cancel(here.services, None, task_id, actor="test")
        assert await keys_kept(here) == 0
        with pytest.raises(Conflict, match="private keys are kept only until their task has ended"):
            await tasks.retry(here.services, here.engine, task_id, actor="test")


class Killed(BaseException):
    """The process ends here."""


async def survive(here: Site, task_id: TaskId) -> list[str]:
    """One run after the other dies at the first point at which none has died before; the points."""
    passed: list[str] = []

    def die(reached: str) -> None:
        if reached not in passed:
            passed.append(reached)
            raise Killed

    mortal = Direct(replace(here.services, failpoint=die))
    while True:
        assert len(passed) < 100
        try:
            await mortal.submit(task_id)
        except Killed:
            continue
        return passed


@pytest.mark.parametrize("profile", ["12.11", "9.10"])
async def test_an_installation_survives_a_kill_at_every_point(tmp_path: Path, profile: str) -> None:
    async with camera_at(tmp_path, profile) as (here, camera):
        assert (await here.disable(camera))[0]["status"] == "Finished"
        leaf = leaf_for(camera)
        task_id = await begun(here, packed(leaf))
        points = await survive(here, task_id)
        (outcome,) = (await here.ended(task_id))["devices"]
        assert outcome["status"] == "Finished", outcome
        assert camera.served == leaf
        assert camera.effects["install_key_pair"] == 1
        assert [one for one in camera.aliases if one.startswith("fleetseal-")] == [camera.web.bound]
        reached = {point.split(":")[0] for point in points}
        assert {"plan", "install-key", "temporary-bind", "bind", "record", "cleanup"} <= reached


async def test_a_rollback_of_an_installation_survives_too(tmp_path: Path) -> None:
    async with camera_at(tmp_path, "9.10") as (here, camera):
        assert (await here.disable(camera))[0]["status"] == "Finished"
        await here.set("https.verify-seconds", "5")
        before = state_of(camera)
        await camera.trouble(serves_wrong_leaf=True)
        task_id = await begun(here, packed(leaf_for(camera)))
        points = await survive(here, task_id)
        assert "unwind:recorded" in points
        (outcome,) = (await here.ended(task_id))["devices"]
        assert outcome["status"] in ("Rolled back", "Failed"), outcome
        await camera.trouble(serves_wrong_leaf=False)
        assert state_of(camera) == before


async def test_storing_only_survives_too(tmp_path: Path) -> None:
    async with camera_at(tmp_path, "9.10") as (here, camera):
        assert (await here.disable(camera))[0]["status"] == "Finished"
        before = state_of(camera)
        task_id = await begun(here, packed(leaf_for(camera)), for_https=False)
        points = await survive(here, task_id)
        assert {"install-key:acted", "temporary-bind:before-undo"} <= set(points)
        (outcome,) = (await here.ended(task_id))["devices"]
        assert outcome["status"] == "Finished", outcome
        await put_back(here, camera)
        assert (state_of(camera)[0], *state_of(camera)[2:]) == (before[0], *before[2:])
