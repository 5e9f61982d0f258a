"""The command line against a server elsewhere: `--url`, a token, and whom it believes to be that server."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fleetseal.app import Application, open_application
from fleetseal.cli.main import run
from fleetseal.core.config import Settings, WebWish
from fleetseal.operations import authorities
from fleetseal.web.door import Door
from fleetseal.web.entrance import Entrance
from tests.site import PASSPHRASE

pytestmark = pytest.mark.enable_socket

TOKEN = "fst_canary-of-a-token"


@dataclass
class Server:
    url: str
    application: Application
    asked: list[str]  # paths, with a token or without

    async def fleetseal(self, *words: str, code: int = 0) -> None:
        """One command line at it."""
        await fleetseal("--url", self.url, *words, code=code)


async def fleetseal(*words: str, code: int = 0) -> None:
    assert await asyncio.to_thread(run, words) == code


def with_token(application: Any, asked: list[str]) -> Any:
    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        if dict(scope["headers"]).get(b"authorization") == f"Bearer {TOKEN}".encode():
            await application(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    return guarded


@pytest.fixture(autouse=True)
def token_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    monkeypatch.setenv("FLEETSEAL_TOKEN_FILE", str(file))
    monkeypatch.setenv("FLEETSEAL_DATA", str(tmp_path / "nothing here"))
    return file


@asynccontextmanager
async def server(data: Path, settings: Settings, **wish: Any) -> AsyncIterator[Server]:
    async with open_application(data, environment={}) as application, asyncio.TaskGroup() as group:
        asked: list[str] = []
        entrance = Entrance(application.services, with_token(application.local, asked))
        if settings.web_host != "127.0.0.1":
            await authorities.create(
                application.services, actor="test", name="There", key_type="ec", passphrase=PASSPHRASE
            )
        await entrance.open(group, settings, WebWish(**wish))
        assert entrance.address is not None
        try:
            yield Server(entrance.address, application, asked)
        finally:
            await entrance.close()


Said = Callable[[], Any]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    return capsys.readouterr


async def test_commands_are_served_from_elsewhere(tmp_path: Path, said: Said) -> None:
    async with server(tmp_path / "data", Settings(web_port=0)) as there:
        await there.fleetseal("settings", "set", "https.soak-seconds", "7")
        assert said().out == "https.soak-seconds is 7.\n"
        await fleetseal("settings", "get", "https.soak-seconds", "--json", f"--url={there.url}")
        assert json.loads(said().out)["value"] == 7
        await there.fleetseal("ca", "show", code=3)
        assert "There is no CA here yet" in said().err
        await there.fleetseal("https", "enable", "--all", "--no-wait", code=2)
        for words in (["serve"], ["restore", "file", "--passphrase-file", "/nonexistent"]):
            await there.fleetseal(*words, code=2)
        assert TOKEN not in "".join(str(part) for part in said())
    assert not (tmp_path / "nothing here").exists(), "nothing is kept on this side"


async def test_the_certificate_of_the_server_is_proved_first(tmp_path: Path, said: Said) -> None:
    data = tmp_path / "data"
    async with server(data, Settings(web_host="0.0.0.0", web_port=0), names=("127.0.0.1",)) as there:
        await there.fleetseal("settings", "list", code=2)
        assert "is not believed" in said().err
        assert there.asked == [], "no token was sent"
        (file,) = (await authorities.export(there.application.services))["files"]
        root = tmp_path / "root.pem"
        root.write_bytes(base64.b64decode(file["content"]))
        await there.fleetseal("settings", "get", "https.soak-seconds", "--ca-file", str(root))
        assert said().out == "60\n"
        await there.fleetseal("settings", "get", "https.soak-seconds", "--data", str(data))
        assert said().out == "60\n", "the root in the data directory"
        other = there.url.replace("127.0.0.1", "localhost")
        await fleetseal("--url", other, "settings", "list", "--ca-file", str(root), code=2)
        assert "is not believed" in said().err
        root.write_text("no certificate")
        await there.fleetseal("settings", "list", "--ca-file", str(root), code=2)
        assert "holds no certificate" in said().err


async def test_a_token_that_is_not_known_is_said(tmp_path: Path, token_file: Path, said: Said) -> None:
    async with server(tmp_path / "data", Settings(web_port=0)) as there:
        token_file.write_text("fst_other-canary\n")
        await there.fleetseal("settings", "list", code=2)
        error = said().err
        assert "does not know the token" in error
        assert "canary" not in error
        token_file.unlink()
        await there.fleetseal("settings", "list", code=2)
        assert "cannot be read" in said().err


async def test_what_is_not_fleetseal_is_said(said: Said) -> None:
    async def shop(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"<html>"})

    door = Door(shop, "127.0.0.1", 0)
    async with asyncio.TaskGroup() as group:
        await door.open(group)
        await fleetseal("--url", f"http://127.0.0.1:{door.port}", "settings", "list", code=2)
        assert "is not Fleetseal" in said().err
        await door.close()
    await fleetseal("--url", f"http://127.0.0.1:{door.port}", "settings", "list", code=2)
    assert "Nothing can be reached" in said().err


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://fleetseal.example.com:8443", "not sent to fleetseal.example.com without TLS"),
        ("fleetseal.example.com", "--url is the address of a server"),
        ("ftp://127.0.0.1", "--url is the address of a server"),
        ("https://127.0.0.1:x", "--url is the address of a server"),
        ("https://anna@127.0.0.1", "has no user"),
    ],
)
async def test_a_url_that_cannot_be_is_said(url: str, text: str, said: Said) -> None:
    await fleetseal("--url", url, "settings", "list", code=2)
    assert text in said().err


async def test_without_a_token_file_there_is_no_asking(monkeypatch: pytest.MonkeyPatch, said: Said) -> None:
    monkeypatch.delenv("FLEETSEAL_TOKEN_FILE")
    await fleetseal("--url", "http://127.0.0.1:1", "settings", "list", code=2)
    assert "FLEETSEAL_TOKEN_FILE names a file" in said().err
