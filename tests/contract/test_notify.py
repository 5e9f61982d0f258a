"""Messages about alarms leave by real sockets and real TLS, to servers that take them and to servers that do not."""

import base64
import email
import hashlib
import hmac
import json
import ssl
from collections.abc import Callable
from email.policy import default

import pytest

from fleetseal.core.destinations import Destination, Email, Syslog, Webhook
from fleetseal.core.errors import DeliveryFailed
from fleetseal.core.secrets import Secret
from fleetseal.notify.notice import Item, Notice
from fleetseal.notify.sender import Sender
from tests.postbox import (
    Handler,
    LogServer,
    MailServer,
    WebServer,
    drip,
    hang,
    leave,
    listening,
    saying,
    serving,
    trusting,
)
from tests.support import NOW, FakeClock

PASSWORD = "c4n4ry mail pw"
SECRET = Secret(PASSWORD)
ITEM = Item.of(7, about="B8:A4:4F:63:13:39", severity="critical", message="Needs hands: do it.", since=NOW)
NOTICE = Notice("fleetseal-x-1", "opened", "needs-hands", NOW, 1, (ITEM,))


async def deliver(
    destination: Destination, *, trust: Callable[[], ssl.SSLContext] = trusting, secret: Secret | None = SECRET
) -> None:
    await Sender(FakeClock(), trust, seconds=0.7)(destination, NOTICE, secret)


async def refused(destination: Destination, *, secret: Secret | None = SECRET) -> str:
    with pytest.raises(DeliveryFailed) as caught:
        await deliver(destination, secret=secret)
    assert PASSWORD not in caught.value.message
    assert base64.b64encode(PASSWORD.encode()).decode() not in caught.value.message
    return caught.value.message


def mail_to(
    port: int, *, implicit: bool = False, user: str | None = "fleet", to: tuple[str, ...] = ("ops@site.example",)
) -> Email:
    return Email("127.0.0.1", port, implicit, user, "fleetseal@site.example", to)


# ---------------------------------------------------------------- mail


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
async def test_mail_is_taken(mechanism: str, implicit: bool) -> None:
    server = MailServer(starttls=None if implicit else serving(), mechanisms=mechanism)
    async with listening(server, tls=serving() if implicit else None) as port:
        await deliver(mail_to(port, implicit=implicit))
    (letter,) = server.letters
    message = email.message_from_bytes(letter, policy=default)
    assert (message["To"], message["Subject"]) == ("ops@site.example", "Fleetseal: 1 new alarm: needs-hands")
    assert message["Message-ID"] == "<fleetseal-x-1@site.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert "B8:A4:4F:63:13:39: Needs hands: do it." in message.get_content()
    said = " ".join(server.heard)
    expected = b"\0fleet\0" + PASSWORD.encode() if mechanism == "PLAIN" else PASSWORD.encode()
    assert base64.b64encode(expected).decode() in said
    assert server.heard.count("STARTTLS") == (not implicit)


async def test_a_server_without_a_login_gets_none() -> None:
    server = MailServer()
    async with listening(server, tls=serving()) as port:
        await deliver(mail_to(port, implicit=True, user=None), secret=None)
    assert len(server.letters) == 1
    assert not any("AUTH" in line for line in server.heard)


async def test_without_starttls_nothing_is_told() -> None:
    server = MailServer()
    async with listening(server) as port:
        assert "does not offer STARTTLS" in await refused(mail_to(port))
    assert [line.split()[0] for line in server.heard] == ["EHLO"]


