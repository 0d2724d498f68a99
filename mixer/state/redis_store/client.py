"""The connection to the server, bounded: no host call waits for one that is down."""

import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from redis import AuthenticationError, Redis, RedisError
from redis.asyncio import ConnectionPool as AsyncPool
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from mixer.state.ports import StoreError, StoreUnavailableError
from mixer.state.redis_store.breaker import CircuitBreaker
from mixer.state.redis_store.connection import connection_class

_log = logging.getLogger(__name__)

FORMAT = b"mixer-state 1"
"""Changes with the layout of the keys."""

MAX_SENT_BYTES = 1 << 20
"""Of one entry or message: more takes a good part of the timeout, after which the server counts as
down, for every module."""

_CONNECTING = re.compile(r"^Error (-?\d+ )?connecting to \S+\. ")
_ASK_AGAIN_SECONDS = 0.1
_COMPLAINT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class RedisOptions:
    """Where the server is, and how long it may take.

    Attributes:
        url: ``redis://``, ``rediss://`` (TLS) or ``unix://``, in redis-py's notation.
        password: For a URL without one.
        prefix: What every key begins with, a colon in between.
        timeout: Seconds of one call, and of one attempt to connect.
        start_timeout: Seconds that the server has to come up when the service starts.
        ca_file: Certificates to check the server's with, instead of the system's.
    """

    url: str = field(repr=False)
    password: str | None = field(default=None, repr=False)
    prefix: str = "mixer"
    timeout: float = 0.1
    start_timeout: float = 5.0
    ca_file: str | None = None

    def connect(self, more_time: float = 0.0) -> "Redis":
        """Make a client of its own; it connects when it is used.

        Args:
            more_time: Seconds that an answer may take in addition.
        """
        given: dict[str, Any] = {"password": self.password, "ssl_ca_certs": self.ca_file}
        return Redis.from_url(
            self.url,
            **{name: value for name, value in given.items() if value is not None},
            **connection_class(self.url),
            socket_timeout=self.timeout + more_time,
            socket_connect_timeout=self.timeout,
            retry=Retry(NoBackoff(), 0),  # again is for the caller: the call may have been made
            protocol=2,
        )

    def pool(self) -> AsyncPool:
        """What makes connections for an event loop; the caller bounds what it waits for."""
        given: dict[str, Any] = {"password": self.password, "ssl_ca_certs": self.ca_file}
        return AsyncPool.from_url(
            self.url,
            **{name: value for name, value in given.items() if value is not None},
            socket_timeout=None,  # the library's own is five seconds
            socket_connect_timeout=None,
            retry=AsyncRetry(NoBackoff(), 0),
            protocol=2,
        )

    @property
    def place(self) -> str:
        """Host and port, or the path of the socket."""
        given = self.pool().connection_kwargs
        return str(given.get("path") or f"{given.get('host')}:{given.get('port')}")


class RedisClient:
    """Runs scripts on the server.

    Args:
        options: Where it is.

    Attributes:
        place: Host and port, or the path of the socket.

    Raises:
        StoreError: It does not answer, or holds what this version cannot read.
    """

    def __init__(self, options: RedisOptions) -> None:
        self.options = options
        self._redis = options.connect()
        self.place = options.place
        self._breaker = CircuitBreaker(self.place, self._ping)
        self._scripts: dict[str, Any] = {}
        self._next_complaint = 0.0
        try:
            self._check_format(self._answer())
        except BaseException:
            self._redis.close()
            raise

    def _answer(self) -> bytes:
        """The format of what the server holds, as soon as it answers."""
        end = time.monotonic() + self.options.start_timeout
        key = self.key("format")
        while True:
            try:
                self._redis.set(key, FORMAT, nx=True)
                found: Any = self._redis.get(key)
                return bytes(found)
            except RedisError as error:
                refused = not isinstance(error, RedisConnectionError | RedisTimeoutError)
                denied = isinstance(error, AuthenticationError)
                if refused or denied or time.monotonic() >= end:
                    raise StoreError(f"Redis at {self.place}: {_reason(error)}") from error
                time.sleep(_ASK_AGAIN_SECONDS)

    def _check_format(self, found: bytes) -> None:
        if found != FORMAT:
            raise StoreError(
                f"Redis at {self.place}: the keys under {self.options.prefix!r} are of the format "
                f"{found[:40].decode(errors='replace')!r}, and this version reads "
                f"{FORMAT.decode()!r}; choose another prefix"
            )

    def key(self, *parts: str | bytes) -> bytes:
        """A key of this store."""
        texts = (part if isinstance(part, bytes) else part.encode() for part in parts)
        return b":".join((self.options.prefix.encode(), *texts))

    def run(self, script: str, keys: Sequence[bytes], *arguments: bytes | str | int) -> Any:
        """Run a script, atomically.

        Raises:
            StoreUnavailableError: The server is down, or refused it. It may have been run.
        """
        self._breaker.check()
        prepared = self._scripts.get(script)
        if prepared is None:
            prepared = self._scripts[script] = self._redis.register_script(script)
        try:
            return prepared(keys, arguments)
        except (RedisConnectionError, RedisTimeoutError) as error:
            raise self._breaker.trip(str(error)) from error
        except RedisError as error:
            raise self.refused(error) from error

    def refused(self, error: RedisError) -> StoreUnavailableError:
        """What to raise for a call that the server refused; logged, if none was a moment ago."""
        now = time.monotonic()
        if now >= self._next_complaint:
            self._next_complaint = now + _COMPLAINT_SECONDS
            _log.warning("shared state: Redis at %s refused a call: %s", self.place, error)
        return StoreUnavailableError(f"Redis at {self.place}: {error}")

    def _ping(self) -> bool:
        try:
            return bool(self._redis.ping())
        except RedisError:
            return False

    def close(self) -> None:
        """Disconnect."""
        self._breaker.close()
        self._redis.close()


def _reason(error: RedisError) -> str:
    """Its text without the address, which is told already."""
    return _CONNECTING.sub("", str(error))
