"""What the next night would do, told beforehand: the same decisions, and nothing is changed."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from fleetseal.core.runtime import SystemClock
from fleetseal.operations import authorities, night_plan
from fleetseal.store import certificates, inventory
from fleetseal.store.certificates import RenewalCause
from tests.nights import Evening
from tests.site import PASSPHRASE, Site, site
from tests.support import FastClock

DUE = timedelta(days=365 - 30 - 3)
NAMES = {"window", "begins", "ends", "obstacle", "compares_clocks", "renewed", "skipped", "devices"}


@pytest.fixture
async def secured(tmp_path: Path) -> AsyncIterator[tuple[Site, FastClock]]:
    """Two devices that serve certificates of ours; the clock is ours and theirs."""
    clock = FastClock(SystemClock().now(), factor=20)
    async with site(tmp_path, "12.11", "9.10", clock=clock) as here:
        await here.set("https.verify-seconds", "240")
        for camera in here.fleet.devices:
            assert (await here.add(camera))["result"] == "added"
        assert {one["status"] for one in await here.enable()} == {"Finished"}
        yield here, clock


async def test_the_plan_is_what_the_night_does(secured: tuple[Site, FastClock]) -> None:
    here, clock = secured
    fresh = await night_plan.plan(here.services)
    assert set(fresh) == NAMES
    assert (fresh["renewed"], fresh["skipped"], fresh["devices"]) == (0, 0, [])
    clock.jump(DUE)
    first, second = [await here.id_of(camera) for camera in here.fleet.devices]
    async with here.services.database.transaction() as tx:
        await inventory.change(tx, second, identity_problem="Another device answers there.")
    told = await night_plan.plan(here.services)
    assert told["obstacle"] is None
    assert told["compares_clocks"] is True, "all are due at once"
    assert (told["renewed"], told["skipped"]) == (1, 1)
    skipped, renewed = told["devices"]
    assert (skipped["reason"], skipped["needs_person"]) == ("Another device answers there.", True)
    assert (renewed["cause"], renewed["renewed"], renewed["needs_person"]) == ("date", True, False)
    assert renewed["reason"] == f"It is valid until {renewed['not_after'][:10]}."
    report = await Evening(here).command()
    assert [one["mac"] for one in report["renewed"]] == [renewed["mac"]]
    assert [(one["mac"], one["reason"]) for one in report["skipped"]] == [(skipped["mac"], skipped["reason"])]
    again = await night_plan.plan(here.services)
    assert [one["mac"] for one in again["devices"]] == [skipped["mac"]], "what was renewed is due no more"
    assert first != second


async def test_the_plan_says_why_a_certificate_is_replaced_before_its_time(secured: tuple[Site, FastClock]) -> None:
    here, _ = secured
    for cause, words in ((RenewalCause.NAMES, "no longer fit"), (RenewalCause.ISSUER, "Another CA")):
        async with here.services.database.transaction() as tx:
            for record in await certificates.of_device(tx, await here.id_of(here.fleet.devices[0])):
                await certificates.change(tx, record.id, reissue=cause)
        (row,) = (await night_plan.plan(here.services))["devices"]
        assert (row["cause"], row["renewed"]) == (cause.value, True)
        assert words in row["reason"]


async def test_the_plan_names_what_stands_against_all(secured: tuple[Site, FastClock]) -> None:
    here, clock = secured
    clock.jump(DUE)
    await here.set("renewal.automatic", "false")
    told = await night_plan.plan(here.services)
    assert told["obstacle"] == "renewal.automatic is off."
    assert {(one["renewed"], one["reason"]) for one in told["devices"]} == {(False, told["obstacle"])}
    await here.set("renewal.automatic", "true")
    clock.jump(-2 * DUE)
    assert "the CA has signed later" in str((await night_plan.plan(here.services))["obstacle"])


async def test_without_a_ca_or_with_a_locked_one_the_plan_says_so(tmp_path: Path) -> None:
    async with site(tmp_path, authority=False) as here:
        assert (await night_plan.plan(here.services))["obstacle"] == "There is no CA here that could sign."
        await authorities.create(here.services, actor="test", name="One", tiers=1, key_type="ec", passphrase=PASSPHRASE)
        await authorities.lock(here.services, actor="test")
        assert (await night_plan.plan(here.services))["obstacle"] == "Waits: the CA key is locked."