async def test_what_is_slipped_in_before_tls_is_forgotten() -> None:
    """RFC 3207 section 6: else a man in the middle answers for the server."""
    injected = b"250-mail.example\r\n250 AUTH LOGIN\r\n334 x\r\n334 x\r\n235 x\r\n250 x\r\n250 x\r\n354 x\r\n250 x\r\n"
    server = MailServer(starttls=serving(), injected=injected, answers={"DATA": b"554 no\r\n"})
    async with listening(server) as port:
        with pytest.raises(DeliveryFailed):
            await deliver(mail_to(port))
    assert not server.letters


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ({"AUTH": f"535 {PASSWORD} is wrong\r\n".encode()}, "refused the login (535)"),
        ({"RCPT TO": b"550 5.7.1 relaying denied \x1b[31m\r\n"}, "550 5.7.1 relaying denied"),
        ({"MAIL FROM": f"550 {PASSWORD}\r\n".encode()}, "in words that are not shown"),
        ({"DATA": b"452 full\r\n"}, "452 full"),
        ({"EHLO": b"what?\r\n"}, "not understood"),
        ({"EHLO": b"250-more\r\n" * 200}, "not understood"),
        ({"EHLO": b"250 " + b"x" * 20_000 + b"\r\n"}, "not understood"),
        ({"EHLO": b"250-mail.example\r\n250 AUTH NTLM\r\n"}, "no login that is known"),
    ],
)
async def test_a_mail_server_says_no(answers: dict[str, bytes], told: str) -> None:
    server = MailServer(answers=answers)
    async with listening(server, tls=serving()) as port:
        message = await refused(mail_to(port, implicit=True))
    assert told in message
    assert message.isprintable()
    assert not server.letters


async def test_one_recipient_that_is_refused_does_not_keep_it_from_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = MailServer(answers={"RCPT TO:<gone@site.example>": b"550 unknown\r\n"})
    async with listening(server, tls=serving()) as port:
        await deliver(mail_to(port, implicit=True, to=("gone@site.example", "ops@site.example")))
    assert len(server.letters) == 1
    assert "Alarms do not reach gone@site.example" in caplog.text


async def test_a_login_without_a_password_is_not_tried() -> None:
    assert "fleetseal alarm secret email" in await refused(mail_to(9), secret=None)


# ---------------------------------------------------------------- webhook


async def test_a_post_is_signed() -> None:
    server = WebServer(b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")
    async with listening(server, tls=serving()) as port:
        await deliver(Webhook("127.0.0.1", port, "/alarms"))
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    assert lines[0] == "POST /alarms HTTP/1.1"
    assert headers["Fleetseal-Timestamp"] == str(int(NOW.timestamp()))
    expected = hmac.new(PASSWORD.encode(), headers["Fleetseal-Timestamp"].encode() + b"." + body, hashlib.sha256)
    assert headers["Fleetseal-Signature"] == f"v1={expected.hexdigest()}"
    told = json.loads(body)
    assert (told["id"], told["event"], told["cause"], told["count"]) == ("fleetseal-x-1", "opened", "needs-hands", 1)
    assert told["alarms"][0]["message"] == "Needs hands: do it."


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 500 Oops\r\n\r\n", "answered 500"),
        (b"HTTP/1.1 307 Elsewhere\r\nLocation: https://192.0.2.66/\r\n\r\n", "redirects (307)"),
        (b"HTTP/1.1 401 Who\r\n\r\n", "answered 401"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not understood"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 9, "not understood"),
        (b"H" * 20_000 + b"\r\n", "not understood"),
    ],
)
async def test_a_web_server_says_no(answer: bytes, told: str) -> None:
    async with listening(WebServer(answer), tls=serving()) as port:
        assert told in await refused(Webhook("127.0.0.1", port, "/"))


async def test_nothing_is_posted_unsigned() -> None:
    assert "fleetseal alarm secret webhook" in await refused(Webhook("127.0.0.1", 9, "/"), secret=None)


# ---------------------------------------------------------------- syslog


