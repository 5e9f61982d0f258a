"""The certificate profile (invariants 2): what may be signed. Pure decisions; `builder.py` turns them into bytes."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

from fleetseal.core.errors import InvalidInput, IssuanceRefused
from fleetseal.core.runtime import Rng
from fleetseal.core.text import clean
from fleetseal.pki import names as naming
from fleetseal.pki.content import IssuingContent, LeafContent, RootContent, Signer, may_sign_crls
from fleetseal.pki.names import UNCONSTRAINED, Constraints, DnsName

BACKDATING: Final = timedelta(hours=23)
LONGEST_LEAF: Final = timedelta(days=825)
MOST_NAMES: Final = 10
LONGEST_COMMON_NAME: Final = 64
"""X.520 counts characters; `cryptography` counts UTF-8 octets, which is stricter."""
_SECOND: Final = timedelta(seconds=1)


def new_serial(rng: Rng) -> int:
    """159 random bits, never 0 (ISS-SERIAL)."""
    while True:
        serial = int.from_bytes(rng.bytes(20), "big") >> 1
        if serial:
            return serial


def leaf_content(
    signer: Signer,
    spki: bytes,
    *,
    serial: int,
    now: datetime,
    life: timedelta,
    common_name: str | None,
    names: tuple[str, ...],
    key_encipherment: bool = True,
    public_url: str = "",
) -> LeafContent:
    """The certificate of a device for `names`, in which `common_name` must be one of them.

    Raises IssuanceRefused: `life`, `names`, `common-name`, `single-label`, `name-constraints`, `ISS-WITHIN-ISSUER`;
    InvalidInput for something that is no name at all.
    """
    wanted = tuple(dict.fromkeys(naming.classify(name).text for name in names))
    not_before, not_after = _leaf_validity(signer, now, life)
    return LeafContent(
        serial=serial,
        issuer=signer.sha256,
        not_before=not_before,
        not_after=not_after,
        common_name=_leaf_common_name(signer, common_name, wanted),
        names=wanted,
        spki=spki,
        life=not_after - now,
        key_encipherment=key_encipherment,
        crl_url=_crl_url(public_url, signer),
        ca_url=address_of(public_url, certificate_path(signer.sha256)),
    )


def root_content(
    name: str,
    spki: bytes,
    *,
    serial: int,
    now: datetime,
    years: int | None = None,
    organization: str | None = None,
    one_tier: bool = False,
    constraints: Constraints = UNCONSTRAINED,
    number: int = 1,
) -> RootContent:
    """A self-signed CA: 10 years, not past 2035 unless `years` says so (NIST IR 8547). `number`: which one of its year.
    Raises InvalidInput."""
    if years is not None and not 1 <= years <= 20:
        raise InvalidInput("A root lives 1 to 20 years.")
    not_before = whole_second(now) - BACKDATING
    return RootContent(
        serial=serial,
        not_before=not_before,
        not_after=root_end(not_before, years),
        common_name=authority_name(name, f"Root CA {now.year}" + (f"-{number}" if number > 1 else "")),
        organization=_text(organization or name, "organization"),
        spki=spki,
        path_length=0 if one_tier else None,
        constraints=constraints,
    )


def crl_path(issuer: str) -> str:
    """Where the CRL of a CA, named by the SHA-256 of its certificate, lies under `certificate.public-url`."""
    return f"/crl/{public_name(issuer)}.crl"


def certificate_path(issuer: str) -> str:
    """As `crl_path`, for the certificate of the CA."""
    return f"/ca/{public_name(issuer)}.crt"


def public_name(issuer: str) -> str:
    """What the files of a CA are called, where they are published."""
    return issuer[:16]


def address_of(public_url: str, path: str) -> str | None:
    """Where clients fetch what lies at `path`; None without `certificate.public-url`."""
    return public_url.rstrip("/") + path if public_url else None


def root_end(not_before: datetime, years: int | None) -> datetime:
    """The last second of a root made now."""
    if years is not None:
        return _years_later(not_before, years) - _SECOND
    end = _years_later(not_before, 10) - _SECOND
    last = datetime(2035, 12, 31, 23, 59, 59, tzinfo=UTC)
    return min(end, last) if last - not_before > timedelta(days=5 * 365) else end


def issuing_content(
    signer: Signer,
    spki: bytes,
    *,
    name: str,
    serial: int,
    now: datetime,
    number: int,
    organization: str | None = None,
    constraints: Constraints = UNCONSTRAINED,
    public_url: str = "",
) -> IssuingContent:
    """An issuing CA under `signer`: 5 years, never past its issuer."""
    not_before = whole_second(now) - BACKDATING
    return IssuingContent(
        serial=serial,
        issuer=signer.sha256,
        not_before=not_before,
        not_after=min(_years_later(not_before, 5) - _SECOND, signer.certificate.not_valid_after_utc),
        common_name=authority_name(name, f"Issuing CA {now.year}-{number}"),
        organization=_text(organization or name, "organization"),
        spki=spki,
        constraints=constraints,
        crl_url=_crl_url(public_url, signer),
    )


def authority_name(name: str, suffix: str) -> str:
    """The CN of a CA. Raises InvalidInput: no dot (validators take it for a DNS name), at most 64 characters."""
    if "." in name:
        raise InvalidInput("The name of a CA must not have a dot: some validators take it for a DNS name.")
    text = f"{_text(name, 'name')} {suffix}"
    if len(text.encode()) > LONGEST_COMMON_NAME:
        raise InvalidInput(
            f"The name of the CA is too long: {LONGEST_COMMON_NAME - len(suffix) - 1} letters without accents fit."
        )
    return text


def permitted(domains: tuple[str, ...], networks: tuple[str, ...]) -> Constraints:
    """The constraints of a CA that may vouch for these only (profile 2.7). Raises InvalidInput.

    Both types are always mentioned, because one that is not mentioned is not constrained: without a domain, all
    host names are excluded.
    """
    if domains and not networks:
        raise InvalidInput(
            "Give --permit-network beside --permit-domain: device certificates carry addresses, and without a network "
            "this CA could vouch for every address."
        )
    return Constraints(
        permitted_dns=tuple(dict.fromkeys(naming.dns_domain(domain) for domain in domains)),
        permitted_networks=tuple(dict.fromkeys(naming.network(text) for text in networks)),
        excluded_dns=("",) if networks and not domains else (),
    )


def renew_at(not_after: datetime, *, warning_days: int, life: timedelta, device: str) -> datetime:
    """When the certificate is due (REN-IN-TIME): before any warning, spread by a hash of `device`.

    `life` runs from signing to `not_after`, so that a fresh certificate is never due (REN-NO-LOOP).
    """
    lead = min(timedelta(days=7), life / 12)
    fraction = int.from_bytes(hashlib.sha256(device.encode()).digest()[:4], "big") / 2**32
    return not_after - warning_before(life, warning_days) - lead + lead / 2 * fraction


def warning_before(life: timedelta, warning_days: int) -> timedelta:
    """How long before its end a certificate is "about to expire": at most a quarter of its life."""
    return min(timedelta(days=warning_days), life / 4)


def whole_second(moment: datetime) -> datetime:
    """Certificates and CRLs know no fractions of a second (RFC 5280 4.1.2.5)."""
    return moment.astimezone(UTC).replace(microsecond=0)


# ---------------------------------------------------------------- rules of a leaf


def _leaf_validity(signer: Signer, now: datetime, life: timedelta) -> tuple[datetime, datetime]:
    if not timedelta(hours=1) <= life <= LONGEST_LEAF:
        raise IssuanceRefused(f"A device certificate lives at most {LONGEST_LEAF.days} days.", rule="life")
    end = signer.certificate.not_valid_after_utc
    if end - now < life / 2:
        raise IssuanceRefused(
            f"The issuing CA ends on {end:%Y-%m-%d}, before half of the wanted life of a device certificate. "
            'Nothing was signed. Renew the CA first: "fleetseal ca renew".',
            rule="ISS-WITHIN-ISSUER",
        )
    not_before = whole_second(now) - BACKDATING
    return not_before, min(not_before + life - _SECOND, end)


def _leaf_common_name(signer: Signer, common_name: str | None, names: tuple[str, ...]) -> str | None:
    classified = tuple(naming.classify(name) for name in names)
    dns_names = [name for name in classified if isinstance(name, DnsName)]
    if not 1 <= len(names) <= MOST_NAMES:
        raise IssuanceRefused(f"A device certificate has 1 to {MOST_NAMES} names, not {len(names)}.", rule="names")
    if any(name.single_label for name in dns_names) and not all(name.single_label for name in dns_names):
        raise IssuanceRefused(
            "A host name without a domain is issued only for a device that has no other: leave it out.",
            rule="single-label",
        )
    outside = naming.refused(classified, signer.constraints)
    if outside:
        listed = ", ".join(name.text for name in outside)
        raise IssuanceRefused(
            f"This CA may not vouch for {listed}: its name constraints forbid it.", rule="name-constraints"
        )
    if common_name is None:
        return None
    wanted = naming.classify(common_name).text
    if wanted not in names:
        raise IssuanceRefused(f"The common name {wanted} is not one of the certificate's names.", rule="common-name")
    if len(wanted) > LONGEST_COMMON_NAME or any(one.directory for one in signer.constraints):
        return None
    if not dns_names and any(one.constrains_dns for one in signer.constraints):
        return None  # OpenSSL and GnuTLS would take the address in it for a DNS name (profile 2.7 rule 4)
    return wanted


def _crl_url(public_url: str, signer: Signer) -> str | None:
    """None also for a CA that may sign no CRL: a pointer to nothing slows clients down."""
    return address_of(public_url, crl_path(signer.sha256)) if may_sign_crls(signer.der) else None


def _text(text: str, what: str) -> str:
    text = text.strip()
    if not 1 <= len(text.encode()) <= LONGEST_COMMON_NAME or clean(text) != text:
        raise InvalidInput(f"The {what} has 1 to {LONGEST_COMMON_NAME} characters and no control characters.")
    return text


def _years_later(moment: datetime, years: int) -> datetime:
    try:
        return moment.replace(year=moment.year + years)
    except ValueError:  # 29 February
        return moment.replace(year=moment.year + years, month=3, day=1)
