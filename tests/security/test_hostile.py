"""Answers meant to hurt (INP-BOUNDED): an error of ours within the deadline, bounded memory, no credential."""

import inspect
import ssl
import tracemalloc
from collections.abc import Callable
from typing import Any

import aiohttp
import aiohttp.client_exceptions
import pytest
from aiohttp.client_reqrep import ConnectionKey

from fleetseal.core.errors import DeviceError, FleetsealError, OutcomeUnknown, ProtocolViolation, Unreachable
from fleetseal.core.model import Endpoint, Plaintext
from fleetseal.core.runtime import SystemClock, SystemRng
from fleetseal.core.text import clean
from fleetseal.devices import tls
from fleetseal.devices.axis import wire, wire_cgi, wire_json, wire_rest, wire_soap
from fleetseal.devices.digest import choose, parse_challenges
from fleetseal.devices.failures import Exchange, translated
from fleetseal.devices.http import Answer, Ask, Request
from fleetseal.devices.transport import connected
from fleetseal.sim.faults import ANSWERS
from fleetseal.sim.fleet import DeviceSpec, Fleet

from ..devices import connector_for, endpoint_of, login_of, serial_of

ENDPOINT = Endpoint("192.0.2.10")

QUESTIONS: dict[str, Ask[Any]] = {
    "json": wire_json.unrestricted_properties(),
    "parameters": wire_cgi.list_parameters("Brand"),
    "rest": wire_rest.certificates("/config/rest/cert/v1"),
    "discover": wire_rest.discover(),
    "soap": wire_soap.get_https(),
    "certificates": wire_soap.get_certificates(),
}


# ---------------------------------------------------------------- over real sockets


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("kind", ANSWERS)
async def test_an_answer_out_of_bounds_ends_within_the_deadline(kind: str, secure: bool) -> None:
    deadline = 1.0
    async with Fleet([DeviceSpec("12.11", faults={"answer": kind})]) as fleet:
        device = fleet.devices[0]
        peer = tls.Peer(lambda served: None, basic=False) if secure else None
        async with connected(
            endpoint_of(device), peer, login=login_of(device), serial=None, clock=SystemClock(), rng=SystemRng()
        ) as transport:
            started = SystemClock().monotonic()
            question = Ask(Request("GET", "/axis-cgi/any.cgi", deadline=deadline), _as_json_and_xml)
            with pytest.raises(ProtocolViolation):
                await transport.ask(question)
            assert SystemClock().monotonic() - started < deadline + 1
        assert device.credential_bytes == 0


def _as_json_and_xml(answer: Answer) -> None:
    """A body that passed the transport is judged by whichever parser would read it."""
    parser: Callable[[bytes], object] = wire.xml if answer.body[:1] == b"<" else wire.json_object
    parser(answer.body)


@pytest.mark.parametrize("kind", ["endless", "huge"])
async def test_a_flood_costs_bounded_memory(kind: str) -> None:
    async with Fleet([DeviceSpec("12.11", faults={"answer": kind})]) as fleet:
        async with connected(
            endpoint_of(fleet.devices[0]), None, login=None, serial=None, clock=SystemClock(), rng=SystemRng()
        ) as transport:
            tracemalloc.start()
            try:
                with pytest.raises(ProtocolViolation, match="longer than 2 MB"):
                    await transport.exchange(Request("GET", "/"))
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        assert peak < 12_000_000  # of both ends together; the answer has 32 MB or more


@pytest.mark.parametrize("kind", ["endless", "deep-json", "deep-xml", "compressed", "many-headers", "huge"])
async def test_opening_a_hostile_device_sends_nothing(kind: str) -> None:
    async with Fleet([DeviceSpec("12.11", faults={"answer": kind})]) as fleet:
        device, connector = fleet.devices[0], await connector_for(fleet)
        with pytest.raises(DeviceError):
            async with connector.open(endpoint_of(device), Plaintext(), login_of(device), serial=serial_of(device)):
                pass
        assert device.credential_bytes == 0


# ---------------------------------------------------------------- decoders


