"""The audit log as people read, verify and export it, and its anchors."""

import asyncio
import csv
import hashlib
import io
import json
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleetseal.cli.main import run
from fleetseal.core.config import read_sources
from fleetseal.core.errors import InvalidInput
from fleetseal.core.runtime import Aside
from fleetseal.notify.sender import Sender
from fleetseal.operations import alarms, anchors, settings, trail
from fleetseal.operations.services import Services
from fleetseal.operations.trail import Wanted
from fleetseal.store import audit
from tests.postbox import Handler, LogServer, leave, listening, serving, trusting
from tests.site import make_services
from tests.support import NOW, FakeClock

EVERYTHING = Wanted()


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    made = await make_services(tmp_path / "data", None, clock=FakeClock())
    yield made
    await made.database.close()


def clock_of(services: Services) -> FakeClock:
    assert isinstance(services.clock, FakeClock)
    return services.clock


async def write(services: Services, *objects: str, actor: str = "anna", **detail: Any) -> None:
    """A record for each, a minute apart."""
    for one in objects:
        clock_of(services).advance(60)
        async with services.database.transaction() as tx:
            await audit.record(
                tx, now=services.clock.now(), actor=actor, action="device set", object=one, detail=detail
            )


def tamper(services: Services, statement: str) -> None:
    file = sqlite3.connect(services.data / "fleetseal.db")
    with file:
        file.execute(statement)
    file.close()


# ---------------------------------------------------------------- reading


async def listed(services: Services, *filters: str, **times: str) -> list[int]:
    return [one["number"] for one in (await trail.page(services, Wanted(filters, **times)))["items"]]


async def test_records_are_found_by_words_columns_and_time(services: Services) -> None:
    await write(services, "B8:A4:4F:00:00:01", "B8:A4:4F:00:00:02", mac="B8A44F000001")
    await write(services, "Größe", actor="bert")
    assert await listed(services) == [3, 2, 1]
    assert await listed(services, "b8a44f000001") == [2, 1], "as an object, and in the detail"
    assert await listed(services, "B8:A4:4F:00:00:02") == [2]
    assert await listed(services, "größe bert") == [3]
    assert await listed(services, "actor:anna", "object:02") == [2]
    assert await listed(services, "actor:device") == []
    assert await listed(services, since="2026-11-23T12:02Z") == [3, 2]
    assert await listed(services, until="2026-11-23T13:02+01:00") == [2, 1]
    assert await listed(services, since="2026-11-23", until="2026-11-23") == [3, 2, 1]
    assert await listed(services, until="2026-11-22") == []
    first = await trail.page(services, EVERYTHING, limit=1)
    second = await trail.page(services, EVERYTHING, after=first["next"], limit=1)
    assert [one["number"] for one in second["items"]] == [first["items"][0]["number"] - 1]
    assert second["total"] == first["total"] == first["items"][0]["number"]
    rest = await trail.page(services, EVERYTHING, after=second["next"])
    assert (rest["items"][-1]["number"], rest["next"]) == (1, None)
    with pytest.raises(InvalidInput):
        await trail.page(services, Wanted(("action:x",)), after=first["next"])
    assert [one["number"] for one in await trail.oldest(services, EVERYTHING, after=1, limit=1)] == [2]


@pytest.mark.parametrize("wanted", [Wanted(since="yesterday"), Wanted(until=""), Wanted(("'",))])
async def test_what_is_no_time_or_no_filter_is_refused(services: Services, wanted: Wanted) -> None:
    with pytest.raises(InvalidInput):
        await trail.page(services, wanted)


@pytest.mark.parametrize("limit", [0, 1001])
async def test_an_answer_is_bounded(services: Services, limit: int) -> None:
    with pytest.raises(InvalidInput, match="from 1 to 1000"):
        await trail.page(services, EVERYTHING, limit=limit)


# ---------------------------------------------------------------- verification

SENTENCES = {
    "update audit set actor = 'eve' where id = 3": (3, "Record 3 is not what was written"),
    "update audit set previous = 'x', hash = 'x' where id = 3": (3, "Record 3 is not what was written"),
    "update audit set detail = '{' where id = 3": (3, "Record 3 is unreadable"),
    "delete from audit where id = 2": (2, "Record 2 is missing"),
    "delete from audit where id in (2, 3)": (2, "Records 2 to 3 are missing"),
    "delete from audit where id > 2": (3, "Records 3 to 4 are missing at the end"),
    "delete from audit": (1, "Records 1 to 4 are missing at the end"),
}


@pytest.mark.parametrize("statement", SENTENCES)
async def test_the_sentence_names_the_first_record_that_is_wrong(services: Services, statement: str) -> None:
    await write(services, "one", "two", "three", "four")
    anchored = await anchored_here(services)
    whole = await trail.verify(services, anchored=anchored)
    assert (whole["ok"], whole["records"], whole["anchors"]) == (True, 4, 1)
    assert whole["message"] == "4 records are whole, in order and without a gap; 1 anchor is confirmed."
    tamper(services, statement)
    found = await trail.verify(services, anchored=anchored)
    first, beginning = SENTENCES[statement]
    assert (found["ok"], found["first"]) == (False, first)
    assert found["message"].startswith(beginning)


