"""CAs with their keys, as files to keep elsewhere; and back."""

import asyncio
import base64
from dataclasses import dataclass
from typing import Any

from fleetseal.core.errors import InvalidInput, Locked, NotFound
from fleetseal.core.secrets import Secret
from fleetseal.operations import issuing
from fleetseal.operations.authorities import certificate_of, usable_name
from fleetseal.operations.authority_views import result
from fleetseal.operations.ceremony import Ceremony, Kept
from fleetseal.operations.services import Services
from fleetseal.pki import acceptance, chain, pkcs12
from fleetseal.pki.issuer import KeyFile, NewKey, Sealing
from fleetseal.store import audit, authorities, crls
from fleetseal.store.authorities import AuthorityRecord
from fleetseal.store.database import Transaction


async def backup(services: Services, *, actor: str, passphrase: Secret, own: Secret | None = None) -> dict[str, Any]:
    """Every CA here that has a key, the highest first, each as PKCS#12 (certificate, those above, key) under
    `passphrase`: `{"files":[{"name","role","sha256","content"}],"message"}`, `content` in base64. Audited before.

    `own` opens a key that is under a passphrase; without it `passphrase` does. Raises NotFound when there is no CA,
    Locked when the key does not open, InvalidInput without a passphrase.
    """
    if not passphrase.reveal():
        raise InvalidInput("The files are sealed by a passphrase: give one (--passphrase-file).")
    async with services.vault.ceremony:
        async with services.database.reading() as tx:
            chosen = [(record, await _path(tx, record)) for record in await authorities.every(tx) if _has_key(record)]
        if not chosen:
            raise NotFound("There is no CA with a key here: there is nothing to back up.")
        files = []
        for record, path in sorted(chosen, key=lambda one: len(one[1])):
            content = await _packed(services, record, path, passphrase, own)
            encoded = base64.b64encode(content).decode()
            files.append({"name": record.name, "role": record.role, "sha256": record.sha256, "content": encoded})
        async with services.database.transaction() as tx:
            for file in files:
                detail = {"role": file["role"], "sha256": file["sha256"]}
                now, name = services.clock.now(), str(file["name"])
                await audit.record(tx, now=now, actor=actor, action="ca backup", object=name, detail=detail)
    message = "Each file is a CA with its key: whoever has it and its passphrase can sign. Keep the two apart."
    return {"files": files, "message": message}


async def restore(services: Services, *, actor: str, files: tuple[bytes, ...], passphrase: Secret) -> dict[str, Any]:
    """The CAs of these files are here with their keys: those on record have them again, and where there is no CA they
    become it. As `show`, with `message` and `warnings`. Keys that were under a passphrase are under this one.

    Raises Locked when the passphrase is wrong, InvalidInput for damaged files and for a CA that could not sign without
    another one, Conflict when there is another CA; nothing is stored then.
    """
    parts = [await _part(services, data, passphrase) for data in files]
    async with services.database.reading() as tx:
        rows = {record.sha256: record for record in await authorities.every(tx)}
    known = [rows.get(part.sha256) for part in parts]
    if all(record is not None and _has_key(record) for record in known):
        await _give_back(services, [record for record in known if record is not None], parts, passphrase, actor=actor)
    else:
        await _bring(services, parts, rows, passphrase, actor=actor)
    return await result(services, [])


@dataclass(frozen=True)
class _Part:
    """What one file holds."""

    name: str
    key: NewKey
    der: bytes
    certificates: tuple[bytes, ...]

    @property
    def sha256(self) -> str:
        return chain.describe(self.der).sha256


async def _part(services: Services, data: bytes, passphrase: Secret) -> _Part:
    contents = await asyncio.to_thread(pkcs12.read, (data,), passphrase)
    if contents.key is None:
        raise InvalidInput("There is no private key in a file: it is no backup of a CA. Nothing was stored.")
    key = await asyncio.to_thread(services.vault.adopt, contents.key, passphrase)
    der = certificate_of(key, contents)
    return _Part(contents.name or usable_name(chain.describe(der).common_name), key, der, contents.certificates)


async def _give_back(
    services: Services, records: list[AuthorityRecord], parts: list[_Part], passphrase: Secret, *, actor: str
) -> None:
    """The key files of CAs on record are there again, sealed as the records say."""
    async with services.vault.ceremony, services.database.transaction() as tx:
        for record, part in zip(records, parts, strict=True):
            now, detail = services.clock.now(), {"sha256": record.sha256}
            await audit.record(tx, now=now, actor=actor, action="ca restore", object=record.name, detail=detail)
            await asyncio.to_thread(services.vault.keep, part.key, issuing.key_file(record), passphrase)


async def _bring(
    services: Services,
    parts: list[_Part],
    rows: dict[str | None, AuthorityRecord],
    passphrase: Secret,
    *,
    actor: str,
) -> None:
    """Where there is no CA, these are it: one, or several of which each signed the next."""
    others = tuple(der for part in parts for der in part.certificates)
    accepted = [(part, acceptance.accept(part.der, others, now=services.clock.now())) for part in parts]
    accepted.sort(key=lambda one: len(one[1].path))
    lowest, path = accepted[-1]
    if any(part.der not in path.path for part in parts) or len({part.der for part in parts}) != len(parts):
        raise InvalidInput(
            "The files are of several CAs that did not sign each other: restore one. Nothing was stored."
        )
    if len(parts) == 1 and path.may_sign_authorities:
        raise InvalidInput(
            "This CA does not sign for devices itself: give the file of its issuing CA too, or have a new one made "
            "under it: fleetseal ca import. Nothing was stored."
        )
    async with Ceremony.begin(services, actor) as ceremony:
        for part, judged in accepted:
            sealing = Sealing.SIGNER if part is lowest and len(parts) > 1 else Sealing.PASSPHRASE
            row = rows.get(part.sha256)
            kept = Kept(None if row is None else row.id, part.key, KeyFile(part.key.name, sealing))
            made = await ceremony.imported(part.name, kept, judged, 1 if part is lowest else 2)
            await ceremony.keep(made, passphrase)
            async with services.database.transaction() as tx:
                await crls.skip_numbers(tx, made.id, now=services.clock.now(), actor=actor)
            await ceremony.first_crl(made, above=judged.path[1:])
        await ceremony.complete("ca restore", lowest.name)


async def _packed(
    services: Services, record: AuthorityRecord, path: tuple[bytes, ...], under: Secret, own: Secret | None
) -> bytes:
    file = issuing.key_file(record)
    try:
        return await asyncio.to_thread(services.vault.pack, file, record.name, path, under=under, own=own or under)
    except Locked as error:
        if own is not None or file.sealing is Sealing.SIGNER:
            raise
        raise Locked(
            f'The key of the CA "{record.name}" is under another passphrase than the one for the files: give it with '
            "--ca-passphrase-file. Nothing was written."
        ) from error


async def _path(tx: Transaction, record: AuthorityRecord) -> tuple[bytes, ...]:
    return tuple(one.der for one in await authorities.upward(tx, record.id) if one.der is not None)


def _has_key(record: AuthorityRecord) -> bool:
    return record.in_use and record.key_file is not None and record.der is not None
