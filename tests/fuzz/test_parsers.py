"""Mutated certificates, requests, announcements and login challenges: no hang, no crash, only errors of ours."""

from collections.abc import Sequence
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from fleetseal.core.model import Anchored, Endpoint, Factory, Login, PeerTrust, Pinned, Serial, Served
from fleetseal.core.text import clean
from fleetseal.devices import tls
from fleetseal.devices.axis import wire
from fleetseal.devices.digest import DigestSession, choose, parse_challenges
from fleetseal.devices.discovery import mdns, ssdp, wsdiscovery
from fleetseal.devices.discovery.announced import Announced, sightings
from fleetseal.operations.listing import described
from fleetseal.pki import chain, csr

from ..devices import SiteAuthority, sha256
from ..support import NOW, FakeClock
from ..unit import test_announcements as announcements
from .conversations import Conversations
from .harness import Fuzz, only_our_errors
from .mutation import NASTY, damaged, damaged_der
from .test_answers import RECORDINGS

PARTS = 4
SITE = SiteAuthority("Fuzzed", now=NOW)
SERIAL = Serial("B8A44F000001")
ENDPOINT = Endpoint("192.0.2.10")


@cache
def certificates() -> tuple[bytes, ...]:
    """Those recorded from real devices, and ours with either kind of key."""
    documents = [path.read_text("utf-8", "replace").replace("\\n", "\n") for path in RECORDINGS]
    armoured = [der for text in documents if "BEGIN CERTIFICATE-" in text for der in wire.pem_blocks(text)]
    keys = (ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048))
    leaves = [SITE.leaf(key.public_key(), "192.0.2.10", "camera.example") for key in keys]
    return (SITE.root, SITE.issuing, *leaves, *filter(described, armoured))


@cache
def requests() -> tuple[bytes, ...]:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("camera.example")]), critical=False)
    keys = (ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048))
    return tuple(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER) for key in keys)


@pytest.mark.parametrize("part", range(PARTS))
def test_served_certificates(fuzz: Fuzz, part: int) -> None:
    """By every level of trust, and by what is shown to people."""
    known = certificates()
    anchored = Anchored((SITE.root,), (SITE.issuing,))
    recorded = Anchored((SITE.root,), keys=frozenset({b"\0" * 32}))
    levels: Sequence[PeerTrust] = (anchored, recorded, Factory((SITE.root,)), Pinned(sha256(known[0]), accepted=True))
    assert len(known) > 8
    for label, source in fuzz.cases("certificate", share=0.05, part=part, parts=PARTS):
        leaf = damaged_der(source, source.choice(known))
        served = Served(leaf, (leaf, *source.sample(known, source.randint(0, 3))), "TLSv1.3", "")
        with only_our_errors(label, leaf):
            shown = described(leaf)
            assert shown is None or clean(shown.subject, limit=500) == shown.subject
            assert chain.issued_by(leaf, SITE.issuing) in (True, False)
        for level in levels:
            peer = tls.peer_for(level, ENDPOINT, serial=SERIAL, clock=FakeClock())
            assert peer is not None
            with only_our_errors(label, leaf):
                peer.judge(served)
                assert leaf in known, f"{label}: {level} believes a damaged certificate"


def test_certificate_requests(fuzz: Fuzz) -> None:
    for label, source in fuzz.cases("request", share=0.05):
        request = damaged_der(source, source.choice(requests()))
        with only_our_errors(label, request):
            csr.judge(request)


@pytest.mark.parametrize("kind", ["mdns", "ssdp", "wsdiscovery"])
def test_announcements(fuzz: Fuzz, kind: str) -> None:
    both = announcements.match("http://192.0.2.10:8080/onvif/device_service https://192.0.2.10/onvif/device_service")
    records = (announcements.POINTER, announcements.PLACE, announcements.TEXT)
    seeds = {"mdns": announcements.reply(*records), "ssdp": announcements.ANSWER, "wsdiscovery": both}
    heard = 0
    for label, source in fuzz.cases(kind, share=0.04):
        datagram = damaged(source, seeds[kind], list(seeds.values()))
        with only_our_errors(label, datagram):
            said: Sequence[Announced] = _PARSERS[kind](datagram)
            assert len(said) <= 16
            heard += len(sightings([("192.0.2.10", one) for one in said], http_port=80, https_port=443))
    assert heard


def _one(datagram: bytes) -> Sequence[Announced]:
    said = ssdp.parse(datagram)
    return () if said is None else (said,)


_PARSERS = {"mdns": mdns.parse, "ssdp": _one, "wsdiscovery": wsdiscovery.parse}


def test_login_challenges(fuzz: Fuzz, conversations: Conversations) -> None:
    """Whatever is asked, what would be sent back can be sent: one line of it, which holds no password."""
    answers = [one.answer for kept in conversations.values() for one in kept]
    seeds = [value.encode() for answer in answers for value in answer.all("www-authenticate")]
    sessions = 0
    for label, source in fuzz.cases("challenge", share=0.05):
        headers = [
            damaged(source, source.choice(seeds), (*seeds, *NASTY)).decode(
                "utf-8", "surrogateescape"
            )  # as aiohttp does
            for _ in range(source.randint(1, 3))
        ]
        with only_our_errors(label, headers):
            chosen = choose(parse_challenges(headers))
            if chosen is not None:
                sessions += 1
                sent = DigestSession(chosen).header(Login("root", "pass-canary"), "GET", "/x", "c" * 32)
                assert "pass-canary" not in sent
    assert sessions
