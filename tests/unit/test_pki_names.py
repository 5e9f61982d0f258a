import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetseal.core.errors import InvalidInput
from fleetseal.pki import names
from fleetseal.pki.names import Address, Constraints, DnsName


@pytest.mark.parametrize(
    ("given_text", "normal"),
    [
        ("Cam1.Plant.Example.", "cam1.plant.example"),
        ("axis-b8a44f631339", "axis-b8a44f631339"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        (".".join(["a" * 63, "b"]), ".".join(["a" * 63, "b"])),
        ("192.0.2.10", "192.0.2.10"),
        ("2001:DB8:0:0:0:0:0:10", "2001:db8::10"),
        ("[2001:db8::10]", "2001:db8::10"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),  # RFC 5952 4.2.2: one zero group is not shortened
        ("::ffff:192.0.2.10", "192.0.2.10"),
    ],
)
def test_normal_form(given_text: str, normal: str) -> None:
    name = names.classify(given_text)
    assert name.text == normal
    assert names.classify(name.text) == name


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "1 to 253"),
        ("a." * 127 + "toolong", "1 to 253"),
        ("*.plant.example", "wildcard"),
        ("cam_1.plant.example", "underscore"),
        ("-cam.example", "neither"),
        ("cam-.example", "neither"),
        ("cam..example", "neither"),
        ("a" * 64 + ".example", "neither"),
        ("ab--cd.example", "neither"),
        ("bücher.example", "neither"),
        ("cam 1", "neither"),
        ("192.0.2.256", "ends like an address"),
        ("1.2.3", "ends like an address"),
        ("fe80::1%eth0", "scope"),
        ("0.0.0.0", "not the address of one device"),
        ("224.0.0.1", "not the address of one device"),
        ("255.255.255.255", "not the address of one device"),
        ("cam\x1b[31m.example", "neither"),
    ],
)
def test_refused(text: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason) as refused:
        names.classify(text)
    assert "\x1b" not in refused.value.message


def test_kinds() -> None:
    assert isinstance(names.classify("cam1.plant.example"), DnsName)
    assert isinstance(names.classify("192.0.2.10"), Address)


CONSTRAINED = Constraints(
    permitted_dns=("plant.example",),
    permitted_networks=(names.network("192.0.2.0/24"),),
    excluded_dns=("office.plant.example",),
)


@pytest.mark.parametrize(
    ("text", "permitted"),
    [
        ("plant.example", True),
        ("cam1.plant.example", True),
        ("cam1.hall2.plant.example", True),
        ("otherplant.example", False),
        ("plant.example.org", False),
        ("cam1.office.plant.example", False),
        ("axis-b8a44f631339", False),
        ("192.0.2.10", True),
        ("198.51.100.1", False),
        ("2001:db8::10", False),  # one address type mentioned: the other is in the same name type, so it is outside
    ],
)
def test_constraints(text: str, permitted: bool) -> None:
    name = names.classify(text)
    assert CONSTRAINED.permits(name) is permitted
    assert (names.refused([name], [Constraints(), CONSTRAINED]) == ()) is permitted


def test_a_type_that_is_not_mentioned_is_free() -> None:
    only_networks = Constraints(permitted_networks=(names.network("192.0.2.0/24"),))
    assert only_networks.permits(names.classify("any.example"))
    assert not Constraints(excluded_dns=("",)).permits(names.classify("any.example"))
    assert Constraints(excluded_dns=("",)).permits(names.classify("192.0.2.1"))
    assert not Constraints(permitted_dns=(".plant.example",)).permits(names.classify("plant.example"))
    assert Constraints(permitted_dns=(".plant.example",)).permits(names.classify("cam.plant.example"))


@given(st.text(max_size=300))
def test_any_text_is_normal_or_refused(text: str) -> None:
    try:
        name = names.classify(text)
    except InvalidInput:
        return
    assert names.classify(name.text) == name
    assert name.text.isascii()
    assert name.text == name.text.lower()
