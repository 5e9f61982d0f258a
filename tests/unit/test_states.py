"""The columns `https` and `status`: the first that holds, in the order of the contract."""

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetseal.core.config import Settings
from fleetseal.core.model import (
    CertificateSource,
    ConnectionPolicy,
    Device,
    DeviceId,
    Generation,
    Serial,
    Support,
    TaskId,
    TrustLevel,
)
from fleetseal.operations import states
from fleetseal.store.tasks import AtWork
from tests.devices import SiteAuthority
from tests.support import NOW

AUTHORITY = SiteAuthority(now=NOW)
A_YEAR_AGO = SiteAuthority(now=NOW - timedelta(days=345))
WARNING = Settings()


def leaf(days: int) -> bytes:
    """A certificate from a day ago to this many days from now."""
    return AUTHORITY.leaf(AUTHORITY.issuing_key.public_key(), "192.0.2.1", days=days)


EXPIRING = A_YEAR_AGO.leaf(A_YEAR_AGO.issuing_key.public_key(), "192.0.2.1", days=365)  # 20 days are left

HEALTHY = Device(
    id=DeviceId(1),
    serial=Serial("B8A44F631339"),
    address="192.0.2.1",
    host_name=None,
    host_name_typed=False,
    http_port=80,
    https_port=443,
    legacy_tls=False,
    site="default",
    tags=(),
    model="P3265-V",
    product_type="Dome Camera",
    firmware="12.11.77",
    generation=Generation.REST,
    support=Support.SUPPORTED,
    support_reason="",
    needs_setup=False,
    username="root",
    password_version=1,
    password_refused_version=None,
    trust_level=TrustLevel.ANCHORED,
    trust_pin=None,
    ever_anchored=True,
    identity_problem=None,
    trust_problem=None,
    reachable=True,
    unreachable_reason="",
    clock_offset=0.0,
    tls=True,
    policy=ConnectionPolicy.HTTP_AND_HTTPS,
    bound_alias=None,
    served_der=leaf(365),
    served_source=CertificateSource.OURS,
    chain_sent=True,
    entries=(),
    added=NOW,
    last_seen=NOW,
)


def statuses(device: Device, *, task: int | None = None, settings: Settings = WARNING) -> list[str]:
    active = None if task is None else AtWork(TaskId(task), None)
    return [one.status for one in states.statuses(device, now=NOW, settings=settings, active_task=active)]


# Each makes exactly one status hold, in the order of the contract.
CAUSES: list[tuple[str, dict[str, Any]]] = [
    ("Identity changed", {"identity_problem": "Another one answers."}),
    ("Unreachable", {"reachable": False, "unreachable_reason": "No answer."}),
    ("Setup needed", {"needs_setup": True}),
    ("Credentials needed", {"username": None}),
    ("Wrong credentials", {"password_refused_version": 1}),
    ("Certificate not trusted", {"trust_problem": "Basic only."}),
    ("Certificate has expired", {"served_der": leaf(-1)}),
    ("Clock is wrong", {"clock_offset": 301.0}),
    ("Certificate about to expire", {"served_der": EXPIRING}),
]
EXCLUSIVE = {  # what cannot be asked when something before it holds
    "Setup needed": {"Credentials needed", "Wrong credentials"},
    "Credentials needed": {"Wrong credentials"},
    "Certificate has expired": {"Certificate about to expire"},
}


def test_a_healthy_device_is_ok_and_nothing_else() -> None:
    assert statuses(HEALTHY) == ["OK"]


@pytest.mark.parametrize(("status", "columns"), CAUSES)
def test_each_cause_alone_shows_its_status_with_a_reason(status: str, columns: dict[str, Any]) -> None:
    found = states.statuses(replace(HEALTHY, **columns), now=NOW, settings=WARNING, active_task=None)
    assert [one.status for one in found] == [status]
    assert found[0].reason.endswith(".")


