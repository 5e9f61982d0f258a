"""What to do to a device: a pure function of what was seen and what is wished. Dry-run is printing it."""

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from fleetseal.core.config import Settings
from fleetseal.core.model import (
    Alias,
    AuthorityId,
    ConnectionPolicy,
    Device,
    DeviceFacts,
    EnableWish,
    Generation,
    HttpsState,
    Installed,
    KeyOrigin,
    KeySpec,
    KeyType,
)
from fleetseal.devices.axis.catalogue import NO_CERTIFICATES
from fleetseal.operations.naming import Names, link_local, misfit
from fleetseal.store.certificates import RenewalCause


@dataclass(frozen=True)
class Current:
    """The newest installed certificate of ours for this device, as recorded."""

    der: bytes
    names: tuple[str, ...]
    authority: AuthorityId
    not_after: datetime
    renew_at: datetime
    reissue: RenewalCause | None


@dataclass(frozen=True)
class ServedNow:
    """What the device's web server shows, as far as a plan needs to know."""

    der: bytes
    foreign: bool  # made by another issuer: neither ours, nor the maker's, nor self-signed
    issuer: str
    not_after: datetime


@dataclass(frozen=True)
class Observed:
    device: Device
    facts: DeviceFacts
    https: HttpsState
    entries: tuple[Installed, ...]
    served: ServedNow | None  # None: no TLS, or nobody is let in by it
    authorities: tuple[bytes, ...] = ()  # CA entries of its store, where a plan looks at them


@dataclass(frozen=True)
class Issuing:
    """What signs, and what the certificate will hold."""

    authority: AuthorityId
    elliptic: bool  # the CA's key
    not_before: datetime
    not_after: datetime
    names: Names | None


@dataclass(frozen=True)
class Switch:
    """How the web server gets from what it is to what is wished."""

    previous: HttpsState
    policy: ConnectionPolicy
    open_http: bool  # the way back is closed now and opened first
    set_clock: bool
    dead_before: bool  # HTTPS was on and answered nobody: no undo can prove it


@dataclass(frozen=True)
class Unchanged:
    reason: str
    alias: Alias | None = None  # of the entry that is as wished


@dataclass(frozen=True)
class Skipped:
    """Not possible, or not wished, here. A failure only for a device that was named explicitly."""

    reason: str
    error_code: str = "not-supported"


NO_INTERFACE = Skipped(f"{NO_CERTIFICATES} Nothing was changed.")


@dataclass(frozen=True)
class Refused:
    """Wished, and must not be done as things are."""

    reason: str
    error_code: str


@dataclass(frozen=True)
class Go:
    alias: Alias  # of the new entry, or of the one that is bound again
    issue: bool
    authority: AuthorityId
    names: Names
    key: KeySpec
    key_origin: KeyOrigin
    previous: HttpsState
    policy: ConnectionPolicy
    open_http: bool  # the way back is closed now and opened first
    set_clock: bool
    reason: str
    dead_before: bool = False  # HTTPS was on and answered nobody: no undo can prove it

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Go":
        return cls(
            **{
                **data,
                "names": Names(data["names"]["common_name"], tuple(data["names"]["names"])),
                "key": key_from_json(data["key"]),
                "key_origin": KeyOrigin(data["key_origin"]),
                "previous": https_from_json(data["previous"]),
                "policy": ConnectionPolicy(data["policy"]),
            }
        )

    @property
    def switch(self) -> Switch:
        return Switch(self.previous, self.policy, self.open_http, self.set_clock, self.dead_before)


@dataclass(frozen=True)
class Bind:
    """A certificate that this site did not issue is to serve HTTPS."""

    alias: Alias
    leaf: bytes
    proved: bool  # the device proved its identity when it was read
    switch: Switch
    name: str | None  # for which it chains to our anchors; None: no CA known here vouches for it
    above: tuple[bytes, ...] = ()  # CA certificates for its chain, lowest first

    @property
    def reason(self) -> str:
        return "no CA is here, and this is the one certificate that it could serve"

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "leaf": self.leaf.hex(), "above": [der.hex() for der in self.above]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Bind":
        switch = data["switch"]
        before = {"previous": https_from_json(switch["previous"]), "policy": ConnectionPolicy(switch["policy"])}
        return cls(
            **{
                **data,
                "leaf": bytes.fromhex(data["leaf"]),
                "switch": Switch(**{**switch, **before}),
                "above": tuple(map(bytes.fromhex, data["above"])),
            }
        )


Plan = Unchanged | Skipped | Refused | Go | Bind


