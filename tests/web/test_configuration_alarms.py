"""Alarm delivery is set up in forms, tried, and its secrets are never shown."""

from playwright.async_api import Page, expect

from fleetseal.operations import settings
from tests.postbox import LogServer, listening
from tests.web.accessible import assert_accessible
from tests.web.browser import Watch
from tests.web.served import Served

DEVICES = ()

CANARY = "c4n4ry of a mail server"


async def target(served: Served, name: str) -> object:
    return (await settings.get(served.application.services, f"alarm.{name}"))["value"]


async def test_mail_is_set_up_changed_and_switched_off(page: Page, served: Served, watch: Watch) -> None:
    watch.expected = lambda text: "422" in text or "502" in text
    await page.goto("/configuration/alarms")
    await page.get_by_role("button", name="Set up E-mail").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Mail server").fill("127.0.0.1")
    await dialog.get_by_label("Port (optional)").fill("9")
    await dialog.get_by_label("User name").fill("fleet@site.example")
    await dialog.get_by_label("From", exact=True).fill("fleet+seal@site.example")
    await dialog.get_by_label("To", exact=True).fill("nobody")
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("alarm.email cannot be")
    await dialog.get_by_label("To", exact=True).fill("ops@site.example, anna@site.example")
    await assert_accessible(page)
    await dialog.get_by_role("button", name="Save").click()
    address = (
        "smtps://fleet%40site.example@127.0.0.1:9?from=fleet%2Bseal@site.example&to=ops@site.example,anna@site.example"
    )
    await expect(page.get_by_text(address)).to_be_visible()
    assert await target(served, "email") == address

    await page.get_by_role("button", name="Secret of E-mail").click()
    await dialog.get_by_label("Password of the mail server").fill(CANARY)
    await dialog.get_by_role("button", name="Keep").click()
    await expect(page.get_by_text("is set, and never shown")).to_be_visible()
    assert CANARY not in await page.content()
    await page.get_by_role("button", name="Test E-mail").click()
    await expect(page.get_by_text("Connection refused")).to_be_visible()
    assert watch.wrong == [f"status 502: {served.origin}/api/v1/alarms/channels/email/test"]
    watch.wrong.clear()
    await assert_accessible(page)

    await page.get_by_role("button", name="Change E-mail").click()
    for label, value in (("Mail server", "127.0.0.1"), ("Port (optional)", "9"), ("User name", "fleet@site.example")):
        await expect(dialog.get_by_label(label)).to_have_value(value)
    await expect(dialog.get_by_label("To", exact=True)).to_have_value("ops@site.example,anna@site.example")
    await expect(dialog.get_by_text("with others it is forgotten")).to_be_visible()
    await dialog.get_by_label("STARTTLS").check()
    await dialog.get_by_role("button", name="Save").click()
    await expect(page.get_by_text(address.replace("smtps", "smtp"))).to_be_visible()
    await expect(page.get_by_text("is forgotten: give it again").first).to_be_visible()
    await expect(page.get_by_role("button", name="Forget secret of E-mail")).to_be_hidden()
    await page.get_by_role("button", name="Secret of E-mail").click()
    await dialog.get_by_label("Password of the mail server").fill(CANARY)
    await dialog.get_by_role("button", name="Keep").click()
    await page.get_by_role("button", name="Forget secret of E-mail").click()
    await expect(page.get_by_role("button", name="Forget secret of E-mail")).to_be_hidden()
    await page.get_by_role("button", name="Switch off E-mail").click()
    await expect(page.get_by_role("button", name="Set up E-mail")).to_be_visible()
    assert await target(served, "email") == ""


async def test_a_test_message_arrives_and_the_page_says_so(page: Page, served: Served) -> None:
    server = LogServer()
    async with listening(server) as port:
        await _tried(page, served, port)
    assert any(b"Alarms of Fleetseal arrive here." in frame for frame in server.frames)
    await page.get_by_role("button", name="Switch off Syslog").click()
    await expect(page.get_by_role("button", name="Set up Syslog")).to_be_visible()
    assert await target(served, "syslog") == ""


async def _tried(page: Page, served: Served, port: int) -> None:
    """The page has set the log server up, and sent it a message."""
    await page.goto("/configuration/alarms")
    await page.get_by_role("button", name="Set up Syslog").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Log server").fill("127.0.0.1")
    await dialog.get_by_label("None, TCP").check()
    await dialog.get_by_label("Port (optional)").fill(str(port))
    await dialog.get_by_role("button", name="Save").click()
    await page.get_by_role("button", name="Test Syslog").click()
    await expect(page.get_by_text("The server took a test message")).to_be_visible()
    assert await target(served, "syslog") == f"tcp://127.0.0.1:{port}"


async def test_a_webhook_takes_an_address(page: Page, served: Served) -> None:
    await page.goto("/configuration/alarms")
    await page.get_by_role("button", name="Set up Webhook").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Address").fill("https://hooks.site.example/alarms")
    await dialog.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("https://hooks.site.example/alarms")).to_be_visible()
    assert await target(served, "webhook") == "https://hooks.site.example/alarms"
