"""AUD-FAILS-CLOSED: each use case that signs, uses a secret, or changes a CA, a setting, a login or trust writes these
records, and where one of them cannot be written, its effect does not happen."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from fleetseal.core.errors import Locked, StoreError
from fleetseal.core.model import Login, Selection, TaskAction, TrustLevel
from fleetseal.core.runtime import SystemClock
from fleetseal.core.secrets import Secret
from fleetseal.operations import (
    alarms,
    authorities,
    certificates,
    clocks,
    contact,
    credentials,
    importing,
    inventory,
    poll,
    preview,
    revocation,
    setting_up,
    settings,
    signing,
    tasks,
    trusting,
)
from fleetseal.operations.inventory import Changes
from fleetseal.sim.fleet import PASSWORD, DeviceSpec, SimulatedDevice
from fleetseal.store import alarms as stored_alarms
from fleetseal.store import audit
from fleetseal.store import inventory as rows
from fleetseal.store import settings as stored_settings
from tests.security.test_fails_closed import on_disk
from tests.site import PASSPHRASE, Site, site
from tests.workflow.test_authorities import foreign
from tests.workflow.test_certificates import FOREIGN, put

ANNA = "anna"
EVERY = Selection(everything=True)
LOGIN = Login("root", PASSWORD)

Act = Callable[[Site], Awaitable[Any]]
Done = Callable[[Site], Awaitable[bool]]


def camera_of(here: Site) -> SimulatedDevice:
    return here.fleet.devices[0]


async def nothing(_: Site) -> None:
    return None


@dataclass(frozen=True)
class Case:
    """What a person or the server does, in a site that `prepare` made ready; `done`: the effect is there."""

    act: Act
    records: tuple[str, ...]
    done: Done
    prepare: Act = nothing
    device: DeviceSpec | None = None
    authority: bool = False
    enough: int | None = None  # so many of the records stand for the effect; None: all do


# ---------------------------------------------------------------- settings, credentials, inventory


async def set_setting(here: Site) -> None:
    await settings.set_(here.services, actor=ANNA, key="certificate.domains", value="a.org")


async def reset_setting(here: Site) -> None:
    await settings.reset(here.services, actor=ANNA, key="certificate.domains")


async def setting_is_set(here: Site) -> bool:
    async with here.services.database.reading() as tx:
        return "certificate.domains" in await stored_settings.stored(tx)


async def add_credential(here: Site) -> None:
    await credentials.add(here.services, actor=ANNA, name="plant", login=LOGIN)


async def remove_credential(here: Site) -> None:
    await credentials.remove(here.services, actor=ANNA, name="plant")


async def has_credential(here: Site) -> bool:
    return bool(await credentials.list_(here.services))


async def import_device(here: Site) -> None:
    text = "address,username,password\n192.0.2.9,root,secret\n"
    await importing.import_(here.services, actor=ANNA, text=text, form="csv", login=None, site="default")


async def has_device(here: Site) -> bool:
    return bool(await inventory.list_(here.services))


async def set_login(here: Site) -> None:
    changes = Changes(username="anna", password=Secret("new"))
    await inventory.change(here.services, actor=ANNA, selection=EVERY, changes=changes)


async def login_is_new(here: Site) -> bool:
    async with here.services.database.reading() as tx:
        login = await rows.login(tx, here.services.sealer, (await rows.every(tx))[0].id)
    return login == Login("anna", "new")


async def remove_device(here: Site) -> None:
    (row,) = await inventory.list_(here.services)
    await inventory.remove(here.services, actor=ANNA, references=[str(row["id"])])


async def acknowledge(here: Site) -> None:
    (alarm,) = await alarms.list_(here.services)
    await alarms.acknowledge(here.services, alarm["id"], actor=ANNA)


async def raise_alarm(here: Site) -> None:
    async with here.services.database.transaction() as tx:
        await stored_alarms.raise_alarm(
            tx, now=here.services.clock.now(), cause="c", object="o", severity="critical", message="m"
        )


async def is_acknowledged(here: Site) -> bool:
    return (await alarms.list_(here.services))[0]["acknowledged"] is not None


def opposite(done: Done) -> Done:
    async def other(here: Site) -> bool:
        return not await done(here)

    return other


# ---------------------------------------------------------------- authorities


async def create(here: Site) -> None:
    await authorities.create(here.services, actor=ANNA, name="One", key_type="ec", passphrase=PASSPHRASE)


async def create_one_tier(here: Site) -> None:
    await authorities.create(here.services, actor=ANNA, name="One", tiers=1, key_type="ec", passphrase=PASSPHRASE)
    await authorities.lock(here.services, actor=ANNA)


async def request(here: Site) -> None:
    await authorities.request(here.services, actor=ANNA, name="One", key_type="ec")


async def trust_only(here: Site) -> None:
    await authorities.trust_only(here.services, actor=ANNA, files=(here.fleet.maker.roots_pem,))


async def bring(here: Site) -> None:
    files = foreign(here.services.data, "root")
    await authorities.import_files(here.services, actor=ANNA, files=files, passphrase=PASSPHRASE)


async def is_configured(here: Site) -> bool:
    return any(one["state"] in ("ready", "locked", "requested") for one in await authorities.list_(here.services))


async def is_trusted(here: Site) -> bool:
    return bool(await authorities.list_(here.services))


async def unlock(here: Site) -> None:
    await authorities.unlock(here.services, actor=ANNA, passphrase=PASSPHRASE)


async def unlock_wrongly(here: Site) -> None:
    with pytest.raises(Locked):
        await authorities.unlock(here.services, actor=ANNA, passphrase=Secret("wrong"))


async def is_open(here: Site) -> bool:
    return not await signing.is_locked(here.services)


async def make_crls(here: Site) -> None:
    await revocation.renew_crls(here.services, actor=ANNA, anew=True)


async def has_second_crl(here: Site) -> bool:
    return any((one["number"] or 0) > 1 for one in await revocation.list_crls(here.services))


async def never(_: Site) -> bool:
    """A refusal has no effect: only its record is asked for."""
    return False


# ---------------------------------------------------------------- devices


async def add(here: Site) -> None:
    await here.add(camera_of(here))


async def add_without_login(here: Site) -> None:
    camera = camera_of(here)
    ports = {"http_port": camera.http_port, "https_port": camera.https_port}
    await inventory.add(here.services, actor=ANNA, targets=[camera.address], **ports)  # type: ignore[arg-type]  # ports only


async def add_beside_a_credential(here: Site) -> None:
    await add_without_login(here)
    await add_credential(here)


async def refresh(here: Site) -> None:
    await contact.refresh_device(here.services, await here.id_of(camera_of(here)))


async def is_believed(here: Site) -> bool:
    listed = await inventory.list_(here.services)
    return [row["trust"] for row in listed] == ["factory"]


async def login_was_sent(here: Site) -> bool:
    return any(one.credential_bytes for one in camera_of(here).requests)


async def add_and_forget(here: Site) -> None:
    await add(here)
    async with here.services.database.transaction() as tx:
        await rows.change(tx, await here.id_of(camera_of(here)), last_read=None)  # as if it were long ago
    camera_of(here).requests.clear()


async def list_certificates(here: Site) -> None:
    await certificates.list_(here.services, EVERY, actor=ANNA)


async def plan(here: Site) -> None:
    await preview.plan(here.services, actor=ANNA, selection=EVERY, wish={})


async def compare_clocks(here: Site) -> None:
    await clocks.clock(here.services, actor=ANNA, selection=EVERY)


async def set_clocks(here: Site) -> None:
    await clocks.clock(here.services, actor=ANNA, selection=EVERY, correct=True)


async def clock_is_right(here: Site) -> bool:
    return abs(camera_of(here).faults.clock_offset) < 60


async def set_up(here: Site) -> None:
    references = [camera_of(here).serial]
    login = Login("root", "C4n4ry &=+% pw 1")
    await setting_up.set_up(here.services, actor=ANNA, references=references, login=login)


async def login_is_stored(here: Site) -> bool:
    async with here.services.database.reading() as tx:
        return await rows.login(tx, here.services.sealer, await here.id_of(camera_of(here))) is not None


async def accept(here: Site) -> None:
    device = await here.device(camera_of(here))
    await trusting.accept(here.services, actor=ANNA, accepted={device.id: None})


async def accepts_plain(here: Site) -> bool:
    return (await here.device(camera_of(here))).trust_level is TrustLevel.PLAINTEXT


async def enable(here: Site) -> None:
    await here.request(TaskAction.ENABLE_HTTPS, camera_of(here), policy="keep")


async def is_enabled(here: Site) -> bool:
    return (await here.device(camera_of(here))).trust_level is TrustLevel.ANCHORED


async def disable(here: Site) -> None:
    await here.request(TaskAction.DISABLE_HTTPS, camera_of(here))


async def add_and_enable(here: Site) -> None:
    await add(here)
    await enable(here)
    assert await is_enabled(here)


async def cancel(here: Site) -> None:
    await tasks.cancel(here.services, None, (await tasks.unfinished(here.services))[0], actor=ANNA)


async def add_and_ask(here: Site) -> None:
    """A task that nobody works on."""
    await add(here)

    class Nobody:
        async def submit(self, _: object) -> None:
            return None

    here.engine = cast(Any, Nobody())
    await enable(here)


async def is_cancelled(here: Site) -> bool:
    return not await tasks.unfinished(here.services)


async def add_with_an_entry(here: Site) -> None:
    await add(here)
    await put(here, camera_of(here))


async def delete(here: Site) -> None:
    serial = camera_of(here).serial
    await certificates.delete(here.services, here.engine, actor=ANNA, reference=serial, alias=FOREIGN)


async def is_deleted(here: Site) -> bool:
    return FOREIGN not in camera_of(here).aliases


async def poll_begins(here: Site) -> None:
    """The server's poll up to its first full read. Where it may not begin it waits: here, that is its end."""

    class Clock(SystemClock):
        async def sleep(self, seconds: float) -> None:
            if seconds == poll.AGAIN:
                raise StoreError("It waits.")
            await super().sleep(0.01)

    try:
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            running = group.create_task(poll.recorded_poll(replace(here.services, clock=Clock())))
            while not await login_was_sent(here):
                await here.services.clock.sleep(0.02)
            running.cancel()
    except* StoreError as waiting:
        failure: BaseException = waiting
        while isinstance(failure, BaseExceptionGroup):
            failure = failure.exceptions[0]
        raise failure from None


