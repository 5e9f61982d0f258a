"""A signed POST over HTTPS.

`Fleetseal-Signature` is `v1=` and HMAC-SHA256, in hex, over `Fleetseal-Timestamp`, a full stop and the body, with the
key that was set by `alarm secret webhook`. The time is that of this try, in seconds since 1970: a receiver refuses old
ones, and knows a repetition by the member `id`.
"""

import hashlib
import hmac
import json
import re
import ssl
from datetime import datetime

from fleetseal.core.destinations import Webhook
from fleetseal.core.errors import DeliveryFailed
from fleetseal.core.secrets import Secret
from fleetseal.notify.notice import Notice
from fleetseal.notify.wire import Wire, conversation

_INTERIM = 5  # answers 1xx that are passed over
_MOST_HEADERS = 100


def compose(target: Webhook, notice: Notice, key: Secret, *, now: datetime) -> bytes:
    """The whole request."""
    body = json.dumps(notice.as_json()).encode("ascii")
    at = str(int(now.timestamp()))
    host = f"[{target.host}]" if ":" in target.host else target.host
    head = (
        f"POST {target.path} HTTP/1.1",
        f"Host: {host}:{target.port}" if target.port != 443 else f"Host: {host}",
        "User-Agent: fleetseal",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        f"Fleetseal-Timestamp: {at}",
        f"Fleetseal-Signature: v1={signature(key, at, body)}",
        "Connection: close",
    )
    return "\r\n".join(head).encode("ascii") + b"\r\n\r\n" + body


def signature(key: Secret, at: str, body: bytes) -> str:
    return hmac.new(key.reveal().encode(), at.encode("ascii") + b"." + body, hashlib.sha256).hexdigest()


async def send(
    target: Webhook, notice: Notice, key: Secret | None, *, now: datetime, context: ssl.SSLContext, seconds: float
) -> None:
    """The server has answered 2xx. A redirect is an error. Raises DeliveryFailed."""
    if key is None:
        raise DeliveryFailed('There is no key to sign with. Set it: "fleetseal alarm secret webhook".')
    request = compose(target, notice, key, now=now)
    async with conversation(target.host, target.port, context=context, seconds=seconds) as wire:
        await wire.send(request)
        status = await _status(wire)
    if 300 <= status < 400:
        raise DeliveryFailed(f"The web server redirects ({status}), which is not followed. Set the final address.")
    if not 200 <= status < 300:
        raise DeliveryFailed(f"The web server answered {status}: it did not take the message.")


async def _status(wire: Wire) -> int:
    """RFC 9112 4: the first status that is not interim. Nothing else of the answer is read."""
    for _ in range(_INTERIM):
        found = re.match(r"HTTP/1\.[01] ([1-5][0-9]{2})( |$)", await wire.line())
        if found is None:
            break
        if (status := int(found[1])) >= 200:
            return status
        for _ in range(_MOST_HEADERS):
            if await wire.line() == "":
                break
    raise DeliveryFailed("The web server answered in a way that is not understood.")
