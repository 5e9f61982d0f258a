"""What everybody may read: CRLs and CA certificates, as files in DATA/crl. Nothing secret is ever put there."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from fleetseal.core.errors import StoreError
from fleetseal.core.secrets import write_private
from fleetseal.pki import profile
from fleetseal.pki.content import Signer


@dataclass(frozen=True)
class Published:
    media_type: str  # RFC 5280 4.2.1.13, 4.2.2.1
    content: bytes


def publish(data: Path, told: Iterable[tuple[Signer, bytes | None]]) -> None:
    """The files hold these CA certificates and their CRLs (DER), each replaced at once. Raises StoreError."""
    for signer, crl in told:
        _write(_file(data, profile.certificate_path(signer.sha256)), signer.der)
        if crl is not None:
            _write(crl_file(data, signer.sha256), crl)


def crl_file(data: Path, issuer: str) -> Path:
    """The published CRL of a CA, named by the SHA-256 of its certificate."""
    return _file(data, profile.crl_path(issuer))


def find(data: Path, path: str, *, public_url: str = "") -> Published | None:
    """What lies at this path of a URL, under the path of `certificate.public-url` if it has one; None when nothing.

    The paths are made by the functions that make the pointers in certificates. Raises StoreError.
    """
    name = path.rpartition("/")[2].partition(".")[0]
    if not re.fullmatch(r"[0-9a-f]{16}", name):
        return None
    own = path.removeprefix(urlsplit(public_url).path)
    kinds = {profile.crl_path(name): "application/pkix-crl", profile.certificate_path(name): "application/pkix-cert"}
    content = _read(_file(data, own)) if own in kinds else None
    return None if content is None else Published(kinds[own], content)


def _file(data: Path, path: str) -> Path:
    return data / "crl" / Path(path).name


def _write(path: Path, content: bytes) -> None:
    if _read(path) != content:
        write_private(path, content)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"The file {path} cannot be read: {error.strerror}.") from error
