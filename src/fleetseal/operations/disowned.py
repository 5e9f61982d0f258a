"""Certificates of ours that clients are told not to take, and what becomes of a device that serves one. Pure.

The reasons and what follows are those of docs/procedures/revoke.md.
"""

from typing import Final

from fleetseal.pki.crl import Reason
from fleetseal.store.certificates import Disowned

REPLACED: Final = frozenset({Reason.UNSPECIFIED, Reason.SUPERSEDED})
"""After these the nightly run gives the device another certificate. All others but a stolen key say that the device has
left: only a person takes it back."""


def sentence(what: Disowned) -> str:
    """Why the certificate that a device serves is not to be taken, and what happens now."""
    if what.revoked is not None:
        reason = Reason(what.reason or Reason.UNSPECIFIED)
        return f"It was revoked on {what.revoked:%Y-%m-%d} ({reason}). {remedy('DEVICE', reason)}"
    if what.superseded is not None:
        why = f"Another had taken its place on {what.superseded:%Y-%m-%d}, which the CRL of its CA tells."
    else:
        why = "The CA that signed it is retired."
    return f"{why} {remedy('DEVICE', Reason.SUPERSEDED)}"


def remedy(name: str, reason: Reason) -> str:
    """What happens to the device `name`, which serves a certificate that was revoked for this reason."""
    renew = f"fleetseal https enable {name} --renew"
    if reason is Reason.KEY_COMPROMISE:
        return (
            "Its key proves nobody any more. Make sure that this is the device, accept it, and give it another "
            f"certificate: fleetseal device trust {name}, then {renew}."
        )
    if reason in REPLACED:
        return f"The nightly run gives it another. At once: {renew}."
    return (
        "The nightly run gives it no other, because the device was to leave: fleetseal device remove "
        f"{name}. If it stays: {renew}."
    )
