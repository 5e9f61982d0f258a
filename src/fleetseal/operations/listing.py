"""Devices as the contract shows them: rows of `device list`, their filters and their order."""

import operator
import re
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from fleetseal.core.config import Settings
from fleetseal.core.errors import InvalidInput
from fleetseal.core.model import AuthorityId, CertificateSource, Device, DeviceId, Selection, mac_of, serial_of
from fleetseal.core.text import timestamp
from fleetseal.devices.axis.catalogue import version
from fleetseal.operations import disowned, naming, states
from fleetseal.operations.services import Services
from fleetseal.operations.settings import current
from fleetseal.operations.sort_keys import sort_key
from fleetseal.pki import chain
from fleetseal.store import authorities, certificates, inventory
from fleetseal.store.database import Transaction
from fleetseal.store.tasks import AtWork

Row = dict[str, Any]

COLUMNS: Final = (
    "id",
    "mac",
    "status",
    "address",
    "hostname",
    "http_port",
    "https_port",
    "model",
    "product_type",
    "firmware",
    "server",
    "https",
    "trust",
    "certificate",
    "tags",
    "last_seen",
)
_MEANT: Final = {"name": "hostname", "host": "hostname", "tag": "tags", "site": "server"}


@dataclass(frozen=True)
class Context:
    """What rows are made from, besides the devices: read once for all of them."""

    settings: Settings
    now: datetime
    busy: Mapping[DeviceId, AtWork]
    origins: Mapping[str, str]  # SHA-256 of each certificate of ours, as hex: where its key was made
    disowned: Mapping[str, str]  # of those not to be taken any more, though not expired: why
    issuers: tuple[bytes, ...]  # certificates of the CAs whose keys are here
    authority_configured: bool  # one of them signs device certificates
    retired: tuple[AuthorityId, ...]

    @classmethod
    async def read(cls, services: Services, tx: Transaction, devices: Collection[Device] | None = None) -> "Context":
        """For all devices, or for the rows of these."""
        among = None if devices is None else [device.id for device in devices]
        served = None if devices is None else [digest for device in devices if (digest := device.served_sha256)]
        now, known = services.clock.now(), await authorities.every(tx)
        ended = await certificates.disowned(tx, now, served)
        return cls(
            settings=await current(services, tx),
            now=now,
            busy=await inventory.active_tasks(tx, among),
            origins=await certificates.key_origins(tx, served),
            disowned={sha256: disowned.sentence(why) for sha256, why in ended.items()},
            issuers=tuple(ours.der for ours in known if ours.key_file and ours.der),
            authority_configured=await authorities.find_signing(tx) is not None,
            retired=tuple(ours.id for ours in known if ours.state == "retired"),
        )

    def issued_by_us(self, der: bytes) -> bool:
        """By record, or, for one that is on no record, by the signature of a CA of ours."""
        if chain.describe(der).sha256 in self.origins:
            return True
        return any(chain.issued_by(der, issuer) for issuer in self.issuers)

    def source(self, alias: str, der: bytes) -> CertificateSource:
        """Whose certificate an entry with a key holds, for display and for what may be removed; no trust follows."""
        leaf = described(der)
        if leaf is not None and self.issued_by_us(der):
            return CertificateSource.OURS
        if is_factory(alias):
            return CertificateSource.FACTORY
        return CertificateSource.DEFAULT if leaf is not None and leaf.self_signed else CertificateSource.OTHER

    def authority_source(self, alias: str, der: bytes) -> CertificateSource:
        """As `source`, of a CA entry."""
        if der in self.issuers:
            return CertificateSource.OURS
        return CertificateSource.FACTORY if is_factory(alias) else CertificateSource.OTHER

    def row(self, device: Device) -> Row:
        """One member of `device list --json`."""
        return {
            "id": device.id,
            "mac": device.mac,
            "status": self.statuses(device)[0].status,
            "address": device.address,
            "hostname": device.host_name,
            "http_port": device.http_port,
            "https_port": device.https_port,
            "model": device.model,
            "product_type": device.product_type,
            "firmware": device.firmware,
            "server": device.site,
            "https": states.https_text(device, authority_configured=self.authority_configured),
            "trust": device.trust_level.value,
            "certificate": self.certificate(device),
            "tags": list(device.tags),
            "last_seen": None if device.last_seen is None else timestamp(device.last_seen),
        }

    def details(self, device: Device) -> Row:
        """`device show --json`: the row, all statuses with reasons, and what else is known."""
        return {
            **self.row(device),
            "statuses": [{"status": one.status, "reason": one.reason} for one in self.statuses(device)],
            "change": device.last_change and {**device.last_change, "decision": device.identity_problem is not None},
            "findings": self.findings(device),
            "support": device.support.value,
            "support_reason": device.support_reason,
            "generation": device.generation and device.generation.value,
            "policy": device.policy and device.policy.value,
            "username": device.username,
            "tls": "legacy" if device.legacy_tls else "normal",
            "trust_pin": device.trust_pin and device.trust_pin.hex(),
            "chain_sent": device.chain_sent,
            "clock_offset": device.clock_offset,
            "entries": [dict(entry) for entry in device.entries],
            "added": timestamp(device.added),
        }

    def statuses(self, device: Device) -> list[states.Status]:
        return states.statuses(
            device,
            now=self.now,
            settings=self.settings,
            active_task=self.busy.get(device.id),
            disowned=self.disowned.get(device.served_sha256 or ""),
        )

    def findings(self, device: Device) -> list[Row]:
        """What is no status and asks for something all the same: `{"finding","reason"}`."""
        ending = states.endings(device, now=self.now, settings=self.settings)
        found = [{"finding": one.status, "reason": one.reason} for one in ending]
        if device.served_der is None or device.served_source is not CertificateSource.OURS:
            return found
        names, settings = chain.describe(device.served_der).names, self.settings
        reason = naming.finding(
            device, names, common_name=settings.certificate_common_name, domains=settings.certificate_domains
        )
        if reason is not None:
            anew = f"{reason} Issue it anew: fleetseal https enable DEVICE."
            found.append({"finding": "Names no longer fit", "reason": anew})
        return found

    def certificate(self, device: Device) -> Row | None:
        """The certificate that the device serves, or null."""
        if device.served_der is None:
            return None
        served = chain.describe(device.served_der)
        return {
            "alias": device.bound_alias,
            "subject": served.subject,
            "issuer": served.issuer,
            "names": list(served.names),
            "serial": served.serial,
            "not_before": timestamp(served.not_before),
            "not_after": timestamp(served.not_after),
            "sha256": served.sha256,
            "key": served.key,
            "issued_by_us": self.issued_by_us(device.served_der),
            "key_origin": self.origins.get(served.sha256),
        }


