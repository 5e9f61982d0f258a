"""Devices are added, looked at, trusted, changed and forgotten: on virtual devices with real TLS and real logins.

The virtual devices count every byte of credentials they are sent; a test that says "nothing was sent" reads that.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from fleetseal.core.errors import Conflict, IdentityMismatch, InvalidInput, NotFound
from fleetseal.core.model import Anchored, Device, Login, Selection, TrustLevel
from fleetseal.core.secrets import Secret
from fleetseal.operations import clocks, contact, inventory, trust, trusting
from fleetseal.operations.inventory import Changes
from fleetseal.sim.fleet import DeviceSpec, SimulatedDevice
from fleetseal.store import audit
from fleetseal.store import inventory as rows
from tests.site import Site, site

WRONG = Login("root", "not the password")


async def add(one: Site, *targets: str, **options: Any) -> list[dict[str, Any]]:
    return await inventory.add(one.services, actor="test", targets=list(targets), **options)


async def refresh(one: Site, device: SimulatedDevice) -> Device:
    return await contact.refresh_device(one.services, await one.id_of(device))


async def status(one: Site, device: SimulatedDevice) -> list[str]:
    shown = await inventory.show(one.services, device.serial)
    return [entry["status"] for entry in shown["statuses"]]


async def listed(one: Site) -> list[dict[str, Any]]:
    return await inventory.list_(one.services)


async def actions(one: Site) -> list[str]:
    async with one.services.database.reading() as tx:
        assert (await audit.verify(tx)).broken is None
        return [record.action for record in reversed(await audit.records(tx)) if record.action.startswith("device")]


async def replace(one: Site, device: SimulatedDevice, **changes: Any) -> SimulatedDevice:
    """Another unit, or the same one after a reset, in the place of this device: its own keys and certificates."""
    await device.close()
    basis: dict[str, Any] = {
        "profile": device.profile.name,
        "serial": device.serial,
        "http_port": device.http_port,
        "https_port": device.https_port,
    }
    one.fleet.devices.remove(device)
    return await one.fleet.add(DeviceSpec(**(basis | changes)))


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Site]:
    """A site without devices and without a CA."""
    async with site(tmp_path / "data", authority=False) as one:
        yield one


# ---------------------------------------------------------------- adding

EXPECTED = {  # profile: (status, https, trust)
    "5.51": ("OK", "Unsupported firmware", "plain"),
    "6.50": ("OK", "Disabled (Missing server certificate)", "plain"),
    "7.30": ("OK", "Disabled (Missing server certificate)", "first use"),
    "9.10": ("OK", "Disabled (Missing server certificate)", "first use"),
    "10.12": ("OK", "Disabled (Missing server certificate)", "first use"),
    "11.6": ("OK", "Disabled (Missing server certificate)", "factory"),
    "12.11": ("OK", "Disabled (Missing server certificate)", "factory"),
    "12.11-self-signed": ("OK", "Disabled (Missing server certificate)", "plain"),
    "t85": ("OK", "Unsupported device", "none"),
}


@pytest.mark.parametrize("profile", EXPECTED)
async def test_every_generation_is_added_with_the_texts_of_the_contract(here: Site, profile: str) -> None:
    device = await here.fleet.add(profile)
    result = await here.add(device)
    row = result["device"]
    why = {"5.51": "older than 5.70", "t85": "network switch"}.get(profile, "")
    assert result["result"] == "added"
    assert why in result["message"] if why else result["message"] == ""
    assert (row["status"], row["https"], row["trust"]) == EXPECTED[profile]
    assert row == (await listed(here))[0]
    if profile == "t85":
        assert (result["mac"], device.credential_bytes) == (None, 0)
        return
    assert result["mac"].replace(":", "") == device.serial
    assert (row["model"], row["firmware"]) == (device.profile.product.model, device.profile.product.firmware)
    served = device.served if profile not in ("5.51", "6.50") else None  # TLS 1.0 is not spoken without asking
    assert (row["certificate"] and row["certificate"]["sha256"]) == (served and hashlib.sha256(served).hexdigest())


async def test_the_members_are_those_of_the_contract(here: Site) -> None:
    result = await here.add(await here.fleet.add("12.11"))
    assert set(result) == {"address", "result", "mac", "model", "firmware", "trust", "message", "device"}
    expected = "id mac status address hostname http_port https_port model product_type firmware server https trust"
    assert set(result["device"]) == {*expected.split(), "certificate", "tags", "last_seen"}
    members = "alias subject issuer names serial not_before not_after sha256 key issued_by_us key_origin"
    assert set(result["device"]["certificate"]) == set(members.split())


@pytest.mark.parametrize("profile", ["9.10", "11.6", "12.11", "12.11-self-signed"])
async def test_a_device_in_factory_state_gets_a_row_and_no_login(here: Site, profile: str) -> None:
    device = await here.fleet.add(DeviceSpec(profile, setup_done=False))
    result = await here.add(device)
    assert result["message"].startswith("Setup needed: ")
    assert await status(here, device) == ["Setup needed"]
    assert device.credential_bytes == 0


@pytest.mark.parametrize("profile", ["7.30", "12.11", "12.11-self-signed"])
async def test_without_a_login_a_device_is_added_and_sent_nothing(here: Site, profile: str) -> None:
    device = await here.fleet.add(profile)
    await add(here, device.address, http_port=device.http_port, https_port=device.https_port)
    assert await status(here, device) == ["Credentials needed"]
    assert device.credential_bytes == 0


@pytest.mark.parametrize("profile", ["6.50", "9.10", "12.11"])
async def test_a_wrong_password_is_tried_once_and_never_again_until_it_changes(here: Site, profile: str) -> None:
    device = await here.fleet.add(profile)
    await here.add(device, login=WRONG)
    assert await status(here, device) == ["Wrong credentials"]
    logins = [record for record in device.requests if record.credential_bytes]
    assert len(logins) == 1
    for _ in range(3):
        await refresh(here, device)
    await clocks.clock(here.services, actor="test", selection=Selection(everything=True), correct=True)
    assert [record for record in device.requests if record.credential_bytes] == logins
    changes = Changes(password=Secret(device.password))
    await inventory.change(here.services, actor="test", selection=Selection(refs=(device.serial,)), changes=changes)
    await refresh(here, device)
    assert await status(here, device) == ["OK"]


@asynccontextmanager
async def stranger(
    port: int = 0, answers: bytes = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n"
) -> AsyncIterator[int]:
    """A web server that is no device; its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"\r\n\r\n" in await reader.read(10_000):
            head, _, body = answers.partition(b"\r\n\r\n")
            writer.write(head.rstrip() + b"\r\nConnection: close\r\n\r\n" + body)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_what_is_no_device_gets_no_row(here: Site) -> None:
    gone = await here.fleet.add(DeviceSpec("12.11", faults={"unreachable": True}))
    async with stranger() as port:
        results = await add(here, f"127.0.0.1:{port}", f"127.0.0.1:{gone.https_port}", login=WRONG)
    assert [result["result"] for result in results] == ["failed", "failed"]
    assert "is not an Axis device" in results[0]["message"]
    assert "answers neither HTTPS nor HTTP" in results[1]["message"]
    assert await listed(here) == []


