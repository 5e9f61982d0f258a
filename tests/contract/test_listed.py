"""The listing of devices is never stale, and its pages are what filters and orders say, place after place."""

import json
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, text

from fleetseal.core.errors import InvalidInput
from fleetseal.core.model import CertificateSource, DeviceId
from fleetseal.operations import inventory as use_cases
from fleetseal.operations import listed, listing, pages
from fleetseal.operations.listing import COLUMNS, Context
from fleetseal.operations.services import Services
from fleetseal.operations.sort_keys import sort_key, value_key, value_of
from fleetseal.pki import chain
from fleetseal.store import device_pages, inventory
from fleetseal.store import settings as stored
from fleetseal.store.database import Transaction
from fleetseal.store.device_listing import KEYS, device_listing
from fleetseal.store.schema import authority, issuance
from tests import pki
from tests.site import make_services
from tests.support import NOW, FakeClock
from tests.world import World

YEAR = timedelta(days=365)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest_asyncio.fixture
async def services(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Services]:
    made = await make_services(tmp_path / "data", None, clock=clock)
    yield made
    await made.database.close()


# ---------------------------------------------------------------- never stale

LEAVES = tuple(
    pki.authority().leaf(f"192.0.2.{number}", life=life)
    for number, life in enumerate((YEAR, timedelta(days=40), timedelta(days=9), timedelta(hours=8)))
)
STRANGER = pki.authority(tiers=1).leaf("192.0.2.9", life=timedelta(days=20))


class Fleet(World):
    """More of what rows depend on: certificates, records of them, CAs, settings, time."""

    async def serve(self, tx: Transaction) -> None:
        der = self.random.choice((*LEAVES, STRANGER, None))
        source = self.random.choice((CertificateSource.OURS, CertificateSource.OTHER, CertificateSource.DEFAULT))
        columns: dict[str, Any] = {"served_der": der, "served_source": source, "tls": der is not None, "policy": "both"}
        await inventory.change(tx, await self.some_device(tx), **columns)

    async def name_and_tag(self, tx: Transaction) -> None:
        columns: dict[str, Any] = {"tags": self.random.choice([["north", "gate"], ["gate"], []]), "host_name": "cam"}
        await inventory.change(tx, await self.some_device(tx), **columns)

    async def found_plain(self, tx: Transaction) -> None:
        await inventory.change(tx, await self.some_device(tx), trust_level="plain")

    async def record_certificate(self, tx: Transaction) -> None:
        self.next += 1
        names = {"tbs_sha256": "", "spki_sha256": "", "subject": "", "names": [], "content": {}, "created": NOW}
        leaf = chain.describe(self.random.choice(LEAVES))
        ended: dict[str, Any] = self.random.choice(({"state": "abandoned"}, {"state": "superseded", "superseded": NOW}))
        dates = {"not_before": NOW, "not_after": leaf.not_after, "der": b"", "purpose": "https", **ended}
        origin = self.random.choice(("device", "manager"))
        await self.have_authority(tx, state="active")
        row = {"authority_id": 1, "serial": str(self.next), "sha256": leaf.sha256, "origin": origin, **names, **dates}
        await tx.execute(insert(issuance).values(row))

    async def change_authority(self, tx: Transaction) -> None:
        await self.have_authority(tx, state=self.random.choice(("active", "abandoned", "retired")))

    async def have_authority(self, tx: Transaction, *, state: str) -> None:
        if await tx.scalar(select(authority.c.id)) is None:
            columns = {"id": 1, "name": "x", "role": "root", "tiers": 1, "signs_leaves": True, "created": NOW}
            der = pki.authority().intermediates[0]
            await tx.execute(insert(authority).values(columns | {"der": der, "key_file": "k", "state": state}))
        await tx.execute(authority.update().values(state=state))

    async def change_setting(self, tx: Transaction) -> None:
        key, value = self.random.choice(
            [
                ("certificate.warning-days", "90"),
                ("certificate.warning-days", "5"),
                ("security.ignore-certificate-validation", "false"),
                ("security.ignore-certificate-validation", "true"),
            ]
        )
        await stored.put(tx, key, value, now=NOW)

    acts = (
        *World.acts,
        *(serve, serve, serve, name_and_tag, found_plain, record_certificate, change_authority, change_setting),
    )


async def assert_true(services: Services) -> None:
    """What is listed is what would be made now, of every device and of no other."""
    async with listed.fresh(services) as tx:
        context = await Context.read(services, tx)
        entries = [listed.entry(context, device) for device in await inventory.every(tx)]
        rows = (await tx.execute(select(device_listing).order_by(device_listing.c.device_id))).all()
        shown = await device_pages.shown(tx, [entry.id for entry in entries])
        texts = (await tx.execute(text("select * from device_text order by device_id"))).all()
    assert [tuple(row) for row in rows] == [
        (entry.id, *(entry.keys[name] for name in KEYS), entry.served, entry.valid_from, entry.valid_until)
        for entry in entries
    ]
    assert shown == {entry.id: entry.shown for entry in entries}
    assert [tuple(row) for row in texts] == [(entry.id, *entry.texts.values()) for entry in entries]


