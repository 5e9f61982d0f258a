"""From a content to the bytes that will be signed (profile 2.2 to 2.4)."""

import functools
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from fleetseal.pki import keys
from fleetseal.pki import names as naming
from fleetseal.pki.content import (
    Content,
    IssuingContent,
    LeafContent,
    RootContent,
    Signer,
    key_identifier,
    subject_name,
)
from fleetseal.pki.keys import PrivateKey
from fleetseal.pki.names import UNCONSTRAINED, Constraints, DnsName

_END_ENTITY: Final = x509.BasicConstraints(ca=False, path_length=None)
_SERVER: Final = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])


def build(content: Content, signer: Signer | None) -> x509.CertificateBuilder:
    """Everything but the signature. `signer` is None for a root, which signs itself."""
    key = serialization.load_der_public_key(content.spki)
    own = x509.SubjectKeyIdentifier.from_public_key(key)  # type: ignore[arg-type]  # judged: RSA or EC
    identifier = own.digest if signer is None else key_identifier(signer.der)
    builder = (
        x509.CertificateBuilder()
        .issuer_name(content.subject if signer is None else signer.certificate.subject)
        .subject_name(content.subject)
        .public_key(key)  # type: ignore[arg-type]  # judged: RSA or EC
        .serial_number(content.serial)
        .not_valid_before(content.not_before)
        .not_valid_after(content.not_after)
    )
    extensions = [
        *_usage_extensions(content, rsa_key=isinstance(key, rsa.RSAPublicKey)),
        (own, False),
        (x509.AuthorityKeyIdentifier(identifier, None, None), False),
        *_pointer_extensions(content),
    ]
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    return builder


def build_request(key: PrivateKey, common_name: str, organization: str | None) -> bytes:
    """A PKCS#10 request (DER) that asks another PKI for a CA certificate."""
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject_name(common_name, organization))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_ca_key_usage(), critical=True)
    )
    return builder.sign(key, keys.signature_hash(key.public_key())).public_bytes(serialization.Encoding.DER)


@functools.cache
def _ca_key_usage() -> x509.KeyUsage:
    return _key_usage(key_cert_sign=True, crl_sign=True)


@functools.cache
def _leaf_key_usage(*, key_encipherment: bool) -> x509.KeyUsage:
    return _key_usage(digital_signature=True, key_encipherment=key_encipherment)


def _general_name(text: str) -> x509.GeneralName:
    name = naming.classify(text)
    return x509.DNSName(name.text) if isinstance(name, DnsName) else x509.IPAddress(name.value)


def _name_constraints(constraints: Constraints) -> x509.NameConstraints:
    def subtrees(dns: tuple[str, ...], networks: tuple[naming.Network, ...]) -> list[x509.GeneralName] | None:
        return [*(x509.DNSName(d) for d in dns), *(x509.IPAddress(n) for n in networks)] or None

    return x509.NameConstraints(
        subtrees(constraints.permitted_dns, constraints.permitted_networks),
        subtrees(constraints.excluded_dns, constraints.excluded_networks),
    )


def _usage_extensions(content: Content, *, rsa_key: bool) -> list[tuple[x509.ExtensionType, bool]]:
    match content:
        case LeafContent():
            usage = _leaf_key_usage(key_encipherment=rsa_key and content.key_encipherment)
            return [
                (_END_ENTITY, True),
                (usage, True),
                (_SERVER, False),
                (
                    x509.SubjectAlternativeName([_general_name(name) for name in content.names]),
                    content.common_name is None,
                ),
            ]
        case IssuingContent():
            both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            return [
                (x509.BasicConstraints(ca=True, path_length=0), True),
                (_ca_key_usage(), True),
                (x509.ExtendedKeyUsage(both), False),
            ]
        case RootContent():
            return [
                (x509.BasicConstraints(ca=True, path_length=content.path_length), True),
                (_ca_key_usage(), True),
            ]


def _pointer_extensions(content: Content) -> list[tuple[x509.ExtensionType, bool]]:
    found: list[tuple[x509.ExtensionType, bool]] = []
    if not isinstance(content, LeafContent) and content.constraints != UNCONSTRAINED:
        found.append((_name_constraints(content.constraints), True))
    if not isinstance(content, RootContent) and content.crl_url:
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(content.crl_url)], None, None, None)
        found.append((x509.CRLDistributionPoints([point]), False))
    if isinstance(content, LeafContent) and content.ca_url:
        location = x509.UniformResourceIdentifier(content.ca_url)
        access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, location)
        found.append((x509.AuthorityInformationAccess([access]), False))
    return found


def _key_usage(
    *,
    digital_signature: bool = False,
    key_encipherment: bool = False,
    key_cert_sign: bool = False,
    crl_sign: bool = False,
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )
