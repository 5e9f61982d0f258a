"""The tables. Promises are kept by constraints and partial unique indexes, not by Python.

Times are ISO 8601 UTC text (type `Moment`), so that SQLite and PostgreSQL order them alike.
The conditions of partial indexes on PostgreSQL stand in the migrations alone: named here, they would load that
dialect into every command.
Sealed columns hold `core.secrets.Sealer` output, bound to table, row, column and version (SEC-SEALED).
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeDecorator

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Moment(TypeDecorator[datetime]):
    """An aware UTC datetime, stored as text of fixed width that sorts by time."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromisoformat(value)


device = Table(
    "device",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("serial", String(12), unique=True),  # null: nothing told it (T85)
    Column("address", String(255), nullable=False),  # address or host name that is dialled
    Column("host_name", String(253)),
    Column("host_name_typed", Boolean, nullable=False, default=False),  # by a person or an import
    Column("http_port", Integer, nullable=False),
    Column("https_port", Integer, nullable=False),
    Column("legacy_tls", Boolean, nullable=False, default=False),
    Column("site", String(64), nullable=False),
    Column("tags", JSON, nullable=False),
    Column("model", String(64), nullable=False, default=""),
    Column("product_type", String(64), nullable=False, default=""),
    Column("firmware", String(32), nullable=False, default=""),
    Column("generation", String(16)),
    Column("support", String(16), nullable=False, default="supported"),
    Column("support_reason", Text, nullable=False, default=""),
    Column("needs_setup", Boolean, nullable=False, default=False),
    Column("username", String(64)),
    Column("password_sealed", LargeBinary),
    Column("password_version", Integer, nullable=False, default=0),  # grows with each change
    Column("password_refused_version", Integer),  # the version that the device refused: not sent again
    Column("trust_level", String(16), nullable=False, default="none"),
    Column("trust_pin", LargeBinary),  # SHA-256 of the certificate; with `verified`: one of another issuer
    Column("ever_anchored", Boolean, nullable=False, default=False),
    Column("plain_accepted", Boolean, nullable=False, default=False),  # `plain` at a person's word
    Column("identity_problem", Text),  # not null: Identity changed, and why
    Column("trust_problem", Text),  # not null: Certificate not trusted, and why
    Column("last_change", JSON(none_as_null=True)),  # {"verdict", "reason", "since"}: why it is not as it was
    Column("reachable", Boolean, nullable=False, default=True),
    Column("unreachable_reason", Text, nullable=False, default=""),
    Column("clock_offset", Float),  # seconds, device minus ours
    Column("tls", Boolean),  # null: policy not read
    Column("policy", String(8)),
    Column("bound_alias", String(128)),
    Column("served_der", LargeBinary),  # leaf the device serves
    Column("served_source", String(16)),  # CertificateSource
    Column("chain_sent", Boolean),  # null: never verified
    Column("entries", JSON, nullable=False, default=list),  # [{"alias", "source", "not_after", "in_use"}] with key
    Column("added", Moment, nullable=False),
    Column("last_seen", Moment),
    Column("last_read", Moment),  # when it was last looked at in full, whatever came of it
    UniqueConstraint("address", "https_port"),
    sqlite_autoincrement=True,  # an id is never used again: sealed cells are bound to it
)

Index(
    "uq_device_typed_host_name",
    device.c.host_name,
    unique=True,
    sqlite_where=text("host_name_typed = 1"),
)

credential = Table(
    "credential",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),  # the order in which they are tried
    Column("name", String(64), nullable=False, unique=True),
    Column("username", String(64), nullable=False),
    Column("password_sealed", LargeBinary, nullable=False),  # version 1: never changed
    Column("added", Moment, nullable=False),
    sqlite_autoincrement=True,  # an id is never used again: sealed cells are bound to it
)

credential_try = Table(
    "credential_try",
    metadata,
    Column("credential_id", ForeignKey("credential.id", ondelete="CASCADE"), primary_key=True),
    Column("device_id", Integer, primary_key=True, autoincrement=False),
    Column("day", String(10), nullable=False),  # UTC, 2026-11-23: of the last try that was refused, or not yet judged
)

authority = Table(
    "authority",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String(64), nullable=False),
    Column("role", String(16), nullable=False),  # root | intermediate
    Column("parent_id", ForeignKey("authority.id")),
    Column("der", LargeBinary),  # null: requested, not yet completed
    Column("request_der", LargeBinary),  # CSR of `ca request`
    Column("sha256", String(64), unique=True),
    Column("tiers", Integer, nullable=False),
    Column("signs_leaves", Boolean, nullable=False),
    Column("key_file", String(128)),  # in DATA/ca; null: no key here (trust only, or signed by a foreign root)
    Column("key_sealing", String(16)),  # passphrase | signer (signer.key)
    Column("remembered", Boolean, nullable=False, default=False),  # passphrase kept beside, sealed by signer.key
    Column("state", String(16), nullable=False),  # store/authorities.py
    Column("last_signed", Moment),  # REN-CLOCK-SANE
    Column("created", Moment, nullable=False),
    CheckConstraint("role in ('root', 'intermediate')", name="role"),
    sqlite_autoincrement=True,
)

