"""The channels of alarms, what is to be sent through them, and what was told about which alarm."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_WAITING = "sent is null and abandoned is null"


def upgrade() -> None:
    op.add_column("alarm", sa.Column("expires", sa.String(length=27), nullable=True))
    op.create_table(
        "alarm_channel",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("secret_version", sa.Integer(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", sa.String(length=27), nullable=True),
        sa.Column("next_try", sa.String(length=27), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("last_sent", sa.String(length=27), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_alarm_channel")),
    )
    op.create_table(
        "alarm_message",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("created", sa.String(length=27), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("sent", sa.String(length=27), nullable=True),
        sa.Column("abandoned", sa.String(length=27), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarm_message")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_alarm_message_waiting",
        "alarm_message",
        ["channel"],
        unique=False,
        sqlite_where=sa.text(_WAITING),
        postgresql_where=sa.text(_WAITING),
    )
    op.create_table(
        "alarm_notice",
        sa.Column("alarm_id", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("event", sa.String(length=16), nullable=False),
        sa.Column("message_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["alarm_id"], ["alarm.id"], name=op.f("fk_alarm_notice_alarm_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("alarm_id", "channel", "event", name=op.f("pk_alarm_notice")),
    )
