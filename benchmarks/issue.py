"""CPU per certificate: all that is done but storage, against the bare cryptography of the same keys.

One JSON line for each kind of leaf key. `ratio` is (judge the CSR, decide the content, build the bytes of the intent,
build and lint them again, sign) divided by (one signature with the CA key + one check of the CSR's signature), both
measured in this run.
The aim is 2 for RSA-2048 and 5 for P-256.
"""

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from itertools import count
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from fleetseal.core.runtime import SystemRng
from fleetseal.pki import csr, keys, profile
from fleetseal.pki.content import Signer
from fleetseal.pki.issuer import Issuer, NewKey, to_be_signed

_NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
_ROUNDS = 9
_RNG = SystemRng()


def main() -> None:
    for leaf, family in (("rsa-2048", "rsa"), ("ec-p256", "ec")):
        sys.stdout.write(json.dumps(measure(leaf, family)) + "\n")


def measure(leaf: str, family: str) -> dict[str, Any]:
    """The fastest of several rounds of each, taken in turn, so that other load touches both alike."""
    ca_key = keys.generate(keys.ISSUING_KEYS[family])
    device_key = keys.generate(leaf)
    signer, issuer = _authority(family, ca_key)
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .sign(device_key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )
    repeat = 50
    numbers = count(1)  # no name comes twice
    whole, bare = [], []
    for _ in range(_ROUNDS):
        whole.append(_timed(lambda: _issue(signer, issuer, request, next(numbers)), repeat))
        bare.append(_timed(lambda: _bare(ca_key, request), repeat))
    ratio = min(whole) / min(bare)
    return {
        "benchmark": "issue",
        "leaf_key": leaf,
        "ca_key": keys.ISSUING_KEYS[family],
        "whole_ms": round(min(whole) * 1000, 3),
        "bare_ms": round(min(bare) * 1000, 3),
        "ratio": round(ratio, 2),
        "aim": 2 if leaf == "rsa-2048" else 5,
    }


def _issue(signer: Signer, issuer: Issuer, request: bytes, number: int) -> bytes:
    address = str(IPv4Address(0x0A000000 + number))
    keys.judge.cache_clear()  # each device has a key of its own
    content = profile.leaf_content(
        signer,
        csr.judge(request),
        serial=profile.new_serial(_RNG),
        now=_NOW,
        life=timedelta(days=365),
        common_name=address,
        names=(address, f"axis-{number:012x}.plant.example"),
    )
    to_be_signed(content, signer)
    return issuer.issue(issuer.prepare(content))


def _bare(ca_key: keys.PrivateKey, request: bytes) -> None:
    data = bytes(600)
    if isinstance(ca_key, rsa.RSAPrivateKey):
        ca_key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    else:
        ca_key.sign(data, ec.ECDSA(hashes.SHA256()))
    x509.load_der_x509_csr(request).is_signature_valid  # noqa: B018 - a property that checks


def _authority(family: str, ca_key: keys.PrivateKey) -> tuple[Signer, Issuer]:
    root_key, issuing = NewKey(keys.generate(keys.ROOT_KEYS[family])), NewKey(ca_key)
    itself = root_key.issuer(None)
    root = profile.root_content("Bench", root_key.spki, serial=profile.new_serial(_RNG), now=_NOW)
    top = Signer(itself.issue(itself.prepare(root)))
    above = root_key.issuer(top)
    below = profile.issuing_content(
        top, issuing.spki, name="Bench", serial=profile.new_serial(_RNG), now=_NOW, number=1
    )
    signer = Signer(above.issue(above.prepare(below)), (top.der,))
    return signer, issuing.issuer(signer)


def _timed(act: Callable[[], object], repeat: int) -> float:
    """CPU seconds of this process for one call."""
    start = time.process_time()
    for _ in range(repeat):
        act()
    return (time.process_time() - start) / repeat


if __name__ == "__main__":
    main()
