"""Which products and firmware are supported, and what kind a product is (device-api 1, 15). Pure."""

import re

from fleetseal.core.model import Generation, Support

MAKERS = ("00408C", "ACCC8E", "B8A44F", "E82725")
"""What the maker's serials begin with (device-api 3.3)."""

_FIRST = (5, 70)
_FIRST_OTHER = (1, 25)
"""Access control and audio products count 1.x in parallel (device-api 15.1)."""

_T85 = re.compile(r"\bT85\d\d\b")
_OTHER_T8 = re.compile(r"\bAXIS (T8\d{3})\b")
NO_CERTIFICATES = (
    "This product has no certificate interface (neither SOAP nor REST): no certificate can be installed on it. "
    "HTTPS can be switched off: fleetseal https disable DEVICE."
)
_CATEGORIES = (
    ("intercom", ("intercom", "door station")),
    ("access control", ("door controller", "access control")),
    ("encoder", ("encoder", "video server")),
    ("camera", ("camera",)),
    ("radar", ("radar",)),
    ("audio", ("speaker", "horn", "audio", "microphone", "amplifier")),
    ("access control", ("i/o", "io module", "relay module")),
)
_ONE_X = frozenset({"access control", "audio"})


def version(firmware: str) -> tuple[int, ...]:
    """The dotted numbers, for comparing; what is no number counts as 0."""
    return tuple(int(part) if part.isdecimal() and len(part) < 10 else 0 for part in firmware.split(".")[:6])


def category(product_type: str) -> str:
    """The first that fits; `other` if none does (device-api 15.2)."""
    lower = product_type.lower()
    return next((name for name, words in _CATEGORIES if any(word in lower for word in words)), "other")


def support(
    model: str, product_type: str, firmware: str, *, generation: Generation | None = None
) -> tuple[Support, str]:
    """Whether certificates of this device can be managed, and why not. Thresholds: device-api 15.1. `generation`: what
    the probe found, now or before; None: not known."""
    switch = unsupported_product(model)
    if switch is not None:
        return Support.PRODUCT, switch
    if generation is Generation.PARAMETERS:
        return Support.PRODUCT, NO_CERTIFICATES
    if not firmware:
        return Support.FIRMWARE, "The device does not tell its firmware version."
    numbers = version(firmware)
    first = _FIRST_OTHER if numbers[:1] == (1,) and category(product_type) in _ONE_X else _FIRST
    if numbers < first:
        wanted = ".".join(map(str, first))
        return Support.FIRMWARE, f"Firmware {firmware} is older than {wanted}, the first that is supported."
    return Support.SUPPORTED, ""


def old_tls(firmware: str) -> bool:
    """Whether its web server may speak nothing better than TLS 1.0 (inferred: device-api 1, before 7.20)."""
    return (5,) <= version(firmware) < (7, 20)


def unsupported_product(text: str) -> str | None:
    """Why a device that names itself so is not supported; None if nothing is known against it (device-api 15.3)."""
    found = _T85.search(text)
    return None if found is None else f"AXIS {found.group()} is a network switch without a certificate interface."


def network_gear(page: str) -> str | None:
    """Why something without VAPIX that calls itself so on its front page is not supported: T85 switches, and what else
    of the T8 series is made by others (device-api 15.3). None for all the rest."""
    found = _OTHER_T8.search(page)
    if found is None:
        return unsupported_product(page)
    return unsupported_product(page) or f"AXIS {found[1]} is network equipment without a certificate interface."