device_authority = Table(
    "device_authority",
    metadata,
    Column("device_id", ForeignKey("device.id", ondelete="CASCADE"), primary_key=True),
    Column("authority_id", ForeignKey("authority.id"), primary_key=True, index=True),
    Column("read_back", Moment, nullable=False),  # when the device was last seen to hold this CA certificate
)

issuance = Table(
    "issuance",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("authority_id", ForeignKey("authority.id"), nullable=False),
    Column("serial", String(40), nullable=False),  # of the certificate: 40 lower-case hex digits
    Column("device_id", Integer),  # stays when the device is forgotten; null: a CA's or this server's
    Column("mac", String(12)),
    Column("job_id", Integer),
    Column("task_id", Integer),  # stays when the task is pruned
    Column("purpose", String(16), nullable=False),  # https | ca | server: of this server itself
    Column("origin", String(8), nullable=False),  # KeyOrigin; `device` or `manager`
    Column("alias", String(128)),
    Column("content", JSON, nullable=False),  # everything that `pki` needs to build the same bytes again
    Column("tbs_sha256", String(64), nullable=False),
    Column("spki_sha256", String(64), nullable=False),
    Column("state", String(16), nullable=False),  # intended | issued | installed | superseded | abandoned | revoked
    Column("der", LargeBinary),
    Column("sha256", String(64)),
    Column("subject", Text, nullable=False),
    Column("names", JSON, nullable=False),
    Column("not_before", Moment, nullable=False),
    Column("not_after", Moment, nullable=False),
    Column("renew_at", Moment),  # REN-IN-TIME, computed once
    Column("created", Moment, nullable=False),
    Column("installed", Moment),
    Column("superseded", Moment),
    Column("revoked", Moment),
    Column("revocation_reason", String(32)),  # in the words of RFC 5280 5.3.1
    Column("reissue", String(16)),  # RenewalCause: to be replaced whatever its dates
    UniqueConstraint("authority_id", "serial"),
    CheckConstraint("state = 'intended' or state = 'abandoned' or der is not null", name="signed"),
    sqlite_autoincrement=True,
)
Index(
    "uq_issuance_open_intent",
    issuance.c.job_id,
    issuance.c.origin,
    unique=True,
    sqlite_where=text("state in ('intended', 'issued')"),
)
Index(
    "uq_issuance_installed",
    issuance.c.device_id,
    issuance.c.purpose,
    unique=True,
    sqlite_where=text("state = 'installed'"),
)
Index("ix_issuance_device", issuance.c.device_id, issuance.c.state)
Index("ix_issuance_sha256", issuance.c.sha256)
Index("ix_issuance_serial", issuance.c.serial)
Index("ix_issuance_state", issuance.c.state, issuance.c.authority_id)
Index("ix_issuance_renewal", issuance.c.state, issuance.c.renew_at)  # what is due is found without a scan
Index("ix_issuance_reissue", issuance.c.state, issuance.c.reissue)
Index("ix_issuance_created", issuance.c.created)

