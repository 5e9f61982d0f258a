"""What announcements say, and what becomes of hostile ones."""

import struct

import pytest

from fleetseal.core.model import Serial
from fleetseal.devices.discovery import mdns, ssdp, wsdiscovery
from fleetseal.devices.discovery.announced import Announced, sightings
from fleetseal.devices.discovery.sighting import Sighting
from tests.support import FakeRng

SERIAL = Serial("ACCC8E000001")
ANSWER = (
    b"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=1800\r\nEXT:\r\nLOCATION: http://192.0.2.10:49154/rootdesc1.xml\r\n"
    b"ST: urn:axis-com:service:BasicService:1\r\n"
    b"USN: uuid:Upnp-BasicDevice-1_0-ACCC8E000001::urn:axis-com:service:BasicService:1\r\n\r\n"
)


NOTIFY = (
    b"NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nLOCATION: http://192.0.2.10:49154/rootdesc1.xml\r\n"
    b"NTS: ssdp:alive\r\nNT: urn:axis-com:service:BasicService:1\r\n"
    b"USN: uuid:Upnp-BasicDevice-1_0-ACCC8E000001::urn:axis-com:service:BasicService:1\r\n\r\n"
)
MAC = Serial("B8A44F631339")


def named(*labels: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"


def record(name: bytes, kind: int, content: bytes) -> bytes:
    return name + struct.pack("!2HIH", kind, 1, 10, len(content)) + content


SERVICE = named("_axis-video", "_tcp", "local")
INSTANCE = named("AXIS P3265-V - B8A44F631339")[:-1] + SERVICE
POINTER = record(SERVICE, 12, INSTANCE)
PLACE = record(INSTANCE, 33, struct.pack("!3H", 0, 0, 80) + named("axis-b8a44f631339", "local"))
TEXT = record(INSTANCE, 16, b"\x17macaddress=B8A44F631339")


def reply(*records: bytes, flags: int = 0x8400) -> bytes:
    """As in mdns-decoded.txt, which holds no raw bytes: the question, a pointer, and records beside it."""
    head = struct.pack("!6H", 0, flags, 1, 1, 0, len(records) - 1)
    return head + SERVICE + struct.pack("!2H", 12, 1) + b"".join(records)


def test_the_recorded_mdns_answer_is_read() -> None:
    assert mdns.parse(reply(POINTER, PLACE, TEXT)) == (Announced("mDNS", MAC, 80, host_name="axis-b8a44f631339.local"),)


def web_server(instance: bytes, *records: bytes) -> bytes:
    head = struct.pack("!6H", 0, 0x8400, 0, 1, 0, len(records))
    return head + record(named("_http", "_tcp", "local"), 12, instance) + b"".join(records)


def test_any_web_server_may_announce_itself_and_only_the_makers_count() -> None:
    suffix = named("_http", "_tcp", "local")
    own, other = (named(f"AXIS P3265-V - {mac}")[:-1] + suffix for mac in (MAC, "001122334455"))
    assert mdns.parse(web_server(own)) == (Announced("mDNS", MAC),)
    assert mdns.parse(web_server(other)) == ()
    assert mdns.parse(web_server(named("printer")[:-1] + suffix)) == ()
    printer = named("printer")[:-1] + suffix
    assert mdns.parse(web_server(printer, record(printer, 16, b"\x17macaddress=001122334455"))) == ()


@pytest.mark.parametrize("host", ["a_b.local", "*.local", "", "gate..local", "x" * 64, "gate\n.local"])
def test_a_host_name_that_can_be_none_is_left_out(host: str) -> None:
    target = b"".join(bytes([len(label)]) + label.encode() for label in host.split(".")) + b"\0"
    place = record(INSTANCE, 33, struct.pack("!3H", 0, 0, 80) + target)
    for said in mdns.parse(reply(POINTER, place)):  # none, where the whole answer is damaged
        assert said.host_name is None


def test_the_serial_is_in_the_name_where_no_text_has_it() -> None:
    assert mdns.parse(reply(POINTER)) == (Announced("mDNS", MAC, None),)
    assert mdns.parse(reply(POINTER, record(INSTANCE, 16, b"\x05a=b=c\xff"))) == (Announced("mDNS", MAC, None),)
    assert mdns.parse(reply(POINTER, record(INSTANCE, 16, b"\x0fmacaddress=none")))[0].serial is None


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\0" * 12,
        b"\xff" * 300,
        reply(POINTER, PLACE, TEXT, flags=0),
        reply(record(named("_ipp", "_tcp", "local"), 12, named("printer"))),
        reply(POINTER, PLACE, TEXT)[:60],
        struct.pack("!6H", 0, 0x8400, 0, 1, 0, 0) + b"\xc0\x0c" * 50,
    ],
)
def test_what_is_no_mdns_answer_of_an_axis_device_is_nothing(datagram: bytes) -> None:
    assert mdns.parse(datagram) == ()


def test_the_mdns_question_is_one_pointer_question() -> None:
    asked = mdns.question(mdns.SERVICES[0])
    assert asked == struct.pack("!6H", 0, 0, 1, 0, 0, 0) + SERVICE + struct.pack("!2H", 12, 1)
    assert mdns.parse(asked) == ()


def match(services: str, endpoint: str = "urn:uuid:00075fbe-0000-1000-8000-accc8e000001") -> bytes:
    return (
        '<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/'
        'discovery" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"><e:Body><d:ProbeMatches><d:ProbeMatch>'
        f"<a:EndpointReference><a:Address>{endpoint}</a:Address></a:EndpointReference><d:XAddrs>{services}</d:XAddrs>"
        "</d:ProbeMatch></d:ProbeMatches></e:Body></e:Envelope>"
    ).encode()


def test_an_ssdp_answer_names_its_serial() -> None:
    assert ssdp.parse(ANSWER) == Announced("SSDP", SERIAL)
    assert ssdp.parse(NOTIFY) == Announced("SSDP", SERIAL)


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\xff" * 100,
        ANSWER.replace(b"200 OK", b"404 Not Found"),
        ANSWER.replace(b"HTTP/1.1 200 OK", b"NOTIFY * HTTP/1.1"),
        NOTIFY.replace(b"alive", b"byebye"),
        NOTIFY.replace(b"NTS", b"X"),
        NOTIFY.replace(b"NOTIFY *", b"SUBSCRIBE *"),
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


def test_a_link_local_address_is_kept_with_its_scope() -> None:
    (found,) = sightings([("fe80::1%eth0", Announced("SSDP", SERIAL))], http_port=80, https_port=443)
    assert (found.endpoint.host, found.endpoint.name) == ("fe80::1%eth0", "fe80::1")


@pytest.mark.parametrize("address", ["0.0.0.0", "224.0.0.251", "255.255.255.255", "169.254.169.254", "fe80::1", "x"])
def test_no_device_is_at_an_address_that_cannot_be_dialled(address: str) -> None:
    assert sightings([(address, Announced("SSDP", SERIAL))], http_port=80, https_port=443) == []
