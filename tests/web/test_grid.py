"""The grid of very many rows (lib/grid.js), in a real browser and under the product's own policy."""

import re
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from tests.web.accessible import assert_accessible
from tests.web.browser import Watch
from tests.web.gridpage import grid_page
from tests.web.hostile import HOSTILE

# What a row of a thousand is called when they are sorted by address.
FIRST = "10.0.0.13"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared(browser: Browser) -> AsyncIterator[tuple[Page, Watch]]:
    async with grid_page(browser) as page_and_watch:
        yield page_and_watch


@pytest.fixture
def page(shared: tuple[Page, Watch]) -> Iterator[Page]:
    """One page for all tests: each makes a grid of its own in it."""
    page, watch = shared
    yield page
    wrong, watch.wrong = watch.wrong, []
    assert wrong == []


async def fill(page: Page, count: int = 1000) -> Locator:
    await page.evaluate(f"async () => {{ make().setRows(devices({count})); await drawn(); }}")
    return page.get_by_role("grid")


async def state(page: Page, expression: str) -> Any:
    return await page.evaluate(f"async () => {{ await drawn(); return {expression}; }}")


async def selected(page: Page) -> int:
    found = await state(page, "grid.selection.length")
    assert isinstance(found, int)
    return found


async def active(page: Page) -> str:
    """The text of the active cell; it must be in the page."""
    text = await state(
        page,
        "document.getElementById(document.querySelector('[role=grid]').getAttribute('aria-activedescendant'))"
        ".textContent",
    )
    assert isinstance(text, str)
    return text


# A long row of random changes gives what an array that is sorted and filtered anew each time would hold.
AGAINST_ARRAY = """(seed) => {
  let state = seed;
  const random = (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor(state / 2 ** 32 * n);
  };
  const {Order} = orders, {keyMaker, compareKeys} = keys;
  const kinds = {name: 'text', size: 'number', from: 'address'};
  const values = [null, '', 'cam 9', 'Cam 10', 'Ärger', 'z', 7, 42, -1, '10.0.0.9', '10.0.0.10', 'fe80::1'];
  const value = () => values[random(values.length)];
  const fresh = (id) => ({id, name: value(), size: value(), from: value(), on: random(3) > 0});
  const order = new Order();
  let rows = new Map(), came = [], sort = null, filter = null, steps = 0;
  const expected = () => {
    const shown = came.filter((id) => !filter || filter(rows.get(id)));
    if (!sort) return shown;
    const make = keyMaker(kinds[sort.key]);
    return shown.map((id, at) => ({id, at, key: make(rows.get(id)[sort.key])})).sort((a, b) => {
      if ((a.key === null) !== (b.key === null)) return a.key === null ? 1 : -1;
      return (sort.descending ? -1 : 1) * compareKeys(a.key, b.key) || a.at - b.at;
    }).map(({id}) => id);
  };
  for (let step = 0; step < 400; step += 1) {
    const act = random(7);
    if (act < 3) for (let n = random(20); n > 0; n -= 1) {
      const row = fresh(`r${random(60)}`);
      if (!rows.has(row.id)) came.push(row.id);
      rows.set(row.id, row);
      order.put(row);
    } else if (act === 3) {
      // A slot is used again only after it was given up, so the order in which rows came is told by new ids alone.
      const gone = came[random(came.length)];
      if (gone) { came = came.filter((id) => id !== gone); rows.delete(gone); order.remove(gone); order.settle(); }
      order.reset(came.map((id) => rows.get(id)));
      if (sort) order.sort({key: sort.key, kind: kinds[sort.key], value: (row) => row[sort.key]}, sort.descending);
    } else if (act === 4) {
      const key = Object.keys(kinds)[random(3)];
      sort = {key, descending: random(2) > 0};
      order.sort({key, kind: kinds[key], value: (row) => row[key]}, sort.descending);
    } else if (act === 5) {
      filter = random(2) ? (row) => row.on : null;
      order.filter(filter, false);
    } else if (filter) {
      const wider = filter;
      filter = (row) => wider(row) && row.size !== 7;
      order.filter(filter, true);
    }
    order.settle();
    const found = Array.from(order.shown, (slot) => order.rows[slot].id);
    if (found.join() !== expected().join()) return {step, act, found, expected: expected()};
    steps += 1;
  }
  return steps;
}"""


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_any_row_of_changes_gives_the_order_of_a_plain_sort(page: Page, seed: int) -> None:
    assert await page.evaluate(AGAINST_ARRAY, seed) == 400


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("text", ["Ärger", "Axis 9", "axis 10", "axis 010a", "axis z", "zoo 99999999999", "zoo 100000000000"]),
        ("code", ["00408C0A", "00408c0b", "ACCC8E01"]),
        ("number", [-1, 2, 10, 1e9]),
        ("date", ["1999-12-31T23:59:59Z", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z"]),
        (
            "address",
            [
                *("2.0.0.9", "10.0.0.2:80", "10.0.0.2:443", "10.0.0.10", "255.1.1.1", "::1", "2001:db8::2"),
                *("2001:db8::10", "[2001:db8::10]:8443", "fe80::9%eth0", "fe80::10", "cam-9.example", "cam-10.example"),
            ],
        ),
    ],
)
async def test_values_are_ordered_as_people_order_them(page: Page, kind: str, values: list[object]) -> None:
    ordered = await page.evaluate(
        """([kind, values]) => {
          const make = keys.keyMaker(kind);
          return [...values].reverse().sort((a, b) => keys.compareKeys(make(a), make(b)));
        }""",
        [kind, values],
    )
    assert ordered == values


