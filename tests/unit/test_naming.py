"""Which names become certificate names: typed, the device's own by its serial, under an own domain and resolving."""

from dataclasses import replace

import pytest

from fleetseal.core.model import Device, Serial
from fleetseal.operations.naming import Names, certificate_names
from tests.unit.test_states import HEALTHY

DOMAINS = ("site.example", "local.example")
CAMERA = replace(HEALTHY, serial=Serial("B8A44F000001"), address="192.0.2.7")
OWN = "axis-b8a44f000001"


def names(
    device: Device,
    *resolved: str,
    common_name: str = "address",
    shared: bool = False,
    domains: tuple[str, ...] = DOMAINS,
) -> tuple[str, ...] | None:
    found = certificate_names(device, common_name=common_name, domains=domains, resolved=resolved, shared=shared)
    if found is None:
        return None
    assert found == Names(found.names[0], found.names)
    return found.names


def told(name: str) -> Device:
    return replace(CAMERA, host_name=name)


def typed(name: str) -> Device:
    return replace(CAMERA, host_name=name, host_name_typed=True)


def dialled(name: str) -> Device:
    """By a name that nobody typed."""
    return replace(told(name), address=name)


def test_without_a_name_the_address_is_the_name() -> None:
    assert names(CAMERA) == ("192.0.2.7",)
    assert names(CAMERA, common_name="hostname") is None


@pytest.mark.parametrize("name", ["gate.elsewhere.example", "gate", "axis-accc8e000009"])
def test_a_typed_name_is_certified_whatever_it_is(name: str) -> None:
    assert names(typed(name)) == ("192.0.2.7", name)
    assert names(typed(name), common_name="hostname") == (name, "192.0.2.7")
    assert names(replace(typed(name), address=name)) == (name,)
    assert names(typed(name), shared=True) == ("192.0.2.7", name)


@pytest.mark.parametrize("name", [OWN, f"{OWN}.site.example", f"{OWN}.local.example"])
def test_the_name_by_its_own_serial_is_certified_alone_and_under_own_domains(name: str) -> None:
    assert names(told(name)) == ("192.0.2.7", name)


@pytest.mark.parametrize(
    "name",
    [
        f"{OWN}.elsewhere.example",
        f"{OWN}.local",
        f"{OWN}.floor.site.example",  # below a domain, so it must resolve
        "axis-accc8e000009",  # another's
        "axis-accc8e000009.site.example",
        f"x{OWN}",
        "gate",
        "gate.elsewhere.example",
        "gate.notsite.example",
        "site.example",
        "gate.site.example",  # resolves to nothing here
        "*.site.example",
        "ga_te.site.example",
        "192.0.2.8",
    ],
)
def test_any_other_told_name_is_none(name: str) -> None:
    assert names(told(name)) == ("192.0.2.7",)
    assert names(told(name), common_name="hostname") is None


def test_a_told_name_under_an_own_domain_is_certified_if_it_means_this_address() -> None:
    gate = told("gate.site.example")
    assert names(gate, "192.0.2.9", "192.0.2.7") == ("192.0.2.7", "gate.site.example")
    assert names(gate, "192.0.2.9") == ("192.0.2.7",)
    assert names(gate, "192.0.2.7", domains=()) == ("192.0.2.7",)
    assert names(gate, "192.0.2.7", common_name="hostname") == ("gate.site.example", "192.0.2.7")


def test_a_told_name_that_another_device_has_too_is_nobodys() -> None:
    assert names(told("gate.site.example"), "192.0.2.7", shared=True) == ("192.0.2.7",)
    assert names(told(OWN), shared=True) == ("192.0.2.7",)


def test_a_told_name_that_is_dialled_stands_for_the_address_behind_it() -> None:
    assert names(dialled("gate.elsewhere.example"), "192.0.2.7") == ("192.0.2.7",)
    assert names(dialled("gate.site.example"), "192.0.2.7") == ("192.0.2.7", "gate.site.example")
    assert names(dialled(OWN), "192.0.2.7", "192.0.2.8") == ("192.0.2.7", OWN)
    assert names(dialled("gate.elsewhere.example"), "192.0.2.7", common_name="hostname") is None
    assert names(dialled("gate.elsewhere.example")) is None


def test_no_scope_and_no_link_local_address_is_ever_certified() -> None:
    assert names(replace(CAMERA, address="2001:db8::7%eth0")) == ("2001:db8::7",)
    assert names(replace(CAMERA, address="fe80::7%eth0")) is None
