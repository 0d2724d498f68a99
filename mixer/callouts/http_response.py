"""The response of a callout while it arrives, within bounds."""

import time

from mixer.callouts.http_failures import Reset, ResetError
from mixer.callouts.ports import HttpReply, Pair, Pairs

MAX_HEAD_BYTES = 80 * 1024
MAX_HEADERS = 100
"""Bounds of the headers and of the trailers, Envoy's for upstreams."""


class ResponseTooLargeError(Exception):
    """The body exceeds the cluster's bound."""


class Response:
    """Collects a response.

    Args:
        max_body_bytes: Of its body.
    """

    def __init__(self, max_body_bytes: int) -> None:
        self._room = max_body_bytes
        self._started = time.monotonic()
        self._headers: tuple[Pair, ...] = ()
        self._body = bytearray()
        self._trailers: Pairs = ()

    @property
    def has_headers(self) -> bool:
        """Whether the headers are there; what fails then has no response any more."""
        return bool(self._headers)

    def add_headers(self, status: bytes, headers: Pairs) -> None:
        """Take the headers, without pseudo-headers and with names in lower case.

        Raises:
            ResetError: There are too many.
        """
        if len(headers) > MAX_HEADERS or _size(headers) > MAX_HEAD_BYTES:
            raise ResetError(Reset.PROTOCOL_ERROR)
        passed = round((time.monotonic() - self._started) * 1000)
        self._headers = (
            (b":status", status),
            *headers,
            (b"x-envoy-upstream-service-time", str(passed).encode()),
        )

    def add_body(self, data: bytes) -> None:
        """Take a piece of the body.

        Raises:
            ResponseTooLargeError: It is one too many.
        """
        self._room -= len(data)
        if self._room < 0:
            raise ResponseTooLargeError
        self._body += data

    def add_trailers(self, trailers: Pairs) -> None:
        """Take the trailers.

        Raises:
            ResetError: There are too many.
        """
        if len(trailers) > MAX_HEADERS or _size(trailers) > MAX_HEAD_BYTES:
            raise ResetError(Reset.PROTOCOL_ERROR)
        self._trailers = trailers

    def reply(self) -> HttpReply:
        """Tell the whole of it."""
        return HttpReply(self._headers, bytes(self._body), self._trailers)


def _size(headers: Pairs) -> int:
    return sum(len(name) + len(value) for name, value in headers)