@pytest.mark.parametrize("seed", range(3))
async def test_the_listing_is_never_stale(services: Services, clock: FakeClock, seed: int) -> None:
    world, statuses = Fleet(seed), set()
    for _ in range(70):
        for _ in range(world.random.randrange(4)):
            async with services.database.transaction() as tx:
                await world.write(tx)
                await world.write(tx)
        clock.advance(world.random.choice((0, 0, 1, 3600, 86_400 * 4, 86_400 * 30, -86_400 * 20)))
        await assert_true(services)
        page = await pages.page(services, limit=100)
        word = world.random.choice(("192.0.2.1", "cam", "CN=", "b8:a4:4f"))
        found = await pages.page(services, limit=100, filters=(word,))
        assert [json.loads(row) for row in found.items] == await use_cases.list_(services, filters=(word,))
        statuses |= {json.loads(row)["status"] for row in page.items}
    assert len(statuses) >= 4


async def test_a_row_turns_at_the_very_moment(services: Services, clock: FakeClock) -> None:
    """ "Valid until" includes the last second; and a clock may go back."""
    async with services.database.transaction() as tx:
        device = (await inventory.add(tx, address="192.0.2.1", http_port=80, https_port=443, site="x", added=NOW)).id
        what: dict[str, Any] = {"served_der": LEAVES[0], "served_source": CertificateSource.OURS, "username": "root"}
        await inventory.change(tx, device, **what, trust_level="verified")
    end = chain.describe(LEAVES[0]).not_after
    begins = end - timedelta(days=30)
    for moment, status in [
        (begins - timedelta(microseconds=1), "OK"),
        (begins, "Certificate about to expire"),
        (end, "Certificate about to expire"),
        (end + timedelta(microseconds=1), "Certificate has expired"),
        (begins, "Certificate about to expire"),
        (begins - timedelta(microseconds=1), "OK"),
    ]:
        clock.advance((moment - clock.now()) / timedelta(seconds=1))
        assert [json.loads(row)["status"] for row in (await pages.page(services, limit=1)).items] == [status]
        await assert_true(services)


async def test_a_listing_that_is_true_is_not_written(services: Services) -> None:
    world = Fleet(0)
    async with services.database.transaction() as tx:
        await world.new_device(tx)
    before = (await pages.page(services, limit=9)).position
    async with services.database.reading() as tx:
        version = await tx.scalar(text("pragma data_version"))
        assert (await pages.page(services, limit=9)).position == before
        await pages.facets(services)
        assert await tx.scalar(text("pragma data_version")) == version


async def test_a_listing_that_is_lost_is_made_anew(services: Services) -> None:
    world = Fleet(1)
    async with services.database.transaction() as tx:
        for _ in range(300):  # more than are made anew at once
            await world.new_device(tx)
    await assert_true(services)
    async with services.database.transaction() as tx:
        await tx.execute(delete(device_listing))
        await tx.execute(text("delete from listing_state"))
    await assert_true(services)


async def test_rows_of_devices_in_the_order_asked_for(services: Services) -> None:
    world = Fleet(1)
    async with services.database.transaction() as tx:
        ids = [await world.new_device(tx) for _ in range(3)]
    rows = await listed.rows_of(services, [ids[2], ids[0], DeviceId(99)])
    assert [json.loads(row) for row in rows] == await listing.rows(services, [ids[2], ids[0]])


# ---------------------------------------------------------------- pages

FILTERS: list[tuple[str, ...]] = [
    (),
    ("",),
    ("192.0.2.1",),
    ("1",),
    ("address:2.1",),
    ("cam",),
    ("hostname:CAM",),
    ("gate",),
    ("tags:north",),
    ('tags:"north gate"',),
    ("tags:gate north",),
    ("status:credentials",),
    ("status:ok https:enabled",),
    ("firmware:<12.50",),
    ("firmware:>=12.9", "model:"),
    ("firmware:12.",),
    ("trust:plain",),
    ("certificate:plant",),
    ("plant 192.0.2.1",),
    ("id:1",),
    ("http_port:80",),
    ("443",),
    ("last_seen:2026-11",),
    ("b8a44f000007",),
    ("mac:b8:a4",),
    ("nothing-like-this",),
    ("server:default", "server:nowhere"),
    ("'%'",),
    ("""'cam" OR "192'""",),
    ("ca\0m",),
    ("192.0.2.1" * 40,),
    (":00",),
    ("\N{LATIN CAPITAL LETTER SHARP S}",),
]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def grown_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Many devices of many kinds."""
    data, world = tmp_path_factory.mktemp("grown"), Fleet(7)
    services = await make_services(data, None, clock=FakeClock())
    async with services.database.transaction() as tx:
        for number in range(40):
            device = await world.new_device(tx)
            serial = f"B8A44F0000{number:02X}" if number % 3 else None
            await inventory.change(tx, device, serial=serial, model=("P3265-V", "straße", "M1065")[number % 3])
        for act in (Fleet.serve, Fleet.change_device, Fleet.name_and_tag, Fleet.see_devices, Fleet.found_plain):
            for _ in range(25):
                await act(world, tx)
        await world.new_task(tx)
    await services.database.close()
    return data


@pytest_asyncio.fixture
async def grown(grown_data: Path, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Services]:
    """Those devices, in a store of the test's own."""
    shutil.copytree(grown_data, tmp_path / "data")
    made = await make_services(tmp_path / "data", None, clock=clock)
    yield made
    await made.database.close()