@pytest.mark.parametrize("body", [b"hello", b"", b"<html>hello</html>", b" \n"])
async def test_who_answers_everything_is_no_device_either(here: Site, body: bytes) -> None:
    answers = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with stranger(answers=answers + body) as port:
        (result,) = await add(here, f"127.0.0.1:{port}", login=WRONG)
    assert (result["result"], await listed(here)) == ("failed", [])
    assert "is not an Axis device" in result["message"]


async def test_something_else_at_the_address_does_not_change_what_the_device_is(here: Site) -> None:
    device = await here.fleet.add("9.10")
    await here.add(device)
    await device.close()
    async with stranger(device.http_port):
        await refresh(here, device)
    row = (await listed(here))[0]
    assert (row["status"], row["https"]) == ("Unreachable", "Disabled (Missing server certificate)")


async def test_a_device_that_redirects_elsewhere_is_not_added_and_sent_nothing(here: Site) -> None:
    other = await here.fleet.add("12.11")
    url = f"http://127.0.0.1:{other.http_port}/"
    device = await here.fleet.add(DeviceSpec("9.10", faults={"redirect_to": url}))
    result = await here.add(device)
    assert result["result"] == "failed"
    assert "Redirects are not followed" in result["message"]
    assert (device.credential_bytes, other.connections) == (0, 0)


