"""Products without SOAP and REST (AXIS Companion): the connection policy by parameters, no certificates.

Device-api 6.5; that these products have no other interface is recorded on 9.80.
"""

from collections.abc import Mapping
from typing import ClassVar

from fleetseal.core.errors import NotSupported
from fleetseal.core.model import (
    Alias,
    CertificateRequest,
    Chain,
    Generation,
    HttpsState,
    Installed,
    InstalledAuthority,
    KeyPair,
    KeySpec,
)
from fleetseal.devices.axis import catalogue, wire_cgi
from fleetseal.devices.axis.base import AxisDriver


class ParameterDriver(AxisDriver):
    """Every verb about certificates raises NotSupported and asks the device nothing."""

    generation: ClassVar[Generation] = Generation.PARAMETERS

    async def https(self) -> HttpsState:
        return await self._transport.ask(wire_cgi.get_https())

    async def set_https(self, state: HttpsState) -> None:
        """Raises NotSupported for a binding: the parameters cannot choose the certificate."""
        if state.alias is not None:
            raise _no_certificates()
        await self._transport.ask(wire_cgi.set_https(state))

    async def certificates(self) -> tuple[Installed, ...]:
        raise _no_certificates()

    async def authorities(self) -> tuple[InstalledAuthority, ...]:
        raise _no_certificates()

    async def uses(self) -> Mapping[Alias, frozenset[str]]:
        raise _no_certificates()

    async def request_certificate(self, alias: Alias, spec: KeySpec) -> CertificateRequest:
        raise _no_certificates()

    async def create_self_signed(self, alias: Alias, spec: KeySpec) -> None:
        raise _no_certificates()

    async def install(self, alias: Alias, chain: Chain) -> None:
        raise _no_certificates()

    async def install_key_pair(self, alias: Alias, bundle: KeyPair) -> None:
        raise _no_certificates()

    async def install_authority(self, alias: Alias, certificate: bytes) -> None:
        raise _no_certificates()

    async def remove(self, alias: Alias) -> None:
        raise _no_certificates()


def _no_certificates() -> NotSupported:
    return NotSupported(catalogue.NO_CERTIFICATES)
