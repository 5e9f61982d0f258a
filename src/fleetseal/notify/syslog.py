"""Syslog messages (RFC 5424) over TCP or TLS (RFC 5425), framed by octet counting (RFC 6587 3.4.1).

Syslog knows no receipt: what the other side's system has taken counts as delivered, unless the connection ends at once.
"""

import re
import ssl
from typing import Final

from fleetseal.core.destinations import Syslog
from fleetseal.core.text import timestamp
from fleetseal.notify.notice import Notice
from fleetseal.notify.wire import conversation

_FACILITY: Final = 3  # daemon
_SEVERITY: Final = {"critical": 2, "warning": 4, "information": 6}  # RFC 5424 6.2.1
_LONGEST: Final = 2048  # octets that every receiver should take (RFC 5424 6.1)
_REFUSED_WITHIN: Final = 0.5  # seconds in which a peer that does not want the message ends the connection
_SD_ID: Final = "fleetseal@32473"  # 32473: the number for those without one of their own (RFC 5612)


def compose(notice: Notice, *, host: str) -> bytes:
    """One frame: length, space, message."""
    priority = _FACILITY * 8 + _SEVERITY[notice.severity]
    name = re.sub(r"[^!-~]", "", host)[:255] or "-"
    members = {"event": notice.event, "cause": notice.cause, "count": str(notice.count), "id": notice.id}
    data = " ".join(f'{key}="{_escaped(value)}"' for key, value in members.items())
    head = f"<{priority}>1 {timestamp(notice.created)} {name} fleetseal - {notice.event} [{_SD_ID} {data}] \ufeff"
    text = "; ".join([notice.heading, *notice.lines()])
    message = head.encode() + text.encode()
    if len(message) > _LONGEST:
        message = message[: _LONGEST - 3].decode("utf-8", "ignore").encode() + "…".encode()
    return f"{len(message)} ".encode("ascii") + message


async def send(target: Syslog, notice: Notice, *, host: str, context: ssl.SSLContext | None, seconds: float) -> None:
    """The message is on its way. Raises DeliveryFailed."""
    frame = compose(notice, host=host)
    async with conversation(target.host, target.port, context=context, seconds=seconds) as wire:
        await wire.send(frame)
        await wire.stays_open(_REFUSED_WITHIN)
        await wire.finish()


def _escaped(value: str) -> str:
    """RFC 5424 6.3.3."""
    return re.sub(r'(["\\\]])', r"\\\1", value)
