"""Users, tokens and one's own password, and the password that is asked again."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from fleetseal.core.access import Role
from fleetseal.operations import accounts
from tests import people
from tests.web.accessible import assert_accessible
from tests.web.browser import NARROW, WIDE, watched
from tests.web.served import Served, serving

STRONG = "four words in a row"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A server to which everybody must sign in: anna administers it."""
    async with serving(tmp_path_factory.mktemp("web") / "data", door=True) as running:
        await people.add_user(running.application, "anna")
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, served: Served) -> AsyncIterator[Page]:
    """Nobody is signed in yet. Refusals are expected; a test says what they are."""
    context = await browser.new_context(base_url=served.origin, viewport={"width": WIDE[0], "height": WIDE[1]})
    opened, watch = await watched(context, served.origin)
    watch.expected = lambda text: any(status in text for status in ("401", "403", "409", "422"))
    yield opened
    await context.close()
    assert watch.wrong == []


async def sign_in(page: Page, name: str, password: str = people.PASSWORD) -> None:
    await page.goto("/configuration/users")
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Users and tokens")


async def confirm(dialog: Locator) -> None:
    """The password again, where it is asked."""
    again = dialog.filter(has_text="Confirm it is you")
    await again.get_by_label("Your password").fill(people.PASSWORD)
    await again.get_by_role("button", name="Confirm").click()


async def test_a_user_is_added_changed_and_removed(page: Page, served: Served) -> None:
    services = served.application.services
    await sign_in(page, "anna")
    await expect(page.get_by_role("cell", name="anna (you)")).to_be_visible()
    await assert_accessible(page)
    await page.get_by_role("button", name="Add user…").click()
    dialog = page.get_by_role("dialog")
    adding = dialog.filter(has_text="Add a user")
    await adding.get_by_label("Name").fill("oscar")
    await adding.get_by_label("Operator").check()
    await adding.get_by_label("Password", exact=True).fill("short")
    await adding.get_by_label("Password again").fill("short")
    await assert_accessible(page)
    await adding.get_by_role("button", name="Add", exact=True).click()
    await confirm(dialog)
    await expect(adding.get_by_role("alert")).to_contain_text("12")
    await adding.get_by_label("Password", exact=True).fill(STRONG)
    await adding.get_by_label("Password again").fill(STRONG)
    await adding.get_by_role("button", name="Add", exact=True).click()
    await expect(page.get_by_role("cell", name="oscar", exact=True)).to_be_visible()
    assert STRONG not in await page.content()

    await page.get_by_role("button", name="Change oscar").click()
    changing = dialog.filter(has_text="Change a user")
    await expect(changing.get_by_label("Operator")).to_be_checked()
    await changing.get_by_label("Viewer").check()
    await changing.get_by_role("button", name="Save").click()
    await expect(page.locator("#toasts")).to_contain_text("oscar is changed.")
    assert {one["name"]: one["role"] for one in await accounts.users(services)} == {
        "anna": "administrator",
        "oscar": "viewer",
    }
    await page.get_by_role("button", name="Unlock oscar").click()
    await expect(page.locator("#toasts")).to_contain_text("oscar may try again at once.")
    for name in ("oscar", "anna"):
        await page.get_by_role("button", name=f"Remove {name}").click()
        await dialog.get_by_role("button", name="Remove").click()
        await expect(page.get_by_role("cell", name="oscar", exact=True)).to_be_hidden()
    await expect(page.get_by_text("This is the last administrator")).to_be_visible()
    assert [one["name"] for one in await accounts.users(services)] == ["anna"]


