"""Keys and requests: weak ones are refused by rule, sealed ones open with openssl, possession is proved."""

import math
import re
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, PublicFormat

from fleetseal.core.errors import InvalidInput, IssuanceRefused, Locked
from fleetseal.core.runtime import SystemRng
from fleetseal.core.secrets import Secret
from fleetseal.pki import csr, keys


def public(numbers: rsa.RSAPublicNumbers) -> bytes:
    return numbers.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def next_prime(number: int) -> int:
    """Fermat's test with a few bases; enough to plant a broken key."""
    number |= 1
    while any(pow(base, number - 1, number) != 1 for base in (2, 3, 5, 7)):
        number += 2
    return number


def rule_of(spki: bytes) -> str | None:
    try:
        keys.judge(spki)
    except IssuanceRefused as refused:
        return refused.rule
    return None


@pytest.mark.parametrize("kind", ["rsa-2048", "rsa-3072", "ec-p256", "ec-p384"])
def test_strong_keys(kind: str) -> None:
    assert rule_of(keys.spki(keys.generate(kind).public_key())) is None


def test_weak_keys_by_rule() -> None:
    first = next_prime(math.isqrt(1 << 2047) + (1 << 1000))
    close = public(rsa.RSAPublicNumbers(65537, first * next_prime(first + 2)))
    modulus = keys.generate("rsa-2048").public_key().public_numbers()
    assert isinstance(modulus, rsa.RSAPublicNumbers)
    small_factor = (1 << 2047) + 1
    while small_factor % 751:
        small_factor += 2
    short = rsa.generate_private_key(65537, 1024).public_key()
    cases = {
        keys.spki(short): "key-size",
        public(rsa.RSAPublicNumbers(65537, modulus.n >> 1 | 1)): "key-size",  # 2047 bits
        public(rsa.RSAPublicNumbers(3, modulus.n)): "key-exponent",
        public(rsa.RSAPublicNumbers(65537, small_factor)): "key-small-factor",
        close: "key-close-primes",
        keys.spki(ec.generate_private_key(ec.SECP521R1()).public_key()): "key-type",
        keys.spki(ec.generate_private_key(ec.SECP256K1()).public_key()): "key-type",
        ed25519.Ed25519PrivateKey.generate()
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo): "key-type",
        b"\x30\x00": "key-type",
    }
    assert {spki: rule_of(spki) for spki in cases} == cases


def test_openssl_opens_our_sealed_key(tmp_path: Path) -> None:
    key = keys.generate("ec-p256")
    sealed = keys.to_encrypted_pem(keys.to_pkcs8(key), Secret("pässword"), SystemRng())
    file = tmp_path / "key.pem"
    file.write_bytes(sealed)
    opened = subprocess.run(
        ["openssl", "pkey", "-in", file, "-passin", "pass:pässword", "-pubout", "-outform", "DER"],
        capture_output=True,
        check=True,
        timeout=20,
    )
    assert opened.stdout == keys.spki(key.public_key())
    shown = subprocess.run(
        ["openssl", "asn1parse", "-in", file], capture_output=True, text=True, check=True, timeout=20
    )
    assert "scrypt" in shown.stdout
    cost = re.findall(r"INTEGER +:([0-9A-F]+)", shown.stdout)
    assert cost == ["4000", "08", "10", "20"]  # N = 2^14, r = 8, p = 16, 32 bytes; in hexadecimal
    assert "aes-256-cbc" in shown.stdout


def test_sealed_keys_open_with_their_passphrase_only() -> None:
    key = keys.generate("ec-p256")
    sealed = keys.to_encrypted_pem(keys.to_pkcs8(key), Secret("right"), SystemRng())
    assert keys.spki(keys.load(sealed, Secret("right")).public_key()) == keys.spki(key.public_key())
    for wrong in (None, Secret("wrong"), Secret("")):
        with pytest.raises(Locked):
            keys.load(sealed, wrong)


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
@pytest.mark.parametrize("kind", ["rsa-2048", "ec-p256"])
@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_every_plain_form_is_read(kind: str, form: PrivateFormat, encoding: Encoding) -> None:
    key = keys.generate(kind)
    data = key.private_bytes(encoding, form, serialization.NoEncryption())
    assert not keys.is_encrypted(data)
    for passphrase in (None, Secret("not needed")):
        assert keys.spki(keys.load(data, passphrase).public_key()) == keys.spki(key.public_key())


def test_sealed_der_and_old_pem() -> None:
    key = keys.generate("ec-p256")
    sealing = serialization.BestAvailableEncryption(b"right")
    for form, encoding in (
        (PrivateFormat.PKCS8, Encoding.DER),
        (PrivateFormat.PKCS8, Encoding.PEM),
        (PrivateFormat.TraditionalOpenSSL, Encoding.PEM),
    ):
        data = key.private_bytes(encoding, form, sealing)
        assert keys.is_encrypted(data)
        with pytest.raises(Locked, match="give its passphrase"):
            keys.load(data)
        with pytest.raises(Locked, match="wrong"):
            keys.load(data, Secret("wrong"))
        assert keys.spki(keys.load(data, Secret("right")).public_key()) == keys.spki(key.public_key())


def test_what_is_no_key() -> None:
    other = ed25519.Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for data in (b"", b"hello", b"\x30\x03\x02\x01\x00", other):
        with pytest.raises(InvalidInput):
            keys.load(data)


# ---------------------------------------------------------------- requests


def request(key: keys.PrivateKey, algorithm: hashes.SHA256 | hashes.SHA384 | hashes.SHA512 = hashes.SHA256()) -> bytes:  # noqa: B008 - immutable
    names = x509.SubjectAlternativeName([x509.DNSName("bank.example")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(names, critical=False)
    return builder.sign(key, algorithm).public_bytes(Encoding.DER)


@pytest.mark.parametrize("kind", ["rsa-2048", "ec-p256", "ec-p384"])
@pytest.mark.parametrize("algorithm", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()], ids=lambda one: one.name)
def test_the_key_of_a_request(kind: str, algorithm: hashes.SHA256) -> None:
    key = keys.generate(kind)
    assert csr.judge(request(key, algorithm)) == keys.spki(key.public_key())


OUTPUT = ("-outform", "DER", "-keyout", "key", "-out", "csr")


def test_old_firmware_signs_with_sha1(tmp_path: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-new", "-sha1", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=axis", *OUTPUT],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        timeout=30,
    )
    der = (tmp_path / "csr").read_bytes()
    assert x509.load_der_x509_csr(der).signature_algorithm_oid.dotted_string == "1.2.840.113549.1.1.5"
    expected = keys.spki(keys.load((tmp_path / "key").read_bytes()).public_key())
    assert csr.judge(der) == expected


def test_requests_that_prove_nothing() -> None:
    good = request(keys.generate("ec-p256"))
    swapped = good.replace(good[-20:], bytes(20))
    with pytest.raises(IssuanceRefused) as refused:
        csr.judge(swapped)
    assert refused.value.rule == "ISS-KEY-PROVED"
    for broken in (b"", b"hello", good[:-1], good[10:]):
        with pytest.raises(IssuanceRefused) as refused:
            csr.judge(broken)
        assert refused.value.rule == "csr-malformed"
    with pytest.raises(IssuanceRefused) as refused:
        csr.judge(request(rsa.generate_private_key(65537, 1024)))
    assert refused.value.rule == "key-size"
