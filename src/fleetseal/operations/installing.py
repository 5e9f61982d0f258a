"""A certificate of another issuer and its key into a device's store, and into service: the steps of
docs/procedures/certificates.md."""

from functools import partial

from fleetseal.core.errors import IssuanceRefused, Rejected
from fleetseal.core.model import Alias, CertificateSource, Chain, EnableWish, JobStatus, KeyPair, KeySpec
from fleetseal.core.text import clean, timestamp
from fleetseal.operations import existing, observe
from fleetseal.operations.delivery import encrypted_trust, install_authorities, send_key_pair, temporary_alias
from fleetseal.operations.listing import is_factory
from fleetseal.operations.plan import Bind, Refused, Skipped, Unchanged
from fleetseal.operations.settling import clean_up, settle
from fleetseal.operations.switch import Target, constant
from fleetseal.operations.trust import is_proof
from fleetseal.operations.work import Ended, Work, execute_undo, remove_alias, store_is_full
from fleetseal.pki import chain
from fleetseal.pki.bundles import require_fit
from fleetseal.store import bundles, certificates, inventory, leftovers
from fleetseal.store.bundles import BundleRecord
from fleetseal.store.database import Transaction


async def install(work: Work) -> None:
    """One run of "Install certificate": until the job has ended (raises Ended) or waits for its second look."""
    async with work.services.database.reading() as tx:
        bundle = await bundles.get(tx, work.run.job.id)
    plan = await _plan(work, bundle)
    if work.wish["for"] == "none":
        await _only_store(work, plan)
    elif not await existing.serve(work, plan, place=partial(_place, work, plan), action="certificate install"):
        return
    await clean_up(work, plan.alias, temporary_alias(plan.alias))
    await work.run.end(JobStatus.FINISHED, _success(work, plan, bundle), also=partial(_wanted, work, plan.alias))
    raise Ended


async def _plan(work: Work, bundle: BundleRecord) -> Bind:
    """The recorded plan, or a new one; ends the job when there is nothing to do or nothing may be done."""
    if (recorded := work.run.recorded("plan")) is not None:
        return Bind.from_json(recorded)
    for_https = work.wish["for"] == "https"
    require_fit(bundle.leaf, now=work.services.clock.now(), for_https=for_https)
    plan = await observe.plan_install(
        work.services,
        work.settings,
        work.connector,
        work.device,
        work.login,
        wish=EnableWish(set_clock=work.wish["set_clock"]),
        bundle=bundle,
        for_https=for_https,
        job_id=work.run.job.id,
    )
    match plan:
        case Unchanged(reason, alias):
            await work.run.end(JobStatus.UNCHANGED, reason, also=partial(_wanted, work, alias))
        case Skipped(reason, code) | Refused(reason, code):
            await work.run.end(JobStatus.FAILED, reason, error_code=code)
        case Bind(alias):
            purpose = " and to serve HTTPS" if for_https else ""
            detail = f"The certificate of {clean(bundle.file)} is to be stored as {clean(alias)}{purpose}."
            await work.run.local("plan", partial(constant, plan.to_json()), detail=detail)
            return plan
        case _:
            raise AssertionError("no certificate is issued here")
    raise Ended


async def _wanted(work: Work, alias: Alias | None, tx: Transaction) -> None:
    """A person wants the entry, whatever an earlier job that could not remove it had in mind (DEV-OWN-ONLY)."""
    if alias is not None:
        await leftovers.forget(tx, work.device.id, remove_alias(alias))


