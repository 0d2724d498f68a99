"""From the metadata of gRPC to headers, and back.

The headers are those of the HTTP/2 request, as far as Python's gRPC tells them: it keeps
``:authority`` to itself.
"""

import base64
import binascii
import re
from collections.abc import Iterable

from mixer.middleware.values import Pairs

Metadata = tuple[tuple[str, str | bytes], ...]
"""Of gRPC; values are bytes where the key ends with ``-bin``."""

_BINARY = "-bin"
_OF_TRANSPORT = frozenset({"content-type", "content-length", "te"})
_KEY = re.compile(r"[0-9a-z_.-]+")
_VALUE = re.compile(rb"[\x20-\x7e]*")


class UnusableMetadataError(ValueError):
    """A header cannot be metadata of gRPC."""


def pairs_of(metadata: Iterable[tuple[str, str | bytes]]) -> Pairs:
    """Metadata as headers; values of bytes in base64, as they are sent."""
    return [(key.lower().encode(), _value(value)) for key, value in metadata]


def _value(value: str | bytes) -> bytes:
    if isinstance(value, bytes):
        return base64.b64encode(value).rstrip(b"=")
    return value.encode("latin-1", "replace")


def metadata_of(pairs: Pairs) -> Metadata:
    """Headers as metadata, without those that gRPC makes itself.

    Raises:
        UnusableMetadataError: One cannot be.
    """
    return tuple(_entry(name, value) for name, value in pairs if not _is_of_transport(name))


def usable_metadata(pairs: Iterable[tuple[bytes, bytes]]) -> Metadata:
    """As many of the headers as can be metadata."""
    found: list[tuple[str, str | bytes]] = []
    for pair in pairs:
        try:
            found += metadata_of([pair])
        except UnusableMetadataError:
            continue
    return tuple(found)


def _is_of_transport(name: bytes) -> bool:
    return name.startswith((b":", b"grpc-")) or name.decode("latin-1") in _OF_TRANSPORT


def _entry(name: bytes, value: bytes) -> tuple[str, str | bytes]:
    key = name.decode("latin-1")
    if not _KEY.fullmatch(key) or not _VALUE.fullmatch(value):
        raise UnusableMetadataError(f"the header {key!a} cannot be metadata of gRPC")
    if not key.endswith(_BINARY):
        return key, value.decode()
    try:
        return key, base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
    except binascii.Error:
        raise UnusableMetadataError(f"the header {key!a} is not base64") from None
