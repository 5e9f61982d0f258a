"""What requests may hold. Strict: a member nobody knows, or of another type, is refused. Secrets are `SecretStr`."""

import base64
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from fleetseal.core import model
from fleetseal.core.errors import InvalidInput
from fleetseal.core.secrets import Secret


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SettingValue(Body):
    value: str


class Selection(Body):
    """Which devices are meant: named ones, or all, or those that pass the filters. `listed`: the named ones were marked
    in a list; what is not possible on one of them is `Skipped`, as with `all` and `filters`."""

    devices: list[str] = []
    all: bool = False
    filters: list[str] = []
    listed: bool = False

    def chosen(self) -> model.Selection:
        return model.Selection(tuple(self.devices), self.all, tuple(self.filters), self.listed)


# ---------------------------------------------------------------- authorities


class Ceremony(Body):
    """What making and importing a CA have in common."""

    passphrase: SecretStr | None = None
    remember_passphrase: bool = False


class AuthorityCreation(Ceremony):
    name: str
    tiers: int = 2
    key_type: Literal["rsa", "ec"] = "rsa"
    years: int | None = None
    organization: str | None = None
    permit_domains: list[str] = []
    permit_networks: list[str] = []


class AuthorityRequest(Body):
    name: str
    organization: str | None = None
    key_type: Literal["rsa", "ec"] = "rsa"


class AuthorityImport(Ceremony):
    """`files`: their contents, base64."""

    files: list[str]
    name: str | None = None
    tiers: int | None = None


class AuthorityRenewal(Ceremony):
    """`root`: a new root beside the old one; `files`, base64, in place of one of our own. The passphrase opens the
    root's key, or is that of the new root."""

    root: bool = False
    files: list[str] = []
    key_type: Literal["rsa", "ec"] | None = None
    years: int | None = None


class AuthorityProgress(Body):
    """`incomplete`: a person goes on though some devices do not have the new certificates."""

    incomplete: bool = False


class TrustAnchorImport(Body):
    file: str
    """Its content, base64."""


class Passphrase(Body):
    passphrase: SecretStr


class AuthorityBackup(Body):
    """`passphrase` seals the files; `own` opens the key of the CA, if it is another one."""

    passphrase: SecretStr
    own: SecretStr | None = None


class AuthorityRestoration(Body):
    """`files`: their contents, base64."""

    files: list[str]
    passphrase: SecretStr


class BackupRequest(Body):
    """`file`: an absolute path on the computer that answers; `passphrase` seals it."""

    file: str
    passphrase: SecretStr


class BackupDownload(Body):
    """`passphrase` seals it."""

    passphrase: SecretStr


# ---------------------------------------------------------------- devices


class DeviceAddition(Body):
    targets: list[str]
    http_port: int | None = None
    https_port: int | None = None
    username: str | None = None
    password: SecretStr | None = None
    site: str | None = None


class DeviceImport(Body):
    """`content` is the file as text; `username` and `password` are for rows that have none. `preview`: nothing is
    stored."""

    form: Literal["csv", "json"]
    content: SecretStr
    preview: bool = False
    username: str | None = None
    password: SecretStr | None = None
    site: str | None = None


class DeviceSetup(Body):
    devices: list[str]
    username: str
    password: SecretStr
    plain_http: bool = False


class DeviceExport(Body):
    form: Literal["csv", "json"] = "csv"
    filters: list[str] = []


class DeviceChange(Body):
    """Members that are absent or null stay as they are."""

    selection: Selection
    username: str | None = None
    password: SecretStr | None = None
    address: str | None = None
    hostname: str | None = None
    http_port: int | None = None
    https_port: int | None = None
    site: str | None = None
    tags: list[str] | None = None
    tls: Literal["normal", "legacy"] | None = None


class DeviceSelection(Body):
    selection: Selection


class Accepted(Body):
    """A device, by id, and the certificate it is trusted by; `sha256` null: plain HTTP."""

    id: int = Field(ge=0, le=2**53)
    sha256: str | None


class Acceptance(Body):
    accepted: list[Accepted]


class ClockRequest(DeviceSelection):
    set: bool = False


