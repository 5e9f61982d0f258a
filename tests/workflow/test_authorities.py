"""CAs from birth to first signature: made, brought, requested; every bad input; a crash at every step."""

import base64
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn, cast

import pytest
from sqlalchemy import func, select

from fleetseal.core.config import Sources
from fleetseal.core.errors import Conflict, FleetsealError, InvalidInput, Locked, NotFound
from fleetseal.core.runtime import SystemRng
from fleetseal.core.secrets import Sealer, Secret
from fleetseal.operations import authorities, issuing
from fleetseal.operations.services import Services
from fleetseal.pki import chain, keys
from fleetseal.pki.issuer import Vault
from fleetseal.store import audit
from fleetseal.store import authorities as rows
from fleetseal.store.schema import authority, issuance
from tests.support import FakeClock, open_database

PASSPHRASE = Secret("correct horse battery staple")


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    database = await open_database(tmp_path / "fleetseal.db")
    yield Services(
        data=tmp_path,
        database=database,
        clock=FakeClock(),
        rng=SystemRng(),
        sealer=Sealer(bytes(32), SystemRng()),
        vault=Vault(tmp_path, SystemRng(), scrypt_p=1),
        connect=cast(Any, _nothing),
        sources=Sources({}, {}),
    )
    await database.close()


def _nothing(*_: object) -> NoReturn:
    raise AssertionError("no device is contacted here")


def restarted(services: Services) -> Services:
    """The same data directory in a new process."""
    return replace(services, vault=Vault(services.data, SystemRng(), scrypt_p=1))


async def create(services: Services, **options: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"name": "Plant", "key_type": "ec", "passphrase": PASSPHRASE} | options
    return await authorities.create(services, actor="test", **given)


async def bring(services: Services, *files: bytes, **options: Any) -> dict[str, Any]:
    return await authorities.import_files(services, actor="test", files=files, **options)


async def stored(services: Services) -> tuple[int, list[str]]:
    """How many CAs the database knows, and the files with keys."""
    async with services.database.reading() as tx:
        count = await tx.scalar(select(func.count()).select_from(authority))
    folder = services.data / "ca"
    return int(count or 0), sorted(file.name for file in folder.iterdir()) if folder.exists() else []


# ---------------------------------------------------------------- create


async def test_two_tiers_work_unattended_and_the_root_key_stays_closed(services: Services) -> None:
    shown = await create(services, organization="Example")
    assert shown["role"] == "root"
    assert shown["tiers"] == 2
    assert shown["state"] == "ready"
    assert shown["subject"] == "CN=Plant Root CA 2026,O=Example"
    assert shown["key"] == "EC P-384"
    assert shown["not_after"] == "2035-12-31T23:59:59Z"
    assert not shown["key_open"]
    assert (shown["issued"], shown["valid"]) == (0, 0)
    [issuing_ca] = shown["issuing"]
    assert issuing_ca["subject"] == "CN=Plant Issuing CA 2026-1,O=Example"
    assert issuing_ca["key"] == "EC P-256"
    assert issuing_ca["state"] == "ready"
    assert "every host name and address" in shown["message"]
    assert "bundle" in shown["message"]
    later = restarted(services)
    assert (await authorities.show(later))["state"] == "ready"
    assert not later.vault.is_open(await key_file_of_root(later))


async def key_file_of_root(services: Services) -> Any:
    async with services.database.reading() as tx:
        return issuing.key_file((await rows.every(tx))[0])


async def test_rsa_is_the_default(services: Services) -> None:
    shown = await authorities.create(services, actor="test", name="Plant", passphrase=PASSPHRASE)
    assert (shown["key"], shown["issuing"][0]["key"]) == ("RSA-4096", "RSA-3072")


async def test_one_tier_is_locked_after_a_restart_unless_remembered(services: Services) -> None:
    shown = await create(services, tiers=1)
    assert shown["state"] == "locked"
    assert shown["issuing"] == []
    opened = await authorities.unlock(services, actor="test", passphrase=PASSPHRASE)
    assert opened["state"] == "ready"
    assert (await authorities.lock(services, actor="test"))["state"] == "locked"
    await authorities.unlock(services, actor="test", passphrase=PASSPHRASE)
    assert (await authorities.show(restarted(services)))["state"] == "locked"


