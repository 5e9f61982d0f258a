"""Loaded by the processes of tests/e2e/test_faked_night.py: libfaketime 0.9.10 breaks `clock_nanosleep` on the
monotonic clock, which is what `time.sleep` calls."""

import select
import time
from typing import SupportsIndex


def _sleep(seconds: float | SupportsIndex, /) -> None:
    select.select([], [], [], float(seconds))


time.sleep = _sleep
