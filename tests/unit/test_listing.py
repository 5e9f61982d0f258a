"""Filters and order of device rows."""

from typing import Any

import pytest

from fleetseal.core.errors import InvalidInput
from fleetseal.operations.listing import COLUMNS, compile_filters, sort_rows


def row(number: int, **members: Any) -> dict[str, Any]:
    basis = dict.fromkeys(COLUMNS) | {
        "id": number,
        "mac": f"B8:A4:4F:63:13:{number:02X}",
        "status": "OK",
        "address": f"192.0.2.{number}",
        "http_port": 80,
        "https_port": 443,
        "model": "P3265-V",
        "product_type": "Dome Camera",
        "firmware": "12.11.77",
        "server": "default",
        "https": "Enabled",
        "trust": "verified",
        "tags": [],
    }
    return basis | members


CERTIFICATE = {"alias": "a-1", "subject": "CN=gate", "issuer": "CN=Site Issuing CA", "names": ["192.0.2.3"]}
ROWS = [
    row(1, firmware="9.80.2.2", status="Wrong credentials", hostname="lobby.example.org"),
    row(2, firmware="10.12.200", trust="first use", tags=["north", "gate"], server="mill"),
    row(3, firmware="9.8", https="Disabled", certificate=CERTIFICATE),
    row(10, address="2001:db8::1", firmware="", model="", mac=None),
]


def ids(*filters: str) -> list[int]:
    matches = compile_filters(filters)
    return [found["id"] for found in ROWS if matches(found)]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ((), [1, 2, 3, 10]),
        (("",), [1, 2, 3, 10]),
        (("LOBBY",), [1]),
        (("b8:a4:4f:63:13:02",), [2]),
        (("b8a44f631302",), [2]),
        (("2001:db8::1",), [10]),
        (("north mill",), [2]),
        (("north", "lobby"), []),
        (("issuing",), [3]),
        (("certificate:gate",), [3]),
        (("tags:gate",), [2]),
        (("tag:gate",), [2]),
        (("site:mill",), [2]),
        (('status:"wrong credentials"',), [1]),
        (("https:disabled",), [3]),
        (("trust:first",), [2]),
        (("model:p3265",), [1, 2, 3]),
        (("firmware:<9.80",), [3]),
        (("firmware:<=9.80.2.2",), [1, 3]),
        (("firmware:>9.80",), [1, 2]),
        (("firmware:>=10.12.200",), [2]),
        (("firmware:9.8",), [1, 3]),
        (("firmware:<10 status:ok",), [3]),
    ],
)
def test_filters(filters: tuple[str, ...], expected: list[int]) -> None:
    assert ids(*filters) == expected


@pytest.mark.parametrize("text", ["statsu:OK", "password:x", "model:'open", "http:80"])
def test_an_unknown_column_or_an_open_quote_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        compile_filters([text])


@pytest.mark.parametrize(
    ("column", "expected"),
    [("address", [1, 2, 3, 10]), ("firmware", [3, 1, 2, 10]), ("mac", [1, 2, 3, 10]), ("id", [1, 2, 3, 10])],
)
def test_rows_are_sorted_by_the_parts_of_addresses_and_versions(column: str, expected: list[int]) -> None:
    assert [found["id"] for found in sort_rows(list(reversed(ROWS)), column)] == expected


def test_an_unknown_column_to_sort_by_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidInput) as caught:
        sort_rows([], "colour")
    assert all(column in caught.value.message for column in COLUMNS)