def is_factory(alias: str) -> bool:
    """A device ID of the maker or one of its CAs, by their names (recording rest-cert-v1.json); those stay."""
    return "(802.1AR)" in alias or alias.startswith("Axis device ID ")


def described(der: bytes) -> chain.Description | None:
    """None for what a device shows in place of a certificate."""
    try:
        return chain.describe(der)
    except InvalidInput:
        return None


async def rows(services: Services, ids: Iterable[DeviceId]) -> list[Row]:
    """The rows of these devices, as they are now. Raises NotFound."""
    async with services.database.reading() as tx:
        context = await Context.read(services, tx)
        return [context.row(await inventory.get(tx, device_id)) for device_id in ids]


async def choose(services: Services, selection: Selection) -> list[Device]:
    """The devices that are meant, each once. Raises NotFound, Conflict (ambiguous), InvalidInput (nothing is named)."""
    if not (selection.refs or selection.everything or selection.filters):
        raise InvalidInput("No device is named: name one or more, or give --all or --filter.")
    async with services.database.reading() as tx:
        if selection.refs:
            found = [await inventory.find(tx, reference) for reference in selection.refs]
            devices = list({device.id: device for device in found}.values())
        else:
            devices = await inventory.every(tx)
        if not selection.filters:
            return devices
        matches, context = compile_filters(selection.filters), await Context.read(services, tx)
        return [device for device in devices if matches(context.row(device))]


def named(selection: Selection) -> bool:
    """Its devices are named explicitly: what is not possible on one of them is a failure."""
    return bool(selection.refs) and not selection.listed


def compile_filters(filters: Iterable[str]) -> Callable[[Row], bool]:
    """A test that a row passes when it passes every word: a substring of any column, `column:value`, or
    `firmware:<9.80` (also `<=`, `>`, `>=`), compared part by part. Raises InvalidInput for an unknown column."""
    wanted = parse_filters(filters)
    return lambda row: all(word.fits(row) for word in wanted)


def sort_rows(rows: list[Row], column: str) -> list[Row]:
    """By this column, naturally: addresses and versions by their parts. Empty ones last."""
    _known_column(column)
    return sorted(rows, key=lambda row: sort_key(text_of(row, column), column))


def words(text: str) -> list[str]:
    """Of a filter, as a shell divides them. Raises InvalidInput for an open quote."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InvalidInput(f"The filter {text!r} has an open quote.") from error


@dataclass(frozen=True)
class Word:
    """One word of a filter: what a row must have."""

    column: str | None  # None: in any
    test: Callable[[str], bool]  # of the text of a column
    wanted: str  # what that text contains, casefolded; empty where `test` alone can tell
    mac: str | None = None  # also found, in the column `mac`: another spelling of it

    def fits(self, row: Row) -> bool:
        if self.column is not None:
            return self.test(text_of(row, self.column))
        return any(self.test(text_of(row, column)) for column in COLUMNS) or self.fits_mac(row)

    def fits_mac(self, row: Row) -> bool:
        return self.mac is not None and self.mac in text_of(row, "mac").casefold()


def parse_filters(filters: Iterable[str]) -> list[Word]:
    """Every word of these filters, as `compile_filters` reads them."""
    return [_word(word) for text in filters for word in words(text)]


def _word(word: str) -> Word:
    column, colon, value = word.partition(":")
    if not colon or re.fullmatch(r"[0-9a-fA-F\[.]*", column):  # a MAC or an IPv6 address has colons too
        serial = serial_of(word)
        return Word(None, _contains(word), word.casefold(), mac_of(serial).casefold() if serial else None)
    column = _known_column(_MEANT.get(column.lower(), column.lower()))
    comparison = re.fullmatch(r"(<=|>=|<|>)([0-9.]+)", value)
    if column == "firmware" and comparison:
        compare = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}[comparison[1]]
        bound = version(comparison[2])
        return Word(column, lambda text: bool(text) and compare(version(text), bound), "")
    return Word(column, _contains(value), value.casefold())


def _contains(text: str) -> Callable[[str], bool]:
    wanted = text.casefold()
    return lambda found: wanted in found.casefold()


def _known_column(column: str) -> str:
    if column not in COLUMNS:
        raise InvalidInput(f"There is no column {column!r}. The columns are: {', '.join(COLUMNS)}.")
    return column


def text_of(row: Row, column: str) -> str:
    """What filters and orders look at."""
    value = row[column]
    if value is None:
        return ""
    if isinstance(value, dict):
        return " ".join([str(value["alias"] or ""), value["subject"], value["issuer"], *value["names"]])
    return " ".join(value) if isinstance(value, list) else str(value)