@pytest.mark.parametrize(
    "target", ["", "192.0.2.1:0", "192.0.2.1:70000", "a b", "http://192.0.2.1", "x_y", "1.2.3.4:x"]
)
async def test_a_target_that_is_no_address_stops_everything(here: Site, target: str) -> None:
    device = await here.fleet.add("9.10")
    with pytest.raises(InvalidInput):
        await add(here, f"127.0.0.1:{device.http_port}", target)
    assert (await listed(here), device.connections) == ([], 0)


@pytest.mark.parametrize("profile", ["9.10", "12.11"])
async def test_the_same_device_is_known_wherever_it_answers(here: Site, profile: str) -> None:
    """Its serial tells which it is; its row follows only a device that proves itself, which a new key does not."""
    device = await here.fleet.add(profile)
    await here.add(device)
    again = await here.add(device)
    assert (again["result"], again["message"]) == ("known", "It is in the inventory already, at 127.0.0.1.")
    moved = await replace(here, device, address="127.0.0.2")
    there = await here.add(moved)
    assert there["result"] == "known"
    assert ("--address" in there["message"]) is (profile == "9.10")
    assert [row["address"] for row in await listed(here)] == ["127.0.0.1" if profile == "9.10" else "127.0.0.2"]


@pytest.mark.parametrize("profile", ["9.10", "12.11", "12.11-self-signed"])
@pytest.mark.parametrize("kind", ["http", "https"])
async def test_a_port_behind_the_address_may_be_of_either_kind(here: Site, profile: str, kind: str) -> None:
    device = await here.fleet.add(profile)
    port = device.http_port if kind == "http" else device.https_port
    login = Login(device.username, device.password)
    (result,) = await add(here, f"{device.address}:{port}", login=login)
    row = result["device"]
    if (profile, kind) == ("12.11-self-signed", "https"):  # Basic only on HTTPS, and its HTTP port is not known
        assert (row["status"], device.credential_bytes) == ("Certificate not trusted", 0)
        return
    assert (row["http_port"], row["https_port"]) == (device.http_port, device.https_port)
    assert (row["status"], row["trust"]) == ("OK", EXPECTED[profile][2])


async def test_the_port_of_https_is_never_that_of_plain_http(tmp_path: Path) -> None:
    """A device that does not tell its ports, added by one of them, and with the wrong port for the way back."""
    async with site(tmp_path / "data", "11.6") as here:
        (device,) = here.fleet.devices
        target, login = f"{device.address}:{device.https_port}", Login(device.username, device.password)
        (result,) = await add(here, target, login=login)
        assert (result["device"]["http_port"], result["device"]["https_port"]) == (80, device.https_port)
        (outcome,) = await here.enable(device)
        assert outcome["status"] == "Failed"
        assert "--http-port PORT" in outcome["description"]
        selection, changes = Selection(refs=(device.serial,)), Changes(http_port=device.http_port)
        await inventory.change(here.services, actor="test", selection=selection, changes=changes)
        (outcome,) = await here.enable(device)
        assert outcome["status"] == "Finished"