crl = Table(
    "crl",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("authority_id", ForeignKey("authority.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", String(16), nullable=False),  # intended | issued | abandoned
    Column("this_update", Moment, nullable=False),
    Column("next_update", Moment, nullable=False),
    Column("entries", Integer, nullable=False),  # how many certificates are on it
    Column("content", JSON(none_as_null=True)),  # what `pki` builds the bytes from; null: pruned, as `der` is
    Column("tbs_sha256", String(64), nullable=False),
    Column("der", LargeBinary),
    Column("sha256", String(64)),
    Column("actor", String(64), nullable=False),
    Column("created", Moment, nullable=False),
    UniqueConstraint("authority_id", "number"),
    sqlite_autoincrement=True,
)
Index("uq_crl_open_intent", crl.c.authority_id, unique=True, sqlite_where=text("state = 'intended'"))

device_key = Table(
    "device_key",
    metadata,
    Column("spki_sha256", String(64), primary_key=True),  # ISS-KEY-PROVED: a key belongs to one device for ever
    Column("device_id", Integer, nullable=False),
    Column("first_seen", Moment, nullable=False),
)

task = Table(
    "task",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("action", String(32), nullable=False),
    Column("wish", JSON, nullable=False),
    Column("actor", String(64)),  # who asked; null: on no record
    Column("requested", Moment, nullable=False),
    Column("started", Moment),
    Column("finished", Moment),
    Column("cancelled", Boolean, nullable=False, default=False),
    Column("stopped", Text),  # why the waves stopped, for people
    sqlite_autoincrement=True,
)

job = Table(
    "job",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("task_id", ForeignKey("task.id", ondelete="CASCADE"), nullable=False),
    Column("device_id", Integer, nullable=False),
    Column("mac", String(12)),
    Column("address", String(255), nullable=False),
    Column("cohort", String(128), nullable=False),  # model and firmware: the canary's group
    Column("named", Boolean, nullable=False),  # named explicitly, not met through --all or --filter
    Column("status", String(16), nullable=False),
    Column("active", Boolean, nullable=False),  # until run_job itself has returned for the last time
    Column("released", Boolean, nullable=False, default=False),  # its wave has begun
    Column("run_number", Integer, nullable=False, default=0),
    Column("run_after", Moment),  # not before: soak, retry
    Column("attempts", Integer, nullable=False, default=0),  # transient failures in this task
    Column("first_failure", Moment),
    Column("harmed", Boolean, nullable=False, default=False),  # left worse than before
    Column("unwinding", Text),  # not null: undos are running, and the reason
    Column("description", Text, nullable=False, default=""),
    Column("error_code", String(32)),
    Column("finished", Moment),
    sqlite_autoincrement=True,
)
Index(
    "uq_job_active_device",
    job.c.device_id,
    unique=True,
    sqlite_where=text("active = 1"),
)
Index("ix_job_task", job.c.task_id)
Index("ix_job_device", job.c.device_id)

job_step = Table(
    "job_step",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("job_id", ForeignKey("job.id", ondelete="CASCADE"), nullable=False),
    Column("name", String(64), nullable=False),
    Column("kind", String(8), nullable=False),  # device | local
    Column("state", String(8), nullable=False),  # begun | done | undone | failed
    Column("undo", JSON),  # {"verb": …}: recorded before the act
    Column("result", JSON),
    Column("detail", Text, nullable=False, default=""),
    Column("at", Moment, nullable=False),
    UniqueConstraint("job_id", "name"),
    sqlite_autoincrement=True,
)

job_bundle = Table(
    "job_bundle",
    metadata,
    Column("job_id", ForeignKey("job.id", ondelete="CASCADE"), primary_key=True),
    Column("file", Text, nullable=False),  # as the person named it
    Column("leaf", LargeBinary, nullable=False),
    Column("above", JSON, nullable=False),  # CA certificates of its chain, lowest first, hexadecimal DER
    Column("key_sealed", LargeBinary),  # version 1: never changed; null: the job has ended
)

learned = Table(
    "learned",
    metadata,
    Column("model", String(64), primary_key=True),
    Column("firmware", String(32), primary_key=True),
    Column("key_origin", String(8), nullable=False),  # what worked there last
    Column("reason", Text, nullable=False, default=""),
    Column("at", Moment, nullable=False),
)

alarm = Table(
    "alarm",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("cause", String(48), nullable=False),
    Column("object", String(128), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("message", Text, nullable=False),
    Column("since", Moment, nullable=False),
    Column("acknowledged", Moment),
    Column("closed", Moment),
    Column("expires", Moment),  # of what it warns about: people are reminded as that comes nearer
    sqlite_autoincrement=True,
)
Index(
    "uq_alarm_open",
    alarm.c.cause,
    alarm.c.object,
    unique=True,
    sqlite_where=text("closed is null"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("action", String(64), nullable=False),
    Column("object", String(255), nullable=False),
    Column("detail", JSON, nullable=False),
    Column("previous", String(64), nullable=False),  # SHA-256 of the record before
    Column("hash", String(64), nullable=False, unique=True),
    sqlite_autoincrement=True,
)

night = Table(
    "night",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("window", String(40), unique=True),  # REN-ONCE-A-NIGHT: its one run; null: asked for by a command
    Column("begun", Moment, nullable=False),
    Column("planned", Moment),  # what is to be renewed is decided, and `task_id` says where
    Column("finished", Moment),
    Column("task_id", Integer),  # null: nothing was to be renewed
    Column("skipped", JSON, nullable=False),  # [{"device", "mac", "reason", "needs_person"}]
    Column("waited", Boolean, nullable=False, default=False),  # something was due, and the CA key was locked
    Column("succeeded", Boolean, nullable=False, default=False),
    Column("report", JSON),
    sqlite_autoincrement=True,
)

installation = Table(
    "installation",
    metadata,
    Column("id", Integer, primary_key=True),  # always 1
    Column("instance", String(8), nullable=False),  # in every alias we make (DEV-OWN-ONLY)
    Column("created", Moment, nullable=False),
)

setting = Table(
    "setting",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
    Column("changed", Moment, nullable=False),
)
