"""``spec.ledger`` of the ``Mixer`` document: where usage records are kept."""

import re
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from mixer.config.model import Model
from mixer.config.secret import SecretSource
from mixer.config.store import LocatedPath
from mixer.config.units import duration_between, quantity_between

MIB = 1 << 20

_DSN = "must be postgresql://user@host:port/database, or host=... dbname=... as libpq reads it"
_ESCAPED = "must have one @ at most, before the host: what else a password has is escaped, as %40"
_KEYWORDS = re.compile(r"\s*[a-z_]+\s*=.*", re.DOTALL)
_PASSWORD = re.compile(r"(?:^|[\s?&])password\s*=")

CommitInterval = Annotated[float, BeforeValidator(duration_between("0s", "1s"))]
Timeout = Annotated[float, BeforeValidator(duration_between("1s", "5m"))]
PendingSize = Annotated[int, BeforeValidator(quantity_between("1Mi", "16Gi"))]


def _check_dsn(text: str) -> str:
    """Check that it may be one; the message has nothing of it, since a password may be in it."""
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError(_DSN) from None
    is_url = parts.scheme in {"postgresql", "postgres"}
    if is_url and (text.count("@") > 1 or text.count("@") != parts.netloc.count("@")):
        raise ValueError(_ESCAPED)  # libpq would tell what is behind the first one as the host
    if not text.isprintable() or not (is_url or _KEYWORDS.fullmatch(text)):
        raise ValueError(_DSN)
    return text


Dsn = Annotated[str, AfterValidator(_check_dsn)]


def _has_password(dsn: str) -> bool:
    parts = urlsplit(dsn)
    in_url = parts.scheme in {"postgresql", "postgres"} and parts.password is not None
    return in_url or _PASSWORD.search(dsn) is not None


class SqliteStore(Model):
    """In a file of SQLite, for the processes of one host.

    Attributes:
        path: Of the file, on a local disk; made where it is not there, and of this user alone.
            Absolute here; in YAML absolute, or relative to the folder of the file.
    """

    path: LocatedPath


class PostgresqlStore(Model):
    """In a PostgreSQL database, for many hosts.

    Attributes:
        dsn: ``postgresql://user@host:port/database``, or libpq's ``host=... dbname=...``.
        dsn_from: Where it is read from instead.
        password_from: Where the password is read from, if there is none in the DSN.
        timeout: Seconds for a connection and for each statement, 1s to 5m; a duration in YAML.
    """

    dsn: Annotated[Dsn | None, Field(repr=False)] = None
    dsn_from: SecretSource | None = None
    password_from: SecretSource | None = None
    timeout: Timeout = 10.0

    @model_validator(mode="after")
    def _one_dsn(self) -> Self:
        if (self.dsn is None) == (self.dsn_from is None):
            raise ValueError("must have one of dsn and dsnFrom")
        if self.dsn_from is not None:
            _check_dsn(self.location)
        if self.password_from is not None and _has_password(self.location):
            raise ValueError("must have one password: in the DSN, or in passwordFrom")
        return self

    @property
    def location(self) -> str:
        """The DSN, wherever it is from; it may have a password in it."""
        return self.dsn_from.reveal() if self.dsn_from else self.dsn or ""

    @property
    def password(self) -> str | None:
        """The password, unless it is in the DSN or there is none."""
        return self.password_from.reveal() if self.password_from else None


class LedgerSettings(Model):
    """Where usage records are kept, in one of the two, and what may wait for it.

    Attributes:
        sqlite: In a file.
        postgresql: In a database.
        max_pending_records: Records that are taken on and not stored, 1 to 10000000; more are
            refused to the adapter.
        max_pending_bytes: Bytes of them, with 512 more for each, 1Mi to 16Gi; a quantity in YAML.
        commit_interval: Seconds that a commit waits for more records, 0s to 1s; a duration in YAML.
    """

    sqlite: SqliteStore | None = None
    postgresql: PostgresqlStore | None = None
    max_pending_records: Annotated[int, Field(ge=1, le=10_000_000)] = 65_536
    max_pending_bytes: PendingSize = 64 * MIB
    commit_interval: CommitInterval = 0.0

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.sqlite is None) == (self.postgresql is None):
            raise ValueError("must have one of sqlite and postgresql")
        return self

    @property
    def kind(self) -> str:
        """The name of the field that says where."""
        return "postgresql" if self.sqlite is None else "sqlite"
