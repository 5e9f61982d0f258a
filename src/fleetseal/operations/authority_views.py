"""CAs as people see them: `ca show`, `ca list`, `ca export`."""

import base64
from datetime import datetime
from typing import Any

from fleetseal.core.config import Settings
from fleetseal.core.errors import InvalidInput
from fleetseal.core.model import AuthorityId
from fleetseal.core.text import file_stem, timestamp
from fleetseal.operations import issuing, succession
from fleetseal.operations.services import Services
from fleetseal.operations.settings import current as current_settings
from fleetseal.operations.states import warning_begins
from fleetseal.pki import chain, content, keys
from fleetseal.pki.chain import Description
from fleetseal.pki.issuer import Sealing
from fleetseal.store import authorities, authority_entries, certificates, inventory
from fleetseal.store.authorities import AuthorityRecord
from fleetseal.store.database import Transaction

View = dict[str, Any]

_STATES = ("ready", "locked", "expiring", "expired", "replaced")  # the last that holds is shown


async def show(services: Services) -> View:
    """The CA in use, as the contract's `ca show --json`. Raises NotFound when there is none.

    `state` is that of the whole: `locked` when nothing can be signed unattended. `passphrase_kept` says where a
    remembered passphrase lies. `replacement` is null, or what is under way, as `Succession.to_json`.
    """
    async with services.database.reading() as tx:
        settings = await current_settings(services, tx)
        shown, under_way = await _view(services, tx, await top(tx), settings), await succession.current(tx)
    return {**shown, "replacement": under_way and under_way.to_json()}


async def list_(services: Services) -> list[View]:
    """Every CA here: the one in use, replaced ones, those trusted only, and requests that wait (`requested`). As
    `show`; a request has its `csr` as PEM, and only the one in use a `replacement`."""
    async with services.database.reading() as tx:
        settings = await current_settings(services, tx)
        known = await authorities.every(tx)
        shown = [
            record
            for record in known
            if (record.ours and _is_top(record, known))
            or record.state == "trust-only"
            or (record.state == "requested" and record.request_der is not None)
        ]
        views = [await _view(services, tx, record, settings) for record in shown]
        under_way = await succession.current(tx)
        in_use = None if under_way is None else (await top(tx)).id
    return [
        {**view, "replacement": under_way.to_json() if under_way and view["id"] == in_use else None} for view in views
    ]


async def export(services: Services, *, format: str = "pem", root_only: bool = False, directory: bool = False) -> View:  # noqa: A002 - the contract's word
    """What a client must trust: `{"files":[{"name","content"}],"devices_needing_bundle","message"}`.

    `content` is base64. `directory` gives all three forms. Raises NotFound, InvalidInput.
    """
    if format not in ("pem", "der", "p7b"):
        raise InvalidInput("The format is pem, der or p7b.")
    async with services.database.reading() as tx:
        record = await top(tx)
        needing = await inventory.without_chain(tx)
        roots, issuing_cas = await _to_trust(tx)
        own_root = (await authorities.upward(tx, record.id))[-1].der
    in_use = own_root if own_root in roots else roots[-1]
    if root_only:
        issuing_cas = []
    slug = file_stem(record.name)
    bundle = [*roots, *issuing_cas]
    forms = {
        "der": (f"{slug}-root.crt", in_use),
        "p7b": (f"{slug}.p7b", chain.to_pkcs7(bundle)),
        "pem": (f"{slug}-bundle.pem", chain.to_pem(bundle)),
    }
    others = [
        (f"{slug}-root-{chain.describe(der).sha256[:8]}.crt", der) for der in roots if der != in_use
    ]  # while a root is replaced
    chosen = [*forms.values(), *others] if directory else [forms[format]]
    return {
        "files": [{"name": name, "content": base64.b64encode(data).decode()} for name, data in chosen],
        "devices_needing_bundle": needing,
        "message": _bundle_sentence(needing) + (_TWO_ROOTS if others else ""),
    }


async def trusted(services: Services) -> View:
    """What a client must trust, one by one: `{"name","certificates":[{"role","subject","not_after","sha256","pem"}],
    "message"}`, roots first. During the replacement of a root both are here. Raises NotFound."""
    async with services.database.reading() as tx:
        record = await top(tx)
        needing = await inventory.without_chain(tx)
        roots, issuing_cas = await _to_trust(tx)
    views = [_trusted(der, "root") for der in roots] + [_trusted(der, "intermediate") for der in issuing_cas]
    return {"name": record.name, "certificates": views, "message": _bundle_sentence(needing)}


async def result(services: Services, warnings: list[str]) -> View:
    """`show` after a CA was made or brought, with what it may vouch for and who needs the bundle."""
    async with services.database.reading() as tx:
        authority = await issuing.current_authority(tx)
    scope = [
        f"{', '.join(one.permitted_dns) or 'no host name'} and {', '.join(map(str, one.permitted_networks))}"
        for one in authority.signer.constraints
        if one.permitted_dns or one.permitted_networks
    ]
    shown = await show(services)
    vouched = scope[0] if scope else "every host name and address"
    parts = [
        f"Computers that trust this CA believe it for {vouched}, and clients of devices before AXIS OS 10.10, which do "
        "not send the chain, need the bundle of `fleetseal ca export` instead of the root alone."
    ]
    if shown["state"] == "locked":
        parts.append("It is locked: each command that signs needs the passphrase, unless it is remembered.")
    return {**shown, "message": " ".join(parts), "warnings": warnings}


async def top(tx: Transaction) -> AuthorityRecord:
    """The highest CA in use whose key is here. Raises NotFound."""
    signing = await issuing.signing_record(tx)
    return [record for record in await authorities.upward(tx, signing.id) if record.key_file is not None][-1]


