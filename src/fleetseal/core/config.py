"""Settings: one table of keys, and where their values come from. The only reader of the environment.

Precedence: environment (`FLEETSEAL_CERTIFICATE_VALIDITY_DAYS`), database (`settings set`), `DATA/fleetseal.toml`,
default. Unknown keys and values out of range are refused with the allowed ones.
"""

import ipaddress
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from fleetseal.core import destinations
from fleetseal.core.errors import InvalidInput

if TYPE_CHECKING:
    from fleetseal.core.secrets import Secret

Value = str | int | bool | tuple[str, ...]

FILE_NAME: Final = "fleetseal.toml"
CREDENTIAL: Final = "fleetseal-ca-passphrase"
"""The name under which systemd may hand over the passphrase of the CA (systemd.exec(5), LoadCredential=)."""
_PREFIX: Final = "FLEETSEAL_"
_NOT_SETTINGS: Final = frozenset({"FLEETSEAL_DATA", "FLEETSEAL_TOKEN_FILE"})


@dataclass(frozen=True)
class Kind:
    """How a value is read from text, and what is allowed: in words, and as a form shows it.

    `name`: `choice`, `number`, `switch`, `window` (of time), `list` (of words, separated by commas) or `text`.
    """

    allowed: str
    parse: Callable[[str], Value]  # raises ValueError
    name: str = "text"
    choices: tuple[str, ...] = ()
    span: tuple[int, int] | None = None  # least and most


@dataclass(frozen=True)
class Definition:
    key: str
    default: Value
    kind: Kind
    help: str

    @property
    def attribute(self) -> str:
        """The name of the member of `Settings`."""
        return _attribute(self.key)

    @property
    def variable(self) -> str:
        """The name of the environment variable."""
        return _PREFIX + self.attribute.upper()


def _attribute(key: str) -> str:
    return key.replace(".", "_").replace("-", "_")


def _one_of(*allowed: str) -> Kind:
    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError
        return text

    return Kind(", ".join(allowed[:-1]) + " or " + allowed[-1], parse, "choice", choices=allowed)


def _whole(least: int, most: int) -> Kind:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,6}", text) or not least <= int(text) <= most:
            raise ValueError
        return int(text)

    return Kind(f"a whole number from {least} to {most}", parse, "number", span=(least, most))