@pytest.mark.parametrize("tls", [True, False])
async def test_a_log_server_takes_a_frame(tls: bool) -> None:
    server = LogServer()
    async with listening(server, tls=serving() if tls else None) as port:
        await deliver(Syslog("127.0.0.1", port, tls), secret=None)
    (frame,) = server.frames
    assert frame.startswith(b"<26>1 2026-11-23T12:00:00Z ")
    assert b' fleetseal - opened [fleetseal@32473 event="opened" cause="needs-hands" count="1" id="' in frame
    assert frame.endswith("\ufeff1 new alarm: needs-hands; B8:A4:4F:63:13:39: Needs hands: do it.".encode())


async def test_a_log_server_that_leaves_at_once_took_nothing() -> None:
    async with listening(leave) as port:
        assert "cannot be reached: Connection reset" in await refused(Syslog("127.0.0.1", port, tls=False))


# ---------------------------------------------------------------- every channel

EVERY = [
    pytest.param(lambda port: mail_to(port, implicit=True), True, id="smtps"),
    pytest.param(lambda port: mail_to(port), False, id="smtp"),
    pytest.param(lambda port: Webhook("127.0.0.1", port, "/"), True, id="webhook"),
]
To = Callable[[int], Destination]


@pytest.mark.parametrize(("to", "tls"), EVERY)
@pytest.mark.parametrize(
    "handler", [hang, drip, leave, saying(b"\0" * 100_000)], ids=["hang", "drip", "leave", "zeros"]
)
async def test_a_server_that_does_not_do_its_part_costs_bounded_time(to: To, tls: bool, handler: Handler) -> None:
    async with listening(handler, tls=serving() if tls else None) as port:
        assert f"127.0.0.1 port {port}" in await refused(to(port))


@pytest.mark.parametrize("to", [one.values[0] for one in EVERY] + [lambda port: Syslog("127.0.0.1", port, tls=True)])
async def test_a_server_that_is_away_is_said_to_be(to: To) -> None:
    async with listening(hang) as port:
        pass
    assert "cannot be reached: Connection refused" in await refused(to(port))


async def test_a_name_nobody_knows_is_said_to_be() -> None:
    assert "its name is not known" in await refused(Webhook("no.such.invalid", 443, "/"))


@pytest.mark.parametrize("name", ["127.0.0.2", "mail.example"], ids=["another address", "another name"])
async def test_a_certificate_of_another_name_is_refused(name: str) -> None:
    """It is trusted, and was issued to somebody else."""
    web, mail, log = WebServer(), MailServer(starttls=serving(name)), LogServer()
    cases: list[tuple[Handler, bool, To]] = [
        (web, True, lambda port: Webhook("127.0.0.1", port, "/")),
        (mail, False, mail_to),
        (log, True, lambda port: Syslog("127.0.0.1", port, tls=True)),
    ]
    for server, tls, to in cases:
        async with listening(server, tls=serving(name) if tls else None) as port:
            with pytest.raises(DeliveryFailed, match=r"certificate of the server .* is not trusted"):
                await deliver(to(port), trust=lambda: trusting(name))
    assert not web.requests
    assert not mail.letters
    assert not log.frames
    assert not any("AUTH" in line for line in mail.heard)


@pytest.mark.parametrize(("to", "tls"), EVERY)
async def test_an_unknown_certificate_is_refused(to: To, tls: bool) -> None:
    mail = MailServer(starttls=None if tls else serving())
    async with listening(mail, tls=serving() if tls else None) as port:
        with pytest.raises(DeliveryFailed, match="is not trusted"):
            await deliver(to(port), trust=ssl.create_default_context)  # noqa: TID251 - what the product does
    assert not any("AUTH" in line for line in mail.heard)


async def test_a_server_without_tls_is_told_nothing() -> None:
    every: list[To] = [
        lambda port: mail_to(port, implicit=True),
        lambda port: Webhook("127.0.0.1", port, "/"),
        lambda port: Syslog("127.0.0.1", port, tls=True),
    ]
    for to in every:
        async with listening(saying(b"220 hello\r\n")) as port:
            assert "speaks no TLS" in await refused(to(port))