class Removal(Body):
    """`revoke`: their certificates too."""

    devices: list[str]
    revoke: bool = False


class CredentialAddition(Body):
    name: str
    username: str
    password: SecretStr


class CredentialRemoval(Body):
    name: str


class Search(Body):
    """Ranges, or targets as of `POST devices`, or interfaces, or nothing of these: all interfaces. `timeout`: in
    seconds."""

    ranges: list[str] = []
    targets: list[str] = []
    interfaces: list[str] = []
    timeout: float | None = None
    http_port: int | None = None
    https_port: int | None = None


class Found(Body):
    """A device as it was found."""

    address: str
    http_port: int
    https_port: int | None
    mac: str | None
    hostname: str | None = None


class Adoption(Body):
    devices: list[Found]
    username: str | None = None
    password: SecretStr | None = None


# ---------------------------------------------------------------- certificates


class CertificateFile(Body):
    """`content`: base64."""

    name: str
    content: SecretStr
    passphrase: SecretStr | None = None


class CertificateInstallation(Body):
    """`purpose`: `https` puts the certificates into service, `none` only stores them. With `device` there is one."""

    files: list[CertificateFile]
    device: str | None = None
    purpose: Literal["https", "none"] = "https"
    set_clock: bool = False


class CertificateDeletion(Body):
    device: str
    alias: str


class Revocation(Body):
    """`passphrase` opens a locked CA key for the CRL."""

    serial: str
    reason: Literal[
        "unspecified",
        "keyCompromise",
        "cACompromise",
        "affiliationChanged",
        "superseded",
        "cessationOfOperation",
        "privilegeWithdrawn",
    ] = "unspecified"
    passphrase: SecretStr | None = None


# ---------------------------------------------------------------- tasks


class EnableWish(Body):
    policy: Literal["keep", "both", "https"] | None = None
    renew: bool = False
    replace_foreign: bool = False
    set_clock: bool = False


class TaskRequest(DeviceSelection):
    """`passphrase` opens the signing key while tasks run."""

    action: Literal["Enable HTTPS", "Disable HTTPS", "Refresh"]
    wish: EnableWish | None = None
    passphrase: SecretStr | None = None


class PlanRequest(DeviceSelection):
    wish: EnableWish = EnableWish()


class Continuation(Body):
    passphrase: SecretStr | None = None


class NightlyRequest(Continuation):
    """`clock_is_right`: a person says so, where so many certificates are due that it is in doubt."""

    clock_is_right: bool = False


class ChannelSecret(Body):
    secret: SecretStr | None


# ---------------------------------------------------------------- audit


class AuditVerification(Body):
    """`anchors`: the text of a file of anchors; without it that of `audit.anchor-file` is read."""

    anchors: str | None = None


def secret(value: SecretStr | None) -> Secret | None:
    return None if value is None else Secret(value.get_secret_value())


def decoded(text: str) -> bytes:
    """Of base64. Raises InvalidInput."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise InvalidInput("A file in the request is not base64.") from error


def login(username: str | None, password: SecretStr | None) -> model.Login | None:
    """Raises InvalidInput when only one of the two is given."""
    if (username is None) != (password is None):
        raise InvalidInput("A user name and a password belong together: give both, or neither.")
    if username is None or password is None:
        return None
    return model.Login(username, password.get_secret_value())


# ---------------------------------------------------------------- people

RoleName = Literal["viewer", "operator", "administrator"]


class SignIn(Body):
    name: str
    password: SecretStr


class FirstSignIn(Body):
    """`code`: what the server showed when it started without users."""

    code: SecretStr
    name: str
    password: SecretStr


class PasswordConfirmation(Body):
    password: SecretStr


class PasswordChange(Body):
    old: SecretStr
    new: SecretStr


class UserAddition(Body):
    name: str
    role: RoleName
    password: SecretStr


class UserChange(Body):
    """What is left out stays as it is."""

    name: str | None = None
    role: RoleName | None = None
    password: SecretStr | None = None


class TokenAddition(Body):
    """`days`: until it ends."""

    name: str
    scope: RoleName
    days: int = 365