async def anchored_here(services: Services) -> str:
    """The text of a file of anchors after one more; empty when there is none."""
    file = services.data.parent / "anchors.txt"
    changed = replace(services, sources=read_sources(services.data, {"FLEETSEAL_AUDIT_ANCHOR_FILE": str(file)}))
    await anchors.drop(changed, Aside())
    return file.read_text() if file.exists() else ""


async def test_a_log_that_was_written_anew_is_not_the_anchored_one(services: Services) -> None:
    await write(services, "one", "two")
    anchored = await anchored_here(services)
    await write(services, "three")
    tamper(services, "delete from audit")
    await write(services, "one", "two", "three", actor="eve")
    found = await trail.verify(services, anchored=anchored)
    assert (found["ok"], found["first"]) == (False, None)
    assert "the anchors are those of another log" in found["message"]
    assert (await trail.verify(services))["ok"], "without anchors it looks whole"


async def test_the_end_written_anew_is_not_the_anchored_one(services: Services) -> None:
    await write(services, "one", "two", "three")
    anchored = await anchored_here(services)
    tamper(services, "delete from audit where id > 1")
    await write(services, "two", "three", "four", actor="eve")
    found = await trail.verify(services, anchored=anchored)
    assert (found["fault"], found["first"], found["last"]) == ("rewritten", 1, 3)


async def test_a_file_without_an_anchor_confirms_nothing(services: Services) -> None:
    await write(services, "one")
    with pytest.raises(InvalidInput, match="no anchor"):
        await trail.verify(services, anchored="nothing\n")
    assert "not proved" in (await trail.verify(services))["message"]


# ---------------------------------------------------------------- export


