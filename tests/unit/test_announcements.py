"""What announcements say, and what becomes of hostile ones."""

import pytest

from fleetseal.core.model import Serial, Sighting
from fleetseal.devices.discovery import ssdp, wsdiscovery
from fleetseal.devices.discovery.announced import Announced, sightings
from tests.support import FakeRng

SERIAL = Serial("ACCC8E000001")
ANSWER = (
    b"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=1800\r\nEXT:\r\nLOCATION: http://192.0.2.10:49154/rootdesc1.xml\r\n"
    b"ST: urn:axis-com:service:BasicService:1\r\n"
    b"USN: uuid:Upnp-BasicDevice-1_0-ACCC8E000001::urn:axis-com:service:BasicService:1\r\n\r\n"
)


def match(services: str, endpoint: str = "urn:uuid:00075fbe-0000-1000-8000-accc8e000001") -> bytes:
    return (
        '<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/'
        'discovery" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"><e:Body><d:ProbeMatches><d:ProbeMatch>'
        f"<a:EndpointReference><a:Address>{endpoint}</a:Address></a:EndpointReference><d:XAddrs>{services}</d:XAddrs>"
        "</d:ProbeMatch></d:ProbeMatches></e:Body></e:Envelope>"
    ).encode()


def test_an_ssdp_answer_names_its_serial() -> None:
    assert ssdp.parse(ANSWER) == Announced("SSDP", SERIAL)


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\xff" * 100,
        ANSWER.replace(b"200 OK", b"404 Not Found"),
        ANSWER.replace(b"HTTP/1.1 200 OK", b"NOTIFY * HTTP/1.1"),
        ANSWER.replace(b"ACCC8E000001", b"ACCC8E00000"),
        ANSWER.replace(b"ACCC8E000001::", b"ACCC8E00000155::"),
        ANSWER.replace(b"axis-com", b"printers"),
        ANSWER.replace(b"USN", b"X-USN"),
    ],
)
def test_what_is_no_ssdp_answer_of_an_axis_device_is_nothing(datagram: bytes) -> None:
    assert ssdp.parse(datagram) is None


def test_the_ssdp_search_is_well_formed() -> None:
    lines = ssdp.search(4).decode().split("\r\n")
    assert lines[0] == "M-SEARCH * HTTP/1.1"
    assert lines[-2:] == ["", ""]
    assert {"HOST: 239.255.255.250:1900", 'MAN: "ssdp:discover"'} <= set(lines)
    assert b"HOST: [FF02::C]:1900\r\n" in ssdp.search(6)


def test_a_probe_match_names_ports_and_perhaps_a_serial() -> None:
    both = match("http://192.0.2.10:8080/onvif/device_service https://192.0.2.10/onvif/device_service")
    assert wsdiscovery.parse(both) == (Announced("WS-Discovery", SERIAL, 8080, 443),)
    other = match("http://[2001:db8::1]/x", "urn:uuid:00075fbe-0000-1000-8000-112233445566")
    assert wsdiscovery.parse(other) == (Announced("WS-Discovery", None, 80, None),)


@pytest.mark.parametrize("service", ["", "http://192.0.2.10:99999/", "http://[::1", "ftp://192.0.2.10/", "http:"])
def test_addresses_that_name_no_port_are_no_trouble(service: str) -> None:
    (said,) = wsdiscovery.parse(match(service))
    assert (said.serial, said.https_port) == (SERIAL, None)
    assert said.http_port in (None, 80)


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\x00\xff",
        b"<unclosed",
        b'<?xml version="1.0" encoding="no-such"?><a/>',
        b'<!DOCTYPE a [<!ENTITY b "c">]>' + match("http://192.0.2.10/"),
        b"<!DOCTYPE a>" + match("http://192.0.2.10/"),
        b"<a>" * 5000,
    ],
)
def test_what_is_no_probe_match_is_nothing(datagram: bytes) -> None:
    assert wsdiscovery.parse(datagram) == ()


def test_each_probe_has_an_id_of_its_own() -> None:
    rng = FakeRng()
    assert wsdiscovery.probe(rng) != wsdiscovery.probe(rng)
    assert wsdiscovery.parse(wsdiscovery.probe(rng)) == ()


def test_a_match_list_is_bounded() -> None:
    one = match("http://192.0.2.10/")
    begin, end = one.index(b"<d:ProbeMatch>"), one.index(b"</d:ProbeMatches>")
    assert len(wsdiscovery.parse(one[:end] + one[begin:end] * 40 + one[end:])) == 16


def test_announcements_of_one_device_become_one_sighting() -> None:
    heard = [
        ("192.0.2.10", Announced("WS-Discovery", None, 8080, None)),
        ("192.0.2.10", Announced("SSDP", SERIAL)),
        ("2001:db8::10", Announced("SSDP", SERIAL)),
        ("169.254.3.4", Announced("SSDP", SERIAL)),
        ("192.0.2.9", Announced("WS-Discovery", None, None, 8443)),
    ]
    assert sightings(heard, http_port=80, https_port=443) == [
        Sighting("192.0.2.9", 80, 8443, None, ("WS-Discovery",)),
        Sighting("192.0.2.10", 8080, 443, SERIAL, ("SSDP", "WS-Discovery")),
        Sighting("169.254.3.4", 80, 443, SERIAL, ("SSDP",)),
        Sighting("2001:db8::10", 80, 443, SERIAL, ("SSDP",)),
    ]


def test_several_devices_may_be_behind_one_address() -> None:
    other = Serial("ACCC8E000002")
    heard = [("192.0.2.10", Announced("mDNS", SERIAL, 81)), ("192.0.2.10", Announced("mDNS", other, 82))]
    assert [(one.serial, one.http_port) for one in sightings(heard, http_port=80, https_port=443)] == [
        (SERIAL, 81),
        (other, 82),
    ]


@pytest.mark.parametrize("address", ["0.0.0.0", "224.0.0.251", "255.255.255.255", "169.254.169.254", "fe80::1", "x"])
def test_no_device_is_at_an_address_that_cannot_be_dialled(address: str) -> None:
    assert sightings([(address, Announced("SSDP", SERIAL))], http_port=80, https_port=443) == []
