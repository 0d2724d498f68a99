"""Where shared state is kept: in the process, on the host, or on a server."""

import re
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from mixer.config.model import Model
from mixer.config.secret import SecretSource, located
from mixer.config.units import duration_between, quantity_between

GIB = 1 << 30

_URL = "must be redis://host:port/database, rediss://host:port/database or unix:///path"
_DATABASE = re.compile(r"/?|/[0-9]{1,5}")
_UNIX_QUERY = re.compile(r"|db=[0-9]{1,5}")
_PREFIX = re.compile(r"[A-Za-z0-9_.{}-]{1,64}")

LocatedPath = Annotated[Path, BeforeValidator(located)]
MapSize = Annotated[int, BeforeValidator(quantity_between("4Mi", "1Ti"))]
CallTimeout = Annotated[float, BeforeValidator(duration_between("1ms", "10s"))]
StartTimeout = Annotated[float, BeforeValidator(duration_between("0s", "10m"))]


def check_redis_url(text: str) -> str:
    """Check a URL as redis-py reads it, without its options.

    Raises:
        ValueError: It is none; the message has nothing of it, since a password may be in it.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(_URL) from None
    unix = parts.scheme == "unix"
    well_formed = (
        parts.scheme in {"redis", "rediss", "unix"}
        and text.isprintable()
        and not parts.fragment
        and (_UNIX_QUERY.fullmatch(parts.query) if unix else not parts.query)
        and (parts.path.strip("/") if unix else _DATABASE.fullmatch(parts.path))
        and (unix or (parts.hostname and port != 0))
    )
    if not well_formed:
        raise ValueError(_URL)
    return text


RedisUrl = Annotated[str, AfterValidator(check_redis_url)]


def _check_prefix(text: str) -> str:
    if not _PREFIX.fullmatch(text):
        raise ValueError("must be 1 to 64 of letters, digits, '_', '.', '-', '{' and '}'")
    return text


class MemoryStore(Model):
    """In the memory of the process, and gone with it; it has no settings."""


class LmdbStore(Model):
    """In a folder, for the processes of one host.

    Attributes:
        path: Of the folder; made where it is not there, and of this user alone. Absolute here; in
            YAML absolute, or relative to the folder of the file.
        map_size: Bytes that its file can grow to, 4Mi to 1Ti; a quantity in YAML.
    """

    path: LocatedPath
    map_size: MapSize = GIB


class RedisStore(Model):
    """On a Redis or Valkey server, for many hosts.

    Attributes:
        url: ``redis://user@host:port/database``, ``rediss://`` for TLS, or ``unix:///path``.
        url_from: Where the URL is read from instead.
        password_from: Where the password is read from, if there is none in the URL.
        prefix: What every key begins with; services that share a prefix share their state.
        timeout: Seconds that a host call waits for the server, 1ms to 10s; a duration in YAML.
        start_timeout: Seconds that the server has to answer at the start, 0s to 10m.
        ca_file: Certificates to check the server's with, instead of the system's.
    """

    url: Annotated[RedisUrl | None, Field(repr=False)] = None
    url_from: SecretSource | None = None
    password_from: SecretSource | None = None
    prefix: Annotated[str, AfterValidator(_check_prefix)] = "mixer"
    timeout: CallTimeout = 0.1
    start_timeout: StartTimeout = 5.0
    ca_file: LocatedPath | None = None

    @model_validator(mode="after")
    def _one_url(self) -> Self:
        if (self.url is None) == (self.url_from is None):
            raise ValueError("must have one of url and urlFrom")
        if self.url_from is not None:
            check_redis_url(self.location)
        if self.password_from is not None and urlsplit(self.location).password:
            raise ValueError("must have one password: in the URL, or in passwordFrom")
        if self.ca_file is not None and not self.location.startswith("rediss:"):
            raise ValueError("caFile is for a rediss: URL")
        return self

    @property
    def location(self) -> str:
        """The URL, wherever it is from; it may have a password in it."""
        return self.url_from.reveal() if self.url_from else self.url or ""

    @property
    def password(self) -> str | None:
        """The password, unless it is in the URL or there is none."""
        return self.password_from.reveal() if self.password_from else None


class StateStore(Model):
    """Which store; one of the three."""

    memory: MemoryStore | None = None
    lmdb: LmdbStore | None = None
    redis: RedisStore | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if [self.memory, self.lmdb, self.redis].count(None) != 2:
            raise ValueError("must have one of memory, lmdb and redis")
        return self
