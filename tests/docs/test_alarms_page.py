"""The page on alarms, followed from its first command to its last, with servers that take what is told."""

import asyncio
import hashlib
import hmac
import json
import re
import shlex
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from fleetseal.cli.main import run
from fleetseal.store import alarms
from fleetseal.store.database import Database
from tests.postbox import LogServer, MailServer, WebServer, identity, listening, serving
from tests.support import NOW

from .test_docs import ROOT, commands

PAGE = ROOT / "docs" / "procedures" / "alarms.md"


async def test_the_page_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "roots.pem").write_text(identity("127.0.0.1")[0])
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "roots.pem"))  # the trust store of this computer
    (tmp_path / "secret").write_text("a secret\n")
    number = await an_alarm(tmp_path / "data")
    mail, web, log = MailServer(), WebServer(), LogServer()
    async with AsyncExitStack() as stack:
        ports = [await stack.enter_async_context(listening(one, tls=serving())) for one in (mail, web, log)]
        here = {
            "7": str(number),
            "FILE": str(tmp_path / "secret"),
            **{
                host: f"127.0.0.1:{port}"
                for host, port in zip(("mail.example.com", "hooks.example.com", "log.example.com"), ports, strict=True)
            },
        }

        async def typed(line: str) -> str:
            """What it prints: another thread runs it, while the servers answer here."""
            words = [
                re.sub(r"(?<![@.\w])(?:7|FILE)\b|\b\w+\.example\.com(?=[?/]|$)", meant, one)
                for one in shlex.split(line)
            ]
            assert words[0] == "fleetseal"
            code = await asyncio.to_thread(run, [*words[1:], "--data", str(tmp_path / "data")])
            assert code == 0, line
            return capsys.readouterr().out

        def meant(found: "re.Match[str]") -> str:
            return here.get(found[0], found[0])

        said = {line: await typed(line) for line in commands(PAGE)}
        for channel in ("webhook", "syslog"):  # "Try each"
            await typed(f"fleetseal alarm test {channel}")
    assert "It hangs askew." in said["fleetseal alarm list"]
    channels = said["fleetseal alarm channels"]
    assert all(f"127.0.0.1:{port}" in channels for port in ports)
    assert "a secret" not in channels
    assert b"Test message" in mail.letters[0]
    assert b"Test message" in log.frames[0]
    assert is_genuine(web.requests[0])
    assert not is_genuine(web.requests[0].replace(b"test", b"best"))


async def an_alarm(data: Path) -> int:
    """One that stays open, and its number."""
    data.mkdir(mode=0o700)
    database = await Database.open(data / "fleetseal.db")
    async with database.transaction() as tx:
        await alarms.raise_alarm(
            tx, now=NOW, cause="needs-hands", object="B8:A4:4F:00:00:01", severity="critical", message="It hangs askew."
        )
    async with database.reading() as tx:
        (alarm,) = await alarms.open_alarms(tx)
    await database.close()
    return alarm.id


def is_genuine(request: bytes) -> bool:
    """As the page's own lines of Python say."""
    (lines,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    head, _, body = request.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().splitlines()[1:])
    names: dict[str, Any] = {
        "hmac": hmac,
        "hashlib": hashlib,
        "time": time,
        "key": b"a secret",
        "body": body,
        "timestamp": headers["Fleetseal-Timestamp"],
        "signature": headers["Fleetseal-Signature"],
    }
    json.loads(body)
    exec(lines, names)
    return bool(names["genuine"])