def test_an_export_can_be_checked_without_this_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The recipe of docs/procedures/audit.md, in seven lines of its own."""
    data, file = str(tmp_path / "data"), tmp_path / "log.jsonl"
    for key, value in (("certificate.domains", "a.org"), ("https.soak-seconds", "7")):
        assert run(["settings", "set", key, value, "--data", data]) == 0
    assert run(["audit", "export", "--output", str(file), "--data", data]) == 0
    assert "2 records are in " in capsys.readouterr().out
    previous = "0" * 64
    for line in file.read_text().splitlines():
        record = json.loads(line)
        assert record["previous"] == previous
        content = [previous, *(record[name] for name in ("number", "at", "actor", "action", "object", "detail"))]
        text = json.dumps(content, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
        previous = hashlib.sha256(text.encode()).hexdigest()
        assert record["hash"] == previous
    assert run(["audit", "export", "--output", str(file), "--data", data]) == 2
    assert "File exists" in capsys.readouterr().err


async def test_a_long_export_comes_in_pages_and_formulas_are_text(
    services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    async with services.database.transaction() as tx:
        for number in range(1001):
            await audit.record(tx, now=NOW, actor="=1+1", action="a", object=f"o{number}", detail={})
    await services.database.close()
    command = ["audit", "export", "--data", str(services.data)]
    assert await asyncio.to_thread(run, [*command, "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["number"] for row in rows] == [str(number) for number in range(1, 1002)]
    assert {row["actor"] for row in rows} == {"'=1+1"}
    assert await asyncio.to_thread(run, [*command, "--filter", "object:o1000", "--since", "2026-11-23"]) == 0
    assert json.loads(capsys.readouterr().out)["number"] == 1001
    assert await asyncio.to_thread(run, [*command, "--filter", "number:1", "--until", "soon"]) == 2


def test_the_command_says_no_by_its_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    command = ["audit", "verify", "--data", str(data)]
    assert run(["settings", "set", "https.soak-seconds", "7", "--data", str(data)]) == 0
    assert run(command) == 0
    file = sqlite3.connect(data / "fleetseal.db")
    with file:
        file.execute("update audit set actor = 'eve'")
    file.close()
    capsys.readouterr()
    assert run(command) == 1
    assert capsys.readouterr().out.startswith("Record 1 is not what was written: its content does not have its hash.")
    assert run([*command, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["first"] == 1
    assert run([*command, "--anchors", str(tmp_path / "none")]) == 2


# ---------------------------------------------------------------- anchors


async def anchor_at(services: Services, file: Path) -> None:
    await settings.set_(services, actor="anna", key="audit.anchor-file", value=str(file))


async def test_the_head_is_anchored_every_hour(services: Services, tmp_path: Path) -> None:
    file = tmp_path / "anchors"
    await anchor_at(services, file)

    class Stopped(Exception):
        pass

    class ThreeHours(FakeClock):
        async def sleep(self, seconds: float) -> None:
            self.advance(seconds)
            await write(services, "another")
            if self.now() >= NOW.replace(hour=15):
                raise Stopped

    with pytest.raises(Stopped):
        await anchors.hourly(replace(services, clock=ThreeHours()))
    lines = file.read_text().splitlines()
    assert [line.split()[3] for line in lines] == [f"at=2026-11-23T{hour}:00:00Z" for hour in (12, 13, 14)]
    assert [line.split()[5] for line in lines] == ["number=1", "number=2", "number=3"]
    found = await trail.verify(services)
    assert (found["ok"], found["records"], found["anchors"]) == (True, 4, 3)
    tamper(services, "delete from audit where id > 2")
    assert (await trail.verify(services))["message"].startswith("Record 3 is missing at the end")


async def test_a_line_that_was_not_finished_spoils_no_other(services: Services, tmp_path: Path) -> None:
    file = tmp_path / "anchors"
    await write(services, "one")
    text = await anchored_here(services)
    file.write_text(text + text[:60])
    anchors.append(file, text)
    assert file.read_text() == text + text[:60] + "\n" + text
    assert (await trail.verify(services, anchored=f"<134>1 host {file.read_text()}"))["anchors"] == 1


async def test_a_missing_disk_is_an_alarm_until_it_is_back(services: Services, tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    await anchor_at(services, folder / "anchors")
    for _ in range(2):
        await anchors.drop(services, Aside())
    (alarm,) = await alarms.list_(services)
    assert (alarm["cause"], alarm["object"], alarm["since"]) == (
        anchors.CAUSE,
        "audit.anchor-file",
        "2026-11-23T12:00:00Z",
    )
    assert alarm["message"].endswith("No such file or directory. Work goes on without.")
    unread = await trail.verify(services)
    assert (unread["ok"], unread["first"]) == (False, None)
    assert "cannot be read: No such file or directory" in unread["message"]
    folder.mkdir()
    await anchors.drop(services, Aside())
    assert await alarms.list_(services) == []
    assert (await trail.verify(services))["ok"]


async def test_the_alarm_ends_with_the_setting(services: Services, tmp_path: Path) -> None:
    await anchor_at(services, tmp_path / "disk" / "anchors")
    await anchors.drop(services, Aside())
    assert len(await alarms.list_(services)) == 1
    await settings.set_(services, actor="anna", key="audit.anchor-file", value="")
    await anchors.drop(services, Aside())
    assert await alarms.list_(services) == []


@asynccontextmanager
async def log_server(services: Services, handler: Handler, *, seconds: float = 5.0) -> AsyncIterator[Services]:
    """The services, anchoring at this server; it is told over TLS that this computer trusts."""
    async with listening(handler, tls=serving()) as port:
        await settings.set_(services, actor="anna", key="audit.anchor-syslog", value=f"tls://127.0.0.1:{port}")
        yield replace(services, send=Sender(services.clock, trust=trusting, seconds=seconds))


async def test_anchors_at_a_log_server_show_what_was_cut_off(services: Services) -> None:
    server = LogServer()
    async with log_server(services, server) as sending:
        await anchors.drop(sending, Aside())
        await write(services, "another")
        await anchors.drop(sending, Aside())
    assert await alarms.list_(services) == []
    log = b"\n".join(server.frames).decode()
    assert 'event="anchor" cause="audit-anchor" count="1" id="fleetseal-anchor-2"' in log
    assert (await trail.verify(services, anchored=log))["message"].endswith("; 2 anchors are confirmed.")
    tamper(services, "delete from audit where id = 2")
    assert (await trail.verify(services, anchored=log))["message"].startswith("Record 2 is missing at the end")


async def test_without_the_log_of_the_server_nothing_is_claimed(services: Services) -> None:
    await settings.set_(services, actor="anna", key="audit.anchor-syslog", value="tls://log.example.com")
    found = await trail.verify(services)
    assert not found["ok"]
    assert "the anchors are at tls://log.example.com: fetch the file of that log" in found["message"]


async def test_a_log_server_that_does_not_take_the_anchor_is_an_alarm_until_it_does(
    services: Services, tmp_path: Path
) -> None:
    """And the file is anchored in all the same."""
    await anchor_at(services, tmp_path / "anchors")
    async with log_server(services, leave) as sending:
        await anchors.drop(sending, Aside())
    (alarm,) = await alarms.list_(services)
    assert (alarm["cause"], alarm["object"]) == (anchors.CAUSE, "audit.anchor-syslog")
    assert alarm["message"].startswith("The audit log cannot be anchored at tls://127.0.0.1:")
    assert alarm["message"].endswith(". Work goes on without.")
    assert len((tmp_path / "anchors").read_text().splitlines()) == 1
    async with log_server(services, LogServer()) as sending:
        await anchors.drop(sending, Aside())
    assert await alarms.list_(services) == []


async def test_a_dead_disk_holds_nobody() -> None:
    aside, back = Aside(patience=0.05), threading.Event()
    with pytest.raises(TimeoutError):
        await aside.do(back.wait)
    with pytest.raises(TimeoutError):
        await aside.do(list)  # not even begun while the first has not come back
    back.set()
    thread = aside._thread
    assert thread is not None
    thread.join(10)
    assert await aside.do(lambda: 7) == 7
    with pytest.raises(FileNotFoundError):
        await aside.do((Path("none") / "there").read_bytes)


async def test_a_log_without_records_has_no_anchor(services: Services) -> None:
    assert await anchored_here(services) == ""
