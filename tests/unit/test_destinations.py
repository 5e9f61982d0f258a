"""Where alarms go: which texts are understood, as what, and that everything else is refused."""

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fleetseal.core import config, destinations
from fleetseal.core.destinations import Email, Syslog, Webhook
from fleetseal.core.errors import InvalidInput

UNDERSTOOD = [
    (
        "alarm.email",
        "smtps://fleet%40site.example@mail.site.example?from=a@site.example&to=b@site.example,c+night@site.example",
        Email(
            "mail.site.example",
            465,
            True,
            "fleet@site.example",
            "a@site.example",
            ("b@site.example", "c+night@site.example"),
        ),
    ),
    ("alarm.email", "smtp://[2001:db8::1]:25?from=a@x&to=b@y", Email("2001:db8::1", 25, False, None, "a@x", ("b@y",))),
    ("alarm.webhook", "https://hooks.site.example/alarms", Webhook("hooks.site.example", 443, "/alarms")),
    ("alarm.webhook", "https://192.0.2.1:8443", Webhook("192.0.2.1", 8443, "/")),
    ("alarm.syslog", "tls://log.site.example", Syslog("log.site.example", 6514, True)),
    ("alarm.syslog", "tcp://192.0.2.1:514", Syslog("192.0.2.1", 514, False)),
]

REFUSED = [
    ("alarm.email", "ops@site.example"),
    ("alarm.email", "smtp://host"),
    ("alarm.email", "http://host?from=a@x&to=b@y"),
    ("alarm.email", "smtps://user:password@host?from=a@x&to=b@y"),
    ("alarm.email", "smtps://host?from=a@x&to=b@y&cc=c@z"),
    ("alarm.email", "smtps://host?from=a@x&from=b@y"),
    ("alarm.email", "smtps://host?from=a@x&to="),
    ("alarm.email", "smtps://host?from=a@x%0d%0aRCPT&to=b@y"),
    ("alarm.email", "smtps://u%0d%0aser@host?from=a@x&to=b@y"),
    ("alarm.email", "smtps://host?from=a@x&to=<b@y>"),
    ("alarm.email", "smtps://host?from=a@x&to=" + ",".join(["b@y"] * 21)),
    ("alarm.email", "smtps://host:0?from=a@x&to=b@y"),
    ("alarm.email", "smtps://host:65536?from=a@x&to=b@y"),
    ("alarm.webhook", "http://host/"),
    ("alarm.webhook", "https://user@host/"),
    ("alarm.webhook", "https://host/?token=x"),
    ("alarm.webhook", "https://host/#x"),
    ("alarm.webhook", "https:///path"),
    ("alarm.webhook", "https://host/a b"),
    ("alarm.webhook", "https://höst/"),
    ("alarm.syslog", "udp://host"),
    ("alarm.syslog", "tls://host/path"),
    ("alarm.syslog", "tls://user@host"),
    ("alarm.syslog", "tls://host?x"),
    ("alarm.syslog", "tls://"),
]
PARSERS: dict[str, Callable[[str], destinations.Destination]] = {
    "alarm.email": destinations.email,
    "alarm.webhook": destinations.webhook,
    "alarm.syslog": destinations.syslog,
}


@pytest.mark.parametrize(("key", "text", "meant"), UNDERSTOOD, ids=[text for _, text, _ in UNDERSTOOD])
def test_a_destination_is_read(key: str, text: str, meant: destinations.Destination) -> None:
    assert config.parse(key, text) == text
    assert PARSERS[key](text) == meant


@pytest.mark.parametrize(("key", "text"), REFUSED)
def test_anything_else_is_refused_with_what_is_allowed(key: str, text: str) -> None:
    with pytest.raises(InvalidInput, match="Allowed: "):
        config.parse(key, text)


@pytest.mark.parametrize("key", sorted(PARSERS))
def test_nothing_switches_a_channel_off(key: str) -> None:
    assert config.parse(key, "") == ""


@given(
    st.sampled_from(sorted(PARSERS)),
    st.sampled_from(["smtps://", "smtp://", "https://", "tls://", "tcp://", ""]),
    st.text(st.characters(codec="utf-8"), max_size=40),
    st.sampled_from(["", "?from=a@x&to=b@y", "/x"]),
)
@example("alarm.webhook", "https://", "[", "")
@example("alarm.email", "smtps://", "host:99999999", "?from=a@x&to=b@y")
def test_no_text_is_a_crash_or_a_line_break(key: str, scheme: str, middle: str, rest: str) -> None:
    with contextlib.suppress(ValueError):
        read = PARSERS[key](scheme + middle + rest)
        for part in (read.host, *(part for part in vars(read).values() if isinstance(part, str))):
            assert part.isprintable()
            assert part.isascii()