def _parse_switch(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


def _parse_window(text: str) -> str:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d", text, re.ASCII) or text[:5] == text[6:]:
        raise ValueError
    return text


def _parse_domains(text: str) -> tuple[str, ...]:
    domains = tuple(part.strip().rstrip(".").lower() for part in text.split(",") if part.strip())
    label = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
    if not all(len(domain) <= 253 and re.fullmatch(rf"{label}(\.{label})*", domain) for domain in domains):
        raise ValueError
    return tuple(dict.fromkeys(domains))


def _parse_http_address(text: str) -> str:
    parts = urlsplit(text)
    if text and (parts.scheme != "http" or not parts.hostname or parts.query or parts.fragment or parts.username):
        raise ValueError
    return text.rstrip("/")


def host_and_port(text: str) -> tuple[str, int]:
    """The two parts of `publish.listen`. Raises ValueError."""
    host, _, port = text.rpartition(":")
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise ValueError
    if host.startswith("[") and host.endswith("]"):
        return str(ipaddress.IPv6Address(host[1:-1])), int(port)
    return str(ipaddress.IPv4Address(host)), int(port)


def _parse_listen(text: str) -> str:
    if text:
        host_and_port(text)
    return text


def _parse_host(text: str) -> str:
    return str(ipaddress.ip_address(text)) if text else text


def _parse_file(text: str) -> str:
    """Absolute: the process that reads the setting has another working folder than the one that wrote it."""
    if text and not (text.isprintable() and Path(text).is_absolute()):
        raise ValueError
    return text


def _destination(parse: Callable[[str], object], allowed: str) -> Kind:
    """Kept as text: what it means is read where it is used."""

    def checked(text: str) -> str:
        if text:
            parse(text)
        return text

    return Kind(f"{allowed}, or empty", checked)


_SWITCH: Final = Kind("true or false", _parse_switch, "switch")
_WINDOW: Final = Kind("two different times of day such as 01:00-05:00", _parse_window, "window")
_DOMAINS: Final = Kind("domain names separated by commas, or empty", _parse_domains, "list")
_HTTP_ADDRESS: Final = Kind("an http:// address, or empty", _parse_http_address)
_LISTEN: Final = Kind("an address and a port such as 0.0.0.0:8080 or [::]:8080, or empty", _parse_listen)
_HOST: Final = Kind("an address of this computer, 0.0.0.0 or :: for all of them, or empty", _parse_host)
_FILE: Final = Kind("an absolute path, or empty", _parse_file)
_EMAIL: Final = _destination(
    destinations.email,
    "smtps://USER@HOST:PORT?from=ADDRESS&to=ADDRESS,ADDRESS (smtp:// for STARTTLS; USER and PORT may be left out)",
)
_WEBHOOK: Final = _destination(destinations.webhook, "an https:// address without user, query and fragment")
_SYSLOG: Final = _destination(destinations.syslog, "tls://HOST:PORT or tcp://HOST:PORT (PORT may be left out)")


def _setting(key: str, default: Value, kind: Kind, text: str) -> Any:  # a dataclass field passes for its value's type
    return field(default=default, metadata={"definition": Definition(key, default, kind, text)})


@dataclass(frozen=True)
class Settings:
    """All settings as they are in force. One member for each key: `.` and `-` become `_`."""

    certificate_common_name: str = _setting(
        "certificate.common-name", "address", _one_of("address", "hostname"), "what becomes the common name"
    )
    certificate_domains: tuple[str, ...] = _setting(
        "certificate.domains", (), _DOMAINS, "own domains under which host names may be issued"
    )
    certificate_validity_days: int = _setting(
        "certificate.validity-days", 365, _whole(1, 825), "life of a device certificate, never beyond its issuer"
    )
    certificate_key_type: str = _setting(
        "certificate.key-type",
        "auto",
        _one_of("auto", "ec-p256", "rsa-2048", "rsa-3072"),
        "key of a device certificate; auto: RSA-2048, or EC P-256 where device and CA are EC",
    )
    certificate_key_origin: str = _setting(
        "certificate.key-origin",
        "auto",
        _one_of("auto", "device"),
        "where keys are made; auto: on the device, here if the device cannot",
    )
    certificate_warning_days: int = _setting(
        "certificate.warning-days",
        30,
        _whole(1, 365),
        'when "about to expire" begins, in days; at most a quarter of the life',
    )
    certificate_public_url: str = _setting(
        "certificate.public-url",
        "",
        _HTTP_ADDRESS,
        "base address under which CRLs and CA certificates can be fetched",
    )
    publish_listen: str = _setting(
        "publish.listen",
        "",
        _LISTEN,
        "where `serve` publishes CRLs and CA certificates to everybody, by plain HTTP; from its next start on",
    )
    web_host: str = _setting(
        "web.host",
        "127.0.0.1",
        _HOST,
        "where `serve` offers the web application; beyond this computer by TLS only, empty: nowhere; from its next "
        "start on",
    )
    web_port: int = _setting("web.port", 8443, _whole(0, 65535), "the port of the web application; 0: a free one")
    web_certificate: str = _setting(
        "web.certificate",
        "",
        _FILE,
        "PEM file with the certificate of the web application and those below its root; empty: one of the CA here",
    )
    web_key: str = _setting("web.key", "", _FILE, "PEM file with the key of `web.certificate`")
    renewal_automatic: bool = _setting(
        "renewal.automatic", True, _SWITCH, "renew certificates of ours before any warning would show"
    )
    renewal_window: str = _setting(
        "renewal.window", "01:00-05:00", _WINDOW, "local time of the nightly run and its writes"
    )
    https_policy: str = _setting(
        "https.policy",
        "keep",
        _one_of("keep", "both", "https"),
        "what devices shall accept; keep: what they accept now, plus HTTPS",
    )
    https_escape_route: str = _setting(
        "https.escape-route",
        "reopen",
        _one_of("reopen", "none"),
        "the way back to a device that allows HTTPS only; reopen: plain HTTP is opened before its certificate changes",
    )
    https_verify_seconds: int = _setting(
        "https.verify-seconds", 240, _whole(5, 600), "how long the first verification may take"
    )
    https_soak_seconds: int = _setting("https.soak-seconds", 60, _whole(0, 600), "time before the second look")
    security_ignore_certificate_validation: bool = _setting(
        "security.ignore-certificate-validation",
        True,
        _SWITCH,
        "first contact with devices that cannot be verified is allowed",
    )
    devices_maker_roots: str = _setting(
        "devices.maker-roots", "", _FILE, "PEM file of additional maker's roots, for simulators"
    )
    discovery_use_hostname: bool = _setting(
        "discovery.use-hostname", False, _SWITCH, "store and dial the host name that a device announces"
    )
    jobs_concurrency: int = _setting("jobs.concurrency", 100, _whole(1, 1000), "devices worked on at once")
    audit_anchor_file: str = _setting(
        "audit.anchor-file",
        "",
        _FILE,
        "file, on another machine's disk, to which the head of the audit log is added every hour",
    )
    audit_anchor_syslog: str = _setting(
        "audit.anchor-syslog", "", _SYSLOG, "log server that is sent the head of the audit log every hour (RFC 5424)"
    )
    alarm_email: str = _setting(
        "alarm.email", "", _EMAIL, "where alarms go by e-mail; the password: fleetseal alarm secret email"
    )
    alarm_webhook: str = _setting(
        "alarm.webhook", "", _WEBHOOK, "where alarms go by signed POST; the key: fleetseal alarm secret webhook"
    )
    alarm_syslog: str = _setting("alarm.syslog", "", _SYSLOG, "where alarms go by syslog (RFC 5424)")


@dataclass(frozen=True)
class WebWish:
    """What the command that serves asks for; None and empty: as the settings say."""

    host: str | None = None
    port: int | None = None
    names: tuple[str, ...] = ()  # of this computer, for its certificate
    passphrase: "Secret | None" = None  # of the CA, if that has to sign one


DEFINITIONS: Final[Mapping[str, Definition]] = {
    definition.key: definition for definition in (member.metadata["definition"] for member in fields(Settings))
}


def definition_of(key: str) -> Definition:
    """Raises InvalidInput, naming all keys, when there is no such setting."""
    if key not in DEFINITIONS:
        raise InvalidInput(f"There is no setting {key!r}. The settings are: {', '.join(DEFINITIONS)}.")
    return DEFINITIONS[key]


def parse(key: str, text: str) -> Value:
    """The value that `text` means for `key`. Raises InvalidInput naming what is allowed."""
    definition = definition_of(key)
    try:
        return definition.kind.parse(text.strip())
    except (ValueError, KeyError) as error:
        raise InvalidInput(f"{key} cannot be {text!r}. Allowed: {definition.kind.allowed}.") from error


def show(value: Value | list[str]) -> str:
    """A value as a person types it: the inverse of `parse`. JSON and TOML have lists for tuples."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


@dataclass(frozen=True)
class Sources:
    """Values as text, by key, from each place."""

    environment: Mapping[str, str]
    file: Mapping[str, str]

    def settings(self, stored: Mapping[str, str]) -> Settings:
        """All settings in force; `stored` are those of the database. Raises InvalidInput, naming what is allowed."""
        texts = {**self.file, **stored, **self.environment}
        return Settings(**{_attribute(key): parse(key, text) for key, text in texts.items()})  # type: ignore[arg-type]  # each parser gives its member's type

    def origin(self, key: str, stored: Mapping[str, str]) -> str:
        """Where the value in force comes from: `environment`, `database`, `file` or `default`."""
        places = (("environment", self.environment), ("database", stored), ("file", self.file))
        return next((name for name, values in places if key in values), "default")


def read_sources(data: Path, environment: Mapping[str, str]) -> Sources:
    """What environment and `DATA/fleetseal.toml` say. Raises InvalidInput for unknown keys and unreadable files."""
    by_variable = {definition.variable: key for key, definition in DEFINITIONS.items()}
    given: dict[str, str] = {}
    for name, text in environment.items():
        if not name.startswith(_PREFIX) or name in _NOT_SETTINGS:
            continue
        if name not in by_variable:
            raise InvalidInput(f"There is no setting for the variable {name}. Allowed: {', '.join(by_variable)}.")
        given[by_variable[name]] = text
    return Sources(given, _read_file(data / FILE_NAME))


def environment() -> Mapping[str, str]:
    """The environment of this process."""
    return os.environ  # noqa: TID251 - this function is the one place


def data_directory(chosen: Path | None, environment: Mapping[str, str]) -> Path:
    """`--data`, else `FLEETSEAL_DATA`, else the platform's user data folder. Not created."""
    if chosen is not None:
        return chosen.expanduser().absolute()
    if environment.get("FLEETSEAL_DATA"):
        return Path(environment["FLEETSEAL_DATA"]).expanduser().absolute()
    from platformdirs import user_data_path

    return user_data_path("fleetseal", appauthor=False)


def credential(environment: Mapping[str, str]) -> Path | None:
    """The file in which systemd hands over the passphrase of the CA; None without."""
    folder = environment.get("CREDENTIALS_DIRECTORY")
    path = Path(folder) / CREDENTIAL if folder else None
    return path if path is not None and path.is_file() else None


def _read_file(path: Path) -> dict[str, str]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput(f"The settings file {path} cannot be read: {error}.") from error
    return dict(_flatten(document, ""))


def _flatten(document: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
    """`[certificate]` tables and dotted keys alike, as (key, text)."""
    found: list[tuple[str, str]] = []
    for name, value in document.items():
        key = prefix + name
        if isinstance(value, dict):
            found += _flatten(value, key + ".")
            continue
        definition_of(key)
        found.append((key, show(value)))
    return found
