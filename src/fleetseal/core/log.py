"""Log records on one stream, as text or JSON lines, with secrets kept out (SEC-NO-LEAK)."""

import json
import logging
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from fleetseal.core.secrets import Secret
from fleetseal.core.text import clean

REDACTED: Final = "***"
_SECRET_NAMES: Final = ("password", "passphrase", "secret", "token", "authorization", "cookie", "private_key", "pkcs12")
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_REPEATED: Final = frozenset({"color_message"})  # uvicorn: the message once more, with escape sequences
_HANDLER_NAME: Final = "fleetseal"
_LONGEST: Final = 4000


def configure(stream: TextIO, *, level: int = logging.INFO, json_lines: bool = False) -> None:
    """All loggers write to `stream`, in one format. Calling it again replaces the earlier choice.

    The job engine logs a traceback for each job that fails as foreseen: it is heard from WARNING on.
    """
    handler = logging.StreamHandler(stream)
    handler.name = _HANDLER_NAME
    handler.setFormatter(Formatter(json_lines=json_lines))
    root, engine = logging.getLogger(), logging.getLogger("dbos")
    for logger in (root, engine):  # without a handler of its own, the engine gives itself one that redacts nothing
        for former in [other for other in logger.handlers if other.name == _HANDLER_NAME]:
            logger.removeHandler(former)
        logger.addHandler(handler)
    engine.propagate = False
    root.setLevel(level)
    for noisy in ("dbos", "alembic", "uvicorn.access", "aiosqlite"):
        logging.getLogger(noisy).setLevel(max(level, logging.WARNING))


class Formatter(logging.Formatter):
    """One line a record: time, level, logger, message, then the members given as `extra`.

    Members whose name tells of a secret, and values that are a `Secret`, are shown as `***`, at any depth.
    """

    def __init__(self, *, json_lines: bool) -> None:
        super().__init__()
        self._json_lines = json_lines

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        members = {name: _redact(name, value) for name, value in vars(record).items() if name not in _OWN | _REPEATED}
        message = clean(record.getMessage(), limit=_LONGEST)
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        if self._json_lines:
            content = {"at": at, "level": record.levelname, "logger": record.name, "message": message, **members}
            return json.dumps(content | ({"traceback": trace} if trace else {}), ensure_ascii=False, default=_text)
        shown = "".join(f" {name}={clean(_text(value), limit=_LONGEST)}" for name, value in members.items())
        lines = "".join(f"\n  {clean(line, limit=_LONGEST)}" for line in trace.splitlines())
        return f"{at} {record.levelname} {record.name}: {message}{shown}{lines}"


def _redact(name: str, value: Any) -> Any:
    """`value` as it may be written under `name`."""
    if isinstance(value, Secret) or any(word in name.lower() for word in _SECRET_NAMES):
        return REDACTED
    if isinstance(value, dict):
        return {str(key): _redact(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redact(name, inner) for inner in value]
    return value


def _text(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
