"""What goes wrong between aiohttp and a device, in our classes and in words for people."""

import ssl
from dataclasses import dataclass

import aiohttp

from fleetseal.core.errors import DeviceError, OutcomeUnknown, ProtocolViolation, Unreachable
from fleetseal.core.model import Endpoint
from fleetseal.devices import tls
from fleetseal.devices.http import Request


@dataclass
class Exchange:
    """How far one exchange has come, for the right error."""

    request: Request
    port: int = 0
    sent: bool = False
    answered: bool = False


def translated(endpoint: Endpoint, exchange: Exchange, error: Exception) -> DeviceError:
    """An error of aiohttp or the system as one of ours. Every one of them has a class here."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return Unreachable(f"The name {endpoint.host} has no address.")
        case aiohttp.ClientConnectorSSLError() | aiohttp.ClientConnectorCertificateError():
            inner = error.os_error if isinstance(error, aiohttp.ClientConnectorSSLError) else error.certificate_error
            return tls.handshake_failed(endpoint, inner if isinstance(inner, OSError) else ssl.SSLError())
        case aiohttp.ClientConnectorError():
            return Unreachable(tls.no_connection(endpoint.host, exchange.port, error.os_error))
        case aiohttp.ServerTimeoutError():
            return lost(endpoint, exchange, "in time")
        case aiohttp.ClientConnectionError() | aiohttp.ClientPayloadError():
            exchange.answered = False
            return lost(endpoint, exchange, "and closed the connection")
        case OSError() if not isinstance(error, aiohttp.ClientError):
            return lost(endpoint, exchange, "and closed the connection")
        case _:
            return ProtocolViolation(
                f"The answer of {endpoint.host} is not valid HTTP or not within bounds ({type(error).__name__})."
            )


def lost(endpoint: Endpoint, exchange: Exchange, how: str) -> DeviceError:
    """The error for an answer that did not come, by how far the exchange had come."""
    if exchange.request.write and exchange.sent:
        return OutcomeUnknown(
            f"A change was sent to {endpoint.host}, which did not answer {how}: "
            "whether it took effect is found by looking."
        )
    if exchange.answered:
        return ProtocolViolation(f"{endpoint.host} began an answer and did not end it {how}.")
    return Unreachable(f"{endpoint.host} did not answer {how}.")


def basic_refused(endpoint: Endpoint, *, encrypted: bool) -> str:
    if not encrypted:
        return (
            f"{endpoint.host} wants the password in clear text over plain HTTP (Basic). It was not sent. "
            "Allow digest logins on the device, or contact it over HTTPS."
        )
    if endpoint.legacy_tls:
        return (
            f"{endpoint.host} wants the password itself (Basic), which is never sent over TLS 1.0 or 1.1. "
            "Allow digest logins on the device."
        )
    return (
        f"{endpoint.host} wants the password itself (Basic), and its certificate is not trusted far enough for that. "
        f'It was not sent. Check the certificate with "fleetseal device trust {endpoint.host}".'
    )