async def test_many_devices_behind_one_address_are_added_at_once(here: Site) -> None:
    devices = await here.fleet.add_all(["9.10"] * 4)
    targets = [f"127.0.0.1:{device.http_port}" for device in devices]
    results = await add(here, *targets, login=Login(devices[0].username, devices[0].password))
    assert [result["result"] for result in results] == ["added"] * 4
    assert [result["address"] for result in results] == targets
    assert {row["https_port"] for row in await listed(here)} == {device.https_port for device in devices}


# ---------------------------------------------------------------- trust


async def test_basic_only_is_not_served_before_a_person_accepts_the_certificate(here: Site) -> None:
    device = await here.fleet.add(DeviceSpec("12.11-self-signed", faults={"http_closed": True}))
    await here.add(device)
    assert await status(here, device) == ["Certificate not trusted"]
    assert device.credential_bytes == 0
    (shown,) = await trusting.preview(here.services, Selection(refs=(device.serial,)))
    assert shown["shows"]["sha256"] == hashlib.sha256(device.served or b"").hexdigest()
    assert shown["shows"]["serial"] == device.serial
    assert device.credential_bytes == 0
    with pytest.raises(Conflict, match="another certificate"):
        await trusting.accept(here.services, actor="test", accepted={shown["id"]: "00" * 32})
    assert (await here.device(device)).trust_level is TrustLevel.NONE
    await trusting.accept(here.services, actor="test", accepted={shown["id"]: shown["shows"]["sha256"]})
    row = await refresh(here, device)
    assert (row.trust_level, await status(here, device)) == (TrustLevel.PINNED, ["OK"])
    assert await actions(here) == ["device add", "device trust"]


@pytest.mark.parametrize("profile", ["6.50", "9.10", "12.11-self-signed"])
async def test_first_contact_is_refused_when_validation_is_not_ignored(here: Site, profile: str) -> None:
    await here.set("security.ignore-certificate-validation", "false")
    device = await here.fleet.add(profile)
    await here.add(device)
    assert await status(here, device) == ["Certificate not trusted"]
    assert device.credential_bytes == 0


async def test_a_factory_certificate_is_enough_when_validation_is_not_ignored(here: Site) -> None:
    await here.set("security.ignore-certificate-validation", "false")
    device = await here.fleet.add("12.11")
    await here.add(device)
    assert await status(here, device) == ["OK"]


async def test_devices_that_are_not_verified_are_counted(here: Site) -> None:
    async def counted() -> tuple[int, int]:
        shown = await inventory.unverified(here.services)
        assert str(shown["unverified"]) in shown["message"]
        return shown["unverified"], shown["devices"]

    kept, factory = await here.fleet.add("9.10"), await here.fleet.add("12.11")
    assert await counted() == (0, 0)
    await here.add(kept)
    await here.add(factory)
    assert await counted() == (1, 2)
    await here.set("security.ignore-certificate-validation", "false")
    assert await counted() == (1, 2)
    served = hashlib.sha256((await here.device(kept)).served_der or b"").hexdigest()
    await trusting.accept(here.services, actor="test", accepted={await here.id_of(kept): served})
    assert await counted() == (0, 2)


@pytest.mark.parametrize("profile", ["6.50", "9.10"])
async def test_what_was_kept_from_first_contact_stops_counting_when_validation_is_wanted(
    here: Site, profile: str
) -> None:
    device = await here.fleet.add(profile)
    await here.add(device)
    assert await status(here, device) == ["OK"]
    await here.set("security.ignore-certificate-validation", "false")
    assert await status(here, device) == ["Certificate not trusted"]
    sent = device.credential_bytes
    await refresh(here, device)
    assert device.credential_bytes == sent
    accepted = None if profile == "6.50" else hashlib.sha256(device.served or b"").hexdigest()
    await trusting.accept(here.services, actor="test", accepted={await here.id_of(device): accepted})
    await refresh(here, device)
    assert await status(here, device) == ["OK"]
    assert device.credential_bytes > sent


