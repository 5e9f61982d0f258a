"""Digest and Basic as the devices ask for them (device-api 5.1, 5.2; RFC 7616, RFC 2069)."""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass

from fleetseal.core.runtime import Clock, Rng
from fleetseal.sim.faults import Faults
from fleetseal.sim.http import Request

_MAX_NONCES = 4096
_PAIR = re.compile(r'([a-zA-Z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


@dataclass(frozen=True)
class Verdict:
    """What came of a login. `user` is None when it failed; `stale`: right or not, the nonce is too old."""

    user: str | None = None
    stale: bool = False
    status: int = 401


@dataclass
class _Nonce:
    made: float
    count: int = 0


class Gate:
    """Checks logins of one device. Passwords and nonces stay inside."""

    def __init__(self, *, realm: str, qop: bool, apache: bool, clock: Clock, rng: Rng) -> None:
        self.realm = realm
        self.failures = 0
        self._qop = qop
        self._apache = apache
        self._clock = clock
        self._rng = rng
        self._nonces: dict[str, _Nonce] = {}
        self._blocked_until = 0.0

    def challenges(self, schemes: tuple[str, ...], faults: Faults, *, stale: bool) -> list[str]:
        """The values of WWW-Authenticate, one per scheme."""
        realm = faults.realm or self.realm
        made = []
        for scheme in schemes:
            if scheme == "basic":
                made.append(f'Basic realm="{realm}"')
                continue
            parts = [f'Digest realm="{realm}"', f'nonce="{self._nonce()}"', "algorithm=MD5"]
            if self._qop and not faults.no_qop:
                parts.append('qop="auth"')
            if stale or not self._apache:
                value = "true" if stale else "FALSE"
                parts.insert(2, f"stale={value}")
            made.append(", ".join(parts))
        return made

    def check(self, request: Request, schemes: tuple[str, ...], faults: Faults, users: dict[str, str]) -> Verdict:
        """The user who proved a password, in one of the schemes. Wrong passwords count towards the lockout."""
        if self._clock.monotonic() < self._blocked_until:
            return Verdict(status=403)
        kind, _, value = request.headers.get("authorization", "").partition(" ")
        if not kind or kind.lower() not in schemes:
            return Verdict()
        verdict = self._basic(value, users) if kind.lower() == "basic" else self._digest(request, value, faults, users)
        if verdict.user is not None:
            self.failures = 0
        elif not verdict.stale:
            self._failed(faults)
        return verdict

    def _failed(self, faults: Faults) -> None:
        self.failures += 1
        if faults.lockout_after is not None and self.failures >= faults.lockout_after:
            self._blocked_until = self._clock.monotonic() + faults.lockout_seconds
            self.failures = 0

    @staticmethod
    def _basic(value: str, users: dict[str, str]) -> Verdict:
        try:
            name, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return Verdict(status=400)
        known = users.get(name)
        right = known is not None and hmac.compare_digest(known.encode(), password.encode())
        return Verdict(name) if right else Verdict()

    def _digest(self, request: Request, value: str, faults: Faults, users: dict[str, str]) -> Verdict:
        fields = {name.lower(): quoted or plain for name, quoted, plain in _PAIR.findall(value)}
        if fields.get("uri") != request.target:
            return Verdict(status=400)
        name = fields.get("username", "")
        password = users.get(name)
        if password is None or fields.get("realm") != (faults.realm or self.realm):
            return Verdict()
        if not hmac.compare_digest(fields.get("response", ""), _response(fields, request.method, password)):
            return Verdict()
        if self._qop and not faults.no_qop and fields.get("qop") != "auth":
            return Verdict()
        return Verdict(name) if self._fresh(fields, faults) else Verdict(stale=True)

    def _fresh(self, fields: dict[str, str], faults: Faults) -> bool:
        """The nonce is ours, young, and its count has risen."""
        nonce = self._nonces.get(fields.get("nonce", ""))
        if nonce is None or self._clock.monotonic() - nonce.made > faults.nonce_seconds:
            return False
        if "qop" not in fields:
            return True
        try:
            count = int(fields.get("nc", ""), 16)
        except ValueError:
            return False
        if count <= nonce.count:
            return False
        nonce.count = count
        return True

    def _nonce(self) -> str:
        made = self._clock.monotonic()
        if self._apache:  # base64 of the time, then a SHA-1 in hexadecimal
            text = base64.b64encode(self._rng.bytes(8)).decode() + self._rng.bytes(20).hex()
        else:
            text = f"{int(made) & 0xFFFFFFFF:08x}Y{self._rng.bytes(18).hex()}"
        if len(self._nonces) >= _MAX_NONCES:
            del self._nonces[next(iter(self._nonces))]
        self._nonces[text] = _Nonce(made)
        return text


def _response(fields: dict[str, str], method: str, password: str) -> str:
    """RFC 7616 3.4.1 with MD5; without qop, RFC 2069."""
    secret = _md5(f"{fields['username']}:{fields['realm']}:{password}")
    what = _md5(f"{method}:{fields['uri']}")
    if "qop" in fields:
        middle = (fields.get("nonce", ""), fields.get("nc", ""), fields.get("cnonce", ""), fields["qop"])
        return _md5(":".join((secret, *middle, what)))
    return _md5(f"{secret}:{fields.get('nonce', '')}:{what}")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
