"""What may be signed: serials, lives, names and renewal, decided before any signature."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from hypothesis import given
from hypothesis import strategies as st

from fleetseal.core.errors import InvalidInput, IssuanceRefused
from fleetseal.pki import profile
from fleetseal.pki.content import Signer, content_from_json, subject_name
from fleetseal.pki.issuer import to_be_signed
from tests.pki import NOW, RNG, YEAR, TestAuthority, authority, key
from tests.support import FakeRng

DOMAIN = profile.permitted(("plant.example",), ("192.0.2.0/24",))


@given(st.binary(min_size=1, max_size=40))
def test_serials_are_positive_and_below_2_to_the_159(seed: bytes) -> None:
    assert 0 < profile.new_serial(FakeRng(seed)) < 1 << 159


def test_serials_differ() -> None:
    assert len({profile.new_serial(RNG) for _ in range(1000)}) == 1000


class _ZeroFirst:
    """A generator whose first answer is all zeros."""

    def __init__(self) -> None:
        self._answers = [bytes(20), b"\xff" * 20]

    def bytes(self, count: int) -> bytes:
        return self._answers.pop(0)


def test_a_serial_of_zero_is_drawn_again_and_all_bits_are_used() -> None:
    assert profile.new_serial(_ZeroFirst()) == (1 << 159) - 1


# ---------------------------------------------------------------- validity


@given(st.integers(1, 825))
def test_a_leaf_begins_23_hours_ago_and_its_last_second_counts(days: int) -> None:
    content = authority().content("192.0.2.10", life=timedelta(days=days))
    assert content.not_before == NOW - timedelta(hours=23)
    assert content.not_after == content.not_before + timedelta(days=days) - timedelta(seconds=1)
    assert content.life == content.not_after - NOW


def refusal(ca: TestAuthority, *names: str, **options: Any) -> str:
    with pytest.raises(IssuanceRefused) as refused:
        ca.content(*names, **options)
    return refused.value.rule


def test_life_over_825_days() -> None:
    assert refusal(authority(), "192.0.2.10", life=timedelta(days=826)) == "life"


@given(rest=st.timedeltas(timedelta(hours=1), timedelta(days=400)))
def test_a_leaf_never_outlives_its_issuer(rest: timedelta) -> None:
    ca = authority()
    end = ca.signer.certificate.not_valid_after_utc
    now = end - rest

    def decide() -> Any:
        return profile.leaf_content(
            ca.signer, key("ec-p256", 1).spki, serial=1, now=now, life=YEAR, common_name=None, names=("192.0.2.10",)
        )

    if rest < YEAR / 2:
        with pytest.raises(IssuanceRefused) as refused:
            decide()
        assert refused.value.rule == "ISS-WITHIN-ISSUER"
    else:
        assert decide().not_after <= end


def test_times_are_whole_seconds_in_utc() -> None:
    odd = datetime(2026, 11, 23, 12, 0, 0, 999999, tzinfo=UTC)
    content = profile.root_content("Plant", key("ec-p384").spki, serial=1, now=odd)
    assert content.not_before == datetime(2026, 11, 22, 13, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("begin", "years", "end"),
    [
        ("2026-11-22T13:00:00", None, "2035-12-31T23:59:59"),
        ("2024-02-29T00:00:00", None, "2034-02-28T23:59:59"),
        ("2024-02-29T00:00:00", 4, "2028-02-28T23:59:59"),
        ("2024-02-29T00:00:00", 1, "2025-02-28T23:59:59"),
        ("2026-11-22T13:00:00", 20, "2046-11-22T12:59:59"),
        ("2034-01-01T00:00:00", None, "2043-12-31T23:59:59"),
    ],
)
def test_the_end_of_a_root(begin: str, years: int | None, end: str) -> None:
    assert profile.root_end(datetime.fromisoformat(begin + "+00:00"), years).isoformat() == end + "+00:00"


def test_time_encoding_changes_in_2050() -> None:
    """RFC 5280 4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050."""
    ca = authority()
    late = dataclasses.replace(ca.content("192.0.2.10"), not_after=datetime(2050, 1, 1, tzinfo=UTC))
    assert b"\x18\x0f20500101000000Z" in to_be_signed(late, ca.signer)
    assert b"\x17\x0d271122125959Z" in to_be_signed(ca.content("192.0.2.10"), ca.signer)


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("names", "common_name", "rule"),
    [
        ((), None, "names"),
        (tuple(f"192.0.2.{n}" for n in range(11)), None, "names"),
        (("192.0.2.10",), "192.0.2.11", "common-name"),
        (("axis-b8a44f631339", "cam.plant.example"), "cam.plant.example", "single-label"),
    ],
)
def test_names_that_are_refused(names: tuple[str, ...], common_name: str | None, rule: str) -> None:
    assert refusal(authority(), *names, common_name=common_name) == rule


def test_names_are_normalised_and_come_once() -> None:
    content = authority().content("CAM1.Plant.Example.", "cam1.plant.example", "2001:DB8::0:10")
    assert content.names == ("cam1.plant.example", "2001:db8::10")
    assert content.common_name == "cam1.plant.example"


def test_constraints_decide_over_names_and_common_name() -> None:
    ca = authority(constraints=DOMAIN)
    assert refusal(ca, "198.51.100.1") == "name-constraints"
    assert refusal(ca, "axis-b8a44f631339") == "name-constraints"
    assert ca.content("192.0.2.10").common_name is None
    assert ca.content("192.0.2.10", "cam.plant.example").common_name == "192.0.2.10"


def test_under_directory_name_constraints_the_subject_is_empty() -> None:
    """They bind a subject that is not empty (RFC 5280 4.2.1.10); ours would never lie in a customer's directory."""
    subject = subject_name("Customer CA")
    constraint = x509.NameConstraints([x509.DirectoryName(subject_name("x", "Customer"))], None)
    private = key("ec-p256")._key
    certificate = (
        x509.CertificateBuilder(subject, subject, private.public_key(), 1, NOW, NOW + 2 * YEAR)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(constraint, critical=True)
        .sign(private, hashes.SHA256())
    )
    content = profile.leaf_content(
        Signer(certificate.public_bytes(serialization.Encoding.DER)),
        key("ec-p256", 1).spki,
        serial=1,
        now=NOW,
        life=YEAR,
        common_name="192.0.2.10",
        names=("192.0.2.10",),
    )
    assert content.common_name is None


