"""Signatures that are none: what will be signed is built with one of these first, so that it can be linted."""

from typing import Any, NoReturn

from cryptography.hazmat.primitives.asymmetric import ec, rsa


class _Filler:
    """Looks like the issuer's private key to the certificate builder; its signature is filler, so that what will be
    signed can be linted without signing."""

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError("a filler key has no private part")

    decrypt = exchange = private_numbers = private_bytes = _refuse

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self


def filler(key: Any) -> Any:
    """What stands in for the private key of this public key."""
    return _FillerRsa(key) if isinstance(key, rsa.RSAPublicKey) else _FillerEc(key)


class _FillerRsa(_Filler, rsa.RSAPrivateKey):
    def __init__(self, key: rsa.RSAPublicKey) -> None:
        self._key = key

    @property
    def key_size(self) -> int:
        return self._key.key_size

    def public_key(self) -> rsa.RSAPublicKey:
        return self._key

    def sign(self, data: bytes, padding: Any, algorithm: Any) -> bytes:
        return bytes(self._key.key_size // 8)


class _FillerEc(_Filler, ec.EllipticCurvePrivateKey):
    def __init__(self, key: ec.EllipticCurvePublicKey) -> None:
        self._key = key

    @property
    def key_size(self) -> int:
        return self._key.key_size

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._key.curve

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._key

    def sign(self, data: Any, signature_algorithm: Any) -> bytes:
        return bytes.fromhex("3006020101020101")