async def _place(work: Work, plan: Bind) -> Target:
    """Certificate and key are in the device's store, read back, with the CA certificates of its chain."""
    target = await existing.target_of(work, plan)
    if work.run.step("install-key") is None and await _holds(work, plan):
        return target  # it was there before: nothing of it is ours to undo
    await install_authorities(work, plan.above)
    trust = await encrypted_trust(work, plan.alias, KeySpec(work.device.address), plan.switch)

    async def act() -> None:
        async with work.run.transaction() as tx:
            spki = chain.describe(plan.leaf).spki_sha256
            if not await certificates.claim_key(tx, spki, work.device.id, now=work.services.clock.now()):
                raise IssuanceRefused(
                    "The key of the certificate is known from another device. It was not sent.", rule="ISS-KEY-PROVED"
                )
            key = await bundles.key(tx, work.services.sealer, work.run.job.id)
        await send_key_pair(work, trust, plan.alias, KeyPair(Chain(plan.leaf), key))

    try:
        await work.run.device(
            "install-key",
            look=partial(_holds, work, plan),
            act=act,
            undo=remove_alias(plan.alias),
            detail="The certificate and its key are in the device's store, sent over TLS.",
        )
    except Rejected as error:
        if not store_is_full(error):
            raise
        raise Rejected(
            f"{error.message} {await _what_must_go(work)}",
            vendor_code=error.vendor_code,
            vendor_text=error.vendor_text,
        ) from error
    if is_proof(trust) and not plan.proved:
        detail = "The key was sent to a device that had proved its identity."
        await work.run.local("proved", partial(constant, True), detail=detail)
    return target


async def _holds(work: Work, plan: Bind) -> bool | None:
    async with work.connection() as connection:
        entries = await connection.driver.certificates()
    return any(entry.alias == plan.alias and entry.der == plan.leaf for entry in entries) or None


async def _what_must_go(work: Work) -> str:
    """For people: the entries of a full store that may be deleted, or could be if nothing used them."""
    async with work.connection() as connection:
        entries, uses = await connection.driver.certificates(), await connection.driver.uses()
    own = {entry.alias for entry in entries if not is_factory(entry.alias)}
    if free := sorted(clean(alias) for alias in own - uses.keys()):
        return f"Nothing uses {', '.join(free)}. Remove what can go: fleetseal certificate delete DEVICE ALIAS."
    used = "; ".join(f"{clean(alias)} by {', '.join(sorted(uses[alias]))}" for alias in sorted(own))
    return f"Every entry is in use: {used}. Let go of one first, then: fleetseal certificate delete DEVICE ALIAS."


async def _only_store(work: Work, plan: Bind) -> None:
    """The entry is there and serves nothing; a web server that was opened to send the key is as before."""
    if work.run.recorded("record") is not None:
        return
    await _place(work, plan)
    for step in ("temporary-bind", "temporary-certificate"):
        await work.run.undo(step, partial(execute_undo, work))
    await work.run.local("record", partial(_record, work, plan), detail="The inventory is up to date.")


async def _record(work: Work, plan: Bind, tx: Transaction) -> bool:
    device, leaf = await inventory.get(tx, work.device.id), chain.describe(plan.leaf)
    entry = {
        "alias": clean(plan.alias),
        "source": CertificateSource.OTHER,
        "not_after": timestamp(leaf.not_after),
        "sha256": leaf.sha256,
        "in_use": False,
    }
    others = [one for one in device.entries if one["alias"] != clean(plan.alias)]
    await settle(
        work,
        tx,
        action="certificate install",
        columns={"entries": [*others, entry]},
        detail={"alias": plan.alias, "certificate": leaf.sha256},
    )
    return True


def _success(work: Work, plan: Bind, bundle: BundleRecord) -> str:
    leaf = chain.describe(plan.leaf)
    until, alias = f"valid until {leaf.not_after:%Y-%m-%d}", clean(plan.alias)
    renews = "Nothing here renews it."
    if work.wish["for"] == "none":
        return f"The certificate of {clean(bundle.file)}, {until}, is stored as {alias}; nothing uses it yet. {renews}"
    proof = (
        "It was verified by a CA that is trusted here."
        if plan.name is not None
        else "No CA that is trusted here vouches for it: exactly this certificate was proved, and a login."
    )
    return f"HTTPS works with the certificate of {clean(bundle.file)}, {until}.{existing.closed(plan)} {proof} {renews}"
