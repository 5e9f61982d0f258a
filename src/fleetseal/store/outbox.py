"""The tables of alarms on their way to people; the others are in `store/schema.py`. `metadata` holds all of them."""

from sqlalchemy import JSON, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text, text

from fleetseal.store.schema import Moment, metadata

__all__ = ["alarm_channel", "alarm_message", "alarm_notice", "metadata"]

alarm_channel = Table(
    "alarm_channel",
    metadata,
    Column("name", String(16), primary_key=True),  # email | webhook | syslog
    Column("secret_sealed", LargeBinary),
    Column("secret_version", Integer, nullable=False, default=0),  # grows with each change
    Column("target", Text, nullable=False, default=""),  # the setting that what follows is about
    Column("failures", Integer, nullable=False, default=0),  # since the last success
    Column("failing_since", Moment),
    Column("next_try", Moment),
    Column("error", Text, nullable=False, default=""),
    Column("last_sent", Moment),
)

alarm_message = Table(
    "alarm_message",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("channel", String(16), nullable=False),
    Column("content", JSON, nullable=False),  # all of the notice but its time
    Column("created", Moment, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("sent", Moment),
    Column("abandoned", Moment),
    Column("error", Text, nullable=False, default=""),  # of the last attempt
    sqlite_autoincrement=True,
)
Index(
    "ix_alarm_message_waiting",
    alarm_message.c.channel,
    sqlite_where=text("sent is null and abandoned is null"),
)

alarm_notice = Table(
    "alarm_notice",
    metadata,
    Column("alarm_id", ForeignKey("alarm.id", ondelete="CASCADE"), primary_key=True),
    Column("channel", String(16), primary_key=True),
    Column("event", String(16), primary_key=True),  # opened | closed | days before the end: 30, 15, 7, 1
    Column("message_id", Integer, nullable=False),  # tells it
)
