"""One virtual device: identity, users, clock, keystore, web server configuration (device-api 19.2).

The state only. `axis.py` speaks for it, `server.py` gives it ports.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from fleetseal.core.runtime import Clock, Rng
from fleetseal.sim import certificates
from fleetseal.sim.certificates import Keys, Maker, PrivateKey
from fleetseal.sim.faults import Faults
from fleetseal.sim.keystore import CertificateStore, Entry, Reason, Refusal
from fleetseal.sim.login import Gate
from fleetseal.sim.parameters import Parameters, data_file
from fleetseal.sim.profile import Profile

DEFAULT_ALIAS = "Default self-signed"
POLICIES = {"Http": "http", "Https": "https", "HttpAndHttps": "both"}
"""The words of `aweb`, and those of the parameters (device-api 6.1; `Http` is inferred)."""


KEY_REFUSED = "Failed to generate key pair: This key algorithm is not supported on TPM"  # device-api 9.5
GROUPS = ("admin", "operator", "viewer", "ptz")


@dataclass(frozen=True)
class WebServer:
    """The configuration of `aweb` (device-api 6.3)."""

    tls: bool
    policies: tuple[tuple[str, str], ...]  # (group, word of `aweb`)
    ciphers: tuple[str, ...]
    bound: str | None = None
    authorities: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()

    @property
    def admin(self) -> str:
        return dict(self.policies)["Admin"]


@dataclass(frozen=True)
class Surroundings:
    """What a device takes from outside."""

    clock: Clock
    rng: Rng
    keys: Keys
    maker: Maker


@dataclass(frozen=True)
class Identity:
    """Who a device is and where. Ports 0: chosen when the listeners open."""

    serial: str
    address: str = "127.0.0.1"
    http_port: int = 0
    https_port: int = 0
    username: str = "root"
    password: str = field(default="simulated", repr=False)
    setup_done: bool = True
    other_addresses: tuple[str, ...] = ()  # where it answers, too, on the same ports: other interfaces


@dataclass
class KeyOrder:
    """A key pair asked for, by whichever interface."""

    alias: str
    key_type: str
    subject: x509.Name
    names: tuple[str, ...] = ()
    valid: tuple[datetime | None, datetime | None] = (None, None)
    keystore: str = ""


class Device:
    """Call `manufacture` before use."""

    def __init__(self, profile: Profile, identity: Identity, *, around: Surroundings, faults: Faults) -> None:
        self.profile = profile
        self.identity = identity
        self.around = around
        self.faults = faults
        self.http_port = identity.http_port
        self.https_port = identity.https_port
        self.users: dict[str, str] = {}
        self.groups: dict[str, tuple[str, ...]] = {}
        if identity.setup_done:
            self.add_user(identity.username, identity.password)
        self.store = CertificateStore()
        self.default_keystore = profile.keys.keystores[-1][0] if profile.keys.keystores else ""
        policy = "HttpAndHttps" if profile.https else "Http"
        policies = tuple((group, policy if group == "Admin" else profile.others) for group in profile.policies)
        self.web = WebServer(profile.https, policies, profile.tls.ciphers)
        self.cert_sets: dict[str, tuple[str, ...]] = {}  # entries that services besides the web server use
        self.changed = asyncio.Event()  # the web server has to restart
        self.bound_since = around.clock.monotonic()
        self.first_bound: frozenset[str] = frozenset()  # aliases of the first start: tls_dead spares them
        self.started = around.clock.monotonic()
        self.boot_id = _boot_id(around.rng)
        self.authentication = profile.login.policy
        self.gate = self._gate()
        self.parameters = self._parameters()

    async def manufacture(self) -> None:
        """The device is as it leaves the factory, then as its profile says it was found."""
        maker, rules = self.around.maker, self.profile.keys
        if rules.factory_identity:
            await maker.open()
            for alias, (certificate, key) in (await maker.identity(self.identity.serial)).items():
                if alias not in self.store:
                    self.store.add(Entry(alias, certificate, key, keystore="SE0", factory=True))
            self.web = replace(self.web, bound="Axis device ID ECC-P256 (802.1AR)")
        if self.profile.interfaces.rest:
            await maker.open()
            for alias, certificate in maker.authorities.items():
                if alias not in self.store:
                    self.store.add(Entry(alias, certificate, factory=alias.startswith("Axis device ID")))
        if rules.self_signed:
            await self.make_default()
        self.first_bound = frozenset(entry.alias for entry in self.store.keys)

    async def make_default(self) -> None:
        """Its own self-signed certificate, which the web server shows."""
        key = await self.around.keys.make(f"RSA-{self.profile.keys.rsa_bits}")
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"axis-{self.identity.serial.lower()}")])
        certificate = self._self_signed(key, subject, ())
        self.store.add(Entry(DEFAULT_ALIAS, certificate, key, keystore=self.default_keystore))
        self.web = replace(self.web, bound=DEFAULT_ALIAS)

    def refit(self, profile: Profile) -> None:
        """It answers as `profile` says, and has booted anew; users, settings and certificates stay."""
        self.profile = profile
        self.gate = self._gate()
        self.authentication = profile.login.policy
        self.web = replace(self.web, ciphers=profile.tls.ciphers)
        self.boot_id = _boot_id(self.around.rng)
        self.parameters = self._parameters()

    def _gate(self) -> Gate:
        login, around = self.profile.login, self.around
        realm = f"AXIS_{self.identity.serial}"
        return Gate(realm=realm, qop=login.qop, apache=login.apache, clock=around.clock, rng=around.rng)

    # ------------------------------------------------------------ identity, users, time

    @property
    def serial(self) -> str:
        """As told in answers; a fault can make it another's."""
        return self.faults.serial or self.identity.serial

    @property
    def needs_setup(self) -> bool:
        return not self.users

    def add_user(self, name: str, password: str, groups: tuple[str, ...] = GROUPS) -> None:
        self.users[name] = password
        self.groups[name] = groups

    def now(self) -> datetime:
        """The device's own time, UTC."""
        return self.around.clock.now() + timedelta(seconds=self.faults.clock_offset)

    def set_clock(self, wanted: datetime) -> None:
        self.faults.clock_offset = (wanted - self.around.clock.now()).total_seconds()

    @property
    def daylight(self) -> bool:
        """Summer time is followed."""
        return self.parameters.values().get("Time.DST.Enabled") == "yes"

    def schemes(self, *, secure: bool) -> tuple[str, ...]:
        """What is offered at login there (device-api 5.3)."""
        if self.faults.basic_only:
            return ("basic",)
        if self.authentication == "recommended":
            return ("basic",) if secure else ("digest",)
        return {"basic": ("basic",), "basic_digest": ("digest", "basic")}.get(self.authentication, ("digest",))

    # ------------------------------------------------------------ keys and certificates

    async def create_key(self, order: KeyOrder) -> Entry:
        """A key pair with a self-signed certificate. Raises Refusal."""
        self.store.room(order.alias, key=True, full=self.faults.store_full)
        if self.faults.keygen_seconds:
            await self.around.clock.sleep(self.faults.keygen_seconds)
        if self.faults.key_generation_refused:
            raise Refusal(Reason.KEY_GENERATION, KEY_REFUSED)
        key = await self.around.keys.make(order.key_type)
        try:
            certificate = self._self_signed(key, order.subject, order.names, order.valid)
        except ValueError as error:
            raise Refusal(Reason.INVALID, str(error)) from error
        entry = Entry(order.alias, certificate, key, keystore=order.keystore or self.default_keystore)
        self.store.add(entry)
        return entry

    def request(
        self, alias: str, subject: x509.Name | None, names: tuple[str, ...] | None
    ) -> x509.CertificateSigningRequest:
        """A CSR of an entry's key; what is None is taken from its certificate. Raises Refusal."""
        entry = self.store.get(alias)
        if entry.key is None or entry.factory:
            raise Refusal(Reason.REQUEST, f"{alias!r} has no key that can be requested for")
        try:
            asked = certificates.names_extension(names) if names is not None else _names_of(entry.certificate)
        except ValueError as error:
            raise Refusal(Reason.INVALID, str(error)) from error
        sha1 = self.profile.keys.csr_sha1 if self.faults.csr_sha1 is None else self.faults.csr_sha1
        name = entry.certificate.subject if subject is None else subject
        return certificates.request(entry.key, name, names=asked, sha1=sha1)

    def install(self, alias: str, certificate: x509.Certificate) -> None:
        """Another certificate for the same key. A bound one is served after the restart this causes (inferred)."""
        self.store.replace(alias, certificate)
        if alias == self.web.bound:
            self.changed.set()

    def install_key_pair(self, alias: str, certificate: x509.Certificate, key: PrivateKey, keystore: str = "") -> None:
        entry = Entry(alias, certificate, key, keystore=keystore or self.default_keystore)
        self.store.add(entry, full=self.faults.store_full)

    def install_authority(self, alias: str, certificate: x509.Certificate) -> None:
        self.store.add(Entry(alias, certificate), full=self.faults.store_full)

    def remove(self, alias: str) -> None:
        """Raises Refusal when it is bound, part of the device, or not there."""
        if alias == self.web.bound:
            raise Refusal(Reason.IN_USE, f"{alias!r} is in use by the web server")
        for name, used in self.cert_sets.items():
            if alias in used:
                raise Refusal(Reason.IN_USE, f"{alias!r} is in use by {name}")
        self.store.remove(alias)

    def bind(self, wanted: WebServer) -> None:
        """The web server is configured so, after a restart. Raises Refusal, changing nothing."""
        if wanted.bound is not None and self.store.get(wanted.bound).key is None:
            raise Refusal(Reason.UNKNOWN, f"{wanted.bound!r} has no private key")
        if wanted.tls and wanted.bound is None:
            raise Refusal(Reason.INVALID, "TLS needs a certificate")
        unknown = [cipher for cipher in wanted.ciphers if cipher not in self.profile.tls.ciphers]
        if unknown:
            raise Refusal(Reason.INVALID, f"unknown cipher {unknown[0]!r}")
        if any(policy not in POLICIES for _, policy in wanted.policies):
            raise Refusal(Reason.INVALID, "unknown connection policy")
        present = {name for name, _ in self.web.policies}
        policies = dict(self.web.policies) | {name: value for name, value in wanted.policies if name in present}
        if wanted.bound != self.web.bound:
            self.bound_since = self.around.clock.monotonic()
        self.web = replace(wanted, policies=tuple(policies.items()), ciphers=wanted.ciphers or self.web.ciphers)
        self.changed.set()

    def _self_signed(
        self,
        key: PrivateKey,
        subject: x509.Name,
        names: tuple[str, ...],
        valid: tuple[datetime | None, datetime | None] = (None, None),
    ) -> x509.Certificate:
        start, end = certificates.year_from(self.now())
        chosen = (valid[0] or start, valid[1] or end)
        return certificates.self_signed(key, subject, rng=self.around.rng, valid=chosen, names=names)

    # ------------------------------------------------------------ parameters

    @property
    def words(self) -> dict[str, str]:
        """What the templates of the answers leave open."""
        profile, product, serial = self.profile, self.profile.product, self.identity.serial
        return {
            "SERIAL": serial,
            "serial": serial.lower(),
            "MAC": mac(serial),
            "mac": mac(serial).lower(),
            "ADDRESS": self.identity.address,
            "MODEL": product.model,
            "TYPE": product.product_type,
            "SHORT_NAME": product.short_name,
            "FULL_NAME": product.full_name,
            "FIRMWARE": product.firmware,
            "BUILD_DATE": product.build_date,
            "WEB_URL": product.web_url,
            "HARDWARE_ID": product.hardware_id,
            "SOC": product.soc,
            "ARCHITECTURE": product.architecture,
            "TIME_ZONE": profile.time_zone,
        }

    def _parameters(self) -> Parameters:
        profile = self.profile
        template = data_file(profile.parameters) if profile.parameters else ""
        if profile.placeholder is not None:
            template = re.sub(r"=\*+$", f"={profile.placeholder}", template, flags=re.MULTILINE)
        parameters = Parameters(template, self.words, self._alive)
        if not profile.boa_parameters:
            parameters.drop("System.BoaGroupPolicy.")
        if profile.interfaces.basic_device_info is None:
            parameters.drop("BasicDeviceInfo.")
        for prefix in profile.dropped:
            parameters.drop(prefix)
        for name, value in profile.changed.items():
            parameters.put(name, value)
        return parameters

    def _alive(self) -> dict[str, str]:
        web = self.web
        values = {
            "HTTPS.Enabled": "yes" if web.tls else "no",
            "HTTPS.Port": str(self.faults.told_https_port or self.https_port),
            "HTTPS.Ciphers": ":".join(web.ciphers),
            "System.BoaPort": str(self.http_port),
            "System.RootPwdSet": "no" if self.needs_setup else "yes",
            "Network.HTTP.AuthenticationPolicy": self.authentication,
            "Time.POSIXTimeZone": self.profile.time_zone,
            "Properties.System.SerialNumber": self.serial,
        }
        policies = dict(web.policies)
        for group in ("Admin", "Operator", "Viewer"):
            values[f"System.BoaGroupPolicy.{group.lower()}"] = POLICIES[policies.get(group, web.admin)]
        return values

    def set_parameters(self, wanted: dict[str, str]) -> list[str]:
        """Set what exists; the names of those that do not are given back."""
        missing = [name for name in wanted if name not in self.parameters]
        for name, value in wanted.items():
            if name not in missing:
                self._set_parameter(name, value)
        return missing

    def _set_parameter(self, name: str, value: str) -> None:
        live: dict[str, Callable[[str], None]] = {
            "HTTPS.Enabled": lambda text: self._reconfigure(tls=text == "yes"),
            "HTTPS.Port": self._move_https,
            "HTTPS.Ciphers": lambda text: self._reconfigure(ciphers=tuple(text.split(":"))),
            "Network.HTTP.AuthenticationPolicy": lambda text: setattr(self, "authentication", text),
        }
        if name in live:
            live[name](value)
        elif name.startswith("System.BoaGroupPolicy."):
            group = name.rpartition(".")[2].capitalize()
            word = next((aweb for aweb, text in POLICIES.items() if text == value), None)
            if word is None:
                raise Refusal(Reason.INVALID, f"{name}: http, https or both")
            self._reconfigure(policies=tuple((g, word if g == group else p) for g, p in self.web.policies))
        else:
            self.parameters.put(name, value)

    def _reconfigure(self, **changes: Any) -> None:
        self.web = replace(self.web, **changes)
        self.changed.set()

    def _move_https(self, value: str) -> None:
        if not value.isdecimal() or not 1 <= int(value) <= 65535:
            raise Refusal(Reason.INVALID, "HTTPS.Port: 1 to 65535")
        self.https_port = int(value)
        self.changed.set()


def mac(serial: str) -> str:
    return ":".join(serial[index : index + 2] for index in range(0, 12, 2))


def _names_of(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None


def _boot_id(rng: Rng) -> str:
    text = rng.bytes(16).hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
