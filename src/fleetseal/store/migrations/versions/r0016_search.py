"""Devices are searched by the runs of three characters in their texts."""

from alembic import op

revision = "0016"
down_revision = "0015"

_SEARCHED = ("device_id", "mac", "address", "hostname", "certificate")


def _words(row: str) -> str:
    return " || char(10) || ".join(f"{row}.{name}" for name in _SEARCHED)


_SEARCH = "INSERT INTO device_search"
_FOUND = f"{_SEARCH} (rowid, words) VALUES (new.device_id, {_words('new')});"
_LOST = f"{_SEARCH} (device_search, rowid, words) VALUES ('delete', old.device_id, {_words('old')});"
_TRIGGERS = {
    "device_search_insert": f"AFTER INSERT ON device_text BEGIN {_FOUND} END",
    "device_search_delete": f"AFTER DELETE ON device_text BEGIN {_LOST} END",
    "device_search_update": "AFTER UPDATE ON device_text "
    f"WHEN {_words('old')} IS NOT {_words('new')} BEGIN {_LOST} {_FOUND} END",
}


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    op.execute(
        "CREATE VIRTUAL TABLE device_search USING "
        "fts5(words, content='', columnsize=0, detail=none, tokenize='trigram case_sensitive 1')"
    )
    texts = f"SELECT device_id, {_words('device_text')} FROM device_text"  # noqa: S608 - constants of this module
    op.execute(f"{_SEARCH} (rowid, words) {texts}")
    for name, text in _TRIGGERS.items():
        op.execute(f"CREATE TRIGGER {name} {text}")
