"""Where alarms go: the values of `alarm.email`, `alarm.webhook` and `alarm.syslog`, read from text.

None of them holds a secret: passwords and signing keys are sealed apart (`alarm secret`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._:-]{0,251}[A-Za-z0-9])?")
_MAILBOX: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_USER: Final = re.compile(r"[!-~]{1,128}")
_PATH: Final = re.compile(r"/[!-~]{0,1000}")
_MOST_RECIPIENTS: Final = 20


@dataclass(frozen=True)
class Email:
    """A mail server, spoken to with TLS from the first byte (`implicit`) or from STARTTLS on; never without."""

    host: str
    port: int
    implicit: bool
    username: str | None
    sender: str
    recipients: tuple[str, ...]


@dataclass(frozen=True)
class Webhook:
    """A web server that takes a signed POST over HTTPS."""

    host: str
    port: int
    path: str


@dataclass(frozen=True)
class Syslog:
    """A log server: TCP, or TLS over it."""

    host: str
    port: int
    tls: bool


Destination = Email | Webhook | Syslog


def email(text: str) -> Email:
    """`smtps://USER@HOST:PORT?from=A&to=B,C`, or `smtp://` for STARTTLS. Raises ValueError."""
    parts, host, port = _read(text, {"smtps": 465, "smtp": 587})
    if parts.path not in ("", "/") or parts.password is not None:
        raise ValueError("no path and no password")
    query = parse_qs(parts.query.replace("+", "%2B"), keep_blank_values=True, strict_parsing=True, max_num_fields=2)
    if set(query) != {"from", "to"}:
        raise ValueError("from and to")
    sender, recipients = query["from"][0], tuple(query["to"][0].split(","))
    if len(recipients) > _MOST_RECIPIENTS or not all(_MAILBOX.fullmatch(one) for one in (sender, *recipients)):
        raise ValueError("mail addresses")
    username = None if parts.username is None else unquote(parts.username)
    if username is not None and not _USER.fullmatch(username):
        raise ValueError("user name")
    return Email(host, port, parts.scheme == "smtps", username, sender, recipients)


def webhook(text: str) -> Webhook:
    """`https://HOST:PORT/PATH`. Raises ValueError; for a query too, since that is where tokens are put."""
    parts, host, port = _read(text, {"https": 443})
    path = parts.path or "/"
    if "?" in text or "@" in parts.netloc or not _PATH.fullmatch(path):
        raise ValueError("no user, no query")
    return Webhook(host, port, path)


def syslog(text: str) -> Syslog:
    """`tls://HOST:PORT` (port 6514 by default, RFC 5425), or `tcp://` (601, as registered). Raises ValueError."""
    parts, host, port = _read(text, {"tls": 6514, "tcp": 601})
    if parts.path not in ("", "/") or "?" in text or "@" in parts.netloc:
        raise ValueError("host and port only")
    return Syslog(host, port, parts.scheme == "tls")


def holder(destination: Destination) -> tuple[object, ...]:
    """Who is shown, or proved, the secret: another path, sender or recipient is still the same."""
    if isinstance(destination, Email):
        return (destination.host, destination.port, destination.implicit, destination.username)
    return (destination.host, destination.port)


def _read(text: str, ports: Mapping[str, int]) -> tuple[SplitResult, str, int]:
    """The parts, the host, and the port or the one that the scheme has."""
    if not re.fullmatch(r"[!-~]{1,2000}", text) or "#" in text:
        raise ValueError("printable ASCII")
    parts = urlsplit(text)
    if parts.scheme not in ports or parts.hostname is None or not _HOST.fullmatch(parts.hostname):
        raise ValueError("scheme and host")
    port = ports[parts.scheme] if parts.port is None else parts.port  # beyond 65535 it is a ValueError already
    if port == 0:
        raise ValueError("port")
    return parts, parts.hostname, port