async def _view(services: Services, tx: Transaction, record: AuthorityRecord, settings: Settings) -> View:
    if record.der is None or record.state == "requested":
        return _request_view(record)
    below = [one for one in await authorities.every(tx) if one.parent_id == record.id and one.ours]
    issuing_views = [await _one(services, tx, one, settings) for one in below if one.key_file is not None]
    view = await _one(services, tx, record, settings)
    if issuing_views and view["state"] in ("ready", "locked"):
        view["state"] = min((one["state"] for one in issuing_views), key=_STATES.index)
    view["issued"] += sum(one["issued"] for one in issuing_views)
    view["valid"] += sum(one["valid"] for one in issuing_views)
    return {**view, "issuing": issuing_views}


async def _one(services: Services, tx: Transaction, record: AuthorityRecord, settings: Settings) -> View:
    assert record.der is not None
    description, now = chain.describe(record.der), services.clock.now()
    usable = record.key_file is None or services.vault.is_open(issuing.key_file(record))
    issued, valid = await certificates.counts(tx, record.id, now)
    return {
        "id": record.id,
        "name": record.name,
        "role": record.role,
        "tiers": record.tiers,
        "state": _state(record, description, usable=usable, settings=settings, now=now),
        "subject": description.subject,
        "issuer": description.issuer,
        "serial": description.serial,
        "not_before": timestamp(description.not_before),
        "not_after": timestamp(description.not_after),
        "sha256": description.sha256,
        "key": description.key,
        "key_open": record.key_file is not None and usable,
        "key_sealed_by": record.key_sealing,
        "passphrase_kept": None if record.key_file is None else services.vault.kept(issuing.key_file(record)),
        "trust_only": record.state == "trust-only",
        "introduced": record.state == "successor",
        "retired": record.state == "retired",
        "constraints": _constraints(record.der),
        "issued": issued,
        "valid": valid,
    }


def _state(
    record: AuthorityRecord, description: Description, *, usable: bool, settings: Settings, now: datetime
) -> str:
    """One of the contract's states: the last that holds."""
    if record.state in ("replaced", "retired"):
        return "replaced"
    not_before, not_after = description.not_before, description.not_after
    if now > not_after:
        return "expired"
    if now >= warning_begins(not_before, not_after, warning_days=settings.certificate_warning_days):
        return "expiring"
    return "ready" if usable else "locked"


def _request_view(record: AuthorityRecord) -> View:
    empty = dict.fromkeys(("issuer", "serial", "not_before", "not_after", "sha256"))
    subject = chain.request_subject(record.request_der) if record.request_der else None
    return {
        "id": record.id,
        "name": record.name,
        "role": record.role,
        "tiers": record.tiers,
        "state": "requested",
        "subject": subject,
        **empty,
        "key": None,
        "key_sealed_by": Sealing.SIGNER,
        "csr": keys.pem("CERTIFICATE REQUEST", record.request_der).decode() if record.request_der else None,
        "issuing": [],
        "issued": 0,
        "valid": 0,
    }


def _constraints(der: bytes) -> list[str]:
    found = content.constraints_of(der)
    if found is None:
        return []
    permitted = [*found.permitted_dns, *map(str, found.permitted_networks)]
    excluded = [*(name or "every host name" for name in found.excluded_dns), *map(str, found.excluded_networks)]
    return [*(f"permitted: {one}" for one in permitted), *(f"excluded: {one}" for one in excluded)]


def _is_top(record: AuthorityRecord, known: tuple[AuthorityRecord, ...]) -> bool:
    above = next((one for one in known if one.id == record.parent_id), None)
    return record.key_file is not None and (above is None or above.key_file is None)


def _trusted(der: bytes, role: str) -> View:
    description = chain.describe(der)
    return {
        "role": role,
        "subject": description.subject,
        "not_after": timestamp(description.not_after),
        "sha256": description.sha256,
        "pem": chain.to_pem([der]).decode(),
    }


async def _to_trust(tx: Transaction) -> tuple[list[bytes], list[bytes]]:
    """The roots, and the CAs below them, that a client of our devices must know."""
    known = [one for one in await authorities.every(tx) if one.in_use]
    obsolete = await _no_longer_needed(tx, known)
    needed = await _hierarchy(tx, [one for one in known if one.id not in obsolete])
    roots = [der for der in needed if chain.describe(der).self_signed]
    return roots, [der for der in needed if der not in roots]


async def _hierarchy(tx: Transaction, known: list[AuthorityRecord]) -> list[bytes]:
    """The certificates of our signing CAs and of those above them, each once."""
    found: dict[bytes, None] = {}
    for record in known:
        if record.key_file is not None and record.der is not None:
            for one in await authorities.upward(tx, record.id):
                if one.der is not None:
                    found.setdefault(one.der)
    return list(found)


_TWO_ROOTS = (
    " A root is being replaced: clients need the old one and the new one. The pem and p7b forms hold both, der the one "
    "in use alone."
)


async def _no_longer_needed(tx: Transaction, known: list[AuthorityRecord]) -> set[AuthorityId]:
    """Replaced issuing CAs of a root that stays, once no device serves a certificate of theirs."""
    replaced = [one.id for one in succession.superseded(tuple(known))]
    return {one for one in replaced if not await authority_entries.serving(tx, [one])}


def _bundle_sentence(needing: int) -> str:
    if needing == 0:
        return "No device is known to need the bundle: where devices send the chain, the root alone is enough."
    verb = "device sends" if needing == 1 else "devices send"
    return f"{needing} {verb} only their leaf: their clients need the bundle, not the root alone."