async def test_another_certificate_than_the_kept_one_is_a_changed_identity_until_a_person_decides(here: Site) -> None:
    device = await here.fleet.add("9.10")
    await here.add(device)
    device = await replace(here, device)
    for _ in range(2):
        await refresh(here, device)
        assert (await status(here, device))[0] == "Identity changed"
    with pytest.raises(IdentityMismatch):
        async with here.services.database.reading() as tx:
            await trust.peer_trust(here.services, tx, await rows.find(tx, device.serial))
    assert device.credential_bytes == 0
    fingerprint = hashlib.sha256(device.served or b"").hexdigest()
    await trusting.accept(here.services, actor="test", accepted={await here.id_of(device): fingerprint})
    await refresh(here, device)
    assert await status(here, device) == ["OK"]


async def test_another_device_at_the_address_gets_nothing_and_does_not_touch_the_row(here: Site) -> None:
    device = await here.fleet.add("12.11")
    await here.add(device)
    before = await here.device(device)
    other = await replace(here, device, serial="B8A44F000001")
    after = await contact.refresh_device(here.services, before.id)
    assert after.identity_problem is not None
    assert (after.serial, after.last_seen, after.served_der) == (before.serial, before.last_seen, before.served_der)
    assert other.credential_bytes == 0
    shown = await inventory.show(here.services, device.serial)
    assert (shown["status"], other.serial in shown["statuses"][0]["reason"]) == ("Identity changed", True)


async def test_a_typed_address_asks_the_question_of_identity_anew(here: Site) -> None:
    device = await here.fleet.add("12.11")
    await here.add(device)
    serial = device.serial
    ports = {"http_port": device.http_port, "https_port": device.https_port}
    await replace(here, device, serial="B8A44F000001")
    moved = await here.fleet.add(DeviceSpec("12.11", serial=serial, address="127.0.0.3", **ports))  # type: ignore[arg-type]  # ports are whole numbers
    await refresh(here, moved)
    assert (await status(here, moved))[0] == "Identity changed"
    selection = Selection(refs=(serial,))
    await inventory.change(here.services, actor="test", selection=selection, changes=Changes(address="127.0.0.3"))
    await refresh(here, moved)
    assert await status(here, moved) == ["OK"]


async def test_plain_http_at_a_persons_word_holds_without_ignoring_validation(here: Site) -> None:
    await here.set("security.ignore-certificate-validation", "false")
    device = await here.fleet.add("12.11-self-signed")
    await here.add(device)
    await trusting.accept(here.services, actor="test", accepted={await here.id_of(device): None})
    row = await refresh(here, device)
    assert (row.trust_level, row.plain_accepted) == (TrustLevel.PLAINTEXT, True)
    assert await status(here, device) == ["OK"]


async def test_plain_http_cannot_be_accepted_where_it_does_not_answer(here: Site) -> None:
    device = await here.fleet.add(DeviceSpec("12.11", faults={"http_closed": True}))
    await here.add(device)
    with pytest.raises(Conflict, match="does not answer plain HTTP"):
        await trusting.accept(here.services, actor="test", accepted={await here.id_of(device): None})
    assert (await here.device(device)).trust_level is TrustLevel.FACTORY


@pytest.mark.parametrize("profile", ["9.10", "12.11"])
async def test_our_certificate_makes_a_device_verified_and_nothing_less_is_accepted_after(
    tmp_path: Path, profile: str
) -> None:
    async with site(tmp_path / "data", profile) as one:
        (device,) = one.fleet.devices
        await one.add(device)
        (outcome,) = await one.enable(device)
        assert outcome["status"] == "Finished", outcome
        row = await refresh(one, device)
        assert (row.trust_level, row.ever_anchored) == (TrustLevel.ANCHORED, True)
        shown = await inventory.show(one.services, device.serial)
        assert (shown["https"], shown["status"], shown["trust"]) == ("Enabled", "OK", "verified")
        assert (shown["certificate"]["issued_by_us"], shown["certificate"]["key_origin"]) == (True, "device")
        async with one.services.database.reading() as tx:
            own = await trust.peer_trust(one.services, tx, row)
        assert isinstance(own, Anchored)
        assert own.leaves == {hashlib.sha256(device.served or b"").digest()}
        reset = await replace(one, device)
        await refresh(one, reset)
        assert (await status(one, reset))[0] == "Identity changed"
        assert reset.credential_bytes == 0


