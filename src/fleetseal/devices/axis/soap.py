"""Firmware 5.70 to 11.5: SOAP certificate services, Axis and ONVIF on one store (device-api 7, 8)."""

from typing import ClassVar

from fleetseal.core.errors import NotSupported
from fleetseal.core.model import (
    Alias,
    CertificateRequest,
    Chain,
    Generation,
    Installed,
    InstalledAuthority,
    KeyPair,
    KeySpec,
)
from fleetseal.core.secrets import Secret
from fleetseal.devices.axis import catalogue, wire_soap
from fleetseal.devices.axis.base import AxisDriver, not_there
from fleetseal.pki import keys, pkcs12

_FIRST_MODERN = (10,)
"""From here on PKCS#8 and AES in PKCS#12 are taken; before, PKCS#1 and 3DES (inferred, device-api 7.4, 8.4)."""


class SoapDriver(AxisDriver):
    generation: ClassVar[Generation] = Generation.SOAP

    async def certificates(self) -> tuple[Installed, ...]:
        entries = await self._transport.ask(wire_soap.get_certificates())
        used = await self._used()
        return tuple(Installed(alias, der, alias in used) for alias, der in entries)

    async def authorities(self) -> tuple[InstalledAuthority, ...]:
        entries = await self._transport.ask(wire_soap.get_authorities())
        return tuple(InstalledAuthority(alias, der) for alias, der in entries)

    async def request_certificate(self, alias: Alias, spec: KeySpec) -> CertificateRequest:
        entries = await self._transport.ask(wire_soap.get_certificates())
        if alias not in {name for name, _ in entries}:
            await self.create_self_signed(alias, spec)
        return CertificateRequest(await self._transport.ask(wire_soap.get_csr(alias, spec.common_name)))

    async def create_self_signed(self, alias: Alias, spec: KeySpec) -> None:
        """Key type and names of `spec` cannot be asked for here."""
        await self._transport.ask(wire_soap.create_certificate(alias, spec.common_name))

    async def install(self, alias: Alias, chain: Chain) -> None:
        await self._transport.ask(wire_soap.load_certificate(alias, chain.leaf))

    async def install_key_pair(self, alias: Alias, bundle: KeyPair) -> None:
        """As PKCS#12, under a passphrase for this one way, where the device takes it no other way."""
        self._refuse_plain_http()
        old, key = catalogue.version(self._facts.firmware) < _FIRST_MODERN, bundle.private_key
        try:
            plain = keys.to_traditional(key) if old else key
            await self._transport.ask(wire_soap.load_key_pair(alias, bundle.chain.leaf, plain))
        except NotSupported:
            passphrase = self._transport.token()
            packed = pkcs12.pack(key, bundle.chain.leaf, Secret(passphrase), old=old)
            await self._transport.ask(wire_soap.load_pkcs12(alias, packed, passphrase))

    async def install_authority(self, alias: Alias, certificate: bytes) -> None:
        await self._transport.ask(wire_soap.load_authority(alias, certificate))

    async def remove(self, alias: Alias) -> None:
        """Looks first: what firmware answers for an unknown id is not recorded."""
        names = {name for name, _ in await self._transport.ask(wire_soap.get_certificates())}
        if alias not in names | {name for name, _ in await self._transport.ask(wire_soap.get_authorities())}:
            raise not_there(alias)
        await self._transport.ask(wire_soap.delete_certificate(alias))
