"""Channels of alarms and metrics over the API and the command line."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from fleetseal.app import Application, open_application
from fleetseal.cli.main import run
from fleetseal.store import alarms

CANARY = "c4n4ry smtp password"
MAIL = "smtps://fleet@127.0.0.1:9?from=fleetseal@site.example&to=ops@site.example"


@pytest.fixture
async def application(tmp_path: Path) -> AsyncIterator[Application]:
    async with open_application(tmp_path / "data", environment={}) as one:
        yield one


@pytest.fixture
async def api(application: Application) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(application.local, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as client:
        yield client


async def test_a_channel_is_set_up_and_tried(api: httpx.AsyncClient) -> None:
    assert {one["target"] for one in (await api.get("/alarms/channels")).json()} == {None}
    assert (await api.put("/settings/alarm.email", json={"value": MAIL})).status_code == 200
    failed = await api.post("/alarms/channels/email/test")
    assert (failed.status_code, failed.json()["code"]) == (502, "delivery-failed")
    assert "fleetseal alarm secret email" in failed.json()["detail"]
    answer = await api.put("/alarms/channels/email/secret", json={"secret": CANARY})
    assert CANARY not in answer.text
    assert answer.json()[0] == {
        "channel": "email",
        "target": MAIL,
        "secret": True,
        "waiting": 0,
        "last_sent": None,
        "failing_since": None,
        "next_try": None,
        "error": None,
    }
    refused = await api.post("/alarms/channels/email/test")
    assert "Connection refused" in refused.json()["detail"]
    assert (await api.put("/alarms/channels/email/secret", json={"secret": None})).json()[0]["secret"] is False


async def test_what_is_wrong_is_refused_without_being_repeated(api: httpx.AsyncClient) -> None:
    for path, status in (("email", 422), ("syslog", 422), ("pager", 404)):
        answer = await api.put(f"/alarms/channels/{path}/secret", json={"secret": CANARY + "\n"})
        assert answer.status_code == status
        assert CANARY not in answer.text
    assert (await api.post("/alarms/channels/pager/test")).status_code == 404
    assert (await api.post("/alarms/channels/email/test")).status_code == 422
    assert (await api.put("/alarms/channels/email/secret", json={})).status_code == 422


async def test_metrics_are_readable_by_prometheus(api: httpx.AsyncClient, application: Application) -> None:
    """Text format 0.0.4: a help line, a type line, then samples, each family once."""
    await api.post("/authorities", json={"name": 'S"ite\\', "key_type": "ec", "passphrase": "correct horse"})
    services = application.services
    async with services.database.transaction() as tx:
        for about in ("a", "b"):
            await alarms.raise_alarm(
                tx, now=services.clock.now(), cause="needs-hands", object=about, severity="critical", message="So."
            )
    answer = await api.get("http://test/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families: dict[str, dict[str, float]] = {}
    for line in answer.text.splitlines():
        comment = re.fullmatch(r"# (HELP|TYPE) (\w+) .+", line)
        if comment and comment[1] == "HELP":
            assert comment[2] not in families
            families[comment[2]] = {}
        elif comment is None:
            sample = re.fullmatch(r'(\w+)(\{\w+="(?:[^"\\]|\\.)*"(?:,\w+="(?:[^"\\]|\\.)*")*\})? ([0-9.e+]+)', line)
            assert sample is not None, line
            families[sample[1]][sample[2] or ""] = float(sample[3])
    assert families["fleetseal_alarms_open"] == {'{cause="needs-hands",severity="critical"}': 2}
    assert families["fleetseal_jobs"]['{status="Running"}'] == 0
    assert families["fleetseal_certificates_ending"]['{within_days="+Inf"}'] == 0
    ends = families["fleetseal_authority_not_after_timestamp_seconds"]
    assert len(ends) == 2
    assert all(r"S\"ite\\" in labels for labels in ends)
    assert families["fleetseal_nightly_last_success_timestamp_seconds"] == {}


def test_the_command_line_sets_a_secret_from_a_file_and_never_shows_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    at = ["--data", str(tmp_path / "data")]
    file = tmp_path / "secret"
    file.write_text(CANARY + "\n")
    assert run(["settings", "set", "alarm.webhook", "https://127.0.0.1:9/alarms", *at]) == 0
    assert run(["alarm", "secret", "webhook", "--secret-file", str(file), *at]) == 0
    assert run(["alarm", "test", "webhook", *at]) == 1
    assert run(["alarm", "test", "email", *at]) == 2
    assert run(["alarm", "test", "pager", *at]) == 3
    out, err = capfd.readouterr()
    assert CANARY not in out + err
    assert "cannot be reached: Connection refused" in err
    assert run(["alarm", "channels", "--json", *at]) == 0
    shown = json.loads(capfd.readouterr().out)
    assert [(one["channel"], one["secret"]) for one in shown] == [
        ("email", False),
        ("webhook", True),
        ("syslog", False),
    ]
    assert run(["alarm", "secret", "webhook", "--remove", *at]) == 0
    for path in (tmp_path / "data").rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes(), path.name