@pytest.mark.parametrize("kind", ["text", "code", "number", "date", "address"])
async def test_an_empty_value_has_no_key(page: Page, kind: str) -> None:
    assert await page.evaluate("(kind) => [null, undefined, ''].map(keys.keyMaker(kind))", kind) == [None] * 3


async def test_only_rows_in_sight_exist_and_all_are_counted(page: Page) -> None:
    grid = await fill(page, 100_000)
    await expect(grid).to_have_attribute("aria-rowcount", "100001")
    assert await grid.get_by_role("row").count() < 60
    await grid.focus()
    await page.keyboard.press("Control+End")
    await expect(grid.locator("[aria-rowindex='100001']")).to_be_in_viewport()
    assert await grid.get_by_role("row").count() < 60


async def test_more_rows_than_an_element_is_high_are_all_reached(page: Page) -> None:
    await page.evaluate("""async () => {
      make({columns: [{key: 'id', label: 'Id'}], sort: undefined});
      grid.setRows(Array.from({length: 400_000}, (_, n) => ({id: `r${n}`})));
      await drawn();
      grid.focus();
    }""")
    grid = page.get_by_role("grid")
    assert await state(page, "document.querySelector('.grid-body').offsetHeight") < 17_000_000
    await page.keyboard.press("Control+End")
    await expect(grid.get_by_text("r399999", exact=True)).to_be_in_viewport(ratio=1)
    for key, seen in (("ArrowUp", "r399998"), ("PageUp", None), ("PageUp", None), ("PageUp", None)):
        await page.keyboard.press(key)
        cell = grid.get_by_text(seen or await active(page), exact=True)
        await expect(cell).to_be_in_viewport(ratio=1)
    assert await state(page, "grid.reveal('r200000')")
    await expect(grid.get_by_text("r200000", exact=True)).to_be_in_viewport(ratio=1)
    await grid.evaluate("(grid) => { grid.scrollTop = grid.scrollHeight / 3; }")
    tops = await state(
        page,
        "[...document.querySelectorAll('.grid-row:not(:has(.grid-active))')]"
        ".map((row) => row.getBoundingClientRect().top).sort((a, b) => a - b)",
    )
    assert {round(below - above) for above, below in pairwise(tops)} == {28}


