"""The tables of who may ask: users, their sessions, API tokens, guesses. The others are in `store/schema.py`.

What lets somebody in is kept as its SHA-256 (random values of 256 bits, or 80 with few guesses) or, for passwords,
as an argon2id hash.
"""

from sqlalchemy import Column, ForeignKey, Integer, LargeBinary, String, Table, Text

from fleetseal.store.schema import Moment, metadata

account = Table(
    "account",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("password", Text, nullable=False),  # an argon2id hash
    Column("created", Moment, nullable=False),
    Column("last_seen", Moment),
    sqlite_autoincrement=True,
)

session = Table(
    "session",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("sha256", LargeBinary, nullable=False, unique=True),  # of what the cookie holds
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created", Moment, nullable=False),
    Column("seen", Moment, nullable=False),  # the last request, to the minute
    Column("confirmed", Moment),  # when the password was given again
    Column("address", String(64)),  # from where it was opened
    sqlite_autoincrement=True,
)

api_token = Table(
    "api_token",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("sha256", LargeBinary, nullable=False, unique=True),
    Column("scope", String(16), nullable=False),  # a role
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), index=True),  # null: made on this computer
    Column("created", Moment, nullable=False),
    Column("expires", Moment, nullable=False),
    Column("last_used", Moment),  # to the minute
    sqlite_autoincrement=True,
)

guess = Table(
    "guess",
    metadata,
    Column("key", String(80), primary_key=True),  # "name:", "address:" or "session:", and a SHA-256
    Column("failures", Integer, nullable=False),  # in a row
    Column("latest", Moment, nullable=False, index=True),
    Column("next", Moment, nullable=False),  # no guess is looked at before
)

setup_code = Table(
    "setup_code",
    metadata,
    Column("id", Integer, primary_key=True),  # always 1
    Column("sha256", LargeBinary, nullable=False),
    Column("expires", Moment, nullable=False),
    Column("wrong", Integer, nullable=False),
)
