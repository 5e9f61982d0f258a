"""Settings are listed with where they come from, and changed with an audit record."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from fleetseal.cli.main import run
from fleetseal.core.config import DEFINITIONS, read_sources
from fleetseal.core.errors import InvalidInput
from fleetseal.operations import settings
from fleetseal.operations.services import Services
from fleetseal.store import audit
from tests.site import make_services


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    made = await make_services(tmp_path / "data", None)
    yield made
    await made.database.close()


async def test_every_setting_is_listed_with_its_default(services: Services) -> None:
    listed = await settings.list_(services)
    assert [entry["key"] for entry in listed] == list(DEFINITIONS)
    assert {entry["source"] for entry in listed} == {"default"}
    assert all(entry["value"] == entry["default"] for entry in listed)


async def test_a_value_is_stored_in_force_and_on_record(services: Services) -> None:
    changed = await settings.set_(services, actor="anna", key="certificate.domains", value="A.org,b.org")
    assert (changed["value"], changed["source"]) == (["a.org", "b.org"], "database")
    async with services.database.reading() as tx:
        assert (await settings.current(services, tx)).certificate_domains == ("a.org", "b.org")
        (record,) = await audit.records(tx)
    assert (record.actor, record.action, record.object) == ("anna", "settings set", "certificate.domains")
    assert record.detail == {"value": "a.org,b.org", "before": None}


@pytest.mark.parametrize(("key", "value"), [("colour", "red"), ("https.soak-seconds", "601")])
async def test_what_is_not_allowed_is_refused_and_not_stored(services: Services, key: str, value: str) -> None:
    with pytest.raises(InvalidInput):
        await settings.set_(services, actor="anna", key=key, value=value)
    with pytest.raises(InvalidInput):
        await settings.get(services, "colour")
    async with services.database.reading() as tx:
        assert await audit.records(tx) == []
    assert {entry["source"] for entry in await settings.list_(services)} == {"default"}


async def test_the_environment_wins_and_is_shown_to_win(services: Services) -> None:
    told = read_sources(services.data, {"FLEETSEAL_HTTPS_SOAK_SECONDS": "7"})
    stored = await settings.set_(replace(services, sources=told), actor="anna", key="https.soak-seconds", value="9")
    assert (stored["value"], stored["source"]) == (7, "environment")
    assert (await settings.get(services, "https.soak-seconds"))["value"] == 9


async def test_a_setting_says_what_form_its_value_has(services: Services) -> None:
    listed = {entry["key"]: entry for entry in await settings.list_(services)}
    forms = ("type", "choices", "minimum", "maximum")
    assert [listed["certificate.validity-days"][name] for name in forms] == ["number", None, 1, 825]
    assert [listed["https.policy"][name] for name in forms] == ["choice", ["keep", "both", "https"], None, None]
    types = {entry["type"] for entry in listed.values()}
    assert types == {"choice", "number", "switch", "window", "list", "text"}
    for entry in listed.values():
        assert (entry["type"] == "choice") == bool(entry["choices"])
        for choice in entry["choices"] or ():
            assert str(choice) in entry["allowed"]


async def test_a_value_that_risks_something_says_so(services: Services, tmp_path: Path) -> None:
    key = "devices.maker-roots"
    assert (await settings.get(services, key))["warning"] is None
    now = await settings.set_(services, actor="anna", key=key, value=str(tmp_path / "roots.pem"))
    assert "right for simulators only" in now["warning"]


async def test_what_was_set_is_forgotten_and_on_record(services: Services) -> None:
    for _ in range(2):  # nothing to forget is no error, and no record
        await settings.reset(services, actor="anna", key="https.soak-seconds")
    await settings.set_(services, actor="anna", key="https.soak-seconds", value="9")
    back = await settings.reset(services, actor="anna", key="https.soak-seconds")
    assert (back["value"], back["source"]) == (60, "default")
    with pytest.raises(InvalidInput):
        await settings.reset(services, actor="anna", key="colour")
    async with services.database.reading() as tx:
        told = [(one.action, one.object, one.detail) for one in await audit.records(tx)]
    assert told[::-1] == [
        ("settings set", "https.soak-seconds", {"value": "9", "before": None}),
        ("settings reset", "https.soak-seconds", {"before": "9"}),
    ]


def test_the_command_says_what_is_in_force_after_a_reset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--data", str(tmp_path / "data")]
    assert run(["settings", "set", "https.soak-seconds", "9", *data]) == 0
    assert run(["settings", "reset", "https.soak-seconds", *data]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "https.soak-seconds is 60 (from the default)."
    assert run(["settings", "reset", "no.such", *data]) == 2
    assert run(["settings", "set", "devices.maker-roots", str(tmp_path / "roots.pem"), *data]) == 0
    assert "right for simulators only" in capsys.readouterr().err
