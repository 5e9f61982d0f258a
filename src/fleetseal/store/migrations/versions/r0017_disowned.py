"""Lists tell of certificates that are revoked or superseded."""

from alembic import op

revision = "0017"
down_revision = "0016"

_TELLS = (
    "WHEN new.sha256 IS NOT NULL BEGIN DELETE FROM change WHERE kind = 'device' AND object IN "
    "(SELECT device_id FROM device_listing WHERE served = new.sha256); "
    "INSERT INTO change (kind, object, gone) "
    "SELECT 'device', device_id, 0 FROM device_listing WHERE served = new.sha256; END"
)


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER change_issuance_update")
        op.execute(
            "CREATE TRIGGER change_issuance_update AFTER UPDATE OF sha256, origin, purpose, superseded, revoked "
            f"ON issuance {_TELLS}"
        )
