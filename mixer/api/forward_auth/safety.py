"""Which headers an answer may have: those that can do no more than be one header."""

import re

from mixer.api.forward_auth.errors import InexpressibleError
from mixer.attributes import Pair

FRAMING = frozenset(
    {
        b"connection", b"content-length", b"expect", b"host", b"keep-alive",
        b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
    }
)  # fmt: skip
"""Headers of a message on one connection; they belong to whoever makes the message."""

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]{1,256}")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def is_name(name: bytes) -> bool:
    """Whether this is a header's name in lower case, and of no pseudo-header."""
    return bool(_NAME.fullmatch(name))


def checked(name: bytes, value: bytes) -> Pair:
    """A header as it may be sent.

    Raises:
        InexpressibleError: It may not.
    """
    if not is_name(name) or _CONTROL.search(value):
        raise InexpressibleError("an_adapter_set_a_header_with_forbidden_characters")
    return name, value
