"""Damage, repeatable from its source of chance: of bytes, of text, of JSON, of XML, of DER."""

import base64
import json
import re
from collections.abc import Callable, Sequence
from random import Random  # noqa: TID251 - the same damage in every run
from typing import Any

NASTY = (
    b"",
    b"\x00",
    b"\xff\xfe",
    b"\xed\xa0\x80",  # a surrogate in UTF-8
    b"\\ud800",
    b"\\u0000",
    b"&lt;script&gt;",
    b"&undefined;",
    b'<!DOCTYPE a [<!ENTITY b "cc"><!ENTITY c "&b;&b;">]>',
    b'<!DOCTYPE a SYSTEM "file:///etc/passwd">',
    b"<![CDATA[",
    b"<" * 50,
    b"<a>" * 60,
    b"[" * 2000,
    b'{"a":' * 2000,
    b"9" * 5000,
    b"1e999",
    b"-1",
    b"NaN",
    b"null",
    b"\r\n\r\n",
    b"%00%0a",
    b"=cmd|' /C calc'!A0",
    b"\x1b]0;x\x07",
    "\u202e\u2028\ufeff".encode(),
    b"A" * 10_000,
    b"-----BEGIN CERTIFICATE-----",
    b"-----END CERTIFICATE-----",
)

_ODD: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 2**31, 2**63, 2**64, 10**300, 1e308, -0.0, "", "x" * 5000, [], {}, [[]], [None]),
    *({"": ""}, [{}], "\x00", "\ud800", "=1+1", "\x1b[2J", "../../..", "//[", "9" * 400, "٣", "1e9"),
)


def damaged(source: Random, body: bytes, others: Sequence[bytes]) -> bytes:
    """As no sane device would send it; `others` lend their parts."""
    way = source.random()
    if way < 0.35 and body[:1] in (b"{", b"["):
        body = _json(source, body)
    elif way < 0.35 and body[:1] == b"<":
        body = _xml(source, body)
    elif way < 0.35:
        body = _lines(source, body)
    if way >= 0.3:
        for _ in range(source.randint(1, 4)):
            body = source.choice(_BYTES)(source, body, others)
    return body


def damaged_der(source: Random, der: bytes) -> bytes:
    """One to three nodes of the tree are other ones now; the lengths around them fit, most of the time."""
    for _ in range(source.randint(1, 3)):
        der = _flip(source, der, ()) if source.random() < 0.2 else _node(source, der)
    return der


def _flip(source: Random, body: bytes, others: Sequence[bytes]) -> bytes:
    del others
    changed = bytearray(body or b"\0")
    for _ in range(source.randint(1, 8)):
        changed[source.randrange(len(changed))] = source.randrange(256)
    return bytes(changed)


def _cut(source: Random, body: bytes, others: Sequence[bytes]) -> bytes:
    del others
    at = source.randrange(len(body) + 1)
    return body[:at] + body[at + source.randint(1, 60) :]


def _truncated(source: Random, body: bytes, others: Sequence[bytes]) -> bytes:
    del others
    return body[: source.randrange(len(body) + 1)]


def _inserted(source: Random, body: bytes, others: Sequence[bytes]) -> bytes:
    del others
    at = source.randrange(len(body) + 1)
    return body[:at] + source.choice(NASTY) + body[at:]


def _repeated(source: Random, body: bytes, others: Sequence[bytes]) -> bytes:
    del others
    at = source.randrange(len(body) + 1)
    return body[:at] + body[at : at + source.randint(1, 200)] * source.randint(2, 30) + body[at:]


def _spliced(source: Random, body: bytes, others: Sequence[bytes]) -> bytes:
    other = source.choice(others)
    begin = source.randrange(len(other) + 1)
    at = source.randrange(len(body) + 1)
    return body[:at] + other[begin : begin + source.randint(1, 400)] + body[at + source.choice((0, 40)) :]


_BYTES: tuple[Callable[[Random, bytes, Sequence[bytes]], bytes], ...] = (
    *(_flip, _cut, _truncated, _inserted, _repeated, _spliced),
)