async def test_a_token_is_shown_once_and_lets_a_program_in(page: Page, served: Served) -> None:
    await sign_in(page, "anna")
    await page.get_by_role("button", name="Add token…").click()
    dialog = page.get_by_role("dialog")
    adding = dialog.filter(has_text="Add a token")
    await adding.get_by_label("Name").fill("backup-script")
    await adding.get_by_label("Days until it ends").fill("900")
    await adding.get_by_role("button", name="Add", exact=True).click()
    await expect(adding.get_by_text("this is not a number that is possible here")).to_be_visible()
    await adding.get_by_label("Days until it ends").fill("30")
    await adding.get_by_role("button", name="Add", exact=True).click()
    await confirm(dialog)
    token = await page.get_by_label("Token", exact=True).input_value()
    await assert_accessible(page)
    await dialog.get_by_role("button", name="Done").click()
    await expect(page.get_by_role("cell", name="backup-script", exact=True)).to_be_visible()
    assert token not in await page.content()
    async with httpx.AsyncClient(base_url=served.origin, headers={"Authorization": f"Bearer {token}"}) as program:
        assert (await program.get("/api/v1/devices")).status_code == 200
        await page.get_by_role("button", name="Remove the token backup-script").click()
        await dialog.get_by_role("button", name="Remove").click()
        await expect(page.get_by_text("There is no token.")).to_be_visible()
        assert (await program.get("/api/v1/devices")).status_code == 401


async def test_sessions_are_seen_and_ended(page: Page, browser: Browser, served: Served) -> None:
    """An operator ends their own, and that page asks to sign in at once; an administrator ends another's."""
    await people.add_user(served.application, "olga", Role.OPERATOR)
    context = await browser.new_context(base_url=served.origin)
    phone, watch = await watched(context, served.origin)
    watch.expected = lambda text: "401" in text or "403" in text
    await sign_in(page, "olga")
    await sign_in(phone, "olga")
    await page.reload()
    rows = page.get_by_role("table", name="Sessions").get_by_role("row")
    await expect(rows).to_have_count(3)  # with the headings
    await expect(rows.filter(has_text="this browser")).to_have_count(1)
    await page.get_by_role("button", name="End the session of olga").click()
    await expect(rows).to_have_count(2)
    await expect(phone.get_by_role("button", name="Sign in")).to_be_visible()
    await expect(page.get_by_role("button", name="End my other sessions")).to_be_hidden()

    await sign_in(phone, "anna")
    await phone.get_by_role("button", name="End the session of olga").click()
    await confirm(phone.get_by_role("dialog"))
    await expect(phone.locator("#toasts")).to_contain_text("The session is ended.")
    await expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    await sign_in(page, "anna")
    await assert_accessible(page)
    await page.get_by_role("button", name="End my other sessions").click()
    await expect(phone.get_by_role("button", name="Sign in")).to_be_visible()
    await context.close()
    assert watch.wrong == []


async def test_a_viewer_looks_and_changes_only_their_own_password(page: Page, served: Served) -> None:
    await people.add_user(served.application, "vera", Role.VIEWER)
    await sign_in(page, "vera")
    await expect(page.get_by_role("button", name="Add user…")).to_be_hidden()
    form = page.get_by_role("form", name="Your password")
    for label, text in (("Present password", "wrong"), ("New password", STRONG), ("New password again", STRONG)):
        await form.get_by_label(label, exact=True).fill(text)
    await form.get_by_role("button", name="Change password").click()
    await expect(form.get_by_role("status")).to_contain_text("wrong")
    await form.get_by_label("Present password").fill(people.PASSWORD)
    await form.get_by_role("button", name="Change password").click()
    await expect(form.get_by_role("status")).to_contain_text("Your password is changed.")
    pages = ("certificates", "security", "discovery", "renewal", "alarms", "audit", "backup")
    allowed = {"Save to file…"}
    for name in pages:
        await page.goto(f"/configuration/{name}")
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        buttons = await page.get_by_role("main").get_by_role("button").all_inner_texts()
        assert set(buttons) <= allowed, f"{name}: {buttons}"
        assert await page.get_by_role("main").locator(".setting :is(input, select):enabled").count() == 0
    await page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
    await page.goto("/configuration/users")
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    await assert_accessible(page)
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