async def test_mouse_selects_one_some_and_from_to(page: Page) -> None:
    grid = await fill(page)
    cell = grid.locator(".grid-row [aria-colindex='2']")
    await cell.nth(1).click()
    assert await selected(page) == 1
    await cell.nth(5).click(modifiers=["Shift"])
    assert await selected(page) == 5
    await cell.nth(3).click(modifiers=["Control"])
    assert await selected(page) == 4
    await cell.nth(8).click()
    assert await selected(page) == 1
    assert await grid.locator("[aria-selected=true]").count() == 1
    assert await page.evaluate("getSelection().toString()") == ""


async def test_keys_move_select_and_open(page: Page) -> None:
    grid = await fill(page)
    await page.locator("#before").focus()
    await page.keyboard.press("Tab")
    await expect(grid).to_be_focused()
    await page.keyboard.press("Space")
    await page.keyboard.press("Shift+ArrowDown")
    await page.keyboard.press("Shift+PageDown")
    many = await selected(page)
    assert many > 10
    await page.keyboard.press("Shift+Home")
    assert await selected(page) == many
    await page.keyboard.press("Control+Home")
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("ArrowRight")
    assert await active(page) == FIRST
    await page.keyboard.press("Control+Space")
    assert await selected(page) == many - 1
    await page.keyboard.press("Escape")
    assert await selected(page) == 0
    await page.keyboard.press("Enter")  # the address is a link
    await expect(page).to_have_url(re.compile("#device-"))
    await page.keyboard.press("ArrowLeft")
    await page.keyboard.press("Enter")
    assert (await state(page, "events.filter(([kind]) => kind === 'activate').length")) == 1
    await page.keyboard.press("Tab")
    await expect(grid).not_to_be_focused()
    assert await page.evaluate("document.querySelector('.grid').contains(document.activeElement)") is False


async def test_all_that_match_are_selected_and_no_other(page: Page) -> None:
    grid = await fill(page, 20_000)
    await grid.focus()
    matching = await state(page, "(grid.filter((row) => row.status === 'Busy'), grid.matching().length)")
    assert 1000 < matching < 10_000
    await page.keyboard.press("Control+a")
    assert await selected(page) == matching
    fewer = await state(page, "(grid.filter((row) => row.status === 'Busy' && row.https === 'Enabled'), 0)")
    fewer = await state(page, "grid.matching().length")
    assert fewer < matching
    assert await selected(page) == fewer
    await state(page, "grid.filter(null)")
    assert await selected(page) == fewer
    one = await state(page, "grid.selection[0]")
    await page.evaluate("(id) => grid.remove([id])", one)
    assert await selected(page) == fewer - 1
    assert await state(page, "events.filter(([kind]) => kind === 'selection').at(-1)[1]") == fewer - 1


async def test_focus_and_active_row_outlive_scrolling_sorting_and_updates(page: Page) -> None:
    grid = await fill(page, 5000)
    await grid.focus()
    await page.keyboard.press("ArrowDown")
    mac = await active(page)
    await grid.evaluate("(grid) => { grid.scrollTop = 60_000; }")
    assert await active(page) == mac
    await state(page, "grid.sort('model', {descending: true})")
    assert await active(page) == mac
    await page.evaluate("(mac) => grid.update([{...grid.matching().find((row) => row.mac === mac), model: 'A'}])", mac)
    assert await active(page) == mac
    await expect(grid).to_be_focused()
    await expect(grid.locator(".grid-active")).not_to_be_in_viewport()
    await page.keyboard.press("ArrowUp")
    await expect(grid.locator(".grid-active")).to_be_in_viewport()
    gone = await active(page)
    await page.evaluate("(mac) => grid.remove([grid.matching().find((row) => row.mac === mac).id])", gone)
    assert await active(page) == mac  # its neighbour


