"""Connections whose address is looked up in bounded time.

redis-py asks the system's resolver, which has no timeout, in the thread of the call: a worker would
serve nothing while DNS does not answer.
"""

import ipaddress
import socket
import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from redis import Connection, SSLConnection


class BoundedConnection(Connection):
    """A connection for which a name is looked up within ``socket_connect_timeout``.

    What DNS says too late is used by the next attempt.
    """

    _asked: "Future[list[str]] | None" = None

    def _connect(self) -> Any:
        host, failure = self.host, OSError(f"DNS tells no address of {self.host}")
        for address in self._addresses():
            self.host = address
            try:
                return super()._connect()  # type: ignore[no-untyped-call]
            except OSError as error:
                failure = error
            finally:
                self.host = host  # which TLS has to check
        raise failure

    def _addresses(self) -> list[str]:
        with suppress(ValueError):
            return [str(ipaddress.ip_address(self.host))]
        if self._asked is None:
            self._asked = Future()
            arguments = (self.host, self.port, self._asked)
            threading.Thread(
                target=_ask, args=arguments, name="mixer-redis-dns", daemon=True
            ).start()
        addresses = self._asked
        try:
            return addresses.result(self.socket_connect_timeout)
        finally:
            if addresses.done():
                self._asked = None


class BoundedTlsConnection(SSLConnection, BoundedConnection):
    """The same with TLS."""


def connection_class(url: str) -> dict[str, type[Connection]]:
    """What ``Redis.from_url`` is to be told for a URL."""
    scheme = url.partition(":")[0]
    kinds = {"redis": BoundedConnection, "rediss": BoundedTlsConnection}
    return {"connection_class": kinds[scheme]} if scheme in kinds else {}


def _ask(host: str, port: int, answer: "Future[list[str]]") -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        answer.set_exception(error if isinstance(error, OSError) else OSError(str(error)))
    else:
        answer.set_result(list(dict.fromkeys(str(place[0]) for *_, place in found)))
