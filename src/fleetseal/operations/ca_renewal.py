"""A new issuing CA under the same root, or a new root beside the old one: what a person does.

docs/procedures/ca-renewal.md is `issuing_authority`; docs/procedures/root-replacement.md is `introduce` or
`introduce_files`, then `proceed`, then `retire`. `step_back` undoes what was done last, up to `retire`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from fleetseal.core.errors import Conflict, InvalidInput, IssuanceRefused
from fleetseal.core.model import AuthorityId
from fleetseal.core.secrets import Secret
from fleetseal.operations import alarm_pass, authority_views, issuing, succession
from fleetseal.operations import authorities as ceremonies
from fleetseal.operations.ceremony import Ceremony, Made, RootWish
from fleetseal.operations.services import Services
from fleetseal.operations.settings import current as current_settings
from fleetseal.operations.succession import Phase
from fleetseal.pki import chain, content
from fleetseal.pki.content import Signer
from fleetseal.pki.issuer import Sealing
from fleetseal.pki.names import UNCONSTRAINED
from fleetseal.store import alarms, audit, authorities, authority_entries, inventory
from fleetseal.store.authorities import AuthorityRecord
from fleetseal.store.database import Transaction

View = dict[str, Any]

_NAMED = 10


async def issuing_authority(services: Services, *, actor: str, passphrase: Secret | None) -> View:
    """A new issuing CA signs, under the same root; the one before is `replaced`: it stays valid and tells of its
    certificates by its CRL. Devices follow as they are renewed. As `ca show`, with `message` and `warnings`.

    Raises Locked when the key of the root is, InvalidInput when there is no issuing CA of ours, IssuanceRefused when
    the clock is behind or the root ends too soon; nothing was signed then.
    """
    async with services.database.reading() as tx:
        top, signing = await authority_views.top(tx), await issuing.signing_record(tx)
        signer = await issuing.signer_of(tx, top.id)
        settings = await current_settings(services, tx)
    if top.id == signing.id:
        raise InvalidInput(
            f'The CA "{top.name}" signs device certificates itself: there is no issuing CA under it. Replace it by a '
            "new root, or by a CA from your own PKI: fleetseal ca renew --root."
        )
    now = services.clock.now()
    issuing.signing_time(top, now)
    _require_time(signer, now + timedelta(days=settings.certificate_validity_days) + alarm_pass.ASKED_BEFORE)
    assert signing.der is not None
    described, constraints = chain.describe(signing.der), content.constraints_of(signing.der)
    async with (
        Ceremony.begin(services, actor, beside=True) as ceremony,
        _root(services, top, passphrase, actor=actor) as parent,
    ):
        made = await ceremony.issuing_authority(
            parent,
            signer,
            name=top.name,
            key_type=_key_type(described.key),
            organization=described.organization,
            constraints=constraints or UNCONSTRAINED,
        )
        await ceremony.first_crl(made, above=(signer.der, *signer.above))
        await ceremony.first_crl(parent, above=signer.above)
        await ceremony.complete("ca renew", top.name, replaces=(signing.id,))
    return await _shown(services)


async def introduce(
    services: Services,
    *,
    actor: str,
    passphrase: Secret | None,
    remember: bool = False,
    key_type: str | None = None,
    years: int | None = None,
) -> View:
    """A new root, of the name and shape of the one in use, is trusted here beside it and signs nothing yet. One that is
    being introduced already stays. As `ca show`, with `message` and `warnings`.

    Raises InvalidInput, NotFound when there is no CA, Conflict while an earlier one is still being replaced.
    """
    async with services.database.reading() as tx:
        top, signing = await authority_views.top(tx), await issuing.signing_record(tx)
    if await _is_introducing(services):
        return await _shown(services)
    assert top.der is not None
    described = chain.describe(top.der)
    wish = RootWish(
        name=top.name,
        tiers=1 if top.id == signing.id else 2,
        key_type=key_type or _key_type(described.key),
        years=years,
        organization=described.organization,
        constraints=content.constraints_of(top.der) or UNCONSTRAINED,
        remember=remember,
    )
    secret = ceremonies.require_passphrase(
        passphrase, "The new root key is kept under a passphrase: give one (--passphrase-file)."
    )
    async with Ceremony.begin(services, actor, beside=True) as ceremony:
        made = await ceremony.hierarchy(wish, secret)
        await ceremony.complete("ca introduce", top.name, state="successor")
    return await _shown(services, ceremonies.root_warnings(made))


async def introduce_files(
    services: Services, *, actor: str, files: tuple[bytes, ...], passphrase: Secret | None, remember: bool = False
) -> View:
    """As `introduce`, of a CA from outside. Raises what `authorities.import_files` raises."""
    async with services.database.reading() as tx:
        top = await authority_views.top(tx)
    if await _is_introducing(services):
        raise Conflict(
            "A successor is being introduced already. Go on with it: fleetseal ca renew --continue. Nothing was done."
        )
    made = await ceremonies.import_files(
        services,
        actor=actor,
        files=files,
        passphrase=passphrase,
        remember=remember,
        name=top.name,
        successor=True,
    )
    return await _shown(services, made["warnings"])


async def proceed(services: Services, *, actor: str, incomplete: bool = False) -> View:
    """The CA that was introduced signs from now on, the one before is `replaced` and trusted until `retire`. Where that
    is so already, nothing changes. `incomplete`: a person goes on though some devices do not know it yet.

    As `ca show`, with `message` and `warnings`. Raises Conflict when nothing is under way, or devices lack it.
    """
    async with services.database.transaction() as tx:
        top, under_way = await authority_views.top(tx), await succession.current(tx)
        if under_way is None or under_way.phase is Phase.REMOVE:
            raise Conflict("No CA is being replaced: there is nothing to continue. Begin: fleetseal ca renew.")
        if under_way.phase is Phase.TRUST:
            if under_way.left and not incomplete:
                raise Conflict(
                    f"{len(under_way.left)} of {under_way.devices} devices do not have the certificates of the new "
                    f"root yet ({under_way.coverage} % have). Nothing was changed. Try again on them: fleetseal ca "
                    "renew --root; or go on without them: fleetseal ca renew --continue --yes."
                )
            known = await authorities.every(tx)
            kept = {one.id for one in succession.introduced(known)}
            for record in known:
                if record.state == "successor":
                    await authorities.change(tx, record.id, state="active")
                elif record.state == "active" and record.id not in kept:
                    await authorities.change(tx, record.id, state="replaced")
            detail = {"devices": under_way.devices, "without": len(under_way.left)}
            now = services.clock.now()
            await audit.record(tx, now=now, actor=actor, action="ca continue", object=top.name, detail=detail)
    return await _shown(services)


async def retire(services: Services, *, actor: str) -> View:
    """The CA that was replaced is trusted no more, and not exported; it stays in the records. Where that is so already,
    nothing changes. As `ca show`, with `message` and `warnings`.

    Raises Conflict when none was replaced, or devices still serve certificates of it.
    """
    async with services.database.transaction() as tx:
        top, known = await authority_views.top(tx), await authorities.every(tx)
        under_way = await succession.current(tx)
        if under_way is not None and under_way.phase is Phase.TRUST:
            raise Conflict("The new root signs nothing yet: first fleetseal ca renew --continue. Nothing was changed.")
        old = succession.outgoing(known)
        if not old and not any(one.state == "retired" for one in known):
            raise Conflict("No root was replaced: there is none to retire. Begin: fleetseal ca renew --root.")
        serving = await authority_entries.serving(tx, [one.id for one in old])
        if serving:
            named = [one.label for one in await inventory.some(tx, serving[:_NAMED])]
            more = f" and {len(serving) - _NAMED} more" if len(serving) > _NAMED else ""
            raise Conflict(
                f"{len(serving)} devices still serve certificates of the old root: {', '.join(named)}{more}. Nothing "
                "was changed. Renew them: fleetseal ca renew --continue; one that is gone: fleetseal device remove."
            )
        now = services.clock.now()
        for record in old:
            await authorities.change(tx, record.id, state="retired")
            await alarms.close_alarm(tx, now=now, cause="crl-due", object=_common_name(record))
        if old:
            detail = {"subjects": [_subject(one) for one in old]}
            await audit.record(tx, now=now, actor=actor, action="ca retire", object=top.name, detail=detail)
    return await _shown(services)


async def step_back(services: Services, *, actor: str) -> View:
    """One step less: what signed before signs again and the new CA is as it was before `proceed`; or a new root that
    signs nothing is `retired`, and goes from devices. Nothing is cut off: both are trusted until devices have followed.

    As `ca show`, with `message` and `warnings`. Raises Conflict when nothing is under way that could be taken back, or
    devices still serve certificates of the new root; IssuanceRefused when the old CA could not sign for long.
    """
    async with services.database.transaction() as tx:
        top, known = await authority_views.top(tx), await authorities.every(tx)
        under_way = await succession.current(tx)
        if under_way is None or under_way.phase is Phase.REMOVE:
            raise Conflict("No change of CAs is under way that could be taken back. Nothing was changed.")
        if under_way.phase is Phase.RETURN:
            raise Conflict(
                f"{len(under_way.left)} devices still serve certificates of the new root. Nothing was changed. "
                "Renew them: fleetseal ca renew --continue; one that is gone: fleetseal device remove."
            )
        if under_way.phase is Phase.TRUST:
            await _require_no_work(tx)
            changes = {one.id: "retired" for one in known if one.state == "successor"}
        else:
            changes = await _reversed(services, tx, known)
        for id_, state in changes.items():
            await authorities.change(tx, id_, state=state)
        now, detail = services.clock.now(), {"phase": under_way.phase}
        await audit.record(tx, now=now, actor=actor, action="ca back", object=top.name, detail=detail)
    return await _shown(services)


async def _require_no_work(tx: Transaction) -> None:
    """Raises Conflict while a task works on devices: it may be about to install what the CA that goes has signed."""
    at_work = await inventory.active_tasks(tx)
    if at_work:
        tasks = ", ".join(str(number) for number in sorted({int(one.task_id) for one in at_work.values()}))
        raise Conflict(
            f"Devices are still worked on (task {tasks}), and may be given certificates of the new root. Nothing was "
            "changed. Wait, or cancel the task, and repeat."
        )


async def _reversed(services: Services, tx: Transaction, known: tuple[AuthorityRecord, ...]) -> dict[AuthorityId, str]:
    """The states with which the newest of the replaced CAs signs again. Raises IssuanceRefused, Conflict."""
    replaced = [one for one in known if one.state == "replaced" and one.signs_leaves and one.key_file]
    if not replaced:
        raise Conflict("The CA that signed before has no key here: it cannot sign again. Nothing was changed.")
    old, new = replaced[-1], await issuing.signing_record(tx)
    signer = await issuing.signer_of(tx, old.id)
    life = timedelta(days=(await current_settings(services, tx)).certificate_validity_days)
    if signer.certificate.not_valid_after_utc - services.clock.now() < life / 2:
        raise IssuanceRefused(
            f"The CA that signed before ends on {signer.certificate.not_valid_after_utc:%Y-%m-%d}: it could not sign "
            "certificates of the wanted life any more. Nothing was changed.",
            rule="ISS-WITHIN-ISSUER",
        )
    root = any(one.id == old.id for one in succession.outgoing(known))  # else one of two under the root that signs now
    above_old = await authorities.upward(tx, old.id)
    stays = {one.id for one in above_old}
    changes = {one.id: "active" for one in above_old if one.state == "replaced"}
    for one in await authorities.upward(tx, new.id):
        if one.id not in stays and one.state == "active":
            changes[one.id] = "successor" if root else "replaced"
    return changes


async def _is_introducing(services: Services) -> bool:
    """Raises Conflict while an earlier root is not retired."""
    async with services.database.reading() as tx:
        known = await authorities.every(tx)
    if succession.outgoing(known):
        raise Conflict("An earlier root is not retired yet: first fleetseal ca renew --retire. Nothing was done.")
    return any(one.state == "successor" for one in known)


@asynccontextmanager
async def _root(
    services: Services, record: AuthorityRecord, passphrase: Secret | None, *, actor: str
) -> AsyncIterator[Made]:
    """The key of the root is open inside the block, and afterwards as it was. Raises Locked."""
    file = issuing.key_file(record)
    was_open = services.vault.holds(file)
    if passphrase is not None and file.sealing is Sealing.PASSPHRASE:
        await ceremonies.unlock(services, actor=actor, passphrase=passphrase)
    try:
        yield Made(record.id, await asyncio.to_thread(services.vault.reopen, file), file)
    finally:
        if not was_open:
            services.vault.lock(file)


def _require_time(signer: Signer, needed: datetime) -> None:
    """A new issuing CA under this root would not itself need renewal at once."""
    end = signer.certificate.not_valid_after_utc
    if end <= needed:
        raise IssuanceRefused(
            f"The root ends on {end:%Y-%m-%d}: an issuing CA under it could not sign certificates of the wanted life "
            "for long. Nothing was signed. Put a new root beside it: fleetseal ca renew --root.",
            rule="ISS-WITHIN-ISSUER",
        )


async def _shown(services: Services, warnings: list[str] | None = None) -> View:
    """After a change of CAs: alarms are true, and the message says how it goes on."""
    await alarm_pass.authority(services)
    shown = await authority_views.show(services)
    under_way = shown["replacement"]
    message = "Nothing is left to do." if under_way is None else under_way["message"]
    return {**shown, "message": message, "warnings": warnings or []}


def _subject(record: AuthorityRecord) -> str:
    return record.name if record.der is None else chain.describe(record.der).subject


def _common_name(record: AuthorityRecord) -> str:
    return (None if record.der is None else chain.describe(record.der).common_name) or record.name


def _key_type(described: str) -> str:
    return "ec" if described.startswith("EC") else "rsa"