def refusal_of(name: str, status: int, body: bytes) -> str | None:
    """The message of the refusal, which is fit to be shown; None if the answer was accepted."""
    try:
        QUESTIONS[name].decode(Answer(status, (), body))
    except FleetsealError as error:
        message = error.message
    else:
        return None
    assert message.isprintable()
    assert len(message) < 700
    return message


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"data":' + b"9" * 1_000_000 + b"}",
        b"<a>" * 50_000,
        b"<a/>" * 10,
        b'<!DOCTYPE a [<!ENTITY b "cc"><!ENTITY d "&b;&b;">]><a>&d;</a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b'<?xml version="1.0" encoding="no-such"?><a/>',
        b"null",
        b"[]",
        b'{"status":"success"}',
        b'{"status":"success","data":[{"alias":1}]}',
        b'{"status":"success","data":[{"alias":"a","certificate":"-----BEGIN CERTIFICATE-----"}]}',
        b'{"apis":[]}',
        b'{"data":{"propertyList":[]}}',
        b'{"error":"text"}',
        b"<html>hello</html>",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_no_decoder_breaks(name: str, status: int, body: bytes) -> None:
    """Whatever comes: a value, or an error of ours with a clean message."""
    refusal_of(name, status, body)


def test_text_that_is_no_utf8_is_no_answer() -> None:
    """JSON has escapes for halves of characters (RFC 8259 8.2), which no database and no request takes."""
    for text in ("\\ud800", "x\\udfff", "\\ud83d\\u0041"):
        body = b'{"status":"success","data":[{"id":"%s"}]}' % text.encode()
        with pytest.raises(ProtocolViolation):
            wire_rest.keystores("/config/rest/cert/v1").decode(Answer(200, (), body))
    whole = b'{"status":"success","data":[{"id":"\\ud83d\\ude00"}]}'
    assert wire_rest.keystores("/config/rest/cert/v1").decode(Answer(200, (), whole))[0].id == "\U0001f600"


@pytest.mark.parametrize("told", ["5", '"RSA-2048"', "{}", "true"])
def test_key_types_are_a_list(told: str) -> None:
    body = b'{"status":"success","data":[{"id":"SE0","key_types":%s}]}' % told.encode()
    with pytest.raises(ProtocolViolation):
        wire_rest.keystores("/config/rest/cert/v1").decode(Answer(200, (), body))


@pytest.mark.parametrize("number", ["99999999999999999999", "9" * 5000, "-1", "0", "x"])
def test_a_date_beyond_every_calendar(number: str) -> None:
    date = "".join(f"<t:{part}>{number}</t:{part}>" for part in ("Year", "Month", "Day"))
    time = "".join(f"<t:{part}>{number}</t:{part}>" for part in ("Hour", "Minute", "Second"))
    body = (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:t="http://www.onvif.org/ver10/schema" '
        'xmlns:d="http://www.onvif.org/ver10/device/wsdl"><s:Body><d:R><d:SystemDateAndTime><t:UTCDateTime>'
        f"<t:Date>{date}</t:Date><t:Time>{time}</t:Time></t:UTCDateTime></d:SystemDateAndTime></d:R></s:Body></s:Envelope>"
    )
    with pytest.raises(ProtocolViolation, match="not a date"):
        wire_soap.get_date_time().decode(Answer(200, (), body.encode()))


@pytest.mark.parametrize("nonce", ["a\udcff", "a\u00e9", "a\tb", "a\x7fb"])
def test_a_challenge_that_no_header_could_repeat_is_passed_over(nonce: str) -> None:
    hostile, plain = (f'Digest realm="AXIS_B8A44F000001", nonce="{each}", algorithm=MD5' for each in (nonce, "good"))
    assert choose(parse_challenges([hostile])) is None
    chosen = choose(parse_challenges([hostile, plain]))
    assert chosen is not None
    assert chosen.parameters["nonce"] == "good"


async def test_a_redirect_to_what_is_no_address() -> None:
    """`//[` is no URL at all."""
    async with Fleet([DeviceSpec("12.11", faults={"redirect_to": "//["})]) as fleet:
        device, connector = fleet.devices[0], await connector_for(fleet)
        with pytest.raises(ProtocolViolation, match="Redirects are not followed"):
            await connector.look(Endpoint(device.address, device.http_port, 1))