# ---------------------------------------------------------------- looking again


async def test_a_device_that_is_away_is_unreachable_and_comes_back(here: Site) -> None:
    device = await here.fleet.add("12.11")
    await here.add(device)
    await device.trouble(unreachable=True)
    await refresh(here, device)
    assert await status(here, device) == ["Unreachable"]
    await device.trouble(unreachable=False)
    await refresh(here, device)
    assert await status(here, device) == ["OK"]


@pytest.mark.parametrize("answer", ["wrong-length", "compressed", "deep-json", "huge", "many-headers"])
async def test_hostile_answers_end_in_a_column_and_no_exception(here: Site, answer: str) -> None:
    device = await here.fleet.add("12.11")
    await here.add(device)
    device.faults.change({"answer": answer})
    row = await refresh(here, device)
    assert not row.reachable
    assert row.unreachable_reason
    assert row.firmware == "12.11.77"


async def test_a_wrong_clock_is_shown_and_set(here: Site) -> None:
    device = await here.fleet.add(DeviceSpec("12.11", faults={"clock_offset": -86_400.0 * 3}))
    await here.add(device)
    assert await status(here, device) == ["Clock is wrong"]
    everything = Selection(everything=True)
    (read,) = await clocks.clock(here.services, actor="test", selection=everything)
    assert (read["result"], round(read["offset"], -2)) == ("read", -259_200)
    (written,) = await clocks.clock(here.services, actor="test", selection=everything, correct=True)
    assert (written["result"], abs(written["offset"]) < 5) == ("set", True)
    assert await status(here, device) == ["OK"]
    assert await actions(here) == ["device add", "device clock set"]


async def test_a_clock_that_cannot_be_set_is_said(here: Site) -> None:
    faults = {"clock_offset": 86_400.0, "ok_without_effect": {"set_clock": 1}}
    device = await here.fleet.add(DeviceSpec("12.11", faults=faults))
    await here.add(device)
    (written,) = await clocks.clock(here.services, actor="test", selection=Selection(everything=True), correct=True)
    assert written["result"] == "failed"
    assert await status(here, device) == ["Clock is wrong"]


# ---------------------------------------------------------------- changing and forgetting


async def test_changes_are_stored_together_or_not_at_all(here: Site) -> None:
    devices = await here.fleet.add_all(["12.11", "9.10"])
    for device in devices:
        await here.add(device)
    one, both = Selection(refs=(devices[0].serial,)), Selection(everything=True)

    async def change(selection: Selection, changes: Changes) -> list[dict[str, Any]]:
        return await inventory.change(here.services, actor="test", selection=selection, changes=changes)

    (row,) = await change(one, Changes(host_name="Gate.Example.org.", site="north", tags=("b", "a", "b")))
    assert (row["hostname"], row["server"], row["tags"]) == ("gate.example.org", "north", ["a", "b"])
    await refresh(here, devices[0])
    assert (await here.device(devices[0])).host_name == "gate.example.org"
    before = await listed(here)
    for selection, changes, error in (
        (Selection(refs=(devices[1].serial,)), Changes(host_name="gate.example.org"), Conflict),
        (one, Changes(host_name="192.0.2.1"), InvalidInput),
        (one, Changes(https_port=0), InvalidInput),
        (one, Changes(tls="old"), InvalidInput),
        (one, Changes(site="a,b"), InvalidInput),
        (one, Changes(), InvalidInput),
        (both, Changes(address="192.0.2.1"), InvalidInput),
        (Selection(), Changes(site="x"), InvalidInput),
        (Selection(refs=("192.0.2.77",)), Changes(site="x"), NotFound),
    ):
        with pytest.raises(error):
            await change(selection, changes)
    assert await listed(here) == before
    rows_now = await change(both, Changes(site="south"))
    assert [row["server"] for row in rows_now] == ["south", "south"]