async def test_sorting_by_click_key_and_menu_is_shown_and_told(page: Page) -> None:
    grid = await fill(page)
    header = grid.get_by_role("columnheader")
    model = header.filter(has_text="Model")
    await expect(header.filter(has_text="Address").nth(1)).to_have_attribute("aria-sort", "ascending")
    await model.click()
    await expect(model).to_have_attribute("aria-sort", "ascending")
    await model.click()
    await expect(model).to_have_attribute("aria-sort", "descending")
    assert await state(page, "said.at(-1)") == "Sorted by Model, descending."
    models = await state(page, "grid.matching().map((row) => row.model)")
    assert models == sorted(models, reverse=True)
    await grid.focus()
    for key in ("Control+Home", "ArrowUp", "ArrowRight", "Enter"):
        await page.keyboard.press(key)
    await expect(header.filter(has_text="Status")).to_have_attribute("aria-sort", "ascending")
    await expect(model).not_to_have_attribute("aria-sort", re.compile("."))
    await model.click(button="right")
    labels = await state(page, "events.at(-1)[1]")
    assert labels[:2] == ["Sort ascending", "Sort descending"]
    assert labels[-1] == "Show Last seen"
    await page.evaluate("items[0].action()")
    await expect(model).to_have_attribute("aria-sort", "ascending")


async def test_empty_values_come_last_in_both_directions(page: Page) -> None:
    await fill(page)
    for descending in ("false", "true"):
        expires = await state(
            page,
            f"(grid.sort('expires', {{descending: {descending}}}), grid.matching().map((row) => row.expires))",
        )
        assert expires[-1] is None
        present = [one for one in expires if one]
        assert present == sorted(present, reverse=descending == "true")
        assert None not in expires[: len(present)]


async def test_updates_come_into_their_place_while_what_is_in_sight_stays(page: Page) -> None:
    grid = await fill(page, 5000)
    await grid.evaluate("(grid) => { grid.scrollTop = 28_010; }")
    box = (
        "[...document.querySelectorAll('.grid-row')].find((row) => row.textContent.includes(MAC))"
        ".getBoundingClientRect().top"
    )
    mac = await state(page, "grid.matching()[1005].mac")
    before = await state(page, box.replace("MAC", f"'{mac}'"))
    await page.evaluate("grid.update(Array.from({length: 300}, (_, n) => device(90_000 + n, {address: '9.9.9.9'})))")
    assert await state(page, box.replace("MAC", f"'{mac}'")) == before
    assert await state(page, "grid.matching().slice(0, 300).every((row) => row.address === '9.9.9.9')")
    await page.evaluate("grid.update([{...grid.matching()[1305], status: 'Identity changed'}])")
    await expect(grid.get_by_text("Identity changed")).to_be_visible()
    assert await state(page, box.replace("MAC", f"'{mac}'")) == before
    await grid.evaluate("(grid) => { grid.scrollTop = 0; }")
    await page.evaluate("grid.update([device(95_000, {address: '1.1.1.1'})])")
    await expect(grid.get_by_role("link", name="1.1.1.1")).to_be_in_viewport()


async def test_what_was_selected_and_active_stays_when_the_list_is_loaded_again(page: Page) -> None:
    grid = await fill(page)
    await grid.focus()
    await page.keyboard.press("PageDown")
    await page.keyboard.press("Space")
    mac, ids = await active(page), await state(page, "grid.selection")
    await page.evaluate("grid.setRows(devices(900).reverse())")
    assert (await active(page), await state(page, "grid.selection")) == (mac, ids)
    await page.evaluate("(ids) => grid.setRows(devices(900).filter((row) => row.id !== ids[0]))", ids)
    assert await state(page, "grid.selection") == []


async def test_menu_is_about_what_is_selected_then(page: Page) -> None:
    grid = await fill(page)
    row = grid.locator(".grid-row")
    await row.nth(2).click(position={"x": 200, "y": 10})
    await row.nth(4).click(modifiers=["Control"], position={"x": 200, "y": 10})
    await row.nth(4).click(button="right", position={"x": 200, "y": 10})
    kind, ids, _, at = await state(page, "events.at(-1)")
    assert (kind, len(ids)) == ("menu", 2)
    assert at["x"] > 0
    await row.nth(6).click(button="right", position={"x": 200, "y": 10})
    kind, ids, one, _ = await state(page, "events.filter(([kind]) => kind === 'menu').at(-1)")
    assert ids == [one]
    await grid.focus()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Shift+F10")
    _, ids, below, at = await state(page, "events.filter(([kind]) => kind === 'menu').at(-1)")
    assert ids == [below]
    assert below != one
    box = await grid.locator(".grid-active").bounding_box()
    assert box is not None
    assert at["y"] == pytest.approx(box["y"] + box["height"], abs=1)