def test_only_networks_exclude_every_host_name() -> None:
    assert profile.permitted((), ("192.0.2.0/24",)).excluded_dns == ("",)
    with pytest.raises(InvalidInput, match="--permit-network"):
        profile.permitted(("plant.example",), ())


# ---------------------------------------------------------------- renewal

lives = st.timedeltas(timedelta(hours=1), timedelta(days=825))
warnings = st.integers(1, 365)


@given(lives, warnings, st.text(max_size=20))
def test_a_fresh_certificate_is_never_due(life: timedelta, warning_days: int, device: str) -> None:
    """REN-NO-LOOP, and REN-IN-TIME: due before any warning would show."""
    due = profile.renew_at(NOW + life, warning_days=warning_days, life=life, device=device)
    assert due > NOW + life / 2
    assert due < NOW + life - profile.warning_before(life, warning_days)


@given(lives, warnings)
def test_due_times_are_spread_over_half_the_lead(life: timedelta, warning_days: int) -> None:
    lead = min(timedelta(days=7), life / 12)
    base = NOW + life - profile.warning_before(life, warning_days) - lead
    for number in range(20):
        due = profile.renew_at(NOW + life, warning_days=warning_days, life=life, device=f"{number:012X}")
        assert base <= due <= base + lead / 2


def test_due_times_differ_between_devices_and_not_between_runs() -> None:
    def due(device: str) -> datetime:
        return profile.renew_at(NOW + YEAR, warning_days=30, life=YEAR, device=device)

    assert due("B8A44F631339") == due("B8A44F631339")
    assert len({due(f"{number:012X}") for number in range(100)}) == 100


# ---------------------------------------------------------------- records


def test_contents_survive_json_and_give_the_same_bytes() -> None:
    ca = authority(constraints=DOMAIN, public_url="http://pki.plant.example/")
    content = ca.content("192.0.2.10", "cam.plant.example", public_url="http://pki.plant.example/")
    again = content_from_json(json.loads(json.dumps(content.to_json())))
    assert again == content
    assert to_be_signed(again, ca.signer) == to_be_signed(content, ca.signer)
    root = profile.root_content("Plant", key("ec-p384").spki, serial=7, now=NOW, constraints=DOMAIN, one_tier=True)
    assert content_from_json(json.loads(json.dumps(root.to_json()))) == root
    issuing = profile.issuing_content(
        ca.signer, key("ec-p256").spki, name="Plant", serial=7, now=NOW, number=1, constraints=DOMAIN
    )
    assert content_from_json(json.loads(json.dumps(issuing.to_json()))) == issuing


def test_pointers_only_with_a_public_url() -> None:
    ca = authority()
    plain = x509.load_der_x509_certificate(ca.leaf("192.0.2.10"))
    pointed = x509.load_der_x509_certificate(ca.leaf("192.0.2.10", public_url="http://pki.plant.example/"))
    kinds = {type(extension.value) for extension in pointed.extensions}
    assert kinds - {type(extension.value) for extension in plain.extensions} == {
        x509.CRLDistributionPoints,
        x509.AuthorityInformationAccess,
    }
    aia = pointed.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    assert aia[0].access_location.value == f"http://pki.plant.example/ca/{ca.signer.sha256[:16]}.crt"
