"""DNS names and addresses as they appear in certificates (profile 2.4), and name constraints (profile 2.7)."""

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from fleetseal.core.errors import InvalidInput
from fleetseal.core.text import clean

Network = IPv4Network | IPv6Network

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class DnsName:
    """Lower case, no trailing dot, labels of letters, digits and hyphens, at most 253 characters."""

    text: str

    @property
    def single_label(self) -> bool:
        return "." not in self.text


@dataclass(frozen=True)
class Address:
    """IPv4, or IPv6 without a scope."""

    value: IPv4Address | IPv6Address

    @property
    def text(self) -> str:
        """Dotted, or as RFC 5952 writes it."""
        return str(self.value)


Name = DnsName | Address


@functools.lru_cache(maxsize=1024)  # one issuance asks a dozen times for the same few names
def classify(text: str) -> Name:
    """The normalised name. Raises InvalidInput, naming the rule, for what may not be in a certificate."""
    candidate = text.strip().lower()
    try:
        return _address(candidate)
    except ValueError:
        return _dns_name(candidate, text)


def dns_domain(text: str) -> str:
    """A permitted domain, normalised: it stands for itself and every name below it. Raises InvalidInput."""
    name = classify(text)
    if isinstance(name, Address):
        raise InvalidInput(f"{name.text} is an address, not a domain.")
    return name.text


def network(text: str) -> Network:
    """A permitted network, e.g. 192.0.2.0/24 or 2001:db8::/32. Raises InvalidInput."""
    try:
        return ip_network(text.strip())
    except ValueError as error:
        raise InvalidInput(
            f'"{clean(text)}" is not a network. Write it like 192.0.2.0/24, with all host bits zero.'
        ) from error


@dataclass(frozen=True)
class Constraints:
    """The name constraints of one CA certificate (RFC 5280 4.2.1.10), as far as they touch our leaves.

    `directory` is true when directory names are constrained: they apply to a leaf whose subject is not empty.
    """

    permitted_dns: tuple[str, ...] = ()
    permitted_networks: tuple[Network, ...] = ()
    excluded_dns: tuple[str, ...] = ()
    excluded_networks: tuple[Network, ...] = ()
    directory: bool = False

    @property
    def constrains_dns(self) -> bool:
        return bool(self.permitted_dns or self.excluded_dns)

    def permits(self, name: Name) -> bool:
        """A type that is not mentioned is not constrained."""
        if isinstance(name, DnsName):
            if any(_below(name.text, domain) for domain in self.excluded_dns):
                return False
            return not self.permitted_dns or any(_below(name.text, domain) for domain in self.permitted_dns)
        if any(name.value in excluded for excluded in self.excluded_networks):
            return False
        return not self.permitted_networks or any(name.value in permitted for permitted in self.permitted_networks)


UNCONSTRAINED: Final = Constraints()


def refused(names: Iterable[Name], constraints: Iterable[Constraints]) -> tuple[Name, ...]:
    """The names that some CA of the chain may not vouch for."""
    chain = tuple(constraints)
    return tuple(name for name in names if not all(one.permits(name) for one in chain))


def _below(name: str, domain: str) -> bool:
    """RFC 5280: labels may be added on the left. A leading dot (seen in the field) asks for at least one."""
    domain = domain.lower()
    if domain == "":
        return True
    if domain.startswith("."):
        return name.endswith(domain)
    return name == domain or name.endswith("." + domain)


def _address(candidate: str) -> Address:
    address = ip_address(candidate.removeprefix("[").removesuffix("]"))
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise InvalidInput(f"{clean(candidate)} has a scope, which means something on one computer only. Leave it out.")
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped  # the same host; as IPv6 no client would compare it
    if address.is_unspecified or address.is_multicast or address == IPv4Address(0xFFFFFFFF):
        raise InvalidInput(f"{address} is not the address of one device.")
    return Address(address)


def _dns_name(candidate: str, original: str) -> DnsName:
    candidate = candidate.removesuffix(".")
    labels = candidate.split(".")
    if not 1 <= len(candidate) <= 253:
        fault = "is not a host name: it must have 1 to 253 characters."
    elif "*" in labels:
        fault = "has a wildcard. A certificate names one device exactly."
    elif "_" in candidate:
        fault = "has an underscore, which validators refuse in host names."
    elif not all(_LABEL.fullmatch(label) and (label[2:4] != "--" or label.startswith("xn--")) for label in labels):
        fault = "is neither an address nor a host name: labels have 1 to 63 letters, digits and hyphens."
    elif labels[-1].isdigit():
        fault = "ends like an address but is none."
    else:
        return DnsName(candidate)
    raise InvalidInput(f'"{clean(original, limit=80)}" {fault}')
