"""Who may do what: roles, and whoever asks."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    """Each may do what those before it may."""

    VIEWER = "viewer"  # reads
    OPERATOR = "operator"  # acts on devices
    ADMINISTRATOR = "administrator"  # CAs, settings, accounts, secrets

    def includes(self, other: "Role") -> bool:
        order = tuple(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True)
class Caller:
    """Who asks, as it was found for this one request: an account by a session, an API token, or, with neither, this
    user of the computer."""

    actor: str  # as the audit trail names it
    role: Role
    account: int | None = None
    session: int | None = None
    token: int | None = None
    confirmed_until: datetime | None = None  # the password of the session was given lately