def test_busy_is_named_with_its_task() -> None:
    (busy,) = states.statuses(HEALTHY, now=NOW, settings=WARNING, active_task=AtWork(TaskId(7), "anna"))
    assert (busy.status, busy.reason) == ("Busy", "Busy in task 7 of anna.")


@given(st.sets(st.sampled_from(range(len(CAUSES)))), st.booleans())
def test_all_that_hold_are_listed_in_the_order_of_the_contract(chosen: set[int], busy: bool) -> None:
    columns: dict[str, Any] = {}
    expected: list[str] = []
    for index in sorted(chosen, reverse=True):  # the earlier cause wins a column that two of them set
        columns |= CAUSES[index][1]
    for index in sorted(chosen):
        status = CAUSES[index][0]
        if not any(status in EXCLUSIVE.get(earlier, set()) for earlier in expected):
            expected.append(status)
    assert statuses(replace(HEALTHY, **columns), task=7 if busy else None) == (expected + ["Busy"] * busy or ["OK"])


@pytest.mark.parametrize(
    ("columns", "trusted"),
    [
        ({"trust_level": TrustLevel.FIRST_USE}, False),
        ({"trust_level": TrustLevel.PLAINTEXT}, False),
        ({"trust_level": TrustLevel.PLAINTEXT, "plain_accepted": True}, True),
        ({"trust_level": TrustLevel.PINNED}, True),
        ({"trust_level": TrustLevel.FACTORY}, True),
        ({"trust_level": TrustLevel.ANCHORED}, True),
    ],
)
def test_first_contact_counts_only_while_validation_is_ignored(columns: dict[str, Any], trusted: bool) -> None:
    device = replace(HEALTHY, **columns)
    assert statuses(device) == ["OK"]
    strict = Settings(security_ignore_certificate_validation=False)
    assert statuses(device, settings=strict) == (["OK"] if trusted else ["Certificate not trusted"])


@pytest.mark.parametrize("offset", [0.0, 300.0, -300.0, None])
def test_a_clock_within_five_minutes_is_right(offset: float | None) -> None:
    assert statuses(replace(HEALTHY, clock_offset=offset)) == ["OK"]


@pytest.mark.parametrize(("life", "days", "begins"), [(365, 30, 30), (90, 30, 22.5), (825, 365, 206.25), (4, 1, 1)])
def test_the_warning_takes_at_most_a_quarter_of_the_life(life: int, days: int, begins: float) -> None:
    end = NOW + timedelta(days=life)
    assert states.warning_begins(NOW, end, warning_days=days) == end - timedelta(days=begins)


def test_a_product_without_our_interface_is_not_asked_for_a_login() -> None:
    assert statuses(replace(HEALTHY, support=Support.PRODUCT, username=None, served_der=None)) == ["OK"]


def test_the_makers_default_certificate_does_not_warn() -> None:
    device = replace(HEALTHY, served_der=leaf(-1), served_source=CertificateSource.DEFAULT)
    assert statuses(device) == ["OK"]


BOTH, HTTPS, HTTP = ConnectionPolicy.HTTP_AND_HTTPS, ConnectionPolicy.HTTPS, ConnectionPolicy.HTTP
OURS, OTHER = CertificateSource.OURS, CertificateSource.OTHER
DEFAULT, FACTORY = CertificateSource.DEFAULT, CertificateSource.FACTORY
MISSING = "Disabled (Missing server certificate)"
MAKERS_ENTRIES = ({"alias": "a", "source": "factory"}, {"alias": "b", "source": "default"})
ONE_MORE = (*MAKERS_ENTRIES, {"alias": "c", "source": "other"})

