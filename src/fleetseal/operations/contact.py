"""Looking at one device again: what it shows goes into its row; what goes wrong becomes a column, no exception."""

import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from fleetseal.core.errors import (
    AuthenticationFailed,
    Conflict,
    DeviceError,
    IdentityMismatch,
    InvalidInput,
    NotSupported,
    PermissionDenied,
    Rejected,
    SetupNeeded,
    TrustFailure,
)
from fleetseal.core.model import (
    CertificateSource,
    Device,
    DeviceFacts,
    DeviceId,
    HttpsState,
    Installed,
    InstalledAuthority,
    Login,
    PeerTrust,
    Plaintext,
    Served,
    Support,
)
from fleetseal.core.text import clean, timestamp
from fleetseal.devices.axis.catalogue import support
from fleetseal.devices.axis.public_roots import PUBLIC_ROOTS
from fleetseal.devices.driver import NOT_AXIS, Connection, Connector, Sight
from fleetseal.operations import recording
from fleetseal.operations.adoption import adopt, name_entry
from fleetseal.operations.changes import Change, Verdict, stays, stored
from fleetseal.operations.following import Seen, follow
from fleetseal.operations.listing import Context, described
from fleetseal.operations.naming import is_address
from fleetseal.operations.services import Services
from fleetseal.operations.trust import change_shown, peer_trust, trust_columns
from fleetseal.store import credentials, inventory, tasks

Columns = dict[str, Any]

_FOUND = "credential that the device took"
"""Among the columns until they are stored: a login."""


async def refresh_device(services: Services, device_id: DeviceId, *, sight: Sight | None = None) -> Device:
    """The row says what the device shows now; `sight` saves the first look. Returns the new row.

    Identity, trust, credentials and reachability are columns: nothing a device does raises. No login is sent to a
    device whose identity is in doubt, that is in factory state, or that refused this very login before.
    Raises NotFound when there is no such device, and StoreError.
    """
    return (await look_again(services, device_id, sight=sight)).device


@dataclass(frozen=True)
class Outcome:
    device: Device
    facts: DeviceFacts | None  # None: no login took place


async def look_again(services: Services, device_id: DeviceId, *, sight: Sight | None = None) -> Outcome:
    """As `refresh_device`; also what the device told after the login. Where it was followed to another address
    meanwhile, it is looked at there."""
    outcome = await _looked(services, device_id, sight=sight, unattended=False)
    return outcome or await look_again(services, device_id)


async def look_unattended(services: Services, device_id: DeviceId) -> None:
    """As `refresh_device`, when nobody asked for it: the device is left alone while a task is at work on it, and
    nothing but a refused login is stored when one began, or the row changed, in the meantime: what was seen may be
    half of a change."""
    await _looked(services, device_id, sight=None, unattended=True)


async def _looked(services: Services, device_id: DeviceId, *, sight: Sight | None, unattended: bool) -> Outcome | None:
    """None, with nothing stored but that the login was refused, when the device is on record elsewhere by now or how
    far it is believed was decided meanwhile, or an unattended look is given up."""
    async with services.database.reading() as tx:
        if unattended and device_id in await inventory.active_tasks(tx):
            return None
        newest = await tasks.newest_job(tx, device_id)
        device = await inventory.get(tx, device_id)
        login = await inventory.login(tx, services.sealer, device_id)
        context = await Context.read(services, tx)
    look = _Look(services, context, services.connect(context.settings), device, login)
    columns, facts = await look.columns(sight)
    columns["last_read"] = services.clock.now()
    found: Login | None = columns.pop(_FOUND, None)
    try:
        async with services.database.transaction() as tx:
            now = await inventory.get(tx, device_id)
            outdated = (now.endpoint, _decided(now)) != (device.endpoint, _decided(device))
            if outdated or (unattended and (now, await tasks.newest_job(tx, device_id)) != (device, newest)):
                if columns.get("password_refused_version") == now.password_version:  # never sent again, all the same
                    await inventory.change(tx, device_id, password_refused_version=now.password_version)
                return None
            if found is not None and await inventory.login(tx, services.sealer, device_id) is None:
                await inventory.set_login(tx, services.sealer, device_id, found)
                await recording.login_stored(services, tx, device, found)
            await name_entry(tx, columns)
            after = await inventory.change(tx, device_id, **columns)
            await recording.trust_changed(services, tx, now, after)
            return Outcome(after, facts)
    except Conflict:
        problem = (
            f"It says that it is {columns['serial']}, which is another device of the inventory. Remove one of them."
        )
        async with services.database.transaction() as tx:
            noted = look.noted(Change(Verdict.TAKEN, problem, contradicts=True))
            return Outcome(await inventory.change(tx, device_id, identity_problem=problem, last_change=noted), None)