async def test_a_remembered_passphrase_opens_the_key_after_a_restart(services: Services) -> None:
    shown = await create(services, tiers=1, remember=True)
    assert "signer.key" in shown["passphrase_kept"]
    assert (await authorities.show(restarted(services)))["state"] == "ready"
    for file in services.data.rglob("*"):
        assert not file.is_file() or PASSPHRASE.reveal().encode() not in file.read_bytes()


async def test_unlock_with_a_wrong_passphrase(services: Services) -> None:
    await create(services, tiers=1)
    with pytest.raises(Locked, match="passphrase is wrong"):
        await authorities.unlock(services, actor="test", passphrase=Secret("guess"))
    assert (await authorities.show(services))["state"] == "locked"


async def test_a_second_ca_is_a_conflict(services: Services) -> None:
    await create(services)
    before = await stored(services)
    with pytest.raises(Conflict, match="fleetseal ca renew"):
        await create(services)
    with pytest.raises(Conflict, match="fleetseal ca renew"):
        await authorities.request(services, actor="test", name="Other")
    assert await stored(services) == before


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"name": "plant.example"}, "must not have a dot"),
        ({"name": ""}, "1 to 64 characters"),
        ({"name": "x" * 60}, "too long"),
        ({"name": "é" * 30}, "too long"),
        ({"organization": "é" * 40}, "1 to 64 characters"),
        ({"name": "a\x1bb"}, "control characters"),
        ({"years": 21}, "1 to 20 years"),
        ({"tiers": 3}, "1 or 2 tiers"),
        ({"key_type": "dsa"}, "rsa or ec"),
        ({"passphrase": None}, "--passphrase-file"),
        ({"passphrase": Secret("")}, "--passphrase-file"),
        ({"permit_domains": ("plant.example",)}, "--permit-network"),
        ({"permit_networks": ("192.0.2.1/24",)}, "not a network"),
        ({"permit_domains": ("*.plant.example",), "permit_networks": ("192.0.2.0/24",)}, "wildcard"),
    ],
)
async def test_wrong_options_store_nothing(services: Services, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        await create(services, **options)
    assert await stored(services) == (0, [])


async def test_constraints_are_shown_and_said(services: Services) -> None:
    shown = await create(services, permit_domains=("Plant.Example",), permit_networks=("192.0.2.0/24",))
    assert "plant.example and 192.0.2.0/24" in shown["message"]
    assert shown["constraints"] == ["permitted: plant.example", "permitted: 192.0.2.0/24"]
    assert shown["issuing"][0]["constraints"] == shown["constraints"]


async def test_states_follow_the_clock(services: Services) -> None:
    await create(services, years=1)
    clock = cast(FakeClock, services.clock)
    clock.advance(timedelta(days=340).total_seconds())
    assert (await authorities.show(services))["state"] == "expiring"
    clock.advance(timedelta(days=30).total_seconds())
    assert (await authorities.show(services))["state"] == "expired"


async def test_without_a_ca(services: Services) -> None:
    for ask in (authorities.show, authorities.export):
        with pytest.raises(NotFound, match="fleetseal ca create"):
            await cast(Any, ask)(services)
    assert await authorities.list_(services) == []


async def test_every_signature_has_an_intent_and_an_audit_record_before_it(services: Services) -> None:
    await create(services)
    async with services.database.reading() as tx:
        signed = (await tx.execute(select(issuance.c.state, issuance.c.purpose))).all()
        actions = [record.action for record in reversed(await audit.records(tx))]
    assert [tuple(row) for row in signed] == [("issued", "ca"), ("issued", "ca")]
    assert actions == [
        *["certificate intended", "certificate issued"] * 2,
        *["crl intended", "crl issued"] * 2,
        "ca create",
    ]


FAILPOINTS = (
    *("ca-root-intended", "ca-key-kept", "ca-signed", "ca-issuing-intended"),
    *("crl-intended", "crl-signed"),
)


@pytest.mark.parametrize("failpoint", FAILPOINTS)
async def test_a_crash_leaves_nothing_usable_and_the_next_one_succeeds(services: Services, failpoint: str) -> None:
    reached: list[str] = []
    with pytest.raises(Crash):
        await create(replace(services, failpoint=crash_at(failpoint, reached)))
    assert reached[-1] == failpoint
    later = restarted(services)
    with pytest.raises(NotFound):
        await authorities.show(later)
    assert await authorities.list_(later) == []
    assert (await create(later))["state"] == "ready"
    _, files = await stored(later)
    async with later.database.reading() as tx:
        kept = {f"{record.key_file}.key" for record in await rows.every(tx)}
        intended = await tx.scalar(select(func.count()).select_from(issuance).where(issuance.c.state == "intended"))
    assert set(files) == kept  # no key of the interrupted ceremony is left
    assert intended == 0


class Crash(Exception):
    """The process ends here."""


def crash_at(name: str, reached: list[str]) -> Callable[[str], None]:
    def failpoint(here: str) -> None:
        reached.append(here)
        if here == name:
            raise Crash

    return failpoint


# ---------------------------------------------------------------- from outside


def openssl(*arguments: str, folder: Path, given: str | None = None) -> None:
    subprocess.run(
        ["openssl", *arguments], cwd=folder, input=given, text=True, check=True, capture_output=True, timeout=60
    )


EXTENSIONS = """
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[ca0]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[weak]
basicConstraints = CA:TRUE
subjectKeyIdentifier = none
[leaf]
basicConstraints = critical, CA:FALSE
[mail]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
extendedKeyUsage = emailProtection
subjectKeyIdentifier = hash
[nosign]
basicConstraints = critical, CA:TRUE
keyUsage = critical, cRLSign
subjectKeyIdentifier = hash
"""

FROM, UNTIL = "20261101000000Z", "20361101000000Z"


def foreign(
    folder: Path, name: str, *, section: str = "ca", kind: str = "ec", until: str = UNTIL, issuer: str | None = None
) -> tuple[bytes, bytes]:
    """(certificate PEM, key PEM) made by openssl, as a customer's own PKI would."""
    (folder / "openssl.cnf").write_text(
        f"{EXTENSIONS}\n[ca_default]\ndatabase = {name}.db\nnew_certs_dir = .\nrand_serial = yes\ndefault_md = sha256\n"
        "policy = any\nunique_subject = no\n[any]\ncommonName = supplied\n[req]\ndistinguished_name = dn\n[dn]\n"
    )
    (folder / f"{name}.db").write_text("")
    generate = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if kind == "ec" else ["-newkey", kind]
    common = ["-config", "openssl.cnf", "-subj", f"/CN=Customer {name}"]
    openssl("req", "-new", *generate, "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", *common, folder=folder)
    sign(folder, name, section=section, until=until, issuer=issuer)
    return (folder / f"{name}.pem").read_bytes(), (folder / f"{name}.key").read_bytes()


def sign(folder: Path, name: str, *, section: str, until: str = UNTIL, issuer: str | None = None) -> None:
    by = ["-cert", f"{issuer}.pem", "-keyfile", f"{issuer}.key"] if issuer else ["-selfsign", "-keyfile", f"{name}.key"]
    openssl(
        *("ca", "-batch", "-notext", "-config", "openssl.cnf", "-name", "ca_default", "-extensions", section, *by),
        *("-startdate", FROM, "-enddate", until, "-in", f"{name}.csr", "-out", f"{name}.pem"),
        folder=folder,
    )


async def test_a_root_from_pem_files_gets_an_issuing_ca(services: Services, tmp_path: Path) -> None:
    certificate, key = foreign(tmp_path, "root", kind="rsa:2048")
    shown = await bring(services, certificate, key, passphrase=PASSPHRASE)
    assert (shown["role"], shown["tiers"], shown["state"]) == ("root", 2, "ready")
    assert shown["issuing"][0]["issuer"] == "CN=Customer root"
    assert any("RSA-2048" in warning for warning in shown["warnings"])
    assert (await authorities.show(restarted(services)))["state"] == "ready"


OLD = ("-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha1")
OLDEST = ("-legacy", "-certpbe", "PBE-SHA1-RC2-40", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha1")


@pytest.mark.parametrize("style", [(), OLD, OLDEST], ids=["PBES2", "3DES", "RC2"])
async def test_a_subordinate_from_pkcs12_signs_itself(
    services: Services, tmp_path: Path, style: tuple[str, ...]
) -> None:
    foreign(tmp_path, "root")
    foreign(tmp_path, "sub", section="ca0", issuer="root")
    openssl(
        *("pkcs12", "-export", "-in", "sub.pem", "-inkey", "sub.key", "-certfile", "root.pem", "-out", "ca.p12"),
        *("-passout", f"pass:{PASSPHRASE.reveal()}", *style),
        folder=tmp_path,
    )
    shown = await bring(services, (tmp_path / "ca.p12").read_bytes(), passphrase=PASSPHRASE, remember=True)
    assert (shown["role"], shown["tiers"], shown["state"]) == ("intermediate", 1, "ready")
    async with services.database.reading() as tx:
        [root] = await issuing.anchors(tx)
        [sub] = await issuing.intermediates(tx)
    assert chain.describe(root).subject == "CN=Customer root"
    assert chain.describe(sub).subject == "CN=Customer sub"
    with pytest.raises(Locked, match="passphrase is wrong"):
        await bring(services, (tmp_path / "ca.p12").read_bytes(), passphrase=Secret("guess"))


async def test_a_request_is_completed_by_the_chain(services: Services, tmp_path: Path) -> None:
    requested = await authorities.request(services, actor="test", name="Plant", key_type="ec")
    [waiting] = await authorities.list_(services)
    assert waiting["state"] == "requested"
    root, _ = foreign(tmp_path, "root")
    (tmp_path / "ours.db").write_text("")
    (tmp_path / "ours.csr").write_text(requested["csr"])
    sign(tmp_path, "ours", section="ca0", issuer="root")
    ours = (tmp_path / "ours.pem").read_bytes()
    with pytest.raises(InvalidInput, match=r"certificate of the issuer .*CN=Customer root.* is missing"):
        await bring(services, ours)
    shown = await bring(services, ours, root)
    assert (shown["name"], shown["role"], shown["state"]) == ("Plant", "intermediate", "ready")
    assert (await authorities.show(restarted(services)))["state"] == "ready"


async def test_a_trusted_root_completes_the_chain_of_a_request(services: Services, tmp_path: Path) -> None:
    requested = await authorities.request(services, actor="test", name="Plant", key_type="ec")
    root, _ = foreign(tmp_path, "root")
    [trusted] = await authorities.trust_only(services, actor="test", files=(root,))
    assert trusted["trust_only"]
    with pytest.raises(Conflict):
        await authorities.trust_only(services, actor="test", files=(root,))
    (tmp_path / "ours.csr").write_text(requested["csr"])
    sign(tmp_path, "ours", section="ca", issuer="root")
    shown = await bring(services, (tmp_path / "ours.pem").read_bytes())
    assert (shown["tiers"], shown["state"], len(shown["issuing"])) == (2, "ready", 1)
    async with services.database.reading() as tx:
        assert [chain.describe(der).subject for der in await issuing.anchors(tx)] == ["CN=Customer root"]
        assert len(await issuing.intermediates(tx)) == 2


async def test_an_encrypted_key_in_a_file_of_its_own(services: Services, tmp_path: Path) -> None:
    certificate, _ = foreign(tmp_path, "root")
    openssl("pkcs8", "-topk8", "-in", "root.key", "-out", "sealed.key", "-passout", "pass:secret", folder=tmp_path)
    sealed = (tmp_path / "sealed.key").read_bytes()
    for wrong in (None, Secret("guess")):
        with pytest.raises(Locked):
            await bring(services, certificate + sealed, passphrase=wrong)
    assert await stored(services) == (0, [])
    assert (await bring(services, certificate, sealed, passphrase=Secret("secret")))["state"] == "ready"


async def test_bad_files_are_refused_with_one_sentence_and_store_nothing(services: Services, tmp_path: Path) -> None:
    good, key = foreign(tmp_path, "root")
    other, other_key = foreign(tmp_path, "other")
    leaf, leaf_key = foreign(tmp_path, "leaf", section="leaf", issuer="root")
    expired, expired_key = foreign(tmp_path, "expired", until="20261110000000Z")
    short, short_key = foreign(tmp_path, "short", until="20270101000000Z")
    weak, weak_key = foreign(tmp_path, "weakkey", kind="rsa:1024")
    mail, mail_key = foreign(tmp_path, "mail", section="mail")
    unsigning, unsigning_key = foreign(tmp_path, "nosign", section="nosign")
    sub, sub_key = foreign(tmp_path, "sub", section="ca0", issuer="root")
    cases: list[tuple[tuple[bytes, ...], str]] = [
        ((good,), "no private key"),
        ((key,), "no certificate"),
        ((good, other_key), "does not belong to any certificate"),
        ((good, key, other_key), "more than one private key"),
        ((leaf, leaf_key), "not a CA certificate"),
        ((expired, expired_key), "has expired on 2026-11-10"),
        ((short, short_key), "more than 90 days"),
        ((weak, weak_key), "too weak"),
        ((mail, mail_key), "lacks serverAuth"),
        ((unsigning, unsigning_key), "lacks keyCertSign"),
        ((sub, sub_key), "is missing"),
        ((sub, sub_key, other), "is missing"),
        ((b"hello",), "neither a certificate nor a private key"),
        ((b"\x30\x82" + bytes(100),), "neither a certificate nor a private key"),
        ((good.replace(b"M", b"N"),), "damaged"),
        ((b"x" * (2 << 20),), "larger than 1 MiB"),
    ]
    for files, sentence in cases:
        with pytest.raises(InvalidInput, match=sentence) as refused:
            await bring(services, *files, passphrase=PASSPHRASE)
        assert "\n" not in refused.value.message
    with pytest.raises(InvalidInput, match="give a passphrase"):
        await bring(services, good, key)
    with pytest.raises(InvalidInput, match="may not sign other CAs"):
        await bring(services, sub, sub_key, good, passphrase=PASSPHRASE, tiers=2)
    for trusted in (leaf, expired, key, b"hello"):
        with pytest.raises(InvalidInput):
            await authorities.trust_only(services, actor="test", files=(trusted,))
    assert await stored(services) == (0, [])


async def test_old_habits_of_a_root_are_warnings(services: Services, tmp_path: Path) -> None:
    certificate, key = foreign(tmp_path, "old", section="weak")
    shown = await bring(services, certificate, key, passphrase=PASSPHRASE, tiers=1)
    warnings = " ".join(shown["warnings"])
    assert "no subject key identifier" in warnings
    assert "not critical" in warnings
    assert "no keyUsage" in warnings


@pytest.mark.parametrize("failpoint", ["ca-import-recorded", "ca-key-kept", "ca-issuing-intended", "ca-signed"])
async def test_a_crash_in_an_import_leaves_nothing_usable(services: Services, tmp_path: Path, failpoint: str) -> None:
    root, _ = foreign(tmp_path, "root")
    sub, sub_key = foreign(tmp_path, "sub", issuer="root")
    interrupted = replace(services, failpoint=crash_at(failpoint, []))
    with pytest.raises(Crash):
        await bring(interrupted, sub, sub_key, root, passphrase=PASSPHRASE)
    later = restarted(services)
    with pytest.raises(NotFound):
        await authorities.show(later)
    async with later.database.reading() as tx:
        assert await issuing.anchors(tx) == await issuing.intermediates(tx) == ()
    shown = await bring(later, sub, sub_key, root, passphrase=PASSPHRASE)
    assert (shown["role"], shown["state"], len(shown["issuing"])) == ("intermediate", "ready", 1)
    async with later.database.reading() as tx:
        intended = await tx.scalar(select(func.count()).select_from(issuance).where(issuance.c.state == "intended"))
    assert intended == 0


@pytest.mark.parametrize("failpoint", ["ca-import-recorded", "ca-issuing-intended", "ca-signed"])
async def test_a_crash_while_a_request_is_completed_keeps_the_request(
    services: Services, tmp_path: Path, failpoint: str
) -> None:
    requested = await authorities.request(services, actor="test", name="Plant", key_type="ec")
    root, _ = foreign(tmp_path, "root")
    (tmp_path / "ours.csr").write_text(requested["csr"])
    sign(tmp_path, "ours", section="ca", issuer="root")
    ours = (tmp_path / "ours.pem").read_bytes()
    with pytest.raises(Crash):
        await bring(replace(services, failpoint=crash_at(failpoint, [])), ours, root)
    later = restarted(services)
    assert [view["state"] for view in await authorities.list_(later)] == ["requested"]
    assert (await bring(later, ours, root))["state"] == "ready"


async def test_a_crash_while_a_request_is_made_leaves_no_key(services: Services) -> None:
    crashing = replace(services, failpoint=crash_at("ca-request-recorded", []))
    with pytest.raises(Crash):
        await authorities.request(crashing, actor="test", name="Plant", key_type="ec")
    assert await authorities.list_(services) == []
    assert (await create(restarted(services)))["state"] == "ready"


async def test_an_anchor_that_was_trusted_may_become_a_ca(services: Services, tmp_path: Path) -> None:
    root, key = foreign(tmp_path, "root")
    await authorities.trust_only(services, actor="test", files=(root,))
    shown = await bring(services, root, key, passphrase=PASSPHRASE)
    assert (shown["state"], shown["trust_only"]) == ("ready", False)
    assert len(await authorities.list_(services)) == 1


# ---------------------------------------------------------------- export


async def test_export_puts_the_root_first(services: Services) -> None:
    shown = await create(services)
    exported = await authorities.export(services)
    [file] = exported["files"]
    assert file["name"] == "Plant-bundle.pem"
    subjects = [chain.describe(der).subject for der in chain.parse_all(base64.b64decode(file["content"]))]
    assert subjects == [shown["subject"], shown["issuing"][0]["subject"]]
    [root] = (await authorities.export(services, format="der"))["files"]
    assert chain.describe(base64.b64decode(root["content"])).sha256 == shown["sha256"]
    three = (await authorities.export(services, directory=True))["files"]
    assert [one["name"] for one in three] == ["Plant-root.crt", "Plant.p7b", "Plant-bundle.pem"]
    assert len(chain.parse_all(base64.b64decode(three[1]["content"]))) == 2
    [alone] = (await authorities.export(services, root_only=True))["files"]
    assert len(chain.parse_all(base64.b64decode(alone["content"]))) == 1
    with pytest.raises(InvalidInput, match="pem, der or p7b"):
        await authorities.export(services, format="jks")


async def test_computers_trust_both_roots_while_one_replaces_the_other(services: Services) -> None:
    old = await create(services)
    async with services.database.transaction() as tx:
        for record in await rows.every(tx):
            await rows.change(tx, record.id, state="replaced")
    new = await create(services, name="New plant")
    trusted = await authorities.trusted(services)
    assert trusted["name"] == "New plant"
    assert [(one["role"], one["sha256"]) for one in trusted["certificates"]] == [
        *(("root", one["sha256"]) for one in (old, new)),
        *(("intermediate", one["issuing"][0]["sha256"]) for one in (old, new)),
    ]


# ---------------------------------------------------------------- keys at rest


async def test_key_files_open_only_with_what_seals_them(services: Services, tmp_path: Path) -> None:
    await create(services)
    async with services.database.reading() as tx:
        root, below = await rows.every(tx)
    sealed_root, sealed_issuing = (services.data / "ca" / f"{one.key_file}.key" for one in (root, below))
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in sealed_root.read_bytes()
    with pytest.raises(Locked):
        keys.load(sealed_root.read_bytes(), Secret("guess"))
    with pytest.raises(FleetsealError):
        keys.load(sealed_issuing.read_bytes())
    assert {file.stat().st_mode & 0o777 for file in (sealed_root, sealed_issuing)} == {0o600}
    assert (services.data / "ca").stat().st_mode & 0o777 == 0o700
    (services.data / "signer.key").unlink()  # as on a worker: the signing host alone has it
    later = restarted(services)
    assert (await authorities.show(later))["state"] == "locked"
    async with later.database.reading() as tx:
        signing = await issuing.current_authority(tx)
    with pytest.raises(Locked, match="cannot sign"):
        later.vault.issuer(issuing.key_file(signing.record), signing.signer)
    assert not (services.data / "signer.key").exists()
