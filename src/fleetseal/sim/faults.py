"""Scripted trouble: plain data, per device, changed at run time; and how an effect meets it.

Counted troubles (`dict[verb, times]`) are used up; a verb is one of `VERBS`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, fields
from typing import Any

from fleetseal.sim.http import Dropped, Response

VERBS = (
    "create_key",
    "get_csr",
    "install",
    "install_key_pair",
    "install_ca",
    "delete",
    "bind",
    "set_clock",
    "set_params",
    "set_keystore",
    "create_user",
    "factory_default",
)
"""What a request can change (`get_csr` changes nothing, but can be lost all the same)."""

ANSWERS = ("endless", "drip", "deep-xml", "deep-json", "huge", "compressed", "wrong-length", "many-headers")
"""Hostile answers, instead of the right one."""


@dataclass
class Faults:
    """All off by default, except that the web server takes `restart_seconds` to come back after a TLS change."""

    restart_seconds: float = 0.1  # listeners closed after each change of the web server
    answer_after_restart: bool = False  # the server dies before the answer of such a change is sent
    lose_request_of: dict[str, int] = field(default_factory=dict)  # connection dropped, no effect
    lose_answer_of: dict[str, int] = field(default_factory=dict)  # effect, then connection dropped
    ok_without_effect: dict[str, int] = field(default_factory=dict)  # success answered, nothing done
    error_with_effect: dict[str, int] = field(default_factory=dict)  # done, but 500 answered
    effect_twice: dict[str, int] = field(default_factory=dict)  # done twice; the second answer is sent
    tls_dead_on_new_certificate: bool = False  # handshakes fail while a certificate not of the first start is bound
    tls_dies_after: float | None = None  # the same, but only this many seconds after the binding
    serves_old_certificate: bool = False  # the web server keeps showing what it showed before the last change
    serves_wrong_leaf: bool = False  # while such a certificate is bound, one from nowhere is shown instead
    keygen_seconds: float = 0.0  # added to each key generation
    key_generation_refused: bool = False  # KeyPairGenerationFault, "Failed to generate key pair"
    store_full: bool = False
    load_certificates: str | None = None  # "keys-not-matching" or "no-effect" of tds:LoadCertificates
    pkcs12_only: bool = False  # tds:LoadCertificateWithPrivateKey is not implemented
    csr_sha1: bool | None = None  # None: as the profile does
    rsa_1024: bool = False  # keys of CreateCertificate2
    clock_offset: float = 0.0  # device's clock minus the real one, seconds; setting the clock changes it
    nonce_seconds: float = 300.0  # life of a digest nonce
    redirect_to: str | None = None  # every request: 302 to this URL
    busy: bool = False  # every request: 503
    setup_by_get: bool = False  # a form POST of the first administrator is answered 401 (C1110-E 12.9, device-api 4.2)
    passphrase_policy: str = "none"  # noqa: S105 - a policy: none, length or complex
    basic_only: bool = False  # only Basic is offered, on plain HTTP too
    no_qop: bool = False  # digest as in RFC 2069
    realm: str | None = None  # another realm than AXIS_<serial>
    told_https_port: int | None = None  # another HTTPS.Port in the parameters than the one it is reached by
    serial: str | None = None  # another serial in the answers
    answer: str | None = None  # one of ANSWERS
    answer_on: str = ""  # only for targets that begin so
    lockout_after: int | None = None  # wrong passwords until the address is blocked
    lockout_seconds: float = 10.0
    unreachable: bool = False  # both ports refuse
    http_closed: bool = False  # plain HTTP refuses, whatever the policy says
    http_redirects: bool = True  # under HTTPS-only, plain HTTP answers 301 (else it refuses)

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Faults":
        """From plain data. Raises ValueError on names, verbs and kinds of answer that do not exist."""
        faults = cls()
        faults.change(values)
        return faults

    def change(self, values: dict[str, Any]) -> None:
        """Set what is named. Raises ValueError, changing nothing, on what does not exist."""
        known = {item.name: getattr(self, item.name) for item in fields(self)}
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"There is no fault {name!r}. Known: {', '.join(known)}.")
            if isinstance(known[name], dict) and not set(value) <= set(VERBS):
                raise ValueError(f"{name} names an unknown verb. Known: {', '.join(VERBS)}.")
            if name == "answer" and value not in (None, *ANSWERS):
                raise ValueError(f"There is no answer {value!r}. Known: {', '.join(ANSWERS)}.")
        for name, value in values.items():
            setattr(self, name, value)

    @staticmethod
    def use(counted: dict[str, int], verb: str) -> bool:
        """Whether this trouble is due for the verb now; one time is used up."""
        left = counted.get(verb, 0)
        if left > 0:
            counted[verb] = left - 1
        return left > 0


Act = Callable[[], Awaitable[Response]]


class Effects:
    """Every change of a device goes through `perform`; `counts` says how often each verb was done."""

    def __init__(self, faults: Callable[[], Faults]) -> None:
        self.counts: dict[str, int] = {}
        self._faults = faults

    async def perform(self, verb: str, act: Act, *, hollow: Response, broken: Response) -> Response:
        """The answer of `act`, or what the faults make of it. `hollow`: success without effect; `broken`: 500.

        Raises Dropped when request or answer is lost.
        """
        faults = self._faults()
        if Faults.use(faults.lose_request_of, verb):
            raise Dropped
        if Faults.use(faults.ok_without_effect, verb):
            return hollow
        response = await self._act(verb, act)
        if Faults.use(faults.effect_twice, verb):
            response = await self._act(verb, act)
        if Faults.use(faults.error_with_effect, verb):
            return broken
        if Faults.use(faults.lose_answer_of, verb):
            raise Dropped
        return response

    async def _act(self, verb: str, act: Act) -> Response:
        self.counts[verb] = self.counts.get(verb, 0) + 1
        return await act()