def _decided(device: Device) -> tuple[object, ...]:
    """What a person or a task may decide while a look is under way."""
    trust = (device.trust_level, device.trust_pin, device.ever_anchored, device.plain_accepted)
    return (*trust, device.identity_problem)


def names_itself(sight: Sight) -> bool:
    """Whether this is a device of a maker we know, supported or not."""
    return sight.serial is not None or sight.facts is not None or sight.unsupported_reason not in (None, NOT_AXIS)


@dataclass(frozen=True)
class _Reading:
    """What a connection told, after the login."""

    facts: DeviceFacts
    served: Served | None
    https: HttpsState | None
    entries: tuple[Installed, ...]
    authorities: tuple[InstalledAuthority, ...]
    clock_offset: float | None
    refused: str = ""  # why its interface for certificates cannot be used


@dataclass(frozen=True)
class _Look:
    """One look at one device."""

    services: Services
    context: Context
    connector: Connector
    device: Device
    login: Login | None

    async def columns(self, sight: Sight | None) -> tuple[Columns, DeviceFacts | None]:
        try:
            sight = sight or await self.connector.look(self.device.endpoint)
        except (DeviceError, InvalidInput) as error:
            return {"reachable": False, "unreachable_reason": error.message}, None
        if not names_itself(sight):
            reason = f"Something answers at {self.device.address}, and it is not an Axis device."
            return {"reachable": False, "unreachable_reason": reason}, None
        if self.device.serial is not None and sight.serial not in (None, self.device.serial):
            await follow(self.services, self.connector, [Seen(self.device.endpoint, sight)])
        answers: Columns = {"reachable": True, "unreachable_reason": ""}
        await adopt(self.services, self.device, sight)
        try:
            async with self.services.database.reading() as tx:
                trust = await peer_trust(self.services, tx, self.device, sight)
        except IdentityMismatch as error:
            return answers | await self._identity_changed(error, sight), None
        except TrustFailure as error:
            problem = {} if _nothing_to_log_into(sight) else {"trust_problem": error.message}
            return answers | self._seen(sight) | problem, None
        believed, facts = await self._believed(sight, trust)
        if "identity_problem" in believed:
            return answers | believed, None
        changed = await self._changed(sight if facts is None else replace(sight, facts=facts))
        return answers | self._seen(sight) | changed | believed, facts

    async def _believed(self, sight: Sight, trust: PeerTrust) -> tuple[Columns, DeviceFacts | None]:
        """What follows once it is settled how this device is believed."""
        without = {} if isinstance(trust, Plaintext) else trust_columns(trust, sight.served)
        if _nothing_to_log_into(sight):
            return without, None
        if self.login is None:
            return await self._tried(sight, trust, without)
        if self.device.login_refused:
            return without, None
        return await self._logged_in(sight, trust, self.login)

    async def _tried(self, sight: Sight, trust: PeerTrust, without: Columns) -> tuple[Columns, DeviceFacts | None]:
        """The named credentials, in order, until the device takes one. Each try is on record before it is made, so
        that none is refused twice a day, whatever happens in between."""
        device_id = self.device.id
        async with self.services.database.reading() as tx:
            now = self.services.clock.now()
            candidates = await credentials.untried(tx, self.services.sealer, device_id, now=now)
        for one in candidates:
            async with self.services.database.transaction() as tx:
                if not await credentials.note_try(tx, one.id, device_id, now=self.services.clock.now()):
                    continue
                await recording.credential_tried(self.services, tx, self.device, one)
            columns, facts = await self._logged_in(sight, trust, one.login)
            if columns.pop("password_refused_version", None) is not None:
                continue
            async with self.services.database.transaction() as tx:
                await credentials.forget_try(tx, one.id, device_id)
            return (columns if facts is None else columns | {_FOUND: one.login}), facts
        return without, None

    async def _logged_in(self, sight: Sight, trust: PeerTrust, login: Login) -> tuple[Columns, DeviceFacts | None]:
        try:
            async with self.connector.open(
                self.device.endpoint, trust, login, serial=self.device.serial or sight.serial
            ) as connection:
                reading = await self._read(connection)
        except IdentityMismatch as error:
            if await self._shows_another(sight):  # its web server restarted between the look and this
                reason = "It changed its certificate while it was being asked. Look at it again."
                return {"reachable": False, "unreachable_reason": reason}, None
            return await self._identity_changed(error, sight), None
        except DeviceError as error:
            return self._failure(error, trust, sight), None
        except TrustFailure as error:
            return {"trust_problem": error.message}, None
        told = self._told(reading, sight, reading.served or sight.served)
        return {**trust_columns(trust, reading.served), **told}, reading.facts

    async def _shows_another(self, sight: Sight) -> bool:
        """HTTPS shows another certificate now than at the look."""
        try:
            served = await self.connector.served(self.device.endpoint)
        except DeviceError:
            return sight.served is not None
        return sight.served is None or served.leaf != sight.served.leaf

    async def _read(self, connection: Connection) -> _Reading:
        driver, facts = connection.driver, connection.facts
        https: HttpsState | None = None
        entries: tuple[Installed, ...] = ()
        authorities: tuple[InstalledAuthority, ...] = ()
        refused = ""
        try:
            https = await driver.https()
            entries = await driver.certificates()
        except NotSupported as error:
            refused = error.message
        except Rejected:
            pass  # the column `https` says Unknown; what the device did say is kept
        with suppress(NotSupported, Rejected):  # nothing depends on them
            authorities = await driver.authorities() if https is not None else ()
        offset = facts.clock_offset
        if offset is None:
            offset = (await driver.clock() - self.services.clock.now()).total_seconds()
        return _Reading(facts, connection.served, https, entries, authorities, offset, refused)

    async def _identity_changed(self, error: IdentityMismatch, sight: Sight) -> Columns:
        """Why, as far as `sight` shows; otherwise the connection saw something else: nobody knows what."""
        async with self.services.database.reading() as tx:
            change = await change_shown(self.services, tx, self.device, sight)
        if change is None or not change.contradicts:
            if self.device.identity_problem is not None:
                return {}  # as it was, and not proved yet
            change = Change(Verdict.IMPOSTOR, error.message, contradicts=True)
        return {"identity_problem": change.reason, "last_change": self.noted(change)}

    async def _changed(self, sight: Sight) -> Columns:
        """What is not as it was though nothing contradicts the record; a change that was settled is forgotten."""
        async with self.services.database.reading() as tx:
            change = await change_shown(self.services, tx, self.device, sight)
        if change is not None:
            return {"last_change": self.noted(change)}
        return {} if stays(self.device, sight) else {"last_change": None}

    def noted(self, change: Change) -> dict[str, str]:
        """As the column has it; the same change is noted once."""
        before = self.device.last_change
        same = before is not None and (before["verdict"], before["reason"]) == (change.verdict, change.reason)
        since = before["since"] if before is not None and same else timestamp(self.services.clock.now())
        return stored(change, since)

    def _failure(self, error: DeviceError, trust: PeerTrust, sight: Sight) -> Columns:
        """What an error after the first look says about the device."""
        relied_on = trust_columns(trust, sight.served)
        if isinstance(error, AuthenticationFailed | PermissionDenied):
            return {**relied_on, "password_refused_version": self.device.password_version}
        if isinstance(error, SetupNeeded):
            return {"needs_setup": True}
        if isinstance(error, NotSupported):
            return {**relied_on, "support": Support.PRODUCT, "support_reason": error.message}
        return {"reachable": False, "unreachable_reason": error.message}

    def _seen(self, sight: Sight) -> Columns:
        """What is known without a login."""
        now = self.services.clock.now()
        columns: Columns = {
            "identity_problem": None,
            "trust_problem": None,
            "last_seen": now,
            "needs_setup": bool(sight.needs_setup),
            **self._served(sight.served, sight),
        }
        if sight.date is not None:
            columns["clock_offset"] = (sight.date - now).total_seconds()
        if sight.serial is not None:
            columns["serial"] = sight.serial
        if sight.unsupported_reason is not None:
            columns |= {"support": Support.PRODUCT, "support_reason": sight.unsupported_reason}
        if sight.facts is not None:
            columns |= self._facts(sight.facts)
        return columns

    def _told(self, reading: _Reading, sight: Sight, served: Served | None) -> Columns:
        """What only a login shows."""
        columns = {**self._facts(reading.facts), **self._served(served, sight), "clock_offset": reading.clock_offset}
        columns |= {"serial": reading.facts.serial, "generation": reading.facts.generation, "needs_setup": False}
        columns["support_reason"] = columns["support_reason"] or reading.refused
        if reading.https is None:
            return columns | {"tls": None, "policy": None, "bound_alias": None, "entries": []}
        alias = reading.https.alias
        if served is not None:
            alias = next((entry.alias for entry in reading.entries if entry.der == served.leaf), alias)
        return columns | {
            "tls": reading.https.tls,
            "policy": reading.https.policy,
            "bound_alias": alias,
            "entries": [
                *(self._entry(entry, sight) for entry in reading.entries),
                *(self._authority(entry) for entry in reading.authorities if entry.alias not in PUBLIC_ROOTS),
            ],
        }

    def _facts(self, facts: DeviceFacts) -> Columns:
        generation = facts.generation or self.device.generation
        supported, reason = support(facts.model, facts.product_type, facts.firmware, generation=generation)
        columns: Columns = {
            "model": facts.model,
            "product_type": facts.product_type,
            "firmware": facts.firmware,
            "support": supported,
            "support_reason": reason,
        }
        if facts.host_name and not self.device.host_name_typed and is_address(self.device.address):
            columns["host_name"] = facts.host_name.lower()
        return columns

    def _served(self, served: Served | None, sight: Sight) -> Columns:
        if served is None or described(served.leaf) is None:
            return {"served_der": None, "served_source": None}
        return {"served_der": served.leaf, "served_source": self._source(served.leaf, None, sight)}

    def _entry(self, entry: Installed, sight: Sight) -> dict[str, object]:
        source = self._source(entry.der, entry.alias, sight)
        return {"kind": "key", **_shown(entry.alias, entry.der, source), "in_use": entry.in_use}

    def _authority(self, entry: InstalledAuthority) -> dict[str, object]:
        return {"kind": "ca", **_shown(entry.alias, entry.der, self.context.authority_source(entry.alias, entry.der))}

    def _source(self, der: bytes, alias: str | None, sight: Sight) -> CertificateSource:
        """Whose certificate this is, for display and for what may be removed; no trust follows from it."""
        source = self.context.source(alias or "", der)
        shown_as_factory = sight.factory and sight.served is not None and sight.served.leaf == der
        if shown_as_factory and source is not CertificateSource.OURS:
            return CertificateSource.FACTORY
        return source


def _shown(alias: str, der: bytes, source: CertificateSource) -> dict[str, object]:
    read = described(der)
    return {
        "alias": clean(alias),
        "source": source.value,
        "not_before": read and timestamp(read.not_before),
        "not_after": read and timestamp(read.not_after),
        "sha256": hashlib.sha256(der).hexdigest(),
    }


def _nothing_to_log_into(sight: Sight) -> bool:
    """No interface of ours, or no administrator yet."""
    return sight.unsupported_reason is not None or bool(sight.needs_setup)