REST = DeviceSpec("12.11")
FRESH = DeviceSpec("12.11", setup_done=False)
SLOW = DeviceSpec("12.11", faults={"clock_offset": -3600.0})

SIGNED = ("certificate intended", "certificate issued")
LISTED = ("crl intended", "crl issued")
ENABLED = ("task Enable HTTPS", "certificate intended", "ca key open", "certificate issued", "https enable")

CASES = {
    "settings set": Case(set_setting, ("settings set",), setting_is_set),
    "settings reset": Case(reset_setting, ("settings reset",), opposite(setting_is_set), set_setting),
    "credential add": Case(add_credential, ("credential add",), has_credential),
    "credential remove": Case(remove_credential, ("credential remove",), opposite(has_credential), add_credential),
    "device import": Case(import_device, ("device import",), has_device),
    "device set": Case(set_login, ("device set",), login_is_new, import_device),
    "device remove": Case(remove_device, ("device remove",), opposite(has_device), import_device),
    "alarm acknowledge": Case(acknowledge, ("alarm acknowledge",), is_acknowledged, raise_alarm),
    "ca create": Case(create, (*SIGNED, *SIGNED, *LISTED, *LISTED, "ca create"), is_configured),
    "ca request": Case(request, ("ca request",), is_configured),
    "ca import --trust-only": Case(trust_only, ("ca trust", "ca trust"), is_trusted),
    "ca import": Case(bring, ("ca key keep", *SIGNED, *LISTED, *LISTED, "ca import"), is_configured),
    "crl": Case(make_crls, ("ca key open", *LISTED), has_second_crl, authority=True),
    "ca unlock": Case(unlock, ("ca unlock",), is_open, create_one_tier),
    "ca unlock refused": Case(unlock_wrongly, ("ca unlock refused",), never, create_one_tier),
    "device add": Case(add, ("device add", "trust changed"), is_believed, device=REST),
    "device refresh, credential": Case(
        refresh, ("credential try", "device login"), login_is_stored, add_beside_a_credential, REST
    ),
    "device setup": Case(set_up, ("device setup", "device login"), login_is_stored, add_without_login, FRESH),
    "device trust": Case(accept, ("device trust",), accepts_plain, add, REST),
    "device clock": Case(compare_clocks, ("login use",), login_was_sent, add_and_forget, REST),
    "device clock --set": Case(set_clocks, ("login use", "device clock set"), clock_is_right, add, SLOW),
    "certificate list": Case(list_certificates, ("login use",), login_was_sent, add_and_forget, REST),
    "https enable --plan": Case(plan, ("login use",), login_was_sent, add_and_forget, REST, authority=True),
    "https enable": Case(enable, ENABLED, is_enabled, add, REST, authority=True),
    "https disable": Case(
        disable, ("task Disable HTTPS", "https disable"), opposite(is_enabled), add_and_enable, REST, authority=True
    ),
    "certificate delete": Case(
        delete, ("task Delete certificate", "certificate delete"), is_deleted, add_with_an_entry, REST, enough=1
    ),
    "task cancel": Case(cancel, ("task cancel",), is_cancelled, add_and_ask, REST, authority=True),
    "poll": Case(poll_begins, ("login use",), login_was_sent, add_and_forget, REST),
}