async def walked(services: Services, **wanted: Any) -> list[dict[str, Any]]:
    """All pages, one after the other."""
    found, after, totals = [], None, set()
    while True:
        page = await pages.page(services, after=after, **wanted)
        found += page.items
        totals.add(page.total)
        after = page.next
        if after is None:
            assert totals == {len(found)}
            return [json.loads(row) for row in found]
        assert len(page.items) == wanted["limit"]


@pytest.mark.parametrize("filters", FILTERS, ids=" & ".join)
async def test_pages_have_what_the_whole_list_has(grown: Services, filters: tuple[str, ...]) -> None:
    whole = await use_cases.list_(grown, filters=filters)
    for limit in (7, 50):
        assert await walked(grown, filters=filters, limit=limit) == whole
    for column in ("status", "address", "certificate"):
        assert await walked(grown, filters=filters, sort=column, limit=9) == listing.sort_rows(list(whole), column)
    counted = await pages.facets(grown, filters=filters)
    assert counted["total"] == len(whole)
    statuses = [row["status"] for row in whole]
    assert {one["value"]: one["count"] for one in counted["facets"]["status"]} == {
        status: statuses.count(status) for status in statuses
    }
    tags = [tag for row in whole for tag in row["tags"]]
    assert {one["value"]: one["count"] for one in counted["facets"]["tags"]} == {tag: tags.count(tag) for tag in tags}


@pytest.mark.parametrize("column", COLUMNS)
async def test_pages_are_in_the_order_of_the_whole_list_and_the_other_way_round(grown: Services, column: str) -> None:
    whole = await use_cases.list_(grown, sort=column)
    assert await walked(grown, sort=column, limit=6) == whole
    backwards = await walked(grown, sort=f"-{column}", limit=6)
    assert backwards == whole[::-1]


async def test_by_the_end_of_certificates(grown: Services) -> None:
    rows = await walked(grown, sort="expires", limit=6)
    ends = [row["certificate"]["not_after"] if row["certificate"] else "9999" for row in rows]
    assert ends == sorted(ends)


async def test_a_device_that_is_forgotten_between_two_pages_is_no_gap(grown: Services) -> None:
    first = await pages.page(grown, sort="address", limit=5)
    last = json.loads(first.items[-1])["id"]
    async with grown.database.transaction() as tx:
        await inventory.remove(tx, last)
    second = await pages.page(grown, sort="address", limit=100, after=first.next)
    assert len(second.items) == 35


@pytest.mark.parametrize("limit", [0, -1, 5001])
async def test_a_page_has_bounds(services: Services, limit: int) -> None:
    with pytest.raises(InvalidInput, match="from 1 to 5000"):
        await pages.page(services, limit=limit)


async def test_a_place_in_another_list_is_refused(grown: Services) -> None:
    after = (await pages.page(grown, sort="address", limit=5)).next
    assert after is not None
    wrong: list[dict[str, Any]] = [{"sort": "model"}, {"sort": "-address"}, {"filters": ["gate"]}, {}]
    for other in wrong:
        with pytest.raises(InvalidInput, match="none in this list"):
            await pages.page(grown, limit=5, after=after, **other)
    for damaged in ("", "x", "ä", "%%%", after[:-20], "A" * 400, "=" * 9):
        with pytest.raises(InvalidInput, match="none in this list"):
            await pages.page(grown, limit=5, sort="address", after=damaged)
    with pytest.raises(InvalidInput, match="The columns are"):
        await pages.page(grown, limit=5, sort="colour")


# ---------------------------------------------------------------- keys


@given(st.lists(st.text(max_size=12), max_size=8))
@settings(max_examples=200, deadline=None)
def test_a_key_of_a_value_holds_it_and_no_other_value_has_it(found: list[str]) -> None:
    texts = [one.replace("\0", "") for one in found]
    assert [value_of(value_key(one, "model")) for one in texts] == [
        one.encode(errors="replace").decode() for one in texts
    ]


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        ("address", ["2.2.2.2", "10.0.0.1", "192.0.2.9", "192.0.2.10", "2001:db8::2", "2001:db8::10", "alpha", ""]),
        ("firmware", ["5.51", "9.8", "9.80.2.2", "10.12.200", "12", "12.0", "beta", ""]),
        ("hostname", ["cam-2", "cam-10", "CAM-11", "cam-11b", "zoo", ""]),
        ("status", ["Identity changed", "Unreachable", "Clock is wrong", "Busy", "OK", ""]),
        ("model", ["99999999999999999", "123456789012345678901", "a"]),
    ],
)
def test_keys_order_as_people_expect(column: str, texts: list[str]) -> None:
    keys = [sort_key(one, column) for one in texts]
    assert all(before < after for before, after in pairwise(keys))
