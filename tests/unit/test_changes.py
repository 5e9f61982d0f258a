"""From evidence to a verdict: each row of the table, and what holds for every row."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetseal.devices.driver import Sight
from fleetseal.operations.changes import Change, Evidence, LeafShown, SerialShown, Verdict, Words, judge, stays
from fleetseal.operations.naming import Names, finding, misfit
from tests.unit.test_states import HEALTHY

WORDS = Words(
    own="B8:A4:4F:63:13:39",
    address="192.0.2.1",
    shown="ACCC8E000001",
    other_address="192.0.2.2",
    holder="ACCC8E000002",
    model="M1065-LW",
    before="9.10.1",
    after="10.12.200",
    subject="CN=theirs",
    issuer="CN=Their CA",
)
DIFFERS = Evidence(contradicts=True, leaf=LeafShown.SELF_SIGNED, leaf_differs=True)
"""Its own serial, and a self-signed certificate with another key: nothing explains it."""

TABLE: dict[str, tuple[Evidence, Verdict, str]] = {
    "another certificate for its key": (replace(DIFFERS, leaf=LeafShown.RECORDED_KEY), Verdict.RENEWED, "Their CA"),
    "a certificate of another issuer": (replace(DIFFERS, leaf=LeafShown.FOREIGN), Verdict.RENEWED, "Their CA"),
    "another issuer, after an update": (
        replace(DIFFERS, leaf=LeafShown.FOREIGN, other_firmware=True), Verdict.RENEWED, "Their CA",
    ),
    "factory state": (replace(DIFFERS, reset=True), Verdict.RESET, "factory state"),
    "factory state without TLS": (Evidence(True, leaf=LeafShown.NONE, reset=True), Verdict.RESET, "factory state"),
    "the factory certificate": (replace(DIFFERS, leaf=LeafShown.FACTORY), Verdict.RESET, "its maker signed"),
    "a lost clock": (replace(DIFFERS, clock_lost=True), Verdict.RESET, "clock"),
    "another firmware": (replace(DIFFERS, other_firmware=True), Verdict.UPDATED, "was 9.10.1 and is 10.12.200"),
    "another firmware, and the clock lost": (
        replace(DIFFERS, other_firmware=True, clock_lost=True), Verdict.UPDATED, "10.12.200",
    ),
    "the factory certificate after an update": (
        replace(DIFFERS, leaf=LeafShown.FACTORY, other_firmware=True), Verdict.UPDATED, "10.12.200",
    ),
    "another unit of the model": (replace(DIFFERS, serial=SerialShown.STRANGE), Verdict.REPLACED, "ACCC8E000001"),
    "another unit in factory state": (
        replace(DIFFERS, serial=SerialShown.STRANGE, reset=True), Verdict.REPLACED, "ACCC8E000001",
    ),
    "another model": (
        replace(DIFFERS, serial=SerialShown.STRANGE, other_model=True), Verdict.TAKEN, "of model M1065-LW",
    ),
    "a device of the inventory": (replace(DIFFERS, serial=SerialShown.KNOWN), Verdict.TAKEN, "192.0.2.2"),
    "a product without serial": (replace(DIFFERS, serial=SerialShown.UNTOLD), Verdict.TAKEN, "no serial number"),
    "a claim that is not proved": (replace(DIFFERS, serial=SerialShown.CLAIMED), Verdict.IMPOSTOR, "does not prove"),
    "our key on another unit": (
        replace(DIFFERS, serial=SerialShown.STRANGE, leaf=LeafShown.RECORDED), Verdict.IMPOSTOR, "one device",
    ),
    "another device's key on another unit": (
        replace(DIFFERS, serial=SerialShown.KNOWN, leaf=LeafShown.ANOTHERS), Verdict.IMPOSTOR, "ACCC8E000002",
    ),
    "another device's key": (replace(DIFFERS, leaf=LeafShown.ANOTHERS), Verdict.IMPOSTOR, "ACCC8E000002"),
    "a stolen key": (replace(DIFFERS, leaf=LeafShown.STOLEN), Verdict.IMPOSTOR, "revoked as compromised"),
    "an unreadable certificate": (replace(DIFFERS, leaf=LeafShown.UNREADABLE), Verdict.IMPOSTOR, "cannot be read"),
    "another key": (DIFFERS, Verdict.IMPOSTOR, "another key"),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE)
def test_the_verdict_on_what_contradicts_the_record(case: str) -> None:
    evidence, verdict, words = TABLE[case]
    change = judge(evidence, WORDS)
    assert change is not None
    assert (change.verdict, change.contradicts) == (verdict, True)
    assert words in change.reason
    assert " Nothing was sent. " in change.reason


NOTED: dict[str, tuple[Evidence, Verdict | None]] = {
    "as it was": (Evidence(False), None),
    "no certificate any more": (Evidence(False, leaf=LeafShown.NONE), None),
    "a first certificate": (Evidence(False, leaf=LeafShown.SELF_SIGNED), None),
    "another firmware": (Evidence(False, other_firmware=True), Verdict.UPDATED),
    "factory state": (Evidence(False, leaf=LeafShown.NONE, reset=True), Verdict.RESET),
    "another certificate for its key": (
        Evidence(False, leaf=LeafShown.RECORDED_KEY, leaf_differs=True), Verdict.RENEWED,
    ),
    "another key, by plain HTTP": (replace(DIFFERS, contradicts=False), Verdict.IMPOSTOR),
}  # fmt: skip


@pytest.mark.parametrize("case", NOTED)
def test_the_verdict_on_what_contradicts_nothing(case: str) -> None:
    evidence, verdict = NOTED[case]
    change = judge(evidence, WORDS)
    assert (change and change.verdict, change and change.contradicts) == (verdict, None if verdict is None else False)
    assert change is None or "Nothing was sent" not in change.reason


evidences = st.builds(
    Evidence,
    contradicts=st.booleans(),
    serial=st.sampled_from(SerialShown),
    leaf=st.sampled_from(LeafShown),
    leaf_differs=st.booleans(),
    reset=st.booleans(),
    other_model=st.booleans(),
    other_firmware=st.booleans(),
    clock_lost=st.booleans(),
).filter(lambda evidence: evidence.contradicts or evidence.serial is SerialShown.SAME)
"""Another serial always contradicts the record."""


@given(evidences)
def test_whatever_contradicts_the_record_has_a_verdict_and_a_way_on(evidence: Evidence) -> None:
    change = judge(evidence, WORDS)
    if not evidence.contradicts:
        assert change is None or not change.contradicts
        return
    assert isinstance(change, Change)
    assert change.verdict is not Verdict.MOVED
    assert "fleetseal device" in change.reason
    assert "{" not in change.reason


@given(evidences.filter(lambda evidence: evidence.contradicts))
def test_a_key_of_another_device_is_never_explained_away(evidence: Evidence) -> None:
    change = judge(replace(evidence, leaf=LeafShown.ANOTHERS, serial=SerialShown.SAME), WORDS)
    assert change is not None
    assert change.verdict is Verdict.IMPOSTOR


@given(evidences.filter(lambda evidence: evidence.contradicts))
def test_a_verdict_of_a_harmless_kind_needs_its_evidence(evidence: Evidence) -> None:
    change = judge(evidence, WORDS)
    assert change is not None
    needed = {
        Verdict.RENEWED: evidence.leaf in (LeafShown.FOREIGN, LeafShown.RECORDED_KEY),
        Verdict.RESET: evidence.reset or evidence.leaf is LeafShown.FACTORY or evidence.clock_lost,
        Verdict.UPDATED: evidence.other_firmware,
        Verdict.REPLACED: evidence.serial is SerialShown.STRANGE,
        Verdict.TAKEN: evidence.serial in (SerialShown.KNOWN, SerialShown.STRANGE, SerialShown.UNTOLD),
        Verdict.IMPOSTOR: True,
    }
    assert needed[change.verdict]


def test_what_is_forgotten_by_itself() -> None:
    """A contradiction that is none any more, and what was seen as recorded again; the rest waits for a person."""
    seen = Sight(None, None, False, True, True, None, frozenset(), frozenset(), False)

    def kept(verdict: Verdict, **columns: object) -> bool:
        noted = {"verdict": verdict.value, "reason": "", "since": ""}
        return stays(replace(HEALTHY, last_change=noted, **columns), seen)  # type: ignore[arg-type]  # any columns

    assert not stays(HEALTHY, seen)
    assert not kept(Verdict.UPDATED, identity_problem="It was another one.")
    assert not kept(Verdict.RENEWED)
    assert not kept(Verdict.RESET, needs_setup=True)
    assert kept(Verdict.UPDATED)
    assert kept(Verdict.MOVED)
    assert kept(Verdict.RENEWED, ever_anchored=False)
    assert kept(Verdict.RESET)


# ---------------------------------------------------------------- names


def test_names_that_fit_in_any_spelling_and_order() -> None:
    held = ("192.0.2.1", "GATE.example.org", "2001:0db8::1")
    assert misfit(held, Names("gate.example.org", ("gate.example.org", "2001:db8::1", "192.0.2.1"))) is None
    assert misfit(held[:1], Names("192.0.2.2", ("192.0.2.2",))) == (
        "Its certificate does not name 192.0.2.2, and names 192.0.2.1, which no longer holds."
    )
    assert "no host name is known" in (misfit(held, None) or "")


@pytest.mark.parametrize(
    ("host_name", "held", "fits"),
    [
        ("cam.example.org", ("192.0.2.1",), True),  # told, and only the resolver knows whether it holds
        ("cam.example.org", ("192.0.2.1", "cam.example.org"), True),
        ("cam.example.org", ("192.0.2.1", "old.example.org"), False),
        ("cam.elsewhere.org", ("192.0.2.1", "cam.elsewhere.org"), False),
        (None, ("192.0.2.1",), True),
        (None, ("192.0.2.9",), False),
    ],
)
def test_a_told_name_is_neither_missed_nor_too_many(host_name: str | None, held: tuple[str, ...], fits: bool) -> None:
    device = replace(HEALTHY, host_name=host_name)
    assert (finding(device, held, common_name="address", domains=("example.org",)) is None) is fits
