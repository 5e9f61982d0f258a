"""The TLS of a device's web server: its age's versions and suites, and whatever is bound (device-api 1, 5.4, 6.6)."""

import ssl
import tempfile
import warnings
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from cryptography import x509

from fleetseal.sim import certificates
from fleetseal.sim.certificates import PrivateKey
from fleetseal.sim.profile import TlsAge

_VERSIONS = {"TLSv1": ssl.TLSVersion.TLSv1, "TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}


@dataclass(frozen=True)
class Credential:
    """What the web server proves itself with."""

    alias: str
    leaf: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    context: ssl.SSLContext


def credential(
    alias: str,
    leaf: x509.Certificate,
    key: PrivateKey,
    *,
    chain: tuple[x509.Certificate, ...],
    age: TlsAge,
    ciphers: tuple[str, ...],
) -> Credential:
    """A server context of that age with this certificate, and without session tickets."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with warnings.catch_warnings():  # TLS 1.0 is what those devices speak
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = _VERSIONS[age.lowest]
        context.maximum_version = _VERSIONS[age.highest]
    # Level 0: keys of 1024 bits and SHA-1 are part of the age
    context.set_ciphers(":".join(ciphers) + ":@SECLEVEL=0")
    context.options |= ssl.OP_NO_TICKET | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = 0
    if any(cipher.startswith("DHE-") for cipher in ciphers):
        with as_file(files("fleetseal.sim").joinpath("data", "dh-group-14.pem")) as path:
            context.load_dh_params(str(path))
    with tempfile.TemporaryDirectory() as folder:  # the library loads keys from files only
        path = Path(folder, "server.pem")
        path.write_bytes(certificates.key_pem(key) + "".join(map(certificates.pem, (leaf, *chain))).encode())
        context.load_cert_chain(path)
    return Credential(alias, leaf, chain, context)
