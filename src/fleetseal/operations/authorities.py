"""Certificate authorities: make one, bring one, unlock it.

A ceremony records what it is about to do, keeps the keys, and only then signs (JOB-INTENT-FIRST). One that was
interrupted left nothing usable: its rows are `requested`, and the next ceremony abandons them and removes their keys.
"""

import asyncio
from typing import Any

from fleetseal.core.errors import Conflict, InvalidInput, Locked, NotFound
from fleetseal.core.secrets import Secret
from fleetseal.operations import issuing, recording
from fleetseal.operations.authority_views import export, list_, result, show, top, trusted
from fleetseal.operations.ceremony import Ceremony, Kept, RootWish
from fleetseal.operations.services import Services
from fleetseal.pki import acceptance, chain, keys, pkcs12, profile
from fleetseal.pki.acceptance import Accepted
from fleetseal.pki.content import RootContent, Signer
from fleetseal.pki.issuer import KeyFile, NewKey, Sealing
from fleetseal.pki.names import UNCONSTRAINED
from fleetseal.pki.pkcs12 import Contents
from fleetseal.store import audit, authorities
from fleetseal.store.authorities import AuthorityRecord

__all__ = [
    "create",
    "export",
    "import_files",
    "is_open",
    "list_",
    "lock",
    "request",
    "require_passphrase",
    "root_warnings",
    "show",
    "trust_only",
    "trusted",
    "unlock",
]

_UNFINISHED = ("requested", "abandoned")
"""States of CAs that a ceremony has not completed: their keys may be brought again."""


async def create(
    services: Services,
    *,
    actor: str,
    name: str,
    tiers: int = 2,
    key_type: str = "rsa",
    years: int | None = None,
    organization: str | None = None,
    permit_domains: tuple[str, ...] = (),
    permit_networks: tuple[str, ...] = (),
    passphrase: Secret | None = None,
    remember: bool = False,
) -> dict[str, Any]:
    """A new root, with two tiers also an issuing CA under it. As `show`, with `message` and `warnings`.

    Raises InvalidInput, Conflict when there is a CA already; nothing is stored then.
    """
    if tiers not in (1, 2):
        raise InvalidInput("A CA has 1 or 2 tiers.")
    if key_type not in keys.ROOT_KEYS:
        raise InvalidInput("The key type of a CA is rsa or ec.")
    secret = require_passphrase(passphrase, "The root key is kept under a passphrase: give one (--passphrase-file).")
    constraints = profile.permitted(permit_domains, permit_networks)
    now = services.clock.now()
    profile.authority_name(name, f"Issuing CA {now.year}-1")
    wish = RootWish(name, tiers, key_type, years, organization, constraints, remember)
    async with Ceremony.begin(services, actor) as ceremony:
        content = await ceremony.hierarchy(wish, secret)
        await ceremony.complete("ca create", name)
    return await result(services, root_warnings(content))


def root_warnings(content: RootContent) -> list[str]:
    """What a person should know of a root that is made."""
    if content.not_after.year > 2035:
        return ["The root lives past 2035, when RSA and ECDSA are to be given up (NIST IR 8547)."]
    return []


async def request(
    services: Services, *, actor: str, name: str, organization: str | None = None, key_type: str = "rsa"
) -> dict[str, Any]:
    """A key is kept here, sealed by signer.key, and a request for another PKI to sign:
    `{"name","subject","key","csr","message"}`, `csr` as PEM. Raises InvalidInput, Conflict."""
    if key_type not in keys.ISSUING_KEYS:
        raise InvalidInput("The key type of a CA is rsa or ec.")
    common_name = profile.authority_name(name, "Issuing CA")
    async with Ceremony.begin(services, actor) as ceremony:
        key = await asyncio.to_thread(services.vault.generate, keys.ISSUING_KEYS[key_type])
        csr = key.request(common_name, organization)
        await ceremony.requested(name, key, csr)
    return {
        "name": name,
        "subject": chain.request_subject(csr),
        "key": key.kind,
        "csr": keys.pem("CERTIFICATE REQUEST", csr).decode(),
        "message": "Have it signed as a CA certificate. Then complete it with the certificates up to the root: "
        "fleetseal ca import FILE...",
    }


async def import_files(
    services: Services,
    *,
    actor: str,
    files: tuple[bytes, ...],
    passphrase: Secret | None = None,
    remember: bool = False,
    tiers: int | None = None,
    name: str | None = None,
    successor: bool = False,
) -> dict[str, Any]:
    """A CA from outside signs here, or has an issuing CA of ours under it. As `show`, with `message`, `warnings`.
    `successor`: it is only trusted here until it takes the place of the CA in use.

    Raises Locked for a missing or wrong passphrase, InvalidInput for what may not be used, Conflict when there is a
    CA already; nothing is stored then.
    """
    contents = await asyncio.to_thread(pkcs12.read, files, passphrase)
    if not contents.certificates:
        raise InvalidInput("There is no certificate in the files: a CA needs its certificate and its key.")
    async with services.database.reading() as tx:
        known = await authorities.every(tx)
    pending, key = await _find_key(services, contents, passphrase, known, actor=actor)
    der = certificate_of(key, contents)
    others = (*contents.certificates, *(record.der for record in known if record.der is not None))
    accepted = acceptance.accept(der, others, now=services.clock.now())
    chosen = _tiers(tiers, accepted)
    standing = [record for record in known if record.state not in _UNFINISHED]
    if pending is None and any(record.key_file == key.name for record in standing):
        raise Conflict("The key in the files is that of a CA here already. A CA that replaces it needs a new key.")
    file = issuing.key_file(pending) if pending else KeyFile(key.name, Sealing.PASSPHRASE, remember)
    secret = None
    if file.sealing is Sealing.PASSPHRASE:
        secret = require_passphrase(
            passphrase, "The key is not encrypted: give a passphrase to keep it under (--passphrase-file)."
        )
    described = chain.describe(der)
    trusted = (one for one in known if one.state == "trust-only" and one.sha256 == described.sha256)
    row = pending or next(trusted, None)
    shown = name or (pending.name if pending else None) or usable_name(described.common_name)
    if chosen == 2:
        profile.authority_name(shown, f"Issuing CA {services.clock.now().year}-1")
    async with Ceremony.begin(services, actor, beside=successor) as ceremony:
        imported = await ceremony.imported(shown, Kept(row.id if row else None, key, file), accepted, chosen)
        if secret is not None:
            await ceremony.keep(imported, secret)
        if chosen == 2:
            below = await ceremony.issuing_authority(
                imported,
                Signer(der, accepted.path[1:]),
                name=shown,
                key_type="ec" if described.key.startswith("EC") else "rsa",
                organization=described.organization or shown,
                constraints=UNCONSTRAINED,
            )
            await ceremony.first_crl(below, above=accepted.path)
        await ceremony.first_crl(imported, above=accepted.path[1:])
        await ceremony.complete("ca import", shown, state="successor" if successor else "active")
    return await result(services, list(accepted.warnings))


async def trust_only(services: Services, *, actor: str, files: tuple[bytes, ...]) -> list[dict[str, Any]]:
    """Anchors without keys: devices that chain to them are `verified`. As `list_`, of the new ones.

    Raises InvalidInput for what is no CA certificate or not valid now, Conflict when one is here already.
    """
    now = services.clock.now()
    ders = (await asyncio.to_thread(pkcs12.read, files, None)).certificates
    if not ders:
        raise InvalidInput("There is no certificate in the file.")
    for der in ders:
        acceptance.require_authority(der, now=now)
    async with services.database.transaction() as tx:
        for der in ders:
            described = chain.describe(der)
            name = usable_name(described.common_name)
            await authorities.add(
                tx,
                name=name,
                role="root" if described.self_signed else "intermediate",
                tiers=1,
                signs_leaves=False,
                state="trust-only",
                created=now,
                der=der,
                sha256=described.sha256,
            )
            detail = {"subject": described.subject, "sha256": described.sha256}
            await audit.record(tx, now=now, actor=actor, action="ca trust", object=name, detail=detail)
    added = {chain.describe(der).sha256 for der in ders}
    return [view for view in await list_(services) if view["sha256"] in added]


