"""What a glance says of a device: as on record, to be read in full, or missed."""

from dataclasses import replace
from datetime import timedelta

import pytest

from fleetseal.core.model import Device, Serial
from fleetseal.devices.driver import Glance
from fleetseal.operations.glances import READ_EVERY, Finding, judge
from tests.support import NOW
from tests.unit.test_states import HEALTHY

LEAF = b"the certificate on record"
SERIAL = Serial("B8A44F631339")
SECURE = Glance(LEAF, asked=True, serial=SERIAL, firmware="12.11.77", date=NOW)
PLAIN = replace(SECURE, leaf=None)


def known(**changes: object) -> Device:
    basis = {"served_der": LEAF, "last_read": NOW - timedelta(hours=1)}
    return replace(HEALTHY, **(basis | changes))  # type: ignore[arg-type]  # any column


@pytest.mark.parametrize(
    ("before", "seen", "finding"),
    [
        (known(), SECURE, Finding.UNCHANGED),
        (known(), replace(SECURE, serial=None, firmware=None, date=None), Finding.UNCHANGED),  # its key proves it
        (known(served_der=None), PLAIN, Finding.UNCHANGED),
        (known(served_der=None, serial=None), replace(PLAIN, serial=None), Finding.UNCHANGED),
        (known(), Glance(b"another", asked=False), Finding.READ),
        (known(served_der=None), Glance(b"its first", asked=False), Finding.READ),
        (known(), replace(SECURE, serial=Serial("B8A44F000001")), Finding.READ),
        (known(served_der=None), replace(PLAIN, serial=Serial("B8A44F000001")), Finding.READ),
        (known(serial=None), SECURE, Finding.READ),
        (known(), replace(SECURE, firmware="12.12.1"), Finding.READ),
        (known(reachable=False), SECURE, Finding.READ),
        (known(reachable=False), Glance(b"another", asked=False), Finding.READ),
        (known(served_der=None), replace(PLAIN, serial=None), Finding.MISSED),
        (known(served_der=None, reachable=False), replace(PLAIN, serial=None), Finding.MISSED),
        (known(), replace(SECURE, date=NOW - timedelta(minutes=6)), Finding.READ),
        (known(), replace(SECURE, date=NOW - timedelta(minutes=4)), Finding.UNCHANGED),
        (known(clock_offset=-4000.0), replace(SECURE, date=NOW - timedelta(minutes=90)), Finding.UNCHANGED),
        (known(clock_offset=-4000.0), SECURE, Finding.READ),
        (known(clock_offset=-4000.0), replace(SECURE, date=None), Finding.UNCHANGED),
        (known(last_read=None), SECURE, Finding.READ),
        (known(last_read=NOW - READ_EVERY), SECURE, Finding.READ),
        (known(last_read=NOW - READ_EVERY + timedelta(seconds=1)), SECURE, Finding.UNCHANGED),
        (known(last_read=NOW + READ_EVERY), SECURE, Finding.READ),
    ],
)
def test_what_differs_from_the_record_is_read(before: Device, seen: Glance, finding: Finding) -> None:
    assert judge(before, seen, NOW) is finding
