"""A server elsewhere (`--url`): whom the command line believes to be it, and how it says who asks."""

import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from fleetseal.cli import ask
from fleetseal.core import config
from fleetseal.core.errors import InvalidInput

_TOKEN = "FLEETSEAL_TOKEN_FILE"  # noqa: S105 - the name of a variable
_CONNECT_SECONDS = 10.0


@dataclass(frozen=True)
class Remote:
    """Where it is. `anchors`: a PEM file of what it has to be verified by; None: the root in the data directory, if
    there is one, else the trust store of this computer."""

    url: str
    anchors: Path | None
    data: Path

    def client(self) -> httpx.AsyncClient:
        """Asks the API there, as the token says. Raises InvalidInput when URL, token or certificates are wrong."""
        secure = _is_secure(self.url)
        token = ask.secret(_token_file(), "", option=_TOKEN)
        return httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(verify=_context(self) if secure else False),
            base_url=self.url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(None, connect=_CONNECT_SECONDS),  # an answer takes as long as devices do
            trust_env=False,
        )

    async def check(self, http: httpx.AsyncClient) -> None:
        """It is Fleetseal, proved by its certificate, and knows the token. Raises InvalidInput."""
        try:
            answer = await http.get("/api/v1/server")
        except httpx.TransportError as error:
            raise InvalidInput(self._no_connection(error)) from error
        if answer.status_code == 401:
            raise InvalidInput(
                f"The server at {self.url} does not know the token in the file of {_TOKEN}: it is wrong, has ended, or "
                "was removed. Make another there: fleetseal token add."
            )
        if not (answer.is_success and _product(answer) == "fleetseal"):
            raise InvalidInput(f"What answers at {self.url} is not Fleetseal. Nothing was done.")

    def _no_connection(self, error: httpx.TransportError) -> str:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return (
                    f"The certificate of {self.url} is not believed: {cause.verify_message}. Nothing was sent there. "
                    "If its CA is not known here, give its root: --ca-file FILE."
                )
            cause = cause.__cause__ or cause.__context__
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return f"Nothing can be reached at {self.url}: is the server running, and the address right?"
        return f"What answers at {self.url} is not Fleetseal. Nothing was done."


def _is_secure(url: str) -> bool:
    """Whether by TLS; in clear on this computer only. Raises InvalidInput."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not host or parts.scheme not in ("http", "https") or parts.path not in ("", "/") or port == 0:
        raise InvalidInput("--url is the address of a server, like https://fleetseal.example.com:8443")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InvalidInput(f"--url has no user, query or fragment. The token comes from the file of {_TOKEN}.")
    if parts.scheme == "https":
        return True
    if host != "localhost" and not _is_loopback(host):
        raise InvalidInput(f"A token is not sent to {host} without TLS: give --url with https://.")
    return False


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _token_file() -> Path:
    named = config.environment().get(_TOKEN)
    if not named:
        raise InvalidInput(f"With --url the variable {_TOKEN} names a file with an API token of that server.")
    return Path(named)


def _context(remote: Remote) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if remote.anchors is not None:
        anchors = ask.contents(remote.anchors)
        try:
            context.load_verify_locations(cadata=anchors.decode("ascii") if b"-----BEGIN" in anchors else anchors)
        except (ssl.SSLError, UnicodeDecodeError) as error:
            raise InvalidInput(f"The file {remote.anchors} holds no certificate that can be read.") from error
    elif own := _own(remote.data):
        context.load_verify_locations(cadata=own)
    else:
        context.load_default_certs()
    return context


def _own(data: Path) -> bytes:
    """The CA certificates (DER) that the owner of this data directory has published in it."""
    return b"".join(ask.contents(path) for path in sorted(data.glob("crl/*.crt")))


def _product(answer: httpx.Response) -> Any:
    try:
        return answer.json()["product"]
    except (ValueError, KeyError, TypeError):
        return None