def https_from_json(data: dict[str, Any]) -> HttpsState:
    return HttpsState(
        tls=data["tls"],
        policy=ConnectionPolicy(data["policy"]),
        alias=data["alias"],
        ciphers=tuple(data["ciphers"]),
        other_policies=tuple((name, ConnectionPolicy(policy)) for name, policy in data["other_policies"]),
        authorities=tuple(data["authorities"]),
        trusted=tuple(data["trusted"]),
    )


def key_from_json(data: dict[str, Any]) -> KeySpec:
    return KeySpec(
        data["common_name"], names=tuple(data["names"]), key_type=KeyType(data["key_type"]), keystore=data["keystore"]
    )


def plan_enable(
    seen: Observed,
    wish: EnableWish,
    *,
    settings: Settings,
    issuing: Issuing,
    current: Current | None,
    named: bool,
    new_alias: Alias,
    key_origin: KeyOrigin,
    now: datetime,
) -> Plan:
    """`key_origin`: what the settings allow and what worked last on this model and firmware."""
    if (beyond := _beyond(seen, wish)) is not None:
        return beyond
    if issuing.names is None:
        return _nameless(seen.device, settings)
    if _foreign_and_kept(seen, wish, named=named, now=now):
        assert seen.served is not None
        return Skipped(
            f"It serves a valid certificate of another issuer ({seen.served.issuer}). "
            "Replace it with --replace-foreign, or by naming the device.",
            "foreign-certificate",
        )
    policy = wished_policy(wish.policy, seen.https.policy)
    cause = _cause_to_issue(seen, wish, issuing=issuing, current=current, now=now)
    serving = _serving(seen, current)
    if cause is None and serving and seen.https.policy is policy:
        assert current is not None
        return Unchanged(
            f"Already as wished: its certificate is valid until {current.not_after:%Y-%m-%d}, "
            f"to be renewed from {current.renew_at:%Y-%m-%d}."
        )
    if refusal := _clock_refusal(seen, wish, issuing=issuing):
        return refusal
    bound = seen.https.alias if cause is None and serving else _entry_of(seen, current) if cause is None else None
    return Go(
        alias=bound or new_alias,
        issue=bound is None,
        authority=issuing.authority,
        names=issuing.names,
        key=KeySpec(
            issuing.names.common_name,
            names=issuing.names.names,
            key_type=key_type(settings.certificate_key_type, seen.facts, elliptic=issuing.elliptic),
            keystore=next((keystore.id for keystore in seen.facts.keystores if keystore.default), None),
        ),
        key_origin=key_origin,
        previous=seen.https,
        policy=policy,
        open_http=seen.https.policy is ConnectionPolicy.HTTPS and settings.https_escape_route != "none",
        set_clock=wish.set_clock and _clock_is_wrong(seen.facts.clock_offset, issuing=issuing, now=now),
        reason=cause or ("another connection policy is wished" if serving else "the certificate is not bound"),
        dead_before=seen.https.tls and seen.https.policy is not ConnectionPolicy.HTTP and seen.served is None,
    )


def _nameless(device: Device, settings: Settings) -> Skipped:
    unknown = "and no host name is known that may be certified."
    if link_local(device):
        why = f"It is dialled by a link-local address, which means something on one network only, {unknown}"
    elif settings.certificate_common_name == "hostname":
        why = f"certificate.common-name is `hostname`, {unknown}"
    else:
        why = "The host name by which it is dialled was told by the network and has no address now."
    return Skipped(f"{why} Give one: fleetseal device set DEVICE --hostname FQDN.", "no-host-name")


def _beyond(seen: Observed, wish: EnableWish) -> Skipped | None:
    """Neither an interface, nor, at night, a wish to have HTTPS."""
    if seen.facts.generation is Generation.PARAMETERS:
        return NO_INTERFACE
    if wish.unattended and (not seen.https.tls or seen.https.policy is ConnectionPolicy.HTTP):
        return Skipped("HTTPS is off on it: renewal does not switch it on. Nothing was changed.", "https-off")
    return None


def no_way_back(reason: str) -> Refused:
    """The plan for a device whose plain HTTP does not let us in, though it should."""
    return Refused(
        f"No way back: {reason} If HTTPS failed there, nobody could reach the device. Nothing was changed. "
        "If its port for plain HTTP is another: fleetseal device set DEVICE --http-port PORT. "
        "To go on without: fleetseal settings set https.escape-route none.",
        "no-way-back",
    )


