"""The files of import and export: what is read, what is written, and that writing and reading lose nothing."""

import csv
import io
import json

import pytest

from fleetseal.core.errors import InvalidInput
from fleetseal.operations import sheet


def row(**cells: object) -> dict[str, object]:
    return dict.fromkeys(sheet.WRITTEN) | cells


def test_csv_is_read_with_row_numbers_as_a_spreadsheet_shows_them() -> None:
    text = '\ufeffAddress;Tags;https_port\r\n10.0.0.1; "a, b";\r\n\r\n10.0.0.2;"a,b";8443\r\n'
    first, second = sheet.read(text.replace(' "a, b"', '"a, b"'), "csv")
    assert (first.row, dict(first.cells)) == (2, {"address": "10.0.0.1", "tags": "a, b"})
    assert (second.row, second.cells["https_port"]) == (4, "8443")


@pytest.mark.parametrize("value", ["=1+1", "+1", "-1", "@x", "'=1", " =1", "\uff1d1", "'plain", "\uff201"])
def test_a_formula_is_text_in_the_file_and_itself_again_after_reading(value: str) -> None:
    text = sheet.write([row(address="10.0.0.1", site=value, model=value)], "csv")
    cells = next(csv.DictReader(io.StringIO(text, newline="")))
    assert cells["model"] == cells["site"] == "'" + value
    (entry,) = sheet.read(text, "csv")
    assert entry.cells["site"] == value
    assert "model" not in entry.cells


def test_control_characters_make_no_second_line() -> None:
    text = sheet.write([row(address="10.0.0.1", model="\t=1\r\n2")], "csv")
    (cells,) = csv.DictReader(io.StringIO(text, newline=""))
    assert cells["model"] == "'\t=1\r\n2"


def test_json_gives_back_the_same() -> None:
    text = sheet.write([row(address="10.0.0.1", http_port=81, tags=["a", "b"], site="=1")], "json")
    (entry,) = sheet.read(text, "json")
    assert entry.cells == {"address": "10.0.0.1", "http_port": "81", "tags": "a,b", "site": "=1"}


def test_a_password_is_taken_as_it_is_and_never_shown() -> None:
    (entry,) = sheet.read("address,username,password\n10.0.0.1,root,' =secret \n", "csv")
    assert entry.cells["password"] == "' =secret "
    assert "secret" not in repr(entry)
    assert "password" not in sheet.WRITTEN


@pytest.mark.parametrize(
    ("text", "form", "said"),
    [
        ("", "csv", "No column is called address"),
        ("host\nx\n", "csv", "No column is called address"),
        ("address,colour\n10.0.0.1,red\n", "csv", "Nobody knows the columns: colour"),
        ("address,address\n10.0.0.1,\n", "csv", "Two columns have one name"),
        ('address\n"10.0.0.1\n', "csv", "The file is not CSV"),
        ("{", "json", "The file is not JSON"),
        ("[" * 100_000, "json", "The file is not JSON"),
        ('{"address": "10.0.0.1"}', "json", "no JSON array of objects"),
        ('[{"address": "10.0.0.1", "colour": "red"}]', "json", "Nobody knows the columns: colour"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_whole(text: str, form: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        sheet.read(text, form)
    assert "Nothing was imported." in caught.value.message


def test_what_is_wrong_in_a_row_is_said_of_the_row() -> None:
    _, wide = sheet.read("address,site\n10.0.0.1,a\n10.0.0.2,a,b\n", "csv")
    assert (wide.row, wide.problem) == (3, "It has 3 cells under 2 headings.")
    rows = [{"address": 5}, {"address": "10.0.0.1", "http_port": True}, {"address": "10.0.0.1", "tags": [1]}]
    problems = [entry.problem for entry in sheet.read(json.dumps(rows), "json")]
    assert problems == [f'"{name}" is of the wrong type.' for name in ("address", "http_port", "tags")]
