"""RFC 7616 as arithmetic: the RFC's own examples, and every challenge a device may send."""

import hashlib
import re

import pytest

from fleetseal.core.model import Login
from fleetseal.devices.digest import Challenge, DigestSession, choose, parse_challenges

MUFASA = Login("Mufasa", "Circle of Life")
RFC_NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
RFC_CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


def fields(header: str) -> dict[str, str]:
    assert header.startswith("Digest ")
    return {name: quoted or bare for name, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^,]+))', header)}


def chosen(*headers: str) -> Challenge:
    challenge = choose(parse_challenges(headers))
    assert challenge is not None
    return challenge


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_rfc_7616_3_9_1(algorithm: str, response: str) -> None:
    challenge = chosen(
        f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
        f'nonce="{RFC_NONCE}", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    header = DigestSession(challenge).header(MUFASA, "GET", "/dir/index.html", RFC_CNONCE)
    assert fields(header) == {
        "username": "Mufasa",
        "realm": "http-auth@example.org",
        "uri": "/dir/index.html",
        "algorithm": algorithm,
        "nonce": RFC_NONCE,
        "nc": "00000001",
        "cnonce": RFC_CNONCE,
        "qop": "auth",
        "response": response,
        "opaque": "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
    }


def test_without_qop_as_in_rfc_2069() -> None:
    challenge = chosen('Digest realm="AXIS_00408CFB6888", nonce="0000a68bY737", algorithm=MD5, stale=FALSE')
    header = DigestSession(challenge).header(Login("root", "pass"), "GET", "/axis-cgi/param.cgi?action=list", "unused")

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    secret, act = md5("root:AXIS_00408CFB6888:pass"), md5("GET:/axis-cgi/param.cgi?action=list")
    found = fields(header)
    assert found["response"] == md5(f"{secret}:0000a68bY737:{act}")
    assert not {"qop", "nc", "cnonce"} & found.keys()


def test_the_count_of_one_nonce_grows() -> None:
    session = DigestSession(chosen('Digest realm="r", nonce="n", qop="auth"'))
    counts = [fields(session.header(MUFASA, "GET", "/", "c"))["nc"] for _ in range(3)]
    assert counts == ["00000001", "00000002", "00000003"]


@pytest.mark.parametrize(
    ("headers", "algorithm"),
    [
        (('Basic realm="AXIS_1"', 'Digest realm="r", nonce="n", algorithm=MD5'), "MD5"),
        (('Basic realm="AXIS_1", Digest realm="r", nonce="n", algorithm=MD5',), "MD5"),
        (('Digest realm="r", nonce="1", algorithm=MD5', 'Digest realm="r", nonce="2", algorithm=SHA-256'), "SHA-256"),
        (('Digest realm="r", nonce="1", algorithm=SHA-256, Digest realm="r", nonce="2"',), "SHA-256"),
        (
            ('Digest realm="r", nonce="1", algorithm=MD5', 'Digest realm="r", nonce="2", algorithm=SHA-512-256'),
            "SHA-512-256",
        ),
        (('Digest realm="r", nonce="1", algorithm=TIGER', 'Digest realm="r", nonce="2", algorithm=MD5'), "MD5"),
        (('Digest realm="r", nonce="1", algorithm=SHA-256-sess', 'Digest realm="r", nonce="2", algorithm=md5'), "md5"),
        (('digest REALM=r,NONCE=n,QOP="auth,auth-int"',), None),
        (('Negotiate YWJjZA==, Digest realm="r", nonce="n"',), None),
    ],
)
def test_the_strongest_usable_challenge_is_chosen(headers: tuple[str, ...], algorithm: str | None) -> None:
    assert chosen(*headers).parameters.get("algorithm") == algorithm


@pytest.mark.parametrize(
    "header",
    [
        'Basic realm="AXIS_1"',
        'Digest realm="r", nonce="n", qop="auth-int"',
        'Digest realm="r"',
        'Digest nonce="n"',
        "Digest",
        "",
        '=,"',
        'Digest realm="unterminated, nonce=n',
    ],
)
def test_what_cannot_be_answered_is_not_chosen(header: str) -> None:
    assert choose(parse_challenges([header])) is None


def test_the_recorded_challenges_of_12_11() -> None:
    http = 'Digest realm="AXIS_B8A44F631339", nonce="WuZJmDxdBgA=39fdff8b", algorithm=MD5, qop="auth"'
    (digest,) = parse_challenges([http])
    (basic,) = parse_challenges(['Basic realm="AXIS_B8A44F631339"'])
    assert (digest.scheme, digest.realm, digest.stale) == ("digest", "AXIS_B8A44F631339", False)
    assert digest.parameters["nonce"] == "WuZJmDxdBgA=39fdff8b"
    assert (basic.scheme, basic.realm) == ("basic", "AXIS_B8A44F631339")


@pytest.mark.parametrize(("word", "stale"), [("true", True), ("TRUE", True), ("FALSE", False)])
def test_stale_in_any_spelling(word: str, stale: bool) -> None:
    assert chosen(f'Digest realm="r", nonce="n", stale={word}').stale is stale


def test_quotes_in_a_user_name_stay_inside_their_field() -> None:
    header = DigestSession(chosen('Digest realm="r", nonce="n"')).header(Login('a", uri="/evil', "p"), "GET", "/", "c")
    assert header.count('uri="/"') == 1
    assert r'username="a\", uri=\"/evil"' in header


def test_a_flood_of_challenges_is_read_in_bounded_time_and_amount() -> None:
    assert len(parse_challenges(["Digest a=b, " * 100_000])) < 1000
    assert parse_challenges(['"' * 100_000]) == ()