def key_type(wished: str, facts: DeviceFacts, *, elliptic: bool) -> KeyType:
    """`auto`: RSA-2048, or P-256 where generation, keystore and CA are EC (contract: certificate.key-type)."""
    if wished != "auto":
        return KeyType(wished)
    offered = {kind for keystore in facts.keystores if keystore.default for kind in keystore.key_types}
    if elliptic and facts.generation is Generation.REST and "EC-P256" in offered:
        return KeyType.EC_P256
    return KeyType.RSA_2048


def valid_by(offset: float | None, *, issuing: Issuing, now: datetime) -> bool:
    """Whether the new certificate is valid by a clock that is `offset` seconds ahead of ours (DEV-CLOCK)."""
    there = now + timedelta(seconds=offset or 0.0)
    return issuing.not_before <= there <= issuing.not_after


def _clock_is_wrong(offset: float | None, *, issuing: Issuing, now: datetime) -> bool:
    return not valid_by(offset, issuing=issuing, now=now)


def _clock_refusal(seen: Observed, wish: EnableWish, *, issuing: Issuing) -> Refused | None:
    offset = seen.facts.clock_offset
    if wish.set_clock or offset is None:
        return None
    now = issuing.not_before + BACKDATED
    if valid_by(offset, issuing=issuing, now=now):
        return None
    return clock_is_off(offset)


def clock_is_off(offset: float) -> Refused:
    """The plan for a device by whose clock the certificate would not be valid (DEV-CLOCK)."""
    return Refused(
        f"The device's clock is wrong by {describe_offset(offset)}: by it, the new certificate would not be valid. "
        "Nothing was changed. Correct it: fleetseal device clock DEVICE --set, or add --set-clock.",
        "clock-is-wrong",
    )


BACKDATED = timedelta(hours=23)
"""notBefore lies this far before the time of signing (certificate profile 2.1)."""


def describe_offset(seconds: float) -> str:
    """A clock's offset for people, e.g. `3 days ahead`."""
    size = abs(seconds)
    amount, unit = (
        (size / 31_556_952, "years")
        if size >= 63_113_904
        else (size / 86_400, "days")
        if size >= 172_800
        else (size / 3_600, "hours")
        if size >= 7_200
        else (size, "seconds")
    )
    return f"{amount:.0f} {unit} {'ahead' if seconds > 0 else 'behind'}"


def wished_policy(wished: str, policy: ConnectionPolicy) -> ConnectionPolicy:
    """`keep` is what the device allows now, plus HTTPS."""
    if wished == "https":
        return ConnectionPolicy.HTTPS
    if wished == "keep" and policy is ConnectionPolicy.HTTPS:
        return ConnectionPolicy.HTTPS
    return ConnectionPolicy.HTTP_AND_HTTPS


def _serving(seen: Observed, current: Current | None) -> bool:
    return current is not None and seen.served is not None and seen.served.der == current.der


def _entry_of(seen: Observed, current: Current | None) -> Alias | None:
    """The entry that holds our current certificate though it is not bound, e.g. after HTTPS was disabled."""
    if current is None:
        return None
    return next((entry.alias for entry in seen.entries if entry.der == current.der), None)


def _cause_to_issue(
    seen: Observed, wish: EnableWish, *, issuing: Issuing, current: Current | None, now: datetime
) -> str | None:
    """Why a new certificate is needed, or None if the current one will do."""
    assert issuing.names is not None
    if current is None or _entry_of(seen, current) is None:
        return "it has no certificate of ours"
    if wish.renew:
        return "a new certificate was asked for"
    if now >= current.not_after:
        return "its certificate has expired"
    if now >= current.renew_at:
        return "its certificate is due for renewal"
    if misfit(current.names, issuing.names) is not None:
        return "its names have changed"
    if current.authority != issuing.authority:
        return "its issuer was replaced"
    if current.reissue is RenewalCause.KEY:
        return "its key is weak or was seen on another device"
    if current.reissue is RenewalCause.WARNING:
        return "it is about to expire"
    if current.reissue is RenewalCause.SUPERSEDED:
        return "another had taken its place, which a CRL tells"
    return None


def _foreign_and_kept(seen: Observed, wish: EnableWish, *, named: bool, now: datetime) -> bool:
    served = seen.served
    return served is not None and served.foreign and now < served.not_after and not wish.replace_foreign and not named


def with_policy(state: HttpsState, policy: ConnectionPolicy) -> HttpsState:
    """The same configuration with this policy for every group of users the device knows."""
    return replace(state, policy=policy, other_policies=tuple((name, policy) for name, _ in state.other_policies))