HTTPS_TEXTS: list[tuple[str, bool, dict[str, Any]]] = [
    ("Unsupported device", True, {"support": Support.PRODUCT, "tls": None}),
    ("Unsupported firmware", True, {"support": Support.FIRMWARE}),
    ("Unknown", True, {"tls": None, "policy": None}),
    ("Enabled", True, {"policy": BOTH, "served_source": OURS}),
    ("Enabled", False, {"policy": BOTH, "served_source": OTHER}),
    ("Enabled", False, {"policy": HTTPS, "served_source": DEFAULT}),
    ("Enabled", False, {"policy": HTTPS, "served_source": None}),
    ("Disabled", True, {"policy": BOTH, "served_source": DEFAULT}),
    ("Disabled", True, {"policy": BOTH, "served_source": FACTORY}),
    ("Disabled", True, {"policy": HTTP, "tls": True, "served_source": OURS}),
    ("Disabled", True, {"policy": HTTP, "tls": False, "served_source": None}),
    ("Disabled", False, {"policy": HTTP, "served_source": None, "entries": ONE_MORE}),
    (MISSING, False, {"policy": HTTP, "served_source": None, "entries": MAKERS_ENTRIES}),
    (MISSING, False, {"policy": BOTH, "served_source": FACTORY, "entries": MAKERS_ENTRIES}),
    (MISSING, False, {"policy": BOTH, "served_source": DEFAULT}),
]


@pytest.mark.parametrize(("shown", "authority", "columns"), HTTPS_TEXTS)
def test_the_https_column(shown: str, authority: bool, columns: dict[str, Any]) -> None:
    assert states.https_text(replace(HEALTHY, **columns), authority_configured=authority) == shown


# ---------------------------------------------------------------- what else is on the device


def on_device(
    days: float, *, life: float = 365, source: str = "other", kind: str = "key", **more: Any
) -> dict[str, Any]:
    """An entry that ends in so many days."""
    end = NOW + timedelta(days=days)
    begin = end - timedelta(days=life)
    shown = {"alias": "dot1x", "source": source, "sha256": "00", "kind": kind, "in_use": True}
    return shown | {"not_before": f"{begin:%Y-%m-%dT%H:%M:%SZ}", "not_after": f"{end:%Y-%m-%dT%H:%M:%SZ}"} | more


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (on_device(31), None),
        (on_device(29), "Certificate about to expire"),
        (on_device(29, life=100), None),
        (on_device(24, life=100), "Certificate about to expire"),
        (on_device(-1), "Certificate has expired"),
        (on_device(-1, source="factory"), None),
        (on_device(-1, source="default"), None),
        (on_device(-1, not_after=None), None),
        (on_device(-1, sha256=hashlib.sha256(EXPIRING).hexdigest()), None),
        (on_device(-1, kind="ca", source="ours"), "Certificate has expired"),
    ],
)
def test_what_ends_beside_the_served_certificate_is_told(entry: dict[str, Any], expected: str | None) -> None:
    device = replace(HEALTHY, served_der=EXPIRING, entries=(entry,))
    found = states.endings(device, now=NOW, settings=WARNING)
    assert [one.status for one in found] == ([] if expected is None else [expected])
    if found:
        kind = "CA certificate" if entry["kind"] == "ca" else "certificate"
        assert found[0].reason.startswith(f"The {kind} dot1x ")


def test_an_entry_recorded_without_its_beginning_is_told_once_it_has_expired() -> None:
    before, after = (on_device(days) for days in (1, -1))
    for entry in (before, after):
        del entry["not_before"], entry["kind"]
    found = states.endings(replace(HEALTHY, entries=(before, after)), now=NOW, settings=WARNING)
    assert [one.status for one in found] == ["Certificate has expired"]


def test_a_ca_entry_is_no_server_certificate() -> None:
    device = replace(HEALTHY, tls=False, policy=ConnectionPolicy.HTTP, entries=(on_device(300, kind="ca"),))
    assert states.https_text(device, authority_configured=False) == "Disabled (Missing server certificate)"
    keyed = replace(device, entries=(on_device(300),))
    assert states.https_text(keyed, authority_configured=False) == "Disabled"