async def test_no_menu_about_the_neighbour_of_a_row_that_has_just_gone(page: Page) -> None:
    grid = await fill(page)
    await grid.focus()
    await page.keyboard.press("ArrowDown")
    menus = await page.evaluate("""() => {
      grid.remove([grid.matching()[1].id]);
      const before = events.length;
      grid.focusable.dispatchEvent(new KeyboardEvent('keydown', {key: 'F10', shiftKey: true, bubbles: true}));
      grid.remove([grid.matching()[1].id]);
      const row = [...document.querySelectorAll('.grid-row')].find((one) => one.querySelector('.grid-active'));
      row.dispatchEvent(new MouseEvent('contextmenu', {bubbles: true, cancelable: true}));
      return events.slice(before).filter(([kind]) => kind === 'menu').map(([, ids]) => ids.length);
    }""")
    assert menus == [1]


async def test_columns_are_resized_moved_and_hidden_and_remembered(page: Page) -> None:
    grid = await fill(page)
    header = grid.get_by_role("columnheader")
    handle = header.filter(has_text="Model").locator(".grid-handle")
    box = await handle.bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + 4, box["y"] + 10)
    await page.mouse.down()
    await page.mouse.move(box["x"] + 64, box["y"] + 10, steps=4)
    await page.mouse.up()
    widths = {one["key"]: one["width"] for one in await state(page, "grid.columns")}
    assert widths["model"] == 210
    await expect(header.filter(has_text="Model")).not_to_have_attribute("aria-sort", re.compile("."))
    cell = await grid.locator(".grid-row [aria-colindex='4']").first.bounding_box()
    assert cell is not None
    assert cell["width"] == 210
    await header.filter(has_text="Firmware").drag_to(header.filter(has_text="Status"))
    assert [one["key"] for one in await state(page, "grid.columns")][:3] == ["mac", "firmware", "status"]
    await grid.focus()
    for key in ("Control+Home", "ArrowUp", "ArrowRight", "Alt+ArrowRight", "Shift+ArrowRight", "Alt+ArrowRight"):
        await page.keyboard.press(key)
    columns = await state(page, "grid.columns")
    assert [one["key"] for one in columns][:4] == ["mac", "status", "address", "firmware"]
    assert columns[3]["width"] == 116
    assert await active(page) == "Firmware"
    await handle.dblclick()
    fitted = {one["key"]: one["width"] for one in await state(page, "grid.columns")}["model"]
    assert 60 < fitted < 150
    await header.filter(has_text="Server").click(button="right")
    await page.evaluate("items.find((item) => item.label === 'Hide column').action()")
    await expect(header.filter(has_text="Server")).to_have_count(0)
    kept = await state(page, "events.filter(([kind]) => kind === 'columns').at(-1)[1]")
    await fill(page)
    await page.evaluate("(kept) => grid.setColumns(kept)", kept)
    assert await state(page, "grid.columns.map(({key, width, hidden}) => ({key, width, hidden}))") == kept


@pytest.mark.parametrize(
    "kept",
    [
        "null",
        "'x'",
        "[null, 5, {key: 'nobody'}, {key: 'model', width: 'wide', hidden: 'yes'}, {key: 'mac', width: Infinity}]",
        "COLUMNS.map(({key}) => ({key, hidden: true}))",
    ],
)
async def test_kept_columns_that_make_no_sense_do_no_harm(page: Page, kept: str) -> None:
    grid = await fill(page)
    await page.evaluate(f"grid.setColumns({kept})")
    await expect(grid.get_by_role("columnheader").first).to_be_visible()
    assert all(40 <= one["width"] <= 1200 for one in await state(page, "grid.columns"))
    assert await grid.locator(".grid-row").first.inner_text() != ""


