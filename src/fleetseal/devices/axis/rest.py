"""AXIS OS 11.6 and later: REST `cert`, v1 or v1beta by the address the device gave (device-api 9)."""

from typing import ClassVar

from fleetseal.core.errors import NotFound
from fleetseal.core.model import (
    Alias,
    CertificateRequest,
    Chain,
    DeviceFacts,
    Generation,
    Installed,
    InstalledAuthority,
    KeyPair,
    KeySpec,
)
from fleetseal.devices.axis import wire_rest
from fleetseal.devices.axis.base import AxisDriver, not_there
from fleetseal.devices.transport import Transport


class RestDriver(AxisDriver):
    generation: ClassVar[Generation] = Generation.REST

    def __init__(self, transport: Transport, facts: DeviceFacts) -> None:
        super().__init__(transport, facts)
        assert facts.rest_base is not None
        self._base = facts.rest_base

    async def certificates(self) -> tuple[Installed, ...]:
        entries = await self._transport.ask(wire_rest.certificates(self._base))
        used = await self._used()
        return tuple(Installed(entry.alias, entry.der, entry.alias in used, entry.keystore) for entry in entries)

    async def authorities(self) -> tuple[InstalledAuthority, ...]:
        entries = await self._transport.ask(wire_rest.authorities(self._base))
        return tuple(InstalledAuthority(entry.alias, entry.der) for entry in entries)

    async def request_certificate(self, alias: Alias, spec: KeySpec) -> CertificateRequest:
        entries = await self._transport.ask(wire_rest.certificates(self._base))
        if alias not in {entry.alias for entry in entries}:
            await self.create_self_signed(alias, spec)
        return CertificateRequest(await self._transport.ask(wire_rest.get_csr(self._base, alias)))

    async def create_self_signed(self, alias: Alias, spec: KeySpec) -> None:
        await self._transport.ask(wire_rest.create_certificate(self._base, alias, spec))

    async def install(self, alias: Alias, chain: Chain) -> None:
        await self._transport.ask(wire_rest.set_certificate(self._base, alias, chain.leaf))

    async def install_key_pair(self, alias: Alias, bundle: KeyPair) -> None:
        self._refuse_plain_http()
        question = wire_rest.add_key_pair(self._base, alias, bundle.chain.leaf, bundle.private_key)
        await self._transport.ask(question)

    async def install_authority(self, alias: Alias, certificate: bytes) -> None:
        await self._transport.ask(wire_rest.add_authority(self._base, alias, certificate))

    async def remove(self, alias: Alias) -> None:
        """One alias space: an alias names a key or a CA entry, never both (device-api 9.1)."""
        for question in (wire_rest.remove_certificate, wire_rest.remove_authority):
            try:
                await self._transport.ask(question(self._base, alias))
            except NotFound:
                continue
            return
        raise not_there(alias)
