"""One CA takes the place of another: how far that is, for people and for jobs.

Everything follows from the states of CAs and from what devices hold and serve, so it may pause for months and goes on
after any crash. The steps are those of docs/procedures/ca-renewal.md and docs/procedures/root-replacement.md.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from fleetseal.core.model import AuthorityId, DeviceId, Support, TaskAction, TaskId
from fleetseal.operations import tasks
from fleetseal.operations.renewal import FREE_TO_REPEAT
from fleetseal.operations.services import Services
from fleetseal.store import authorities, authority_entries, inventory, renewals
from fleetseal.store.authorities import AuthorityRecord
from fleetseal.store.database import Transaction

if TYPE_CHECKING:
    from fleetseal.jobs.engine import Engine


class Phase(StrEnum):
    TRUST = "trust"  # the new root is introduced to devices; nothing is signed under it yet
    REISSUE = "reissue"  # the new CA signs, devices follow
    RETURN = "return"  # the old root signs again, a step back: the new one is introduced only, devices follow
    REMOVE = "remove"  # the old root is retired, its certificates go from devices


_ACTIONS = {
    Phase.TRUST: TaskAction.INSTALL_AUTHORITIES,
    Phase.REISSUE: TaskAction.RENEW_CERTIFICATE,
    Phase.RETURN: TaskAction.RENEW_CERTIFICATE,
    Phase.REMOVE: TaskAction.REMOVE_AUTHORITIES,
}


@dataclass(frozen=True)
class Succession:
    root: bool  # a root, or an imported CA, is replaced; else an issuing CA under the same root
    phase: Phase
    devices: int  # with a certificate of ours
    left: tuple[DeviceId, ...]  # for which this phase has something to do

    @property
    def coverage(self) -> int:
        """Per cent of the devices with which this phase is through, rounded down."""
        return 100 if not self.devices else 100 * max(0, self.devices - len(self.left)) // self.devices

    def to_json(self) -> dict[str, Any]:
        """`{"what","phase","devices","left","coverage","message"}`."""
        return {
            "what": "root" if self.root else "issuing CA",
            "phase": self.phase.value,
            "devices": self.devices,
            "left": len(self.left),
            "coverage": self.coverage,
            "message": self._message(),
        }

    def _message(self) -> str:
        done = f"{self.devices - len(self.left)} of {self.devices} devices ({self.coverage} %)"
        match self.phase:
            case Phase.TRUST:
                return (
                    f"A new root is being introduced: its certificates are on {done}. Give it to every client too "
                    "(fleetseal ca export); then go on: fleetseal ca renew --continue."
                )
            case Phase.REISSUE if not self.left:
                return (
                    "The new root signs, and no device serves a certificate of the old one. When no client needs that "
                    "any more: fleetseal ca renew --retire."
                )
            case Phase.REISSUE:
                return (
                    f"The new {'root' if self.root else 'issuing CA'} signs: {done} have followed. The others follow "
                    "in the night, or at once: fleetseal ca renew --continue."
                )
            case Phase.RETURN:
                return (
                    f"The old root signs again: {done} serve no certificate of the new one. The others follow in the "
                    "night, or at once: fleetseal ca renew --continue."
                )
            case Phase.REMOVE:
                return (
                    f"The old root is retired. Its certificates are still on {len(self.left)} devices, and go in the "
                    "night, or at once: fleetseal ca renew --retire."
                )


async def current(tx: Transaction) -> Succession | None:
    """What is under way; None when every device is where it should be."""
    known = await authorities.every(tx)
    fleet = len(set(await renewals.fleet(tx)))
    if introduced := [one.id for one in known if one.state == "successor"]:
        if back := await authority_entries.serving(tx, introduced):
            return Succession(True, Phase.RETURN, fleet, tuple(back))
        return Succession(True, Phase.TRUST, fleet, tuple(await authority_entries.lacking(tx, introduced)))
    left = await authority_entries.serving(tx, [one.id for one in known if one.state == "replaced"])
    root = bool(outgoing(known))
    if root or left:
        return Succession(root, Phase.REISSUE, fleet, tuple(left))
    retired = [one.id for one in known if one.state == "retired"]
    if left := await authority_entries.holding(tx, retired):
        return Succession(True, Phase.REMOVE, fleet, tuple(left))
    return None


def outgoing(known: tuple[AuthorityRecord, ...]) -> list[AuthorityRecord]:
    """The replaced CAs that no CA in use with a key here stands above: a root that was replaced, and all below it."""
    by_id = {one.id: one for one in known}

    def stays(record: AuthorityRecord | None) -> bool:
        if record is None:
            return False
        return (record.state == "active" and record.key_file is not None) or stays(by_id.get(_above(record)))

    return [one for one in known if one.state == "replaced" and not stays(one)]


def superseded(known: tuple[AuthorityRecord, ...]) -> list[AuthorityRecord]:
    """The CAs whose certificates a device that was given a new leaf needs no more: replaced issuing CAs of a root that
    stays, and what is retired."""
    gone = {one.id for one in outgoing(known)}
    return [one for one in known if one.state == "retired" or (one.state == "replaced" and one.id not in gone)]


def introduced(known: tuple[AuthorityRecord, ...]) -> list[AuthorityRecord]:
    """The CAs that devices are to know before anything is signed under them, with those above them."""
    by_id = {one.id: one for one in known}
    found: dict[AuthorityId, AuthorityRecord] = {}
    for record in known:
        above: AuthorityRecord | None = record if record.state == "successor" else None
        while above is not None:
            found[above.id] = above
            above = by_id.get(_above(above))
    return list(found.values())


async def follow(services: Services, engine: "Callable[[], Awaitable[Engine]]", *, actor: str) -> TaskId | None:
    """The devices of the present phase are at work on it, in waves; None when there is none to begin with. `engine`
    starts the engine if need be.

    Devices at which another task is at work, and unsupported ones, are left out.
    """
    async with services.database.transaction() as tx:
        task_id = await _record(services, tx, actor=actor)
    if task_id is not None:
        await (await engine()).submit(task_id)
    return task_id


async def by_night(services: Services, tx: Transaction, *, actor: str) -> TaskId | None:
    """As `follow`, for CA certificates alone and without beginning it; a device that said no waits for a person
    (JOB-RETRY-CLASS)."""
    under_way = await current(tx)
    if under_way is None or _ACTIONS[under_way.phase] is TaskAction.RENEW_CERTIFICATE:  # which the night does anyway
        return None
    refused = await authority_entries.refused(tx, _ACTIONS[under_way.phase])
    waiting = {device_id for device_id, code in refused.items() if code not in FREE_TO_REPEAT}
    return await _record(services, tx, actor=actor, besides=waiting)


async def _record(
    services: Services, tx: Transaction, *, actor: str, besides: set[DeviceId] | None = None
) -> TaskId | None:
    under_way = await current(tx)
    if under_way is None:
        return None
    left = set(under_way.left) - (besides or set()) - (await inventory.active_tasks(tx)).keys()
    chosen = [one for one in await inventory.every(tx) if one.id in left and one.support is Support.SUPPORTED]
    if not chosen:
        return None
    return await tasks.record(
        services,
        tx,
        actor=actor,
        action=_ACTIONS[under_way.phase],
        wish={"unattended": True} if _ACTIONS[under_way.phase] is TaskAction.RENEW_CERTIFICATE else {},
        devices=[(one, False) for one in chosen],
        asked=len(chosen),
    )


def _above(record: AuthorityRecord) -> AuthorityId:
    """0 is no CA's."""
    return record.parent_id or AuthorityId(0)