def test_blanks_of_every_kind_are_plain() -> None:
    assert clean("a\u00a0b\u2003c\u3000d e") == "a b c d e"


def test_refusals_from_a_device_cannot_carry_control_characters() -> None:
    words = "\u001b[31mred\r\nX-Injected: 1\u202e" + "y" * 5000
    refused = wire.rejected("make a key", code=words, words=words)
    for text in (refused.message, refused.vendor_code, refused.vendor_text):
        assert text.isprintable()
        assert len(text) < 400


# ---------------------------------------------------------------- errors of the library below

KEY = ConnectionKey("192.0.2.10", 443, True, True, None, None, None)
SSL_ERROR = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER]")
REFUSED = ConnectionRefusedError(111, "Connection refused")

LOST = (Unreachable, OutcomeUnknown)
"""As a read; as a write that was sent."""
NO_CONNECTION = (Unreachable, Unreachable)
NOT_HTTP = (ProtocolViolation, ProtocolViolation)

EXPECTED: dict[type[Exception], tuple[Exception, tuple[type[DeviceError], type[DeviceError]]]] = {
    type(error): (error, kinds)
    for error, kinds in (
        (aiohttp.ClientConnectorError(KEY, REFUSED), NO_CONNECTION),
        (aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "Name or service not known")), NO_CONNECTION),
        (aiohttp.ClientConnectorSSLError(KEY, SSL_ERROR), NO_CONNECTION),
        (aiohttp.ClientSSLError(KEY, SSL_ERROR), NO_CONNECTION),
        (aiohttp.ClientConnectorCertificateError(KEY, ssl.SSLCertVerificationError("no")), NO_CONNECTION),
        (aiohttp.client_exceptions.UnixClientConnectorError("/s", KEY, REFUSED), NO_CONNECTION),
        (aiohttp.ClientProxyConnectionError(KEY, REFUSED), NO_CONNECTION),
        (aiohttp.ClientConnectionError(), LOST),
        (aiohttp.ClientConnectionResetError(), LOST),
        (aiohttp.ClientOSError(), LOST),
        (aiohttp.ClientPayloadError(), LOST),
        (aiohttp.ServerConnectionError(), LOST),
        (aiohttp.ServerDisconnectedError(), LOST),
        (aiohttp.ServerTimeoutError(), LOST),
        (aiohttp.ConnectionTimeoutError(), LOST),
        (aiohttp.SocketTimeoutError(), LOST),
        (aiohttp.ServerFingerprintMismatch(b"a", b"b", "h", 1), LOST),
        (aiohttp.client_exceptions.UploadAbortedError(), NOT_HTTP),
    )
}


def test_every_error_of_the_http_library_is_one_of_ours() -> None:
    known = {
        kind
        for _, kind in inspect.getmembers(aiohttp.client_exceptions, inspect.isclass)
        if issubclass(kind, aiohttp.ClientError)
    }
    assert EXPECTED.keys() <= known
    for kind in known:
        error, (read, write) = EXPECTED.get(kind, (kind.__new__(kind), NOT_HTTP))
        for request, expected in ((Request("GET", "/"), read), (Request("POST", "/", write=True), write)):
            found = translated(ENDPOINT, Exchange(request, port=443, sent=True), error)
            assert isinstance(found, expected), kind
            assert found.message.endswith("."), kind
            assert isinstance(found, OutcomeUnknown) == (expected is OutcomeUnknown), kind


@pytest.mark.parametrize("error", [ConnectionResetError(104, "reset"), BrokenPipeError(32, "pipe"), OSError(5, "io")])
def test_errors_of_the_system(error: OSError) -> None:
    unsent = Exchange(Request("POST", "/", write=True), port=443)
    sent = Exchange(Request("POST", "/", write=True), port=443, sent=True)
    assert isinstance(translated(ENDPOINT, unsent, error), Unreachable)
    assert isinstance(translated(ENDPOINT, sent, error), OutcomeUnknown)