async def test_the_first_column_stays_in_sight(page: Page) -> None:
    grid = await fill(page)
    await page.evaluate("document.querySelector('#place').style.width = '500px'")  # made wide again by the next fill
    await grid.focus()
    await page.keyboard.press("Control+ArrowRight")
    await expect(grid.locator(".grid-active")).to_be_in_viewport(ratio=1)
    first = await grid.locator(".grid-row [aria-colindex='1']").first.bounding_box()
    frame = await grid.bounding_box()
    assert first is not None
    assert frame is not None
    assert first["x"] == frame["x"]
    await page.keyboard.press("ArrowLeft")
    cell = await grid.locator(".grid-active").bounding_box()
    assert cell is not None
    assert cell["x"] >= first["x"] + first["width"]


async def test_what_to_do_next_stands_where_no_row_is(page: Page) -> None:
    await page.evaluate("async () => { make(); await drawn(); }")
    await expect(page.get_by_text("Loading…")).to_be_visible()
    await fill(page, 0)
    await expect(page.get_by_text("No devices yet.")).to_be_visible()
    await fill(page, 3)
    await expect(page.get_by_text("No devices yet.")).to_be_hidden()
    await state(page, "grid.filter(() => false)")
    await expect(page.get_by_text("No device matches the filter.")).to_be_visible()
    await page.keyboard.press("Shift+F10")
    await page.wait_for_function("() => said.at(-1) === '0 of 3 rows shown, 0 selected.'")


async def test_rows_stand_in_the_page_in_the_order_in_which_they_are_seen(page: Page) -> None:
    grid = await fill(page, 5000)
    await grid.evaluate("(grid) => { grid.scrollTop = 5_300; }")
    await page.wait_for_function("""() => {
      const found = [...document.querySelectorAll('.grid-row')].map((row) => Number(row.getAttribute('aria-rowindex')));
      const ordered = [...found].sort((a, b) => a - b);
      return found.at(-1) > 190 && found.join() === ordered.join();
    }""")


async def test_text_of_any_kind_stays_text_in_its_cell(page: Page) -> None:
    await page.evaluate(
        """async (texts) => {
          make({sort: undefined});
          grid.setRows(texts.map((text, n) => ({...device(n), status: text, model: text, hostname: text, mac: text})));
          for (const {key} of COLUMNS) { grid.sort(key); await drawn(); }
          grid.sort('address');
          await drawn();
        }""",
        HOSTILE,
    )
    grid = page.get_by_role("grid")
    shown = await state(
        page, "[...document.querySelectorAll('[aria-colindex=\"4\"].grid-cell')].map((c) => c.textContent)"
    )
    assert sorted(shown) == sorted(HOSTILE)
    assert await grid.locator("script, img, iframe, svg, style").count() == 0
    boxes = await state(
        page,
        "[...document.querySelectorAll('.grid-row')].map((row) => [row.offsetHeight, row.firstChild.offsetHeight])",
    )
    assert boxes == [[28, 28]] * len(HOSTILE)


async def test_it_is_accessible_full_and_empty(page: Page) -> None:
    grid = await fill(page, 2000)
    await grid.focus()
    await page.keyboard.press("Space")
    await assert_accessible(page)
    await state(page, "grid.filter(() => false)")
    await assert_accessible(page)


async def test_on_a_phone_every_column_is_reached(page: Page) -> None:
    grid = await fill(page)
    wide = page.viewport_size
    assert wide is not None
    await page.set_viewport_size({"width": 390, "height": 844})
    await grid.focus()
    await page.keyboard.press("End")
    await expect(grid.locator(".grid-active")).to_be_in_viewport(ratio=1)
    await expect(grid.locator(".grid-row [aria-colindex='1']").first).not_to_be_in_viewport()
    await page.set_viewport_size(wide)