def _lines(source: Random, body: bytes) -> bytes:
    """One line of text has another value, or another line's."""
    lines = body.split(b"\n")
    at = source.randrange(len(lines))
    name, _, value = lines[at].partition(b"=")
    other = source.choice(lines).partition(b"=")[2]
    lines[at] = name + b"=" + source.choice((source.choice(NASTY), other, value * 100))
    return b"\n".join(lines)


def _json(source: Random, body: bytes) -> bytes:
    """One member is gone, doubled, or another thing."""
    try:
        document = json.loads(body)
    except ValueError:
        return body
    places = [place for place in _places(document) if place[0]]
    if not places:
        return body
    holder, key = source.choice(places)
    match source.randrange(5):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, list):
            holder.extend([holder[key]] * source.choice((1, 100)))
        case 2:
            holder[key] = _as_pem(source, holder[key])
        case _:
            holder[key] = source.choice(_ODD)
    return json.dumps(document).encode()


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every holder with each of its keys."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    found = [(value, key) for key in keys]
    return found + [place for key in keys for place in _places(value[key])]


def _as_pem(source: Random, value: Any) -> Any:
    """A certificate within the text is damaged inside its armour."""
    found = re.search(r"-----BEGIN [A-Z ]+-----(.+?)-----END", value, re.DOTALL) if isinstance(value, str) else None
    if found is None:
        return source.choice(_ODD)
    return value.replace(found[1], base64.b64encode(damaged_der(source, base64.b64decode(found[1]))).decode())


def _xml(source: Random, body: bytes) -> bytes:
    """The text of one element is another, or the element is gone, doubled, or wrapped."""
    elements = list(re.finditer(rb"<([\w:.-]+)[^<>]*>([^<>]*)</\1>", body))
    if not elements:
        return body
    found = source.choice(elements)
    whole, name, text = found[0], found[1], found[2]
    match source.randrange(6):
        case 0:
            new = b""
        case 1:
            new = whole * source.choice((2, 500))
        case 2:
            new = b"<" + name + b">" + whole + b"</" + name + b">"
        case 3 if len(text) > 100:
            new = whole.replace(text, _armoured(source, text))
        case _:
            odd = source.choice((*NASTY, b"\xd9\xa3", b"99999999999999999999", b"true", b"x:y"))
            new = b"<" + name + b">" + odd + b"</" + name + b">"
    return body[: found.start()] + new + body[found.end() :]


def _armoured(source: Random, text: bytes) -> bytes:
    try:
        return base64.b64encode(damaged_der(source, base64.b64decode(text)))
    except ValueError:
        return text[::-1]


def _node(source: Random, der: bytes, depth: int = 0) -> bytes:
    """The encoding with one of its nodes changed. Bytes that are no DER come back with one of them changed."""
    nodes = _nodes(der)
    if not nodes:
        return _flip(source, der, ())
    at = source.randrange(len(nodes))
    tag, content = nodes[at]
    if (tag & 0x20 and depth < 12 and source.random() < 0.85) or (tag == 0x04 and depth < 12 and source.random() < 0.5):
        nodes[at] = (tag, _node(source, content, depth + 1))
    else:
        match source.randrange(6):
            case 0:
                del nodes[at]
            case 1:
                nodes.insert(at, nodes[at])
            case 2:
                nodes[at] = (source.choice((1, 2, 3, 4, 5, 6, 12, 19, 22, 23, 24, 30, 48, 49, 128, 160)), content)
            case 3:
                nodes[at] = (tag, b"")
            case 4:
                nodes[at] = (tag, source.choice((b"\x00", b"\xff" * 40, b"\xd8\x00", b"20491231235959Z", b"\x80")))
            case _:
                nodes[at] = (tag, _flip(source, content, ()))
    return b"".join(_encoded(tag, content) for tag, content in nodes)


def _nodes(der: bytes) -> list[tuple[int, bytes]]:
    """Tags and contents one after the other; none where this is no DER."""
    found, at = [], 0
    while at < len(der):
        if at + 2 > len(der):
            return []
        tag, length, at = der[at], der[at + 1], at + 2
        if length & 0x80:
            octets = length & 0x7F
            length, at = int.from_bytes(der[at : at + octets], "big"), at + octets
        if at + length > len(der):
            return []
        found.append((tag, der[at : at + length]))
        at += length
    return found


def _encoded(tag: int, content: bytes) -> bytes:
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + content
