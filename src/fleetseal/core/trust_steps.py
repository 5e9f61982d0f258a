"""What to type where Fleetseal changes no trust store itself: platform and files in, steps out. Pure.

Sources: certutil of Windows (learn.microsoft.com, "certutil"), security(1) of macOS, update-ca-trust(8) of Red Hat,
update-ca-certificates(8) of Debian and SUSE. Those of Debian are run by tests; the others were not tried.
"""

import re
import shlex
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha1
from typing import Any, Literal, get_args

from fleetseal.core.text import file_stem

Platform = Literal["debian", "redhat", "suse", "macos", "windows"]

_KEYCHAIN = "/Library/Keychains/System.keychain"


DEBIAN_DIRECTORY = "/usr/local/share/ca-certificates"


@dataclass(frozen=True)
class Certificate:
    """A CA certificate of ours. `title` is its name in a store; it ends with the fingerprint, so no other has it."""

    title: str
    role: str  # root | intermediate
    subject: str
    sha256: str
    pem: str

    @property
    def der(self) -> bytes:
        return ssl.PEM_cert_to_DER_cert(self.pem)

    @property
    def file_name(self) -> str:
        return f"{self.title}.crt"


def certificates_of(trusted: Mapping[str, Any], *, root_only: bool = False) -> list[Certificate]:
    """What is to be trusted, roots first: from what the API tells at `authorities/current/trust`."""
    stem = file_stem(trusted["name"])
    return [
        Certificate(
            title=f"fleetseal-{stem}-{one['role']}-{one['sha256'][:16]}",
            role=one["role"],
            subject=one["subject"],
            sha256=one["sha256"],
            pem=one["pem"],
        )
        for one in trusted["certificates"]
        if one["role"] == "root" or not root_only
    ]


@dataclass(frozen=True)
class Step:
    text: str
    command: str | None = None  # None: nothing to type


def steps(platform: Platform, certificates: Sequence[Certificate], *, p7b: str, remove: bool = False) -> list[Step]:
    """In this order, in the directory that holds the files. `p7b` is the name of the bundle for Windows."""
    if platform == "windows":
        return _windows_removal(certificates) if remove else _windows(certificates, p7b)
    if platform == "macos":
        return _macos_removal(certificates) if remove else _macos(certificates)
    directory, refresh, after_removal = _LINUX[platform]
    names = [one.file_name for one in certificates]
    if remove:
        there = [f"{directory}/{name}" for name in names]
        return [
            Step("Remove the files.", shlex.join(["sudo", "rm", "-f", *there])),
            Step("Make the system's bundle anew.", f"sudo {after_removal}"),
        ]
    return [
        Step("Copy the files.", shlex.join(["sudo", "install", "-m", "644", *names, directory])),
        Step("Make the system's bundle anew.", f"sudo {refresh}"),
        *(Step("See that it is trusted: OK.", f"openssl verify {name}") for name in _of(certificates, "root")),
    ]


def needs_p7b(platform: Platform, *, remove: bool) -> bool:
    return platform == "windows" and not remove


def platform_of(system: str, os_release: str) -> Platform | None:
    """From `sys.platform` and the text of os-release(5); None for one that is not known here."""
    if system in ("win32", "darwin"):
        return "windows" if system == "win32" else "macos"
    found = re.findall(r'^ID(?:_LIKE)?="?([^"\n]*)"?$', os_release, re.MULTILINE)
    names = " ".join(found).split()
    return next((_FAMILIES[name] for name in names if name in _FAMILIES), None)


_LINUX: dict[str, tuple[str, str, str]] = {
    "debian": (DEBIAN_DIRECTORY, "update-ca-certificates", "update-ca-certificates --fresh"),
    "redhat": ("/etc/pki/ca-trust/source/anchors", "update-ca-trust", "update-ca-trust"),
    "suse": ("/etc/pki/trust/anchors", "update-ca-certificates", "update-ca-certificates"),
}
"""Where the files go, and what makes the bundle anew after one came or went."""

_FAMILIES: dict[str, Platform] = {
    "debian": "debian",
    "ubuntu": "debian",
    "rhel": "redhat",
    "fedora": "redhat",
    "centos": "redhat",
    "suse": "suse",
    "opensuse": "suse",
    "sles": "suse",
}

PLATFORMS: tuple[Platform, ...] = get_args(Platform)


def _windows(certificates: Sequence[Certificate], p7b: str) -> list[Step]:
    """Root and CA are the stores of trusted roots and of intermediate CAs."""
    stores = {"root": "Root", "intermediate": "CA"}
    roots = ", ".join(_of(certificates, "root"))
    policies = "Computer Configuration, Policies, Windows Settings, Security Settings, Public Key Policies"
    return [
        *(
            Step(
                "In a command prompt of an administrator:", f"certutil -addstore -f {stores[one.role]} {one.file_name}"
            )
            for one in certificates
        ),
        *(Step("See that it is trusted.", f"certutil -verify {name}") for name in _of(certificates, "root")),
        Step(f"For all computers of a domain instead, in a group policy under {policies}:"),
        Step(f"Trusted Root Certification Authorities, Import: {roots}."),
        Step(f"Intermediate Certification Authorities, Import: {p7b}."),
        Step("On a computer of the domain, see that the policy arrives.", "gpupdate /force"),
    ]


def _windows_removal(certificates: Sequence[Certificate]) -> list[Step]:
    """Windows knows certificates by their SHA-1 fingerprint."""
    stores = {"root": "Root", "intermediate": "CA"}
    return [
        Step(
            "In a command prompt of an administrator:",
            f"certutil -delstore {stores[one.role]} {sha1(one.der, usedforsecurity=False).hexdigest()}",
        )
        for one in certificates
    ] + [Step("What a group policy brought is taken out of that policy.")]


def _macos(certificates: Sequence[Certificate]) -> list[Step]:
    add = {
        "root": f"sudo security add-trusted-cert -d -r trustRoot -p ssl -k {_KEYCHAIN}",
        "intermediate": f"sudo security add-certificates -k {_KEYCHAIN}",
    }
    return [
        *(Step(f"The {_role(one)}, for all users:", f"{add[one.role]} {one.file_name}") for one in certificates),
        *(Step("See that it is trusted.", f"security verify-cert -c {name}") for name in _of(certificates, "root")),
    ]


def _macos_removal(certificates: Sequence[Certificate]) -> list[Step]:
    roots = _of(certificates, "root")
    return [
        *(Step("Take the trust away.", f"sudo security remove-trusted-cert -d {name}") for name in roots),
        *(
            Step(f"Delete the {_role(one)}.", f"sudo security delete-certificate -Z {one.sha256.upper()} {_KEYCHAIN}")
            for one in certificates
        ),
    ]


def _of(certificates: Sequence[Certificate], role: str) -> list[str]:
    return [one.file_name for one in certificates if one.role == role]


def _role(certificate: Certificate) -> str:
    return "root" if certificate.role == "root" else "issuing CA"
