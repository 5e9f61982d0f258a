"""The error tree. The class decides what happens next; the message is for people.

FleetsealError
├─ InvalidInput  NotFound  Conflict  Forbidden  Locked
├─ NotSignedIn  SignInRefused  ConfirmPassword  TooManyAttempts
├─ DeviceError
│   ├─ Unreachable (TlsTooOld)  Busy  OutcomeUnknown
│   ├─ AuthenticationFailed  CredentialsNeeded  SetupNeeded
│   ├─ PermissionDenied  NotSupported  Rejected  ProtocolViolation
│   ├─ VerificationFailed
│   └─ IdentityMismatch
├─ TrustFailure
├─ IssuanceRefused
├─ DeliveryFailed
├─ StoreError
├─ InUse
├─ TooManyListeners
└─ StandDown

`code` is stable and listed in docs/reference/errors.md. No message holds a secret or unescaped
control characters: text from devices goes through `core.text.clean` first.
"""

from enum import StrEnum
from typing import ClassVar


class Disposition(StrEnum):
    """What an error asks for."""

    RETRY = "retry"
    OPERATOR = "operator"
    SECURITY = "security"


class FleetsealError(Exception):
    """Something that a person can be told. Raised as one of the classes below."""

    code: ClassVar[str] = "error"
    disposition: ClassVar[Disposition] = Disposition.OPERATOR

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidInput(FleetsealError):
    """What was asked is wrong in itself, or not possible here. Nothing was done."""

    code = "invalid-input"


class NotFound(FleetsealError):
    """What was named does not exist here. Nothing was done."""

    code = "not-found"


class Conflict(FleetsealError):
    """Possible in itself, but not beside what is already there. Nothing was done."""

    code = "conflict"


class Forbidden(FleetsealError):
    """Whoever asks has no right to it. Nothing was done."""

    code = "forbidden"


class NotSignedIn(FleetsealError):
    """Nobody known asks: no session and no token, or one that has ended. Nothing was done."""

    code = "not-signed-in"


class SignInRefused(FleetsealError):
    """Name, password or code is wrong; which of them is not told. Nothing was done."""

    code = "sign-in-refused"


class ConfirmPassword(FleetsealError):
    """The password must be given again before this is done. Nothing was done."""

    code = "confirm-password"


class TooManyAttempts(FleetsealError):
    """Too many guesses at a password. `seconds`: when the next one is looked at. This one was not."""

    code = "too-many-attempts"
    disposition = Disposition.RETRY

    def __init__(self, message: str, *, seconds: int) -> None:
        super().__init__(message)
        self.seconds = seconds


class Locked(FleetsealError):
    """A key is locked, or the passphrase is wrong. Nothing was signed."""

    code = "locked"


class DeviceError(FleetsealError):
    """Something about one device. The message says what is known of its state."""

    code = "device-error"


class Unreachable(DeviceError):
    """No connection, or no answer before any effect was possible."""

    code = "unreachable"
    disposition = Disposition.RETRY


class TlsTooOld(Unreachable):
    """HTTPS answers, but in TLS 1.0 or 1.1 only, which nobody allowed for this device. Waiting changes nothing."""

    code = "tls-too-old"
    disposition = Disposition.OPERATOR


class Busy(DeviceError):
    """The device asks us to wait (503, maintenance, throttling)."""

    code = "device-busy"
    disposition = Disposition.RETRY


class OutcomeUnknown(DeviceError):
    """A write was sent and its answer lost: look before anything else."""

    code = "outcome-unknown"
    disposition = Disposition.RETRY


class AuthenticationFailed(DeviceError):
    """The device refused the login. Never retried until the credential changes."""

    code = "authentication-failed"


class SetupNeeded(DeviceError):
    """The device is in factory state: it has no administrator yet."""

    code = "setup-needed"


class CredentialsNeeded(DeviceError):
    """The device asks for a login and none is stored."""

    code = "credentials-needed"


class PermissionDenied(DeviceError):
    """The login works, but lacks administrator rights."""

    code = "permission-denied"


class NotSupported(DeviceError):
    """Product, firmware or interface cannot do this."""

    code = "not-supported"


class Rejected(DeviceError):
    """The device understood and said no. `vendor_code` and `vendor_text` are its words, cleaned."""

    code = "rejected"

    def __init__(self, message: str, *, vendor_code: str = "", vendor_text: str = "") -> None:
        super().__init__(message)
        self.vendor_code = vendor_code
        self.vendor_text = vendor_text


class ProtocolViolation(DeviceError):
    """The answer is not what the interface promises: malformed, endless, redirected."""

    code = "protocol-violation"


class IdentityMismatch(DeviceError):
    """Another device, or someone in its place. Nothing was sent to it."""

    code = "identity-mismatch"
    disposition = Disposition.SECURITY


class TrustFailure(FleetsealError):
    """The device cannot be trusted far enough for what was asked. No secret was sent."""

    code = "trust-failure"
    disposition = Disposition.SECURITY


class VerificationFailed(DeviceError):
    """HTTPS was switched but could not be proved from outside in time."""

    code = "verification-failed"


class IssuanceRefused(FleetsealError):
    """A rule of the certificate profile says no. `rule` is its name. Nothing was signed."""

    code = "issuance-refused"

    def __init__(self, message: str, *, rule: str) -> None:
        super().__init__(message)
        self.rule = rule


class DeliveryFailed(FleetsealError):
    """A mail, web or log server did not take a message about alarms, or was not the one that was meant."""

    code = "delivery-failed"
    disposition = Disposition.RETRY


class StoreError(FleetsealError):
    """The database refused a write or a read: disk full, locked, damaged."""

    code = "store-error"
    disposition = Disposition.RETRY


class InUse(FleetsealError):
    """Another process owns the data directory and does not answer. Nothing was done."""

    code = "in-use"
    disposition = Disposition.RETRY


class TooManyListeners(FleetsealError):
    """As many pages follow what changes as are allowed. Nothing else is affected."""

    code = "too-many-listeners"
    disposition = Disposition.RETRY


class StandDown(FleetsealError):
    """Another run of this job has begun: this one writes nothing more (JOB-ONE-WRITER)."""

    code = "stand-down"
