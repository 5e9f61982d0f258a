"""Mail by SMTP (RFC 5321) with TLS always: from the first byte, or by STARTTLS (RFC 3207)."""

import base64
import logging
import re
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from fleetseal.core.destinations import Email
from fleetseal.core.errors import DeliveryFailed
from fleetseal.core.secrets import Secret
from fleetseal.core.text import clean
from fleetseal.notify.notice import Notice
from fleetseal.notify.wire import Wire, conversation

_MOST_LINES = 100  # of one reply
_SHOWN = 120  # characters of a server's words

_log = logging.getLogger(__name__)


def compose(target: Email, notice: Notice) -> bytes:
    """The message, in 7-bit characters and with lines of CR LF."""
    message = EmailMessage(policy=SMTP)
    message["From"] = target.sender
    message["To"] = ", ".join(target.recipients)
    message["Subject"] = f"Fleetseal: {notice.heading}"
    message["Date"] = format_datetime(notice.created)
    message["Message-ID"] = f"<{notice.id}@{target.sender.partition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation replies
    lines = [f"{notice.heading}.", "", *(f"- {line}" for line in notice.lines())]
    message.set_content("\n".join(lines) + "\n", cte="quoted-printable")
    return message.as_bytes()


async def send(
    target: Email, notice: Notice, password: Secret | None, *, context: ssl.SSLContext, seconds: float
) -> None:
    """The server has taken the message for at least one of the recipients; those it refuses are logged.

    The password is sent over verified TLS only. Raises DeliveryFailed.
    """
    if target.username is not None and password is None:
        raise DeliveryFailed('There is no password for the mail server. Set it: "fleetseal alarm secret email".')
    try:
        await _converse(target, compose(target, notice), password, context=context, seconds=seconds)
    except DeliveryFailed as error:
        if password is not None and password.reveal() in error.message:  # a server that knows it may say it
            raise DeliveryFailed("The mail server said no, in words that are not shown.") from None
        raise


async def _converse(
    target: Email, letter: bytes, password: Secret | None, *, context: ssl.SSLContext, seconds: float
) -> None:
    async with conversation(
        target.host, target.port, context=context if target.implicit else None, seconds=seconds
    ) as wire:
        await _expect(wire, 220)
        offered = await _hello(wire)
        if not target.implicit:
            if "STARTTLS" not in offered:
                raise DeliveryFailed("The mail server does not offer STARTTLS. Nothing was told to it.")
            await _ask(wire, "STARTTLS", 220)
            await wire.start_tls(context, target.host)
            offered = await _hello(wire)
        if target.username is not None and password is not None:
            await _log_in(wire, offered, target.username, password)
        await _ask(wire, f"MAIL FROM:<{target.sender}>", 250)
        await _recipients(wire, target.recipients)
        await _ask(wire, "DATA", 354)
        await wire.send(re.sub(rb"(?m)^\.", b"..", letter) + b".\r\n")
        await _expect(wire, 250)
        await wire.send(b"QUIT\r\n")


async def _hello(wire: Wire) -> dict[str, str]:
    """What the server offers: keyword -> parameters."""
    own = wire.own_address
    literal = f"[IPv6:{own}]" if ":" in own else f"[{own}]"  # RFC 5321 4.1.3: right without a name of ours
    told = await _ask(wire, f"EHLO {literal}", 250)
    return {words[0].upper(): " ".join(words[1:]).upper() for words in (line.split() for line in told[1:]) if words}


async def _log_in(wire: Wire, offered: dict[str, str], username: str, password: Secret) -> None:
    """What the server says meanwhile is shown to nobody: it could be the password."""
    ways = offered.get("AUTH", "").split()
    user, word = username.encode(), password.reveal().encode()
    if "PLAIN" in ways:
        dialogue = [("AUTH PLAIN " + _base64(b"\0" + user + b"\0" + word), 235)]
    elif "LOGIN" in ways:
        dialogue = [("AUTH LOGIN", 334), (_base64(user), 334), (_base64(word), 235)]
    else:
        raise DeliveryFailed("The mail server offers no login that is known here (PLAIN, LOGIN).")
    for said, wanted in dialogue:
        await wire.send(f"{said}\r\n".encode("ascii"))
        code, _ = await _reply(wire)
        if code != wanted:
            raise DeliveryFailed(f"The mail server refused the login ({code}). Nothing was sent.")


async def _recipients(wire: Wire, recipients: tuple[str, ...]) -> None:
    refused: dict[str, DeliveryFailed] = {}
    for one in recipients:
        try:
            await _ask(wire, f"RCPT TO:<{one}>", 250, 251)
        except DeliveryFailed as error:
            refused[one] = error
    if len(refused) == len(recipients):
        raise next(iter(refused.values()))
    for one, refusal in refused.items():
        _log.warning("Alarms do not reach %s: %s", one, refusal.message)


async def _ask(wire: Wire, command: str, *wanted: int) -> list[str]:
    await wire.send(f"{command}\r\n".encode("ascii"))
    return await _expect(wire, *wanted)


async def _expect(wire: Wire, *wanted: int) -> list[str]:
    code, texts = await _reply(wire)
    if code not in wanted:
        raise DeliveryFailed(f"The mail server said no: {code} {clean(' '.join(texts), limit=_SHOWN)}")
    return texts


async def _reply(wire: Wire) -> tuple[int, list[str]]:
    """RFC 5321 4.2.1: lines `250-text`, the last one `250 text`."""
    texts: list[str] = []
    for _ in range(_MOST_LINES):
        line = await wire.line()
        if not re.fullmatch(r"[2-5][0-9]{2}([ -].*)?", line):
            break
        texts.append(line[4:])
        if line[3:4] != "-":
            return int(line[:3]), texts
    raise DeliveryFailed("The mail server answered in a way that is not understood.")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