async def unlock(services: Services, *, actor: str, passphrase: Secret) -> dict[str, Any]:
    """The key under a passphrase is open in this process until `lock` or its end. As `show`.

    Raises NotFound when there is no such key, Locked when the passphrase is wrong, which is on record too.
    """
    record = await _under_passphrase(services)
    file = issuing.key_file(record)
    try:
        await asyncio.to_thread(services.vault.unlock, file, passphrase)
    except Locked:
        await _record_key(services, actor, "ca unlock refused", record)
        raise
    try:
        await _record_key(services, actor, "ca unlock", record)
    except BaseException:
        services.vault.lock(file)  # AUD-FAILS-CLOSED
        raise
    return await show(services)


async def lock(services: Services, *, actor: str) -> dict[str, Any]:
    """The key under a passphrase is closed; a remembered passphrase opens it again when it is needed. As `show`."""
    record = await _under_passphrase(services)
    services.vault.lock(issuing.key_file(record))  # first: a key is closed also when that cannot be recorded
    await _record_key(services, actor, "ca lock", record)
    return await show(services)


async def is_open(services: Services) -> bool:
    """Whether no passphrase is needed now, for any key. Raises NotFound when there is no CA."""
    async with services.database.reading() as tx:
        return services.vault.is_open(issuing.key_file(await top(tx)))


async def _record_key(services: Services, actor: str, action: str, record: AuthorityRecord) -> None:
    async with services.database.transaction() as tx:
        await audit.record(tx, now=services.clock.now(), actor=actor, action=action, object=record.name)


async def _under_passphrase(services: Services) -> AuthorityRecord:
    async with services.database.reading() as tx:
        record = await top(tx)
    if record.key_sealing != Sealing.PASSPHRASE:
        raise NotFound(f'No key of the CA "{record.name}" is under a passphrase: it works unattended.')
    return record


def require_passphrase(passphrase: Secret | None, sentence: str) -> Secret:
    if passphrase is None or not passphrase.reveal():
        raise InvalidInput(sentence)
    return passphrase


async def _find_key(
    services: Services,
    contents: Contents,
    passphrase: Secret | None,
    known: tuple[AuthorityRecord, ...],
    *,
    actor: str,
) -> tuple[AuthorityRecord | None, NewKey]:
    """The key in the files, or that of the request which the certificates answer."""
    if contents.key is not None:
        return None, await asyncio.to_thread(services.vault.adopt, contents.key, passphrase)
    given = {chain.describe(der).spki_sha256 for der in contents.certificates}
    for record in known:
        if record.state == "requested" and record.request_der is not None:
            async with services.database.transaction() as tx:
                await recording.key_opened(services, tx, record, actor=actor)
            key = services.vault.reopen(issuing.key_file(record))
            if keys.spki_sha256(key.spki) in given:
                return record, key
    raise InvalidInput(
        "There is no private key in the files, and no request made here that they answer. Add the key, or import the "
        "certificate with --trust-only."
    )


def certificate_of(key: NewKey, contents: Contents) -> bytes:
    """That of the key. Raises InvalidInput when it is not in the files."""
    wanted = keys.spki_sha256(key.spki)
    for der in contents.certificates:
        if chain.describe(der).spki_sha256 == wanted:
            return der
    raise InvalidInput("The private key does not belong to any certificate in the files.")


def _tiers(wanted: int | None, accepted: Accepted) -> int:
    if wanted not in (None, 1, 2):
        raise InvalidInput("A CA has 1 or 2 tiers.")
    if wanted == 2 and not accepted.may_sign_authorities:
        raise InvalidInput("This CA may not sign other CAs (its path length is 0): import it with one tier.")
    return wanted or (2 if accepted.may_sign_authorities else 1)


def usable_name(common_name: str | None) -> str:
    """What a CA is called here when nobody says."""
    return (common_name or "CA").replace(".", " ")[:40].strip()
