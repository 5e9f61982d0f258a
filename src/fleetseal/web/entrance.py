"""The web application on the network: where, with which certificate, and until when. docs/procedures/web.md.

Plain HTTP is spoken on loopback only. Anywhere else there is TLS or nothing.
"""

import asyncio
import errno
import ipaddress
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from fleetseal.core.config import Settings, WebWish, parse
from fleetseal.core.errors import FleetsealError, InvalidInput, NotFound
from fleetseal.operations import web_certificate
from fleetseal.operations.recording import OURSELVES
from fleetseal.operations.services import Services
from fleetseal.operations.web_certificate import Host, this_computer
from fleetseal.web.door import Bounds, Door
from fleetseal.web.listener import Asgi
from fleetseal.web.pages import Pages, files
from fleetseal.web.tls import ServerCertificate

_BOUNDS = Bounds()
_log = logging.getLogger(__name__)


class Entrance:
    """Serves `api` and the pages beside it, from `open` to `close`."""

    def __init__(
        self,
        services: Services,
        api: Asgi,
        *,
        bounds: Bounds = _BOUNDS,
        computer: Callable[[], Host] = this_computer,
    ) -> None:
        self._services = services
        self._api = api
        self._bounds = bounds
        self._computer = computer
        self._door: Door | None = None
        self._keeping: asyncio.Task[None] | None = None
        self.address: str | None = None  # what a browser is to be told; None: it is not open

    async def open(self, group: asyncio.TaskGroup, settings: Settings, wish: WebWish) -> None:
        """Browsers reach the pages at `address`, unless `web.host` is empty.

        Raises InvalidInput when the place or the files cannot be used, or TLS is needed and there is no CA; as
        `web_certificate.ensure` when that cannot sign.
        """
        host = settings.web_host if wish.host is None else str(parse("web.host", wish.host))
        port = settings.web_port if wish.port is None else int(str(parse("web.port", str(wish.port))))
        if not host:
            return
        held = await self._certificate(host, settings, wish)
        self._door = Door(
            Pages(self._api, await asyncio.to_thread(files)),
            *(host, port),
            bounds=self._bounds,
            context=None if held is None else held.context,
        )
        try:
            await self._door.open(group)
        except OSError as error:
            raise InvalidInput(_why_not(host, port, error)) from error
        if held is not None:
            self._keeping = group.create_task(held.keep(self._services.clock))
        name = (self._names(host, wish) or (host,))[0] if wish.names or _everywhere(host) else host
        self.address = f"{'http' if held is None else 'https'}://{_in_url(name)}:{self._door.port}/"

    async def close(self) -> None:
        """Nobody is let in any more."""
        if self._door is not None:
            await self._door.close()
        if self._keeping is not None:
            self._keeping.cancel()

    async def _certificate(self, host: str, settings: Settings, wish: WebWish) -> ServerCertificate | None:
        """Loaded; None on loopback, where plain HTTP goes nowhere."""
        services = self._services
        if bool(settings.web_certificate) != bool(settings.web_key):
            raise InvalidInput("The settings web.certificate and web.key go together: give both files, or none.")
        if settings.web_certificate:
            held = ServerCertificate(Path(settings.web_certificate), Path(settings.web_key))
        elif ipaddress.ip_address(host).is_loopback:
            await web_certificate.retire(services)
            return None
        else:
            await self._own_certificate(host, wish)
            path = web_certificate.path_of(services)
            held = ServerCertificate(path, path, partial(web_certificate.passphrase, services))
        await asyncio.to_thread(held.load)
        if settings.web_certificate:
            await web_certificate.retire(services)
        return held

    def _names(self, host: str, wish: WebWish) -> tuple[str, ...]:
        return wish.names or web_certificate.names_of(self._computer(), host)

    async def _own_certificate(self, host: str, wish: WebWish) -> None:
        services = self._services
        wanted, chosen = self._names(host, wish), bool(wish.names)
        try:
            await web_certificate.ensure(
                services, actor=OURSELVES, wanted=wanted, chosen=chosen, passphrase=wish.passphrase
            )
        except NotFound as error:
            raise InvalidInput(
                f"The web application is offered at {host} by TLS only, and there is no CA here that could sign a "
                'certificate for this computer. Make one ("fleetseal ca create --name NAME"), or set web.certificate '
                "and web.key, or serve on this computer only (--host 127.0.0.1)."
            ) from error
        except FleetsealError as error:
            if not await web_certificate.usable(services, wanted, chosen=chosen):
                raise
            _log.warning("%s The web application goes on with the certificate that it has.", error.message)


def _why_not(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} of {host} is taken by another program. Give another: --port, or the setting web.port. "
            "Without the web application: \"fleetseal settings set web.host ''\"."
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this computer. Give one of its own: --host, or the setting web.host."
    if error.errno == errno.EACCES:
        return f"This user may not open port {port}. Give one above 1023: --port, or the setting web.port."
    return f"The web application cannot be offered at {host} port {port}: {error.strerror}."


def _everywhere(host: str) -> bool:
    return ipaddress.ip_address(host).is_unspecified


def _in_url(name: str) -> str:
    return f"[{name}]" if ":" in name else name
