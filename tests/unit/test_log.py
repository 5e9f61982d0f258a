"""Log lines: one a record, no secret in any of them, no control characters from devices."""

import io
import json
import logging

import pytest

from fleetseal.core import log
from fleetseal.core.secrets import Secret

CANARY = "canary-5f1"


def written(*, json_lines: bool, message: str = "looked", extra: dict[str, object] | None = None) -> str:
    stream = io.StringIO()
    log.configure(stream, json_lines=json_lines)
    logging.getLogger("fleetseal.test").info(message, extra=extra)
    return stream.getvalue()


@pytest.mark.parametrize("json_lines", [True, False])
def test_secrets_are_redacted_at_any_depth(json_lines: bool) -> None:
    extra: dict[str, object] = {
        "device": 7,
        "password": CANARY,
        "login": {"username": "root", "Password": CANARY, "nested": [{"api_token": CANARY}]},
        "anything": Secret(CANARY),
        "many": (Secret(CANARY),),
    }
    line = written(json_lines=json_lines, extra=extra)
    assert CANARY not in line
    assert "root" in line
    assert log.REDACTED in line


def test_a_json_line_is_one_document_with_its_members() -> None:
    line = written(json_lines=True, message="looked\nat it", extra={"device": 7})
    assert line.count("\n") == 1
    document = json.loads(line)
    assert {name: document[name] for name in ("level", "logger", "device")} == {
        "level": "INFO",
        "logger": "fleetseal.test",
        "device": 7,
    }
    assert document["at"].endswith("Z")


def test_text_from_devices_cannot_forge_a_line() -> None:
    line = written(json_lines=False, message="model \x1b[2Jx\n2026-01-01 ERROR forged", extra={"model": "a\nb\x07"})
    assert line.count("\n") == 1
    assert "\x1b" not in line
    assert "\x07" not in line


def test_a_message_is_not_repeated_in_colour() -> None:
    stream = io.StringIO()
    log.configure(stream)
    logging.getLogger("uvicorn.error").info("Finished", extra={"color_message": "\x1b[36mFinished\x1b[0m"})
    assert stream.getvalue().endswith(" INFO uvicorn.error: Finished\n")


def test_a_traceback_is_kept_with_its_record() -> None:
    stream = io.StringIO()
    log.configure(stream, json_lines=True)
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("fleetseal.test").exception("failed")
    assert "ValueError: broken" in json.loads(stream.getvalue())["traceback"]


def test_the_job_engine_is_heard_from_warning_on() -> None:
    stream = io.StringIO()
    log.configure(stream)
    logging.getLogger("dbos").info("started")
    logging.getLogger("dbos").warning("late")
    assert [line.split(": ", 1)[1] for line in stream.getvalue().splitlines()] == ["late"]


def test_configuring_again_replaces_the_first_choice() -> None:
    first, second = io.StringIO(), io.StringIO()
    log.configure(first)
    log.configure(second)
    logging.getLogger("fleetseal.test").info("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1
