"""What to type on other computers: the real names, roots and issuing CAs each in their place, and the way back."""

from pathlib import Path

import pytest

from fleetseal.cli.trust import chosen_stores
from fleetseal.core.errors import InvalidInput
from fleetseal.core.trust_steps import PLATFORMS, Certificate, Platform, needs_p7b, platform_of, steps
from fleetseal.pki import chain
from tests.pki import authority

ROOT_DER, ISSUING_DER = authority().root, authority().intermediates[0]
CERTIFICATES = [
    Certificate(f"fleetseal-A-{role}-1", role, "CN=A", chain.describe(der).sha256, chain.to_pem([der]).decode())
    for role, der in (("root", ROOT_DER), ("intermediate", ISSUING_DER))
]
ROOT, ISSUING = (one.file_name for one in CERTIFICATES)


def typed(platform: Platform, *, remove: bool = False) -> list[str]:
    return [step.command for step in steps(platform, CERTIFICATES, p7b="A.p7b", remove=remove) if step.command]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_certificate_is_named_on_the_way_in_and_out(platform: Platform) -> None:
    assert all(any(name in command for command in typed(platform)) for name in (ROOT, ISSUING))
    assert typed(platform, remove=True)
    assert not set(typed(platform)) & set(typed(platform, remove=True)) - {"sudo update-ca-trust"} - {
        "sudo update-ca-certificates"
    }


def test_windows_puts_each_where_it_belongs() -> None:
    assert typed("windows")[:2] == [f"certutil -addstore -f Root {ROOT}", f"certutil -addstore -f CA {ISSUING}"]
    told = " ".join(step.text for step in steps("windows", CERTIFICATES, p7b="A.p7b"))
    assert f"Trusted Root Certification Authorities, Import: {ROOT}." in told
    assert "Intermediate Certification Authorities, Import: A.p7b." in told
    assert [command.split()[:3] for command in typed("windows", remove=True)] == [
        ["certutil", "-delstore", "Root"],
        ["certutil", "-delstore", "CA"],
    ]
    assert [platform for platform in PLATFORMS if needs_p7b(platform, remove=False)] == ["windows"]


def test_macos_trusts_the_root_and_knows_the_issuing_ca() -> None:
    root, issuing, _ = typed("macos")
    assert "add-trusted-cert -d -r trustRoot" in root
    assert root.endswith(ROOT)
    assert "add-certificates" in issuing
    assert issuing.endswith(ISSUING)
    assert any(chain.describe(ROOT_DER).sha256.upper() in command for command in typed("macos", remove=True))


@pytest.mark.parametrize(
    ("system", "release", "platform"),
    [
        ("linux", "ID=debian\n", "debian"),
        ("linux", 'NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\n', "debian"),
        ("linux", 'ID="linuxmint"\nID_LIKE="ubuntu debian"\n', "debian"),
        ("linux", 'ID="rocky"\nID_LIKE="rhel centos fedora"\n', "redhat"),
        ("linux", 'ID="opensuse-leap"\nID_LIKE="suse opensuse"\n', "suse"),
        ("linux", "ID=alpine\nVARIANT_ID=debian\n", None),
        ("linux", "", None),
        ("darwin", "", "macos"),
        ("win32", "", "windows"),
    ],
)
def test_the_platform_is_known_by_what_it_says(system: str, release: str, platform: Platform | None) -> None:
    assert platform_of(system, release) == platform


@pytest.mark.parametrize(
    ("store", "platform", "sentence"),
    [
        ("system", "redhat", "fleetseal trust show-steps --platform redhat --output DIR"),
        ("system", None, "fleetseal trust show-steps --output DIR"),
        ("firefox", "windows", "use the system's store"),
    ],
)
def test_where_nothing_is_changed_the_steps_are_named(store: str, platform: Platform | None, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        chosen_stores(store, home=Path("/nowhere"), password=None, platform=platform)