async def test_a_forgotten_device_is_gone_and_that_is_on_record(here: Site) -> None:
    device = await here.fleet.add("12.11")
    await here.add(device)
    (row,) = await inventory.remove(here.services, actor="test", references=[device.serial])
    assert row["mac"].replace(":", "") == device.serial
    assert await listed(here) == []
    assert await actions(here) == ["device add", "device remove"]
    with pytest.raises(NotFound):
        await inventory.remove(here.services, actor="test", references=[device.serial])


async def test_a_device_that_a_task_works_on_is_not_forgotten(here: Site) -> None:
    device = await here.fleet.add("12.11")
    await here.add(device)
    async with here.services.database.transaction() as tx:
        await tx.execute(
            text(
                "insert into task (id, action, wish, requested, cancelled) values (7, 'Refresh', '{}', :now, 0)",
            ),
            {"now": "2026-11-23T12:00:00.000000Z"},
        )
        await tx.execute(
            text(
                "insert into job (task_id, device_id, address, cohort, named, status, active, released, run_number,"
                " attempts, harmed, description) values (7, :id, '', '', 1, 'Running', 1, 1, 1, 0, 0, '')"
            ),
            {"id": await here.id_of(device)},
        )
    assert await status(here, device) == ["Busy"]
    with pytest.raises(Conflict, match="is busy in task 7"):
        await inventory.remove(here.services, actor="test", references=[device.serial])
    assert len(await listed(here)) == 1


async def test_no_password_is_in_any_file_or_row(here: Site) -> None:
    device = await here.fleet.add(DeviceSpec("12.11", password="canary-3d7"))
    await here.add(device)
    written = b"".join(path.read_bytes() for path in here.services.data.rglob("*") if path.is_file())
    assert b"canary" not in written
    assert "canary" not in repr(await inventory.show(here.services, device.serial))


async def test_a_device_that_is_forgotten_and_added_again_is_verified_by_its_chain(tmp_path: Path) -> None:
    async with site(tmp_path / "data", "12.11") as one:
        (device,) = one.fleet.devices
        await one.add(device)
        (outcome,) = await one.enable(device)
        assert outcome["status"] == "Finished", outcome
        await inventory.remove(one.services, actor="test", references=[device.serial])
        row = (await one.add(device))["device"]
        assert (row["status"], row["https"], row["trust"]) == ("OK", "Enabled", "verified")
        assert (row["certificate"]["issued_by_us"], row["certificate"]["key_origin"]) == (True, "device")


async def test_a_device_whose_https_a_person_disabled_stays_trusted_by_plain_http(tmp_path: Path) -> None:
    async with site(tmp_path / "data", "9.10") as one:
        (device,) = one.fleet.devices
        await one.add(device)
        assert [outcome["status"] for outcome in await one.enable(device)] == ["Finished"]
        assert [outcome["status"] for outcome in await one.disable(device)] == ["Finished"]
        await one.set("security.ignore-certificate-validation", "false")
        await refresh(one, device)
        shown = await inventory.show(one.services, device.serial)
        assert (shown["status"], shown["https"], shown["trust"]) == ("OK", "Disabled", "plain")


async def test_entries_of_cas_are_recorded_with_their_end(tmp_path: Path) -> None:
    """What `device show` tells of other usages and CA entries is read from them."""
    async with site(tmp_path, "12.11", "9.10") as here:
        for camera in here.fleet.devices:
            await here.add(camera)
        assert {one["status"] for one in await here.enable()} == {"Finished"}
        for camera in here.fleet.devices:
            await contact.refresh_device(here.services, await here.id_of(camera))
            shown = await here.show(camera)
            ours = [one for one in shown["entries"] if (one["kind"], one["source"]) == ("ca", "ours")]
            assert ours, "the chain was installed"
            assert all(one["not_before"] < one["not_after"] for one in ours)
            assert shown["findings"] == []
