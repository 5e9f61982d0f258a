"""HTTP Digest, the client's side (RFC 7616; RFC 2069 where a device sends no qop). No I/O."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from fleetseal.core.model import Login, Serial

_ALGORITHMS = {
    name: ours
    for name, ours in (("sha-256", "sha256"), ("sha-512-256", "sha512_256"), ("md5", "md5"))
    if ours in hashlib.algorithms_available
}
"""By preference. The `-sess` variants and all others are skipped: no device was seen with them."""

_TOKEN68 = re.compile(r"[0-9A-Za-z\-._~+/]+=*\s*(?=,|$)")
_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PARAMETER = re.compile(rf'\s*({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_WORD}))\s*')
_REALM = re.compile(r"AXIS_([0-9A-F]{12})")
_SCHEME = re.compile(rf"\s*({_WORD})(?:\s+|\s*$|(?=,))")
_LONGEST = 4096
"""Characters of all challenges together that are read; what follows is ignored (INP-BOUNDED)."""


@dataclass(frozen=True)
class Challenge:
    """One challenge of a WWW-Authenticate header. Scheme and parameter names are in lower case."""

    scheme: str
    parameters: dict[str, str]

    @property
    def realm(self) -> str | None:
        return self.parameters.get("realm")

    @property
    def serial(self) -> Serial | None:
        """Whom the realm names, where it is an Axis device's (device-api 4.3)."""
        named = _REALM.fullmatch(self.realm or "")
        return None if named is None else Serial(named.group(1))

    @property
    def stale(self) -> bool:
        return self.parameters.get("stale", "").lower() == "true"


def parse_challenges(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """All challenges of all WWW-Authenticate headers, in order. What cannot be read is left out."""
    found: list[Challenge] = []
    left = _LONGEST
    for header in headers:
        found.extend(_parse_header(header[:left]))
        left = max(0, left - len(header))
    return tuple(found)


def choose(challenges: Iterable[Challenge]) -> Challenge | None:
    """The strongest Digest challenge that can be answered, or None."""
    usable = [c for c in challenges if c.scheme == "digest" and _usable(c)]
    order = list(_ALGORITHMS)
    return min(usable, key=lambda c: order.index(_algorithm(c)), default=None)


@dataclass
class DigestSession:
    """Answers one nonce again and again, with a growing count."""

    challenge: Challenge
    count: int = field(default=0, init=False)

    def header(self, login: Login, method: str, target: str, cnonce: str) -> str:
        """The Authorization value for this request. `target` is the request target, byte for byte."""
        given = self.challenge.parameters
        realm, nonce = given["realm"], given["nonce"]
        secret = self._hash(f"{login.username}:{_unquoted(realm)}:{login.password}")
        act = self._hash(f"{method}:{target}")
        parts = [
            f'username="{_quoted(login.username)}"',
            f'realm="{realm}"',
            f'nonce="{nonce}"',
            f'uri="{target}"',
        ]
        if "algorithm" in given:
            parts.append(f"algorithm={given['algorithm']}")
        if "qop" in given:
            self.count += 1
            count = f"{self.count:08x}"
            response = self._hash(f"{secret}:{_unquoted(nonce)}:{count}:{cnonce}:auth:{act}")
            parts += ["qop=auth", f"nc={count}", f'cnonce="{cnonce}"']
        else:
            response = self._hash(f"{secret}:{_unquoted(nonce)}:{act}")
        parts.append(f'response="{response}"')
        if "opaque" in given:
            parts.append(f'opaque="{given["opaque"]}"')
        return "Digest " + ", ".join(parts)

    def _hash(self, text: str) -> str:
        name = _ALGORITHMS[_algorithm(self.challenge)]
        return hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()


def _algorithm(challenge: Challenge) -> str:
    return challenge.parameters.get("algorithm", "MD5").lower()


def _usable(challenge: Challenge) -> bool:
    """Whether it is of a kind known here, whole, and its words can be sent back in a header."""
    qop = challenge.parameters.get("qop")
    if not all(value.isascii() and value.isprintable() for value in challenge.parameters.values()):
        return False
    offered = qop is None or "auth" in {word.strip().lower() for word in qop.split(",")}
    return offered and _algorithm(challenge) in _ALGORITHMS and {"realm", "nonce"} <= challenge.parameters.keys()


def _parse_header(header: str) -> list[Challenge]:
    found: list[Challenge] = []
    at = 0
    while at < len(header):
        if header[at] in ", \t":
            at += 1
        elif found and (parameter := _PARAMETER.match(header, at)):
            name, quoted, token = parameter.groups()
            found[-1].parameters.setdefault(name.lower(), quoted if quoted is not None else token)
            at = parameter.end()
        elif scheme := _SCHEME.match(header, at):
            found.append(Challenge(scheme.group(1).lower(), {}))
            at = scheme.end()
        elif token68 := _TOKEN68.match(header, at):  # as in "Negotiate YWJj=="
            at = token68.end()
        else:
            break
    return found


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
