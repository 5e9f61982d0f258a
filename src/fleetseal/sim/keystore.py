"""One store of certificates, with keys or of CAs, in one space of names: SOAP ids are REST aliases (device-api 8)."""

from dataclasses import dataclass, field
from enum import Enum

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from fleetseal.sim.certificates import PrivateKey, same_key

_KEY_LIMIT, _AUTHORITY_LIMIT = 20, 60
"""Entries, as device-api 19.3 proposes (inferred)."""


class Reason(Enum):
    """Why the device says no; each interface has its own words for it."""

    EXISTS = "exists"
    UNKNOWN = "unknown"
    IN_USE = "in use"
    FULL = "full"
    FORMAT = "format"
    KEYS_NOT_MATCHING = "keys not matching"
    KEY_GENERATION = "key generation"
    REQUEST = "request"
    INVALID = "invalid"
    UNKNOWN_ACTION = "unknown action"
    TAG_MISMATCH = "tag mismatch"


class Refusal(Exception):
    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text


@dataclass
class Entry:
    alias: str
    certificate: x509.Certificate
    key: PrivateKey | None = field(default=None, repr=False)
    keystore: str = ""
    factory: bool = False


class CertificateStore:
    """Entries in the order they came."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}

    def __contains__(self, alias: str) -> bool:
        return alias in self._entries

    @property
    def keys(self) -> list[Entry]:
        """Entries with a private key."""
        return [entry for entry in self._entries.values() if entry.key is not None]

    @property
    def authorities(self) -> list[Entry]:
        return [entry for entry in self._entries.values() if entry.key is None]

    def get(self, alias: str) -> Entry:
        """Raises Refusal when there is no such entry."""
        if alias not in self._entries:
            raise Refusal(Reason.UNKNOWN, f"no certificate {alias!r}")
        return self._entries[alias]

    def room(self, alias: str, *, key: bool, full: bool = False) -> None:
        """Raises Refusal when the name is taken, bad, or the store is full."""
        if not 1 <= len(alias) <= 128:
            raise Refusal(Reason.INVALID, "alias: 1 to 128 characters")
        if alias in self._entries:
            raise Refusal(Reason.EXISTS, f"the alias {alias!r} exists already")
        kind, limit = (self.keys, _KEY_LIMIT) if key else (self.authorities, _AUTHORITY_LIMIT)
        if full or len(kind) >= limit:
            raise Refusal(Reason.FULL, "the certificate store is full")

    def add(self, entry: Entry, *, full: bool = False) -> None:
        self.room(entry.alias, key=entry.key is not None, full=full)
        if entry.key is not None and not same_key(entry.certificate, entry.key):
            raise Refusal(Reason.KEYS_NOT_MATCHING, "certificate and private key do not belong together")
        self._entries[entry.alias] = entry

    def replace(self, alias: str, certificate: x509.Certificate) -> None:
        """Another certificate of the same public key under this name."""
        entry = self.get(alias)
        if entry.certificate.public_key() != certificate.public_key():
            raise Refusal(Reason.KEYS_NOT_MATCHING, "the certificate does not belong to the key of this entry")
        entry.certificate = certificate

    def remove(self, alias: str) -> None:
        entry = self.get(alias)
        if entry.factory:
            raise Refusal(Reason.INVALID, f"{alias!r} is part of the device")
        del self._entries[alias]

    def chain(self, leaf: x509.Certificate) -> list[x509.Certificate]:
        """The issuing CAs found in the store, nearest first, without a root."""
        found: list[x509.Certificate] = []
        below = leaf
        for _ in range(4):
            above = next((e.certificate for e in self.authorities if _issued(below, e.certificate)), None)
            if above is None or above.subject == above.issuer:
                break
            found.append(above)
            below = above
        return found


def _issued(below: x509.Certificate, above: x509.Certificate) -> bool:
    if below.issuer != above.subject:
        return False
    try:
        below.verify_directly_issued_by(above)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
