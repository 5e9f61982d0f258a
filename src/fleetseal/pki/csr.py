"""Certificate requests. A device's request tells us one thing: its public key (ISS-NAMES-FROM-INVENTORY)."""

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import SignatureAlgorithmOID as Algorithm

from fleetseal.core.errors import IssuanceRefused
from fleetseal.pki import keys
from fleetseal.pki.keys import PublicKey

# SHA-1 proves possession well enough here: forging it gains nobody a certificate for a key he does not hold.
# Firmware before 9.x knows nothing else (inferred), and `is_signature_valid` refuses it.
_HASHES: dict[x509.ObjectIdentifier, hashes.HashAlgorithm] = {
    Algorithm.RSA_WITH_SHA1: hashes.SHA1(),  # noqa: S303 - possession only, see above
    Algorithm.RSA_WITH_SHA256: hashes.SHA256(),
    Algorithm.RSA_WITH_SHA384: hashes.SHA384(),
    Algorithm.RSA_WITH_SHA512: hashes.SHA512(),
    Algorithm.ECDSA_WITH_SHA1: hashes.SHA1(),  # noqa: S303 - possession only, see above
    Algorithm.ECDSA_WITH_SHA256: hashes.SHA256(),
    Algorithm.ECDSA_WITH_SHA384: hashes.SHA384(),
    Algorithm.ECDSA_WITH_SHA512: hashes.SHA512(),
}


def judge(der: bytes) -> bytes:
    """The public key (SubjectPublicKeyInfo DER) of a PKCS#10 request whose key signed it and is strong; nothing else
    of it is used.

    Raises IssuanceRefused: `csr-malformed`, `ISS-KEY-PROVED` (signature), or a rule of `keys.judge`.
    """
    try:
        request = x509.load_der_x509_csr(der)
        key = request.public_key()
        algorithm = _HASHES.get(request.signature_algorithm_oid)
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise IssuanceRefused(
            "The certificate request of the device cannot be read; nothing was signed.", rule="csr-malformed"
        ) from error
    judged = keys.judge_key(key)
    if algorithm is None or not _proved(judged, request, algorithm):
        raise IssuanceRefused(
            "The certificate request is not signed with its own key; nothing was signed.", rule="ISS-KEY-PROVED"
        )
    return keys.spki(judged)


def _proved(key: PublicKey, request: x509.CertificateSigningRequest, algorithm: hashes.HashAlgorithm) -> bool:
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(request.signature, request.tbs_certrequest_bytes, padding.PKCS1v15(), algorithm)
        else:
            key.verify(request.signature, request.tbs_certrequest_bytes, ec.ECDSA(algorithm))
    except InvalidSignature:
        return False
    return True
