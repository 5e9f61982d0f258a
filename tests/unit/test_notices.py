"""Messages about alarms: whatever a device calls itself, it stays text (INP-UNTRUSTED-TEXT)."""

import email
import json
import re
from email.policy import default

import pytest

from fleetseal.core.destinations import Email, Webhook
from fleetseal.core.secrets import Secret
from fleetseal.notify import mail, syslog, webhook
from fleetseal.notify.notice import SHOWN, Item, Notice
from tests.support import NOW

TARGET = Email("mail.example", 465, True, None, "fleetseal@site.example", ("ops@site.example",))
HOSTILE = [
    "P3265\r\nBcc: everybody@evil.example",
    "\r\n.\r\nMAIL FROM:<evil@evil.example>",
    '"] evil="x',
    "a]b\\c",
    "<script>alert(1)</script>",
    "\x1b[2J\x00\x07",
    "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe",
    "\ud800",
    "é" * 5000,
    "=cmd|' /C calc'!A0",
    ".",
]


def notice(text: str, *, event: str = "opened", count: int = 1) -> Notice:
    item = Item.of(1, about=text, severity="critical", message=text, since=NOW)
    return Notice("fleetseal-x-1", event, "needs-hands", NOW, count, (item,) * min(count, SHOWN))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_letter_has_its_own_headers_only(text: str) -> None:
    content = mail.compose(TARGET, notice(text))
    assert content.isascii()
    assert not re.search(rb"[^\r]\n|\r[^\n]", content)
    assert max(map(len, content.split(b"\r\n"))) < 998
    message = email.message_from_bytes(content, policy=default)
    assert set(message.keys()) == {
        *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"),
        *("MIME-Version", "Content-Type", "Content-Transfer-Encoding"),
    }
    assert [line[:2] for line in message.get_content().splitlines()[2:]] == ["- "]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_log_message_is_one_line_of_known_shape(text: str) -> None:
    frame = syslog.compose(notice(text), host="manager.example")
    length, _, message = frame.partition(b" ")
    assert int(length) == len(message) <= 2048
    shape = re.fullmatch(
        r"<26>1 2026-11-23T12:00:00Z manager\.example fleetseal - opened "
        r'\[fleetseal@32473 event="opened" cause="needs-hands" count="1" id="fleetseal-x-1"\] \ufeff([^\r\n\0]*)',
        message.decode(),
    )
    assert shape is not None


def test_a_value_in_structured_data_is_escaped() -> None:
    assert syslog._escaped('a"b\\c]d') == 'a\\"b\\\\c\\]d'


@pytest.mark.parametrize("host", ["", "two words", "\r\nx", "h" * 300, "höst"])
def test_a_host_name_is_one_word(host: str) -> None:
    head = syslog.compose(notice("x"), host=host).decode().split(" ")
    assert re.fullmatch(r"[!-~]{1,255}", head[3])


@pytest.mark.parametrize("text", HOSTILE)
def test_a_body_is_json_and_a_request_has_its_own_headers_only(text: str) -> None:
    request = webhook.compose(Webhook("hooks.example", 443, "/x"), notice(text), Secret("key"), now=NOW)
    head, _, body = request.partition(b"\r\n\r\n")
    assert len(head.split(b"\r\n")) == 8
    assert json.loads(body)["alarms"][0]["object"].isprintable()


def test_many_alarms_are_counted() -> None:
    many = notice("device", count=70)
    assert many.heading == "70 new alarms: needs-hands"
    assert len(many.lines()) == SHOWN + 1
    assert many.lines()[-1] == "And 20 more. See them all: fleetseal alarm list"
    assert len(syslog.compose(many, host="h").partition(b" ")[2]) <= 2048


@pytest.mark.parametrize(
    ("event", "heading", "severity"),
    [
        ("opened", "1 new alarm: needs-hands", "critical"),
        ("closed", "1 alarm has ended: needs-hands", "information"),
        ("reminder", "Reminder of 1 alarm: needs-hands", "critical"),
        ("test", "Test message", "information"),
    ],
)
def test_a_message_says_what_happened(event: str, heading: str, severity: str) -> None:
    assert (notice("x", event=event).heading, notice("x", event=event).severity) == (heading, severity)