def contents(data: Path) -> list[str]:
    """Everything that is stored but the audit log, and the index of words, which cannot be read back."""
    with closing(sqlite3.connect(data / "fleetseal.db")) as file, closing(sqlite3.connect(":memory:")) as copy:
        file.backup(copy)
        copy.execute("DROP TABLE device_search")
        return [line for line in copy.iterdump() if 'INTO "audit"' not in line and "sqlite_sequence" not in line]


async def recorded(here: Site) -> list[str]:
    async with here.services.database.reading() as tx:
        return [one.action for one in reversed(await audit.records(tx))]


@pytest.mark.parametrize(
    ("name", "room"), [(name, room) for name, case in CASES.items() for room in range(len(case.records) + 1)]
)
async def test_what_cannot_be_recorded_has_no_effect(tmp_path: Path, name: str, room: int) -> None:
    """There is room for so many records, and no more; in the end, for all."""
    case = CASES[name]
    async with site(tmp_path, *([case.device] if case.device else []), authority=case.authority) as here:
        await case.prepare(here)
        before = await recorded(here)
        assert not await case.done(here)
        if room == len(case.records):
            await case.act(here)
            assert await recorded(here) == [*before, *case.records]
            assert await case.done(here) or case.done is never
            return
        stored = contents(tmp_path)
        full = f"(SELECT count(*) FROM audit) >= {len(before) + room}"
        on_disk(
            tmp_path, f"CREATE TRIGGER full BEFORE INSERT ON audit WHEN {full} BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
        with pytest.raises(StoreError):
            await case.act(here)
        on_disk(tmp_path, "DROP TRIGGER full")
        after = await recorded(here)
        assert after in [[*before, *case.records[:number]] for number in range(room + 1)]
        assert not await case.done(here) or (case.enough is not None and room >= case.enough)
        if room == 0:
            assert contents(tmp_path) == stored
